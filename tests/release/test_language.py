import json
from pathlib import Path

import numpy as np
import pytest

from tradewind.errors import ArtifactError, GateFailed, VerificationFailed
from tradewind.release.language import (
    LanguageGolden,
    PrecisionFigures,
    check_base,
    described,
    read_language_golden,
    read_trained_golden,
    refuse_lossy,
    weight_digests,
    write_language_golden,
)

LIMITS = {"int8": 0.03, "int4": 0.08}


def _figures(**losses: float) -> dict[str, PrecisionFigures]:
    return {name: PrecisionFigures(10, 2.0 * (1 + loss), loss, 0.1) for name, loss in losses.items()}


def test_golden_logits_come_back_to_the_bit(tmp_path: Path):
    logits = np.random.default_rng(0).normal(0, 9, (2, 7)).astype(np.float32)
    write_language_golden(tmp_path / "golden.json", LanguageGolden(((1, 2), (3,)), logits, 0.01))
    golden = read_language_golden(tmp_path / "golden.json")
    assert golden.prompts == ((1, 2), (3,))
    assert golden.tolerance == 0.01
    assert (golden.logits == logits).all()


def test_the_trainers_prompts_are_read_without_their_padding(tmp_path: Path):
    logits = np.array([[1, -40], [2, 3]], np.float32)
    np.savez(tmp_path / "golden.npz", prompts=[[5, 6, 0], [7, 8, 9]], lengths=[2, 3], logits=logits)
    golden = read_trained_golden(tmp_path / "golden.npz")
    assert golden.prompts == ((5, 6), (7, 8, 9))
    assert golden.tolerance == pytest.approx(1e-3 * 40)


def test_broken_golden_prompts_are_named(tmp_path: Path):
    path = tmp_path / "golden.json"
    path.write_text(json.dumps({"prompts": [[1]], "logits": {"shape": [1, 3], "float32": "AAAA"}, "tolerance": 1}))
    with pytest.raises(ArtifactError) as caught:
        read_language_golden(path)
    assert caught.value.code == "artifact.golden"
    assert caught.value.where == str(path)


def test_a_precision_within_its_limit_passes_and_one_that_gains_too():
    refuse_lossy(_figures(fp32=0.0, int8=-0.01, int4=0.08), LIMITS)


@pytest.mark.parametrize("loss", [0.081, float("nan")])
def test_a_precision_that_loses_more_is_refused_with_the_figure(loss: float):
    with pytest.raises(GateFailed) as caught:
        refuse_lossy(_figures(fp32=0.0, int4=loss), LIMITS)
    assert caught.value.code == "gate.quantization_loss"
    assert "int4 loses" in str(caught.value)
    assert "release.quantization_loss.int4" in str(caught.value)


def test_figures_are_in_the_manifest_by_precision():
    assert described(_figures(int8=0.5))["int8"] == {
        "bytes": 10,
        "bits_per_byte": 3.0,
        "loss": 0.5,
        "golden_difference": 0.1,
    }


def test_an_adapter_is_bound_to_the_weights_it_was_trained_on(tmp_path: Path):
    for name in ("model.safetensors", "config.json", "tokenizer.json", "README.md"):
        (tmp_path / name).write_text(name)
    manifest = {"base": weight_digests(tmp_path)}
    assert set(manifest["base"]) == {"model.safetensors", "config.json", "tokenizer.json"}
    check_base(manifest, tmp_path)
    (tmp_path / "model.safetensors").write_text("others")
    with pytest.raises(VerificationFailed, match="model.safetensors"):
        check_base(manifest, tmp_path)
