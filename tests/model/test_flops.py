"""What a decoder costs: counts equal the module's own, and memory what a pass really keeps."""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.model.cost_formulas import training_memory, training_operations
from tradewind.model.decoder import Decoder, DecoderConfig
from tradewind.model.decoder_config import RopeScaling
from tradewind.model.flops import matmul_peak
from tradewind.model.masked import MaskedConfig, MaskedEncoder

ROWS, LENGTH = 3, 32


def drawn(seed):
    """A random config of any family."""
    rng = np.random.default_rng(seed)
    shared, groups, width = (int(rng.integers(1, 4)) for _ in range(3))
    family = rng.choice(["llama", "mistral", "qwen2", "qwen3"])
    biased = {"qwen2": True, "mistral": False}.get(family, bool(rng.integers(2)))
    return DecoderConfig(
        vocabulary=int(rng.integers(5, 90)), width=16 * width, depth=int(rng.integers(1, 4)), heads=shared * groups,
        kv_heads=groups, head_width=2 * int(rng.integers(1, 9)), hidden=int(rng.integers(8, 80)), context=64,
        tied=bool(rng.integers(2)), qk_norm=family == "qwen3", attention_bias=biased, family=str(family),
        sliding_window=7 if family == "mistral" else None,
        rope_scaling=RopeScaling(2.0, 1.0, 4.0, 32) if rng.integers(2) else None,
    )  # fmt: skip


def tokens(config, rows=ROWS, length=LENGTH):
    return torch.randint(0, config.vocabulary, (rows, length), generator=torch.Generator().manual_seed(0))


def kept_bytes(model, precision):
    """What the layers and the last norm keep for the backward pass beside the weights, and what goes to the loss."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if tensor.is_floating_point() and storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (
                storage.nbytes(),
                tensor,
            )  # the tensor holds the place, so that none is used twice
        return tensor

    half = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), half:
        output = model.hidden(tokens(model.config))
    return output.nbytes + sum(size for size, _ in kept.values())


@pytest.mark.parametrize("seed", range(30))
def test_the_count_of_weights_is_that_of_the_module(seed):
    config = drawn(seed)
    assert config.parameters() == sum(parameter.numel() for parameter in Decoder(config).parameters())


@pytest.mark.parametrize("seed", range(10))
def test_operations_are_those_that_torch_counts(seed):
    config = drawn(seed)
    model = Decoder(config)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(tokens(config))
    assert counter.get_total_flops() == ROWS * LENGTH * config.operations_per_token(LENGTH)


def test_training_costs_three_forward_passes_as_torch_counts_them():
    config = DecoderConfig.dial(2, vocabulary=50)
    model = Decoder(config).train()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(tokens(config)).sum().backward()
    assert counter.get_total_flops() == pytest.approx(
        training_operations(config, tokens=ROWS * LENGTH, length=LENGTH), rel=0.02
    )


def test_palm_counts_six_for_each_weight_and_twelve_for_each_head_place_and_layer():
    config = DecoderConfig.preset("110m", vocabulary=32_000)
    matrices = config.parameters() - (2 * config.depth + 1) * config.width  # norms multiply nothing
    expected = 6 * matrices + 12 * config.depth * config.heads * config.head_width * 1024
    assert training_operations(config, tokens=1, length=1024) == expected


def test_recomputing_costs_a_fourth_pass_of_the_layers_alone():
    config = DecoderConfig.dial(3, vocabulary=50)
    plain, again = (training_operations(config, tokens=10, length=8, recompute=on) for on in (False, True))
    head = 2 * config.vocabulary * config.width
    assert again - plain == 10 * (config.operations_per_token(8) - head)


@pytest.mark.parametrize("changes", [{}, {"kv_heads": 1}, {"qk_norm": True, "family": "qwen3"}, {"tied": False}])
@pytest.mark.parametrize(("precision", "within"), [("float32", 0.02), ("bfloat16", 0.05)])
def test_activations_are_what_a_pass_keeps(changes, precision, within):
    config = DecoderConfig.dial(3, vocabulary=50, context=LENGTH, **changes)
    found = kept_bytes(Decoder(config).train(), precision)
    counted = training_memory(config, rows=ROWS, length=LENGTH, precision=precision).activations
    assert counted == pytest.approx(found, rel=within)


def test_recomputing_keeps_the_input_of_each_layer_and_the_rest_of_one():
    config = DecoderConfig.dial(6, vocabulary=50, context=LENGTH)
    found = kept_bytes(Decoder(config, recompute=True).train(), "float32")
    whole, again = (training_memory(config, rows=ROWS, length=LENGTH, recompute=on).activations for on in (False, True))
    one = (whole - 8 * ROWS * LENGTH * config.width) / config.depth
    assert again - one == pytest.approx(found, rel=0.02)
    assert again < 0.4 * whole


def test_an_adapter_needs_gradients_and_states_for_itself_alone():
    config = DecoderConfig.preset("1b", vocabulary=32_000)
    whole, few = (training_memory(config, rows=1, length=128, learnt=learnt) for learnt in (None, 5_000_000))
    assert few.weights == whole.weights == 4 * config.parameters()
    assert (few.gradients, few.optimizer) == (20_000_000, 40_000_000)
    assert whole.total == whole.weights * 4 + whole.activations + whole.loss


def test_the_loss_needs_a_chunk_of_logits_and_not_all_of_them():
    config = DecoderConfig.preset("110m", vocabulary=32_000)
    every_logit = 4 * 16 * 1024 * 32_000
    assert training_memory(config, rows=16, length=1024).loss < 0.2 * every_logit


@pytest.mark.parametrize("depth", [1, 3])
def test_operations_of_an_encoder_are_those_that_torch_counts(depth):
    config = MaskedConfig(vocabulary=60, width=32, depth=depth, heads=2, hidden=48, context=LENGTH)
    model = MaskedEncoder(config).eval()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.hidden(tokens(config))
    head = 0.15 * 2 * config.width * (config.width + 61)
    assert counter.get_total_flops() == pytest.approx(ROWS * LENGTH * (config.operations_per_token(LENGTH) - head))


def test_the_peak_is_a_rate_that_a_product_can_reach_and_leaves_the_random_numbers_alone():
    state = torch.get_rng_state()
    peak = matmul_peak(0.2)
    assert peak.threads == torch.get_num_threads()
    assert 1e8 < peak.float32 < 1e15
    assert 1e8 < peak.bfloat16 < 1e15
    assert torch.equal(torch.get_rng_state(), state)
