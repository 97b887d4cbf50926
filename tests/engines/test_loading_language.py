"""A signed release of a language model, opened as a server opens it: whole, or refused for one reason."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tradewind.engines.generation import Sampling
from tradewind.engines.loading import load_generator, verify_release
from tradewind.engines.scoring import token_losses
from tradewind.errors import ArtifactError, VerificationFailed
from tradewind.features.language import LanguageTokenizer
from tradewind.model.adapters import add_lora, save_adapter
from tradewind.model.hf_folder import open_folder
from tradewind.release.bundle import seal
from tradewind.release.language import (
    LanguageGolden,
    template_digest,
    weight_digests,
    write_language_golden,
)
from tradewind.release.signing import KeyPair, make_key_pair

PROMPTS = ((5, 6, 7), (20, 30, 40, 50))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return make_key_pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def whole(tiny_hf: Path, tiny_genai: Path, tmp_path_factory: pytest.TempPathFactory, pair: KeyPair) -> Path:
    folder = tmp_path_factory.mktemp("release") / "bundle"
    shutil.copytree(tiny_hf, folder / "hf")
    shutil.copytree(tiny_genai, folder / "genai")
    _seal(folder, pair)
    return folder


def _seal(folder: Path, pair: KeyPair, *, logits_off: float = 0.0, **changes: Any) -> None:
    model, _ = open_folder(folder / "hf")
    with torch.no_grad():
        logits = np.stack([model(torch.tensor([list(prompt)]))[0, -1].numpy() for prompt in PROMPTS])
    write_language_golden(folder / "golden.json", LanguageGolden(PROMPTS, logits + np.float32(logits_off), 0.01))
    figures = {"bytes": 1, "bits_per_byte": 2.0, "loss": 0.0}
    manifest = {
        "product": "tiny",
        "task": "generation",
        "template_sha256": template_digest(LanguageTokenizer.open(folder / "hf").template),
        "precisions": {
            "fp32": {**figures, "golden_difference": 1e-6},
            "int4": {**figures, "golden_difference": 2.0},
        },
        **changes,
    }
    (folder / "model.sig").unlink(missing_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    seal(folder, manifest, pair)


def _copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def _refused(open_it: Callable[[], object]) -> str:
    with pytest.raises((ArtifactError, VerificationFailed)) as caught:
        open_it()
    return caught.value.code


def test_a_release_answers_in_each_of_its_precisions(whole: Path, pair: KeyPair):
    for precision in ("fp32", "int4"):
        engine = load_generator(whole, precision=precision, public_key=pair.public, slots=2, threads=1)

        async def ask(engine=engine) -> int:
            return sum([piece.tokens async for piece in engine.start([5], Sampling(max_tokens=4, temperature=0))])

        assert 1 <= asyncio.run(ask()) <= 4
        engine.close()
    assert "fp32, int4" in verify_release(whole, public_key=pair.public)


@pytest.mark.parametrize("name", ["genai/fp32/model.onnx.data", "hf/tokenizer.json", "golden.json", "manifest.json"])
def test_one_flipped_bit_is_found_and_its_file_named(whole: Path, tmp_path: Path, pair: KeyPair, name: str):
    folder = _copy(whole, tmp_path)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(VerificationFailed) as caught:
        load_generator(folder, precision="fp32", public_key=pair.public)
    if name != "manifest.json":
        assert caught.value.where == str(folder / name)


def test_a_file_that_was_put_in_is_found(whole: Path, tmp_path: Path, pair: KeyPair):
    folder = _copy(whole, tmp_path)
    (folder / "hf" / "extra.json").write_text("{}")
    assert _refused(lambda: load_generator(folder, precision="fp32", public_key=pair.public)) == "verify.file_unknown"


def test_a_precision_that_was_not_released_is_named_with_those_that_were(whole: Path, pair: KeyPair):
    with pytest.raises(ArtifactError, match="fp32, int4") as caught:
        load_generator(whole, precision="int8", public_key=pair.public)
    assert caught.value.code == "artifact.precision_missing"


def test_logits_that_are_not_the_trainers_are_refused(whole: Path, tmp_path: Path, pair: KeyPair):
    folder = _copy(whole, tmp_path)
    _seal(folder, pair, logits_off=0.05)
    assert _refused(lambda: load_generator(folder, precision="fp32", public_key=pair.public)) == "verify.golden"


def test_another_chat_template_is_refused(whole: Path, tmp_path: Path, pair: KeyPair):
    folder = _copy(whole, tmp_path)
    _seal(folder, pair, template_sha256=template_digest("{{ messages }}"))
    assert _refused(lambda: load_generator(folder, precision="fp32", public_key=pair.public)) == "verify.template"


def test_a_release_of_another_kind_is_refused(whole: Path, tmp_path: Path, pair: KeyPair):
    folder = _copy(whole, tmp_path)
    _seal(folder, pair, task="classification")
    assert _refused(lambda: load_generator(folder, precision="fp32", public_key=pair.public)) == "artifact.wrong_task"


def test_an_adapter_release_is_served_on_its_base_and_on_no_other(
    whole: Path, tiny_hf: Path, tmp_path: Path, pair: KeyPair
):
    model, _ = open_folder(tiny_hf)
    add_lora(model, rank=2)
    adapter = tmp_path / "adapter-release"
    save_adapter(model, adapter / "adapter", base="base", task="CAUSAL_LM")
    write_language_golden(adapter / "golden.json", LanguageGolden(PROMPTS, np.zeros((2, 3), np.float32), 0.01))
    manifest = {"task": "generation", "precisions": {}, "base": weight_digests(whole / "hf")}
    seal(adapter, manifest, pair)
    engine = load_generator(whole, precision="fp32", public_key=pair.public, adapters={"tone": adapter}, slots=2)
    assert engine.adapters == ("tone",)
    engine.close()
    assert (
        _refused(lambda: load_generator(adapter, precision="fp32", public_key=pair.public))
        == "artifact.precision_missing"
    )
    shutil.rmtree(adapter)
    save_adapter(model, adapter / "adapter", base="base", task="CAUSAL_LM")
    write_language_golden(adapter / "golden.json", LanguageGolden(PROMPTS, np.zeros((2, 3), np.float32), 0.01))
    seal(adapter, {**manifest, "base": {"model.safetensors": "sha256:0"}}, pair)
    found = _refused(
        lambda: load_generator(whole, precision="fp32", public_key=pair.public, adapters={"tone": adapter})
    )
    assert found == "verify.base_differs"


def test_losses_are_those_of_the_network(tiny_hf: Path, tiny_genai: Path):
    model, config = open_folder(tiny_hf)
    tokens = np.random.default_rng(3).integers(0, config.vocabulary, 400)  # more than the context of 256
    (losses,) = token_losses(tiny_genai / "fp32", [tokens], threads=1)
    with torch.no_grad():
        parts = [tokens[begin : begin + 257] for begin in (0, 256)]
        expected = torch.cat(
            [
                torch.nn.functional.cross_entropy(
                    model(torch.tensor(part[None, :-1]))[0], torch.tensor(part[1:]), reduction="none"
                )
                for part in parts
            ]
        )
    np.testing.assert_allclose(losses, expected.numpy(), atol=1e-3)
