"""The decoder: it sees only what is left, a cache changes nothing, chunks of the loss are the loss, adapters are PEFT's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from tradewind.errors import ArtifactError, ModelError
from tradewind.model import adapters, cross_entropy
from tradewind.model.cross_entropy import summed_cross_entropy, token_cross_entropy
from tradewind.model.decoder import Decoder, DecoderConfig
from tradewind.model.decoder_config import PRESETS, RopeScaling
from tradewind.model.hf_folder import open_folder, save_folder
from tradewind.model.weights import load_tensors, parameters
from tradewind.product import Model

V = 37
KINDS = {
    "plain": {},
    "grouped": {"kv_heads": 1},
    "normalised": {"qk_norm": True, "family": "qwen3"},
    "biased": {"attention_bias": True, "family": "qwen2"},
    "windowed": {"sliding_window": 4, "family": "mistral"},
    "windowed from the second layer": {
        "sliding_window": 4, "window_from": 1, "attention_bias": True, "family": "qwen2",
    },
    "untied and stretched": {"tied": False, "rope_scaling": RopeScaling(4.0, 1.0, 4.0, 16)},
}  # fmt: skip
each_kind = pytest.mark.parametrize("kind", KINDS)


def decoder(kind="plain", **more):
    torch.manual_seed(0)
    model = Decoder(DecoderConfig.dial(2, vocabulary=V, context=24, **{**KINDS[kind], **more}))
    for parameter in model.parameters():  # a fresh model is nearly linear: larger weights show more
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def tokens(rows=2, length=13, seed=1):
    return torch.randint(0, V, (rows, length), generator=torch.Generator().manual_seed(seed))


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------- what a token sees


@each_kind
def test_no_token_sees_what_comes_after_it(kind):
    model, one = decoder(kind), tokens()
    other = one.clone()
    other[:, 7:] = (other[:, 7:] + 1) % V
    with torch.no_grad():
        close(model(one)[:, :7], model(other)[:, :7])
        assert not torch.allclose(model(one)[:, 7:], model(other)[:, 7:])


def test_without_a_window_every_token_sees_all_that_comes_before():
    model, one = decoder(), tokens()
    other = one.clone()
    other[:, 0] = (other[:, 0] + 1) % V
    with torch.no_grad():
        changed = (model(one) - model(other)).abs().amax(2)
    assert bool((changed > 1e-4).all())


def test_a_window_in_two_layers_reaches_back_twice_as_far_and_no_further():
    model, one = decoder("windowed"), tokens()
    other = one.clone()
    other[:, 0] = (other[:, 0] + 1) % V
    with torch.no_grad():
        changed = (model(one) - model(other)).abs().amax((0, 2)) > 1e-4
    assert changed.nonzero().flatten().tolist() == list(range(7))  # 2 layers of a window of 4: 2 * 3 steps back


@each_kind
def test_rows_of_a_batch_and_padding_on_the_right_do_not_matter(kind):
    model, batch = decoder(kind), tokens(rows=3)
    alone = batch[1:2, :5]
    with torch.no_grad():
        close(model(batch)[1:2, :5], model(alone))


def test_only_the_distance_of_positions_counts():
    model, one = decoder(), tokens()
    with torch.no_grad():
        close(model(one, positions_BT=torch.arange(5, 18).expand(2, -1)), model(one))


def test_heads_that_share_keys_equal_heads_with_copies_of_them():
    shared, whole = decoder("grouped"), decoder()
    tensors = shared.state_dict()
    for name in tensors:
        if "k_proj" in name or "v_proj" in name:
            tensors[name] = tensors[name].repeat(2, 1)
    whole.load_state_dict(tensors)
    with torch.no_grad():
        close(shared(tokens()), whole(tokens()))


# ---------------------------------------------------------------- the cache


@each_kind
@pytest.mark.parametrize("pieces", [[1] * 13, [5, 1, 1, 6], [13]])
def test_the_cache_changes_no_logit(kind, pieces):
    model, whole = decoder(kind), tokens()
    cache, parts = model.new_cache(2), []
    with torch.no_grad():
        for piece in whole.split(pieces, 1):
            parts.append(model(piece, cache=cache))
        close(torch.cat(parts, 1), model(whole))


@each_kind
def test_the_likeliest_text_is_that_of_the_logits_without_a_cache(kind):
    model, ids = decoder(kind), [3, 5]
    with torch.no_grad():
        for _ in range(8):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    assert model.generate([3, 5], max_tokens=8, temperature=0) == ids[2:]


def test_a_seed_gives_one_text_and_another_seed_another():
    model = decoder()
    texts = [model.generate([1], max_tokens=20, seed=seed) for seed in (4, 4, 5)]
    assert texts[0] == texts[1] != texts[2]


def test_samples_follow_the_probabilities():
    model = decoder()
    with torch.no_grad():
        shares = torch.softmax(model(torch.tensor([[2]]))[0, -1] / 2.0, 0).numpy()
    drawn = [model.generate([2], max_tokens=1, temperature=2.0, seed=seed)[0] for seed in range(800)]
    found = np.bincount(drawn, minlength=V) / len(drawn)
    assert abs(found - shares).sum() < 0.2


def test_a_stop_ends_the_text_and_stands_in_it():
    model = decoder()
    text = model.generate([3, 5], max_tokens=20, temperature=0)
    stop = text[4]
    assert model.generate([3, 5], max_tokens=20, temperature=0, stops=[stop]) == text[: text.index(stop) + 1]


def test_a_text_goes_on_beyond_the_context_and_a_long_prompt_is_cut_from_the_left():
    model, prompt = decoder(), tokens(1, 40)[0].tolist()
    assert len(model.generate([3], max_tokens=60, temperature=0)) == 60
    assert model.generate(prompt, max_tokens=5, temperature=0) == model.generate(
        prompt[-24:], max_tokens=5, temperature=0
    )


@each_kind
def test_a_text_may_be_written_in_half_precision(kind):
    model = decoder(kind)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert len(model.generate([3, 5], max_tokens=4, temperature=0)) == 4
    assert len(model.to(torch.bfloat16).generate([3, 5], max_tokens=4, temperature=0)) == 4


def test_what_was_first_asked_in_inference_mode_still_learns():
    model = decoder()
    with torch.inference_mode():
        model(tokens())
    model.loss(tokens(), tokens()).total.backward()


def test_generation_leaves_the_model_training():
    model = decoder().train()
    model.generate([3], max_tokens=2)
    assert model.training
    model.loss(tokens(), tokens()).total.backward()


# ---------------------------------------------------------------- the loss


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(cross_entropy, "_CHUNK_LOGITS", 1)  # 16 tokens at a time, the least


def states(count=50, dtype=torch.float64):
    generator = torch.Generator().manual_seed(2)
    hidden = torch.randn(count, 8, generator=generator, dtype=dtype, requires_grad=True)
    head = torch.randn(V, 8, generator=generator, dtype=dtype, requires_grad=True)
    targets = torch.randint(0, V, (count,), generator=generator)
    targets[::3] = -100
    return hidden, head, targets


def gradients(total, *of):
    return torch.autograd.grad(total, of)


@pytest.mark.usefixtures("small_chunks")
def test_the_loss_in_chunks_and_its_gradients_are_those_of_plain_cross_entropy():
    hidden, head, targets = states(dtype=torch.float32)
    plain = F.cross_entropy(hidden @ head.T, targets, reduction="sum")
    chunked = summed_cross_entropy(hidden, head, targets)
    assert float(chunked.weight) == int((targets != -100).sum())
    torch.testing.assert_close(chunked.total, plain)
    for found, wanted in zip(
        gradients(3 * chunked.total, hidden, head), gradients(3 * plain, hidden, head), strict=True
    ):
        torch.testing.assert_close(found, wanted)


@pytest.mark.usefixtures("small_chunks")
def test_the_loss_of_each_token_has_the_gradients_of_plain_cross_entropy():
    hidden, head, targets = states(dtype=torch.float32)
    weights = torch.randn(len(targets))
    plain = F.cross_entropy(hidden @ head.T, targets, reduction="none")
    chunked = token_cross_entropy(hidden, head, targets)
    torch.testing.assert_close(chunked, plain)
    wanted = gradients((weights * plain).sum(), hidden, head)
    for found, expected in zip(gradients((weights * chunked).sum(), hidden, head), wanted, strict=True):
        torch.testing.assert_close(found, expected)


class Largest(TorchDispatchMode):
    """Remembers the most numbers that any tensor made meanwhile holds."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return made


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    "loss", [lambda *of: summed_cross_entropy(*of).total, lambda *of: token_cross_entropy(*of).sum()]
)
def test_the_logits_of_all_tokens_never_stand_in_memory(loss):
    hidden, head, targets = states(count=400, dtype=torch.float32)
    with Largest() as largest:
        gradients(loss(hidden, head, targets), hidden, head)
    assert 16 * V <= largest.numbers <= hidden.numel() < 400 * V


def test_a_head_that_is_frozen_gets_no_gradient_and_the_states_get_theirs():
    hidden, head, targets = states(dtype=torch.float32)
    (wanted,) = gradients(F.cross_entropy(hidden @ head.T, targets, reduction="sum"), hidden)
    (found,) = gradients(summed_cross_entropy(hidden, head.detach(), targets).total, hidden)
    torch.testing.assert_close(found, wanted)


def test_nothing_learnt_gives_a_loss_of_zero_and_gradients_of_zero():
    model = decoder()
    loss = model.loss(tokens(), torch.full((2, 13), -100))
    assert (float(loss.total.detach()), float(loss.weight)) == (0.0, 0.0)
    loss.total.backward()
    assert all(not parameter.grad.any() for parameter in model.parameters())


@each_kind
def test_the_loss_of_the_model_is_that_of_its_logits(kind):
    model, targets = decoder(kind), tokens(seed=5)
    targets[0, :4] = -100
    plain = F.cross_entropy(model(tokens()).flatten(0, 1), targets.flatten(), reduction="sum")
    wanted = gradients(plain, *model.parameters())
    loss = model.loss(tokens(), targets)
    close(loss.total, plain)
    for found, expected in zip(gradients(loss.total, *model.parameters()), wanted, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    each = model.token_losses(tokens(), targets)
    assert each.shape == targets.shape
    assert not each[0, :4].any()
    close(each.sum(), plain)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_computing_activations_twice_changes_no_gradient(dropout):
    found = []
    for recompute in (False, True):
        model = decoder(dropout=dropout).train()
        model.recompute = recompute
        torch.manual_seed(7)
        found.append(gradients(model.loss(tokens(), tokens(seed=5)).total, *model.parameters()))
    for kept, again in zip(*found, strict=True):
        assert torch.equal(kept, again)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # of torch against torch: it compiles by way of its own older parts
def test_compiled_layers_give_the_same_loss_and_gradients_and_names():
    model, targets = decoder().train(), tokens(seed=5)
    names, plain = list(model.state_dict()), model.loss(tokens(), targets).total
    wanted = gradients(plain, *model.parameters())
    model.compile_layers()
    compiled = model.loss(tokens(), targets).total
    close(compiled, plain)
    for found, expected in zip(gradients(compiled, *model.parameters()), wanted, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert list(model.state_dict()) == names


def test_bfloat16_comes_near_and_its_gradients_are_those_of_the_weights():
    model, targets = Decoder(DecoderConfig.dial(2, vocabulary=V)), tokens(seed=5)
    exact = model.loss(tokens(), targets).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model.loss(tokens(), targets).total
    assert half.dtype == torch.float32
    assert abs(float((half - exact).detach())) < 0.01 * float(exact.detach())
    half.backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())


def test_the_first_loss_is_that_of_guessing():
    torch.manual_seed(0)
    model = Decoder(DecoderConfig.preset("1m", vocabulary=500))
    loss = model.loss(torch.randint(0, 500, (4, 64)), torch.randint(0, 500, (4, 64)))
    assert float(loss.total.detach() / loss.weight) == pytest.approx(np.log(500), rel=0.03)


def test_a_few_steps_learn_a_text_by_heart():
    torch.manual_seed(0)
    model, text = Decoder(DecoderConfig.dial(1, vocabulary=V)).train(), torch.randperm(V)[None, :12]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(text[:, :-1], text[:, 1:]).total.backward()
        optimizer.step()
    assert model.generate(text[0, :1].tolist(), max_tokens=11, temperature=0) == text[0, 1:].tolist()


def test_one_seed_gives_one_set_of_weights():
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(Decoder(DecoderConfig.preset("1m", vocabulary=50)).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])


# ---------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("preset", "vocabulary", "least", "most"),
    [("1m", 2_000, 0.9e6, 1.2e6), ("10m", 16_000, 9e6, 12e6), ("50m", 32_000, 45e6, 55e6), ("110m", 32_000, 105e6, 115e6),
     ("350m", 32_000, 330e6, 370e6), ("1b", 32_000, 0.95e9, 1.05e9), ("7b", 32_000, 6.8e9, 7.5e9)],
)  # fmt: skip
def test_a_preset_has_about_as_many_weights_as_its_name_says(preset, vocabulary, least, most):
    assert least <= DecoderConfig.preset(preset, vocabulary=vocabulary).parameters() <= most


def test_the_dial_at_twelve_layers_is_the_preset_of_110_million():
    assert DecoderConfig.dial(12, vocabulary=99) == DecoderConfig.preset("110m", vocabulary=99)


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(ModelError, match=r"no preset 350\..*Did you mean 350m"):
        DecoderConfig.preset("350", vocabulary=99)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, {"width": 256, "depth": 8}),
        ({"preset": "110m"}, {"width": 768, "depth": 12, "heads": 12}),
        ({"preset": "1b", "context": 512, "tied": False}, {"context": 512, "tied": False, "kv_heads": 8}),
        ({"preset": "1b", "heads": 16}, {"heads": 16, "kv_heads": 4, "head_width": 128}),
        ({"depth": 3}, {"width": 192, "depth": 3, "heads": 3, "head_width": 64, "hidden": 512}),
        (
            {"width": 128, "depth": 4, "heads": 4},
            {"width": 128, "depth": 4, "heads": 4, "head_width": 32, "hidden": 384},
        ),
        ({"width": 384}, {"width": 384, "depth": 6, "heads": 6}),
        ({"qk_norm": True}, {"qk_norm": True, "family": "qwen3"}),
        ({"preset": "1m", "dropout": 0.2}, {"dropout": 0.2}),
    ],
)
def test_the_product_file_chooses_the_shape(said, expected):
    config = DecoderConfig.from_product(Model(kind="decoder", **said), vocabulary=99)
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_and_family_survives_the_product_file_and_config_json(preset):
    config = DecoderConfig.from_product(Model(kind="decoder", preset=preset), vocabulary=99)
    assert config == DecoderConfig.preset(preset, vocabulary=99)
    assert DecoderConfig.from_hf(json.loads(json.dumps(config.to_hf()))) == config


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"width": 100, "heads": 3}, "width of 100 cannot be shared by 3 heads"),
        ({"width": 100}, "no multiple of the 64"),
        ({"heads": 4, "kv_heads": 3}, "share 3 heads"),
        ({"width": 20, "heads": 4}, "must be even"),
        ({"preset": "7b", "qk_norm": False, "kv_heads": 5}, "evenly"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(said, message):
    with pytest.raises(ModelError, match=message):
        DecoderConfig.from_product(Model(kind="decoder", **said), vocabulary=99)


def test_a_family_without_the_part_is_refused():
    with pytest.raises(ModelError, match="Llama has no sliding window"):
        DecoderConfig.dial(1, vocabulary=9, sliding_window=4)
    with pytest.raises(ModelError, match="Qwen2 always has it and Mistral never"):
        DecoderConfig.dial(1, vocabulary=9, attention_bias=True, family="mistral")
    with pytest.raises(ModelError, match="Qwen3 alone"):
        DecoderConfig.dial(1, vocabulary=9, qk_norm=True)


# ---------------------------------------------------------------- LoRA


def adapted(rank=2, targets=None):
    model = decoder()
    adapters.add_lora(model, rank=rank, targets=targets)
    torch.manual_seed(2)
    for layer in adapters.adapters(model).values():
        torch.nn.init.normal_(layer.lora_B.weight, std=0.3)
    return model


def test_an_adapter_of_a_language_model_is_laid_out_as_peft_does(tmp_path):
    adapters.save_adapter(adapted(), tmp_path, base="the/base", task="CAUSAL_LM")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["task_type"] == "CAUSAL_LM"
    assert config["base_model_name_or_path"] == "the/base"
    names = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    assert config["target_modules"] == names
    tensors, _ = load_tensors(tmp_path / "adapter_model.safetensors")
    assert len(tensors) == 2 * 2 * len(names)
    name = "base_model.model.model.layers.1.self_attn.q_proj.lora_{}.weight"
    assert tensors[name.format("A")].shape == (2, 128)
    assert tensors[name.format("B")].shape == (128, 2)


def test_an_adapter_goes_to_disk_and_back_and_merged_it_opens_as_a_plain_folder(tmp_path):
    model = adapted(targets=["q_proj", "v_proj"])
    with torch.no_grad():
        wanted = model(tokens())
    adapters.save_adapter(model, tmp_path / "adapter", base="base", task="CAUSAL_LM")
    again = decoder()
    adapters.load_adapter(again, tmp_path / "adapter")
    with torch.no_grad():
        assert torch.equal(again(tokens()), wanted)
    adapters.merge(again)
    save_folder(again, tmp_path / "merged", tokenizer=None)
    with torch.no_grad():
        close(open_folder(tmp_path / "merged")[0](tokens()), wanted)


def test_an_adapter_kept_apart_leaves_the_saved_folder_the_base(tmp_path):
    save_folder(adapted(), tmp_path, tokenizer=None)
    with torch.no_grad():
        assert torch.equal(open_folder(tmp_path)[0](tokens()), decoder()(tokens()))


def test_only_the_adapter_learns_from_the_loss():
    model = adapted().train()
    model.loss(tokens(), tokens(seed=5)).total.backward()
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {
        name for name, _ in model.named_parameters() if ".lora_" in name
    }
    assert parameters(model)["learn"] < parameters(model)["total"]


def test_an_adapter_of_another_model_is_refused(tmp_path):
    adapters.save_adapter(adapted(), tmp_path, base="base", task="CAUSAL_LM")
    with pytest.raises(ArtifactError, match=r"down_proj is of the shape \(2, 384\), but \(2, 64\) is expected"):
        adapters.load_adapter(Decoder(DecoderConfig.dial(2, vocabulary=V, hidden=64)), tmp_path)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks transformers for an old name
def test_peft_gives_the_same_logits_with_the_adapter(tmp_path):
    peft = pytest.importorskip("peft", reason="peft is not installed: its layout is tested by names and shapes above")
    transformers = pytest.importorskip("transformers")
    model = adapted()
    adapters.save_adapter(model, tmp_path / "adapter", base=str(tmp_path / "hf"), task="CAUSAL_LM")
    save_folder(decoder(), tmp_path / "hf", tokenizer=None)
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf", dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
    with torch.no_grad():
        close(theirs(tokens()).logits, model(tokens()))
    theirs.save_pretrained(str(tmp_path / "again"))
    again = decoder()
    adapters.load_adapter(again, Path(tmp_path / "again"))
    with torch.no_grad():
        close(again(tokens()), model(tokens()))
