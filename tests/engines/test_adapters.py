"""Adapters on the graph against the same adapters merged into the network's weights."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tradewind.engines.genai import GenaiEngine
from tradewind.engines.generation import Sampling
from tradewind.errors import ArtifactError, InputError
from tradewind.features.language import LanguageTokenizer
from tradewind.model.adapters import adapters, add_lora, merge, save_adapter
from tradewind.model.decoder import Decoder
from tradewind.model.hf_folder import open_folder

TARGETS = {"attention": ("q_proj", "v_proj"), "all": None}


def _adapted(hf: Path, folder: Path, *, seed: int, rank: int, targets: tuple[str, ...] | None) -> Decoder:
    """The network with an adapter merged; the adapter alone is in `folder`."""
    model, _ = open_folder(hf)
    add_lora(model, rank=rank, targets=targets)
    torch.manual_seed(seed)
    with torch.no_grad():
        for layer in adapters(model).values():
            layer.lora_A.weight.normal_(0, 0.1)
            layer.lora_B.weight.normal_(0, 0.1)
    save_adapter(model, folder, base=str(hf), task="CAUSAL_LM")
    merge(model)
    return model.eval()


@pytest.fixture(scope="module")
def two(tiny_hf: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Decoder]]:
    folder = tmp_path_factory.mktemp("adapters")
    return {
        name: (folder / name, _adapted(tiny_hf, folder / name, seed=rank, rank=rank, targets=targets))
        for rank, (name, targets) in enumerate(TARGETS.items(), 2)
    }


@pytest.mark.parametrize("precision", ["fp32", "int4"])
def test_each_row_of_a_batch_answers_with_its_own_adapter(tiny_hf: Path, tiny_genai: Path, two, precision: str):
    folder = tiny_genai / precision
    tokenizer = LanguageTokenizer.open(tiny_hf)
    paths = {name: path for name, (path, _) in two.items()}
    engine = GenaiEngine(folder, tokenizer, slots=8, threads=1, adapters=paths)
    ids = tokenizer.encode("The quick brown fox")

    async def ask(adapter: str | None) -> str:
        sampling = Sampling(max_tokens=16, temperature=0.0, adapter=adapter)
        return "".join([piece.text async for piece in engine.start(ids, sampling)])

    async def together() -> list[str]:
        return await asyncio.gather(*(ask(one) for one in [None, *two] * 2))

    said = asyncio.run(together())
    assert said[:3] == said[3:]
    assert said == [asyncio.run(ask(one)) for one in [None, *two] * 2]  # and alone
    assert len(set(said)) == 3
    if precision == "fp32":
        models = [open_folder(tiny_hf)[0], *(model for _, model in two.values())]
        stops = tokenizer.specials.stops
        expected = [model.generate(ids, max_tokens=16, temperature=0.0, seed=0, stops=stops) for model in models]
        assert said[:3] == [tokenizer.decode(one) for one in expected]
        for name, (_, model) in two.items():
            with torch.no_grad():
                reference = model(torch.tensor([ids]))[0, -1].numpy()
            np.testing.assert_allclose(engine.last_logits([ids], adapter=name)[0], reference, atol=1e-3)
    engine.close()


def _refused(tiny_genai: Path, tiny_hf: Path, adapter: Path) -> str:
    with pytest.raises((ArtifactError, InputError)) as caught:
        GenaiEngine(tiny_genai / "fp32", LanguageTokenizer.open(tiny_hf), slots=1, adapters={"one": adapter})
    assert caught.value.where is not None
    return caught.value.code


def _spoilt(two, folder: Path, change) -> Path:
    source = two["all"][0]
    folder.mkdir()
    (folder / "adapter_config.json").write_bytes((source / "adapter_config.json").read_bytes())
    save_file(change(load_file(source / "adapter_model.safetensors")), folder / "adapter_model.safetensors")
    return folder


def test_an_adapter_of_another_model_is_refused(tiny_genai: Path, tiny_hf: Path, two, tmp_path: Path):
    def wider(tensors):
        return {name: np.repeat(tensor, 2, axis=1) if ".lora_A" in name else tensor for name, tensor in tensors.items()}

    def deeper(tensors):
        return {name.replace("layers.1", "layers.7"): tensor for name, tensor in tensors.items()}

    def broken(tensors):
        return {name: tensor * np.float32("nan") for name, tensor in tensors.items()}

    assert _refused(tiny_genai, tiny_hf, _spoilt(two, tmp_path / "a", wider)) == "artifact.adapter_misfit"
    assert _refused(tiny_genai, tiny_hf, _spoilt(two, tmp_path / "b", deeper)) == "artifact.adapter_misfit"
    assert _refused(tiny_genai, tiny_hf, _spoilt(two, tmp_path / "c", broken)) == "artifact.adapter_broken"
    assert _refused(tiny_genai, tiny_hf, tmp_path / "nowhere") == "artifact.adapter_broken"
