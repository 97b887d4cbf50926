"""Folders in the Hugging Face layout: what transformers writes opens here, what is written here opens there, and what is broken is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.model.test_flops import drawn
from tradewind.errors import ArtifactError, ModelError
from tradewind.features.language import LEAST_BPE, LanguageTokenizer
from tradewind.model.decoder import Decoder, DecoderConfig
from tradewind.model.decoder_config import RopeScaling
from tradewind.model.hf_folder import open_folder, save_folder

transformers = pytest.importorskip("transformers")

TOKENS = torch.randint(0, 90, (2, 21), generator=torch.Generator().manual_seed(3))
SHAPE = {
    "vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
FAMILIES = {
    "llama": ("Llama", {}),
    "llama tied": ("Llama", {"tie_word_embeddings": True}),
    "llama with biases": ("Llama", {"attention_bias": True}),
    "llama with heads of another width": ("Llama", {"head_dim": 6}),
    "llama with a stretched context": ("Llama", {"rope_parameters": LLAMA3}),
    "mistral": ("Mistral", {"sliding_window": None}),
    "mistral with a window": ("Mistral", {"sliding_window": 8}),
    "qwen2": ("Qwen2", {}),
    "qwen2 tied": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen2 with a window from the second layer": (
        "Qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
    "qwen3 with a fast rotation": ("Qwen3", {"head_dim": 8, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
}  # fmt: skip


def reference(name, **more):
    family, settings = FAMILIES[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**{**SHAPE, **settings, **more})
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    for parameter in model.parameters():  # biases and norms of a new model are 0 and 1: no test of them
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def logits(model):
    with torch.no_grad():
        output = model(TOKENS)
    return output if isinstance(output, torch.Tensor) else output.logits


def reopened(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(1)
    save_folder(Decoder(DecoderConfig.dial(1, vocabulary=90)), tmp_path, tokenizer=None)
    return tmp_path


@pytest.mark.parametrize("name", FAMILIES)
def test_a_folder_goes_from_transformers_through_here_and_back_with_the_same_logits(name, tmp_path):
    model = reference(name)
    model.save_pretrained(tmp_path / "theirs")
    own, config = open_folder(tmp_path / "theirs")
    assert (logits(own) - logits(model)).abs().max() < 1e-4
    save_folder(own, tmp_path / "ours", tokenizer=None)
    assert torch.equal(logits(reopened(tmp_path / "ours")), logits(reopened(tmp_path / "theirs")))
    assert open_folder(tmp_path / "ours")[1] == config


@pytest.mark.parametrize("changes", [{}, {"qk_norm": True, "family": "qwen3"}, {"tied": False}, {"kv_heads": 1},
                                     {"sliding_window": 5, "family": "mistral"},
                                     {"rope_scaling": RopeScaling(2.0, 1.0, 4.0, 32)}])  # fmt: skip
def test_what_is_saved_opens_in_transformers_with_the_same_logits(changes, tmp_path):
    torch.manual_seed(1)
    model = Decoder(DecoderConfig.dial(2, vocabulary=90, **changes)).eval()
    save_folder(model, tmp_path, tokenizer=None)
    assert (logits(reopened(tmp_path)) - logits(model)).abs().max() < 1e-4


@pytest.mark.parametrize(
    "seed", [1, 6, 7, 25, 32, 38]
)  # those of equal heads, as transformers asks of Llama: all families
def test_random_shapes_open_in_transformers_with_the_same_logits(seed, tmp_path):
    config = drawn(seed)
    torch.manual_seed(seed)
    model = Decoder(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_folder(model, tmp_path, tokenizer=None)
    own, opened = open_folder(tmp_path)
    assert opened == config
    given = TOKENS % config.vocabulary
    with torch.no_grad():
        assert torch.equal(own(given), model(given))
        assert (reopened(tmp_path)(given).logits - model(given)).abs().max() < 1e-4


def test_shards_go_both_ways(tmp_path):
    model = reference("qwen3")
    model.save_pretrained(tmp_path / "theirs", max_shard_size="10KB")
    own, _ = open_folder(tmp_path / "theirs")
    assert (logits(own) - logits(model)).abs().max() < 1e-4
    save_folder(own, tmp_path / "ours", tokenizer=None, shard_bytes=10_000)
    assert len(list((tmp_path / "ours").glob("model-*.safetensors"))) > 3
    assert torch.equal(logits(reopened(tmp_path / "ours")), logits(model))


@pytest.mark.parametrize("before", [10_000, 10**9])
def test_saving_again_leaves_nothing_of_the_weights_before(before, tmp_path):
    model = reference("llama")
    model.save_pretrained(tmp_path, max_shard_size=before)
    changed, _ = open_folder(tmp_path)
    with torch.no_grad():
        changed.model.norm.weight.mul_(2)
    save_folder(changed, tmp_path, tokenizer=None, shard_bytes=20_000 if before > 20_000 else 10**9)
    assert torch.equal(logits(open_folder(tmp_path)[0]), logits(changed))
    assert (logits(reopened(tmp_path)) - logits(changed)).abs().max() < 1e-4


@pytest.mark.parametrize("kept", ["both, equal", "both, different", "the head alone"])
def test_tables_that_should_be_tied_are_taken_as_transformers_takes_them(kept, tmp_path):
    reference("llama tied").save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    table = tensors["model.embed_tokens.weight"]
    tensors["lm_head.weight"] = table.flip(0).contiguous() if "different" in kept else table.clone()
    if "alone" in kept:
        del tensors["model.embed_tokens.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    own, config = open_folder(tmp_path)
    assert config.tied == ("different" not in kept)
    assert (logits(own) - logits(reopened(tmp_path))).abs().max() < 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_opens_as_transformers_opens_it(dtype, tmp_path):
    reference("llama").to(dtype).save_pretrained(tmp_path)
    own, _ = open_folder(tmp_path)
    assert own.head_VD.dtype == torch.float32
    assert (logits(own) - logits(reopened(tmp_path))).abs().max() < 1e-4


def test_the_weights_may_be_written_in_half_the_bytes(tmp_path):
    model = Decoder(DecoderConfig.dial(1, vocabulary=90))
    save_folder(model, tmp_path, tokenizer=None, dtype=torch.bfloat16)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    assert all(tensor.dtype == torch.bfloat16 for tensor in load_file(tmp_path / "model.safetensors").values())


def test_a_config_of_transformers_4_is_read(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["rope_parameters"]
    config |= {"rope_theta": 777.0, "rope_scaling": {key: LLAMA3[key] for key in LLAMA3 if key != "rope_theta"}}
    (folder / "config.json").write_text(json.dumps(config))
    opened = open_folder(folder)[1]
    assert opened.rope_base == 777.0
    assert opened.rope_scaling == RopeScaling(4.0, 1.0, 4.0, 16)


def test_the_opened_weights_learn(folder):
    model, _ = open_folder(folder)
    model.loss(TOKENS, TOKENS).total.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.fixture
def tokeniser(tmp_path):
    made = LanguageTokenizer.train_bpe(["a tokeniser of a few bytes"], vocabulary=LEAST_BPE)
    made.save(tmp_path / "tokeniser")
    return made


def test_the_tokeniser_goes_along_and_its_ends_are_those_of_generation(tokeniser, tmp_path):
    config = DecoderConfig.dial(1, vocabulary=tokeniser.vocabulary)
    save_folder(Decoder(config), tmp_path / "hf", tokenizer=tmp_path / "tokeniser")
    assert LanguageTokenizer.open(tmp_path / "hf").fingerprint == tokeniser.fingerprint
    ends = reopened(tmp_path / "hf").generation_config.eos_token_id
    assert ends == list(tokeniser.specials.stops)
    assert len(ends) == 2


def test_a_tokeniser_with_more_tokens_than_the_weights_is_refused(tokeniser, tmp_path):
    model = Decoder(DecoderConfig.dial(1, vocabulary=259))
    with pytest.raises(ModelError, match="largest id is 259, but the model knows 259 tokens"):
        save_folder(model, tmp_path / "hf", tokenizer=tmp_path / "tokeniser")
    save_folder(model, tmp_path / "hf", tokenizer=None)
    tokeniser.save(tmp_path / "hf")
    with pytest.raises(ModelError, match="largest id is 259"):
        open_folder(tmp_path / "hf")


def test_a_missing_shard_is_named(tmp_path):
    reference("llama").save_pretrained(tmp_path, max_shard_size="10KB")
    gone = sorted(tmp_path.glob("model-*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(ArtifactError, match=f"missing: {gone.name}") as refused:
        open_folder(tmp_path)
    assert refused.value.code == "artifact.shard_missing"


def test_shards_without_their_index_are_refused(tmp_path):
    reference("llama").save_pretrained(tmp_path, max_shard_size="10KB")
    (tmp_path / "model.safetensors.index.json").unlink()
    with pytest.raises(ArtifactError, match="index"):
        open_folder(tmp_path)


def test_an_index_that_points_out_of_the_folder_is_refused(folder):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    with pytest.raises(ArtifactError, match="not in the folder"):
        open_folder(folder)


def test_a_cut_off_file_is_refused(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match="cannot be read") as refused:
        open_folder(folder)
    assert refused.value.code == "artifact.weights_broken"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(folder, value):
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][2] = value
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"model\.norm\.weight holds 1 value") as refused:
        open_folder(folder)
    assert refused.value.code == "artifact.weights_not_finite"


def test_another_shape_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 91}))
    with pytest.raises(
        ArtifactError, match=r"embed_tokens\.weight has the shape \(90, 64\), but \(91, 64\) is expected"
    ):
        open_folder(folder)


def test_a_missing_and_an_unknown_tensor_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    norm = tensors.pop("model.norm.weight")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"model\.norm\.weight is missing"):
        open_folder(folder)
    save_file(tensors | {"model.norms.weight": norm}, folder / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"not in this model.* Did you mean model\.norm\.weight"):
        open_folder(folder)


def test_pickled_weights_are_refused_with_the_way_out(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only pytorch_model\.bin.* convert them"):
        open_folder(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "gpt2"}, "family gpt2; llama, mistral, qwen2, qwen3"),
        ({"mlp_bias": True}, "mlp_bias is on"),
        ({"hidden_act": "gelu"}, "hidden_act is gelu"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, "kind yarn"),
        ({"hidden_size": "wide"}, "garbles"),
        ({"num_key_value_heads": 3, "num_attention_heads": 4}, "evenly"),
    ],
)
def test_a_config_that_is_not_known_is_refused(folder, changes, said):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(ModelError, match=said):
        open_folder(folder)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_broken_config_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json"):
        open_folder(folder)


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        open_folder(tmp_path / "nowhere")
