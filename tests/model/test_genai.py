"""Graphs of every family against the network that their weights come from; what cannot be built is refused before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from tests.tiny_decoder import tiny_genai, tiny_hf, write_hf
from tradewind.errors import ModelError
from tradewind.files import digest_file, read_json, write_json
from tradewind.model.genai import build_genai
from tradewind.model.hf_folder import open_folder

__all__ = ["tiny_genai", "tiny_hf"]


def _logits(folder: Path, ids: list[int]) -> np.ndarray:
    """By ONNX Runtime itself, [T, V], without a store of keys and values."""
    session = ort.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    decoder = read_json(folder / "genai_config.json")["model"]["decoder"]
    empty = np.zeros((1, decoder["num_key_value_heads"], 0, decoder["head_size"]), np.float32)
    feed: dict[str, Any] = {
        item.name: empty for item in session.get_inputs() if item.name.startswith("past_key_values")
    }
    feed |= {"input_ids": np.array([ids], np.int64), "attention_mask": np.ones((1, len(ids)), np.int64)}
    return session.run(["logits"], feed)[0][0]


def _difference(hf: Path, folder: Path) -> float:
    model, config = open_folder(hf)
    ids = np.random.default_rng(0).integers(0, config.vocabulary, 60).tolist()
    with torch.no_grad():
        expected = model(torch.tensor([ids]))[0].numpy()
    return float(np.abs(_logits(folder, ids) - expected).max() / np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"family": "llama", "attention_bias": True, "tied": False},
        {"family": "mistral", "sliding_window": 16},
        {"family": "qwen2", "attention_bias": True},
        {"family": "qwen3", "qk_norm": True, "head_width": 32},
        {"family": "qwen2", "attention_bias": True, "sliding_window": 8, "window_from": 1},
        {"heads": 3, "kv_heads": 1, "hidden": 100, "width": 72},
    ],
    ids=["llama-bias-untied", "mistral-window", "qwen2", "qwen3", "qwen2-window", "odd-widths"],
)
def test_the_graph_of_a_family_gives_the_networks_logits(changes: dict[str, Any], tmp_path: Path):
    hf = write_hf(tmp_path / "hf", **changes)
    build_genai(hf, tmp_path / "genai", precisions=("fp32", "int4"))
    assert _difference(hf, tmp_path / "genai" / "fp32") < 1e-5
    assert 1e-3 < _difference(hf, tmp_path / "genai" / "int4") < 0.8


def test_smaller_precisions_are_smaller_and_less_exact(tiny_hf: Path, tiny_genai: Path):
    sizes = {one: (tiny_genai / one / "model.onnx.data").stat().st_size for one in ("fp32", "int8", "int4")}
    assert sizes["fp32"] > sizes["int8"] > sizes["int4"]
    differences = {one: _difference(tiny_hf, tiny_genai / one) for one in sizes}
    assert differences["fp32"] < 1e-5 < differences["int8"] < 0.1 < differences["int4"]


def test_the_graph_is_the_same_bytes_again_and_names_no_place(tiny_hf: Path, tiny_genai: Path, tmp_path: Path):
    build_genai(tiny_hf, tmp_path / "again", precisions=("int4",))
    for path in sorted((tiny_genai / "int4").iterdir()):
        assert digest_file(path) == digest_file(tmp_path / "again" / "int4" / path.name), path.name
        assert str(tmp_path).encode() not in path.read_bytes()


def test_a_head_width_that_the_kernels_do_not_take_is_refused_before_any_work(tmp_path: Path):
    hf = write_hf(tmp_path / "hf", head_width=24)
    with pytest.raises(ModelError) as caught:
        build_genai(hf, tmp_path / "genai", precisions=("fp32",))
    assert caught.value.code == "model.genai_head_width"
    assert "multiples of 16" in str(caught.value)
    assert not (tmp_path / "genai").exists()


def test_another_family_is_refused(tiny_hf: Path, tmp_path: Path):
    write_json(tmp_path / "config.json", {**read_json(tiny_hf / "config.json"), "model_type": "gpt2"})
    with pytest.raises(ModelError) as caught:
        build_genai(tmp_path, tmp_path / "genai", precisions=("fp32",))
    assert caught.value.code == "model.pretrained_family"


def test_what_the_builder_cannot_do_is_one_clear_error(tiny_hf: Path, tmp_path: Path):
    write_json(tmp_path / "config.json", read_json(tiny_hf / "config.json"))  # and no weights
    with pytest.raises(ModelError) as caught:
        build_genai(tmp_path, tmp_path / "genai", precisions=("fp32",))
    assert caught.value.code == "model.genai_unsupported"
    assert "Traceback" not in str(caught.value)
