"""The report of a language model: figures from stored losses, gates, the page, and computing it all again."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tradewind.errors import ArtifactError, DataError
from tradewind.evaluate.generation import GenerationInputs, HarnessFigure, evaluate_generation, write
from tradewind.evaluate.language_figures import blocks, drawn_losses
from tradewind.evaluate.recompute import recompute
from tradewind.evaluate.witness import Answer, Pair, Sample, SplitLosses, Witness, read_witness
from tradewind.product import Evaluate

SAMPLE = Sample("Once ", "upon a time\nthere was 你好", "stop", 20, 5, 7, "upon a")
DATA = {
    "splits": [{"name": "train", "documents": 90, "tokens": 1000, "bytes": 4000}], "vocabulary": 300, "languages": {"en": 80, "zh": 10}, "rejected": 1,
    "rejected_reasons": {"too_short": 1}, "rejected_rows": [{"file": "a.txt", "line": 1, "reason": "Short.", "text": "x"}],
    "cleaning": {"near duplicates": 2},
}  # fmt: skip
MODEL = {
    "name": "decoder 1m", "parameters": 1000, "steps": 20, "seconds": 3.0, "best_step": 20,
    "curve": [{"step": n, "train": 5.0 - n / 10, "validation": 5.1 - n / 10, "bits_per_byte": 2.0} for n in (0, 10, 20)],
    "estimate": {"seconds": 2.5, "error": -0.17},
}  # fmt: skip


def split(tokens=2000, units=60, *, gain=0.1, seed=0, bytes_per_token=4.0):
    draw = np.random.default_rng(seed)
    unit_n = np.sort(np.concatenate([np.arange(units), draw.integers(0, units, tokens - units)]))
    own = draw.gamma(2.0, 1.0, tokens)
    other = np.maximum(own + draw.normal(gain, 0.1, tokens), 0)
    losses = {"model": own.astype(np.float32), "kneser_ney": other.astype(np.float32)}
    return SplitLosses(unit_n, np.bincount(unit_n) * bytes_per_token, losses)


def inputs(*, kind="text", samples=(SAMPLE,), answers=(), pairs=(), losses=None, settings=None, **fields):
    witness = Witness(losses or {"validation": split(seed=1), "test": split()}, samples, answers, pairs)
    shown = {"data": DATA, "model": MODEL, "sampling": {"temperature": 0.8, "max_tokens": 20}}
    units = dict.fromkeys(witness.losses, "documents")
    notes = {
        "kneser_ney": {
            "how": "interpolated modified Kneser-Ney of order 5, counted over 9 training tokens",
            "skipped": "",
        }
    }
    return GenerationInputs(
        "bard",
        kind,
        witness,
        units,
        Evaluate(**{"bootstrap": 100, **(settings or {})}),
        notes=notes,
        **{**shown, **fields},
    )


def figures(**options):
    return evaluate_generation(inputs(**options)).analysis.figures["test"]


# ---------------------------------------------------------------- figures


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary():
    one = split()
    uniform = replace(one, losses={"model": np.full(len(one.unit_n), math.log(512), dtype=np.float32)})
    found = figures(losses={"test": uniform})
    assert found["perplexity"].value == pytest.approx(512, rel=1e-6)
    assert found["perplexity"].low == pytest.approx(512, rel=1e-6)


def test_loss_and_bits_per_byte_are_those_of_a_direct_computation():
    one = split(bytes_per_token=3.0)
    nats = one.losses["model"].astype(np.float64)
    found = figures(losses={"test": one})
    assert found["loss"].value == pytest.approx(nats.mean(), rel=1e-9)
    assert found["perplexity"].value == pytest.approx(math.exp(nats.mean()), rel=1e-9)
    assert found["bits_per_byte"].value == pytest.approx(nats.sum() / math.log(2) / one.bytes_U.sum(), rel=1e-9)


def test_without_bytes_there_are_no_bits_per_byte_and_loss_leads():
    report = evaluate_generation(inputs(losses={"test": split(bytes_per_token=0.0)}))
    assert report.analysis.primary == "loss"
    assert report.analysis.figures["test"]["bits_per_byte"].absent == "the bytes of the text are not known"
    assert "bits_per_byte" not in report.metrics["test"]


def test_an_interval_covers_the_truth_as_often_as_it_says():
    # Documents differ by much more than their tokens: intervals over tokens would be far too short.
    inside = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        level_U = draw.normal(3.0, 0.5, 60)
        unit_n = np.repeat(np.arange(60), 30)
        nats = (level_U[unit_n] + draw.normal(0, 0.1, len(unit_n))).astype(np.float32)
        drawn = drawn_losses(SplitLosses(unit_n, np.ones(60), {"model": nats}), resamples=200, seed=0)["model"]["loss"]
        low, high = np.percentile(drawn.resampled_R, [2.5, 97.5])
        inside += bool(low <= 3.0 <= high)
    assert 52 <= inside <= 60


def test_few_documents_are_resampled_in_blocks_that_stay_within_them():
    document_n = np.repeat([0, 1], [1000, 50])
    unit_n, unit = blocks(document_n)
    assert unit == "blocks"
    assert (np.diff(unit_n) >= 0).all()
    assert unit_n[999] != unit_n[1000]
    assert np.bincount(unit_n).max() == 32
    many, unit = blocks(np.repeat(np.arange(50), 3))
    assert (unit, many[-1]) == ("documents", 49)


def test_shares_of_samples_are_sums_over_sums():
    samples = (SAMPLE, replace(SAMPLE, tokens=80, verbatim=0, longest=3, finish="length", text="call 13800138000"))
    found = figures(samples=samples, kind="chat")
    assert found["verbatim_share"].value == pytest.approx(0.05)
    assert found["longest_verbatim"].value == 7
    assert found["pii_share"].value == 0.5
    assert found["stops"].value == 0.5
    report = evaluate_generation(inputs(samples=samples))
    assert report.analysis.pii == {"samples": 2, "affected": 1, "findings": {"phone": 1}}
    assert "stops" not in report.analysis.figures["test"]


def test_preferences_are_judged_by_what_was_gained_over_the_base():
    pairs = (Pair(-10, -12, -11, -11), Pair(-10, -9, -10, -11), Pair(-5, -5, -5, -5))  # gains 1 + 1, 0 - 2, none
    report = evaluate_generation(inputs(kind="preferences", pairs=pairs, beta=0.5))
    found = report.analysis.figures["test"]
    assert found["preference_margin"].value == pytest.approx((0.5 * 2 - 0.5 * 2 + 0) / 3)
    assert found["preference_accuracy"].value == pytest.approx(1.5 / 3)
    assert (report.analysis.primary, report.analysis.lead_over) == ("preference_accuracy", "base")
    assert report.analysis.lead is not None
    assert report.analysis.lead.value == pytest.approx(0.0)


def test_a_task_has_an_accuracy_beside_chance():
    answers = tuple(
        Answer("faq", n, "a", choices=("a", "b"), log_likelihoods=(-1.0, -2.0) if n < 30 else (-2.0, -1.0))
        for n in range(40)
    )
    report = evaluate_generation(inputs(answers=answers, settings={"gates": {"accuracy:faq": ">= 0.7"}}))
    task = report.analysis.tasks[0]
    assert (task.accuracy.value, task.chance, task.questions) == (0.75, 0.5, 40)
    assert task.accuracy.low is not None
    assert task.accuracy.low < 0.75
    assert report.analysis.gates[0].passed


# ---------------------------------------------------------------- beside baselines


@pytest.mark.parametrize(("gain", "verdict", "passed"), [(0.2, "better", True), (-0.2, "worse", False)])
def test_a_baseline_is_beaten_on_the_same_tokens(gain, verdict, passed):
    report = evaluate_generation(
        inputs(losses={"test": split(gain=gain)}, settings={"gates": {"beats_baseline": True}})
    )
    assert report.analysis.baselines[0].verdict == verdict
    assert report.analysis.gates[0].passed == passed
    assert report.analysis.lead is not None
    assert (report.analysis.lead.value or 0) * gain > 0


def test_the_lead_is_over_the_best_baseline():
    one = split(gain=0.5)
    losses = {**one.losses, "base": one.losses["model"] + np.float32(0.1)}
    report = evaluate_generation(inputs(losses={"test": replace(one, losses=losses)}))
    assert report.analysis.lead_over == "base"
    assert report.analysis.lead is not None
    assert report.analysis.lead.value == pytest.approx(0.1 / math.log(2) / 4, rel=1e-4)


def test_a_gate_on_a_figure_that_is_not_there_says_so():
    report = evaluate_generation(inputs(settings={"gates": {"bits_per_bite": "<= 1"}}))
    assert not report.analysis.gates[0].passed
    assert "Did you mean bits_per_byte?" in report.analysis.gates[0].says


def test_what_is_no_number_is_refused():
    one = split()
    losses = {"model": np.where(np.arange(len(one.unit_n)) == 3, np.nan, one.losses["model"]).astype(np.float32)}
    with pytest.raises(DataError, match="no finite loss for 1 tokens of test") as caught:
        evaluate_generation(inputs(losses={"test": replace(one, losses=losses)}))
    assert caught.value.code == "data.scores_not_finite"
    with pytest.raises(DataError, match="no finite likelihood"):
        evaluate_generation(inputs(pairs=(Pair(float("inf"), 0, 0, 0),)))
    with pytest.raises(DataError) as caught:
        evaluate_generation(inputs(losses={"validation": split()}))
    assert caught.value.code == "data.test_empty"


# ---------------------------------------------------------------- on disk


@pytest.fixture
def written(tmp_path):
    answers = (
        Answer("faq", 1, "a", choices=("a", "b"), log_likelihoods=(-1.5, -2.25)),
        Answer("sums", 2, "4", said="4"),
    )
    samples = (SAMPLE, replace(SAMPLE, text="a\u2028line end that JSON leaves alone", finish="length"))
    report = evaluate_generation(
        inputs(
            kind="preferences", samples=samples, answers=answers, pairs=(Pair(-1.0, -2.0, -1.5, -1.5),),
            settings={"gates": {"bits_per_byte": "<= 9"}}, harness=(HarnessFigure("piqa", "acc", 0.5),),
        )
    )  # fmt: skip
    write(report, tmp_path, language="en")
    return report, tmp_path


def test_the_witness_comes_back_as_it_was(written):
    report, folder = written
    found = read_witness(folder)
    assert found.digest() == report.inputs.witness.digest()
    assert found.samples == report.inputs.witness.samples


def test_every_figure_is_computed_again(written):
    result = recompute(written[1])
    assert result.holds, result.differences
    assert result.checked > 200


@pytest.mark.parametrize(
    ("edit", "where"),
    [
        (lambda r: r["figures"]["test"]["bits_per_byte"].update(low=0.1), "figures.test.bits_per_byte.low"),
        (lambda r: r["figures"]["test"]["perplexity"].update(value=1.5), "figures.test.perplexity.value"),
        (lambda r: r["tasks"][0]["accuracy"].update(value=0.9), "tasks.0.accuracy.value"),
        (lambda r: r["gates"][0].update(passed=False), "gates.0.passed"),
        (lambda r: r["repetition"].update(verbatim=0), "repetition.verbatim"),
        (lambda r: r["samples"][0].update(text="other"), "samples.0.text"),
        (lambda r: r["baselines"][0]["figures"]["loss"].update(value=9.0), "baselines.0.figures.loss.value"),
    ],
)
def test_an_edited_number_is_named(written, edit, where):
    path = written[1] / "report.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content, ensure_ascii=False))
    assert where in [one.where for one in recompute(written[1]).differences]


def test_an_edited_page_or_witness_is_found(written):
    folder = written[1]
    page = (folder / "report.html").read_text()
    (folder / "report.html").write_text(page.replace("decoder 1m", "decoder 7b"))
    assert [one.where.partition(":")[0] for one in recompute(folder).differences] == ["report.html"]
    (folder / "report.html").write_text(page)
    (folder / "samples.jsonl").write_text(
        (folder / "samples.jsonl").read_text().replace('"verbatim": 5', '"verbatim": 0')
    )
    assert {"witness.digest", "repetition.verbatim"} <= {one.where for one in recompute(folder).differences}


def test_a_missing_witness_is_one_clear_error(written):
    (written[1] / "losses.parquet").unlink()
    with pytest.raises(ArtifactError) as caught:
        recompute(written[1])
    assert caught.value.code == "artifact.witness_broken"


@pytest.mark.parametrize(
    ("language", "words"), [("en", ["Bits per byte", "n-gram", "The longest run"]), ("zh", ["每字节比特数", "语料"])]
)
def test_the_page_is_whole_and_asks_for_nothing(written, tmp_path, language, words):
    report, folder = written
    write(report, folder, language=language)
    page = (folder / "report.html").read_text(encoding="utf-8")
    for word in [*words, "upon a time", "piqa"]:
        assert word in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "<script" not in page


def test_a_sample_cannot_write_into_the_page(tmp_path):
    samples = (replace(SAMPLE, text="<script>alert(1)</script>", prompt="<b>"),)
    write(evaluate_generation(inputs(samples=samples)), tmp_path, language="en")
    page = (tmp_path / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
