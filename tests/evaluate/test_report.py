"""One evaluation from inputs to files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tradewind.errors import DataError
from tradewind.evaluate.inputs import Scores
from tradewind.evaluate.metrics import BINARY, MULTICLASS, REGRESSION
from tradewind.evaluate.predictions import read_predictions
from tradewind.evaluate.report import digest_predictions, evaluate, write
from tradewind.files import canonical_json


@pytest.mark.parametrize(("kinds", "names"), [(2, BINARY), (4, MULTICLASS), (0, REGRESSION)])
def test_every_named_figure_is_there_with_its_witness(make_inputs, kinds, names):
    report = evaluate(make_inputs(kinds))
    assert set(report.metrics) == {"validation", "test"}
    assert set(report.metrics["test"]) == set(names)
    for name in names:
        found = report.figures["test"][name]
        assert found.low <= found.value <= found.high
        assert (found.split, found.rows) == ("test", 160)
        assert found.predictions == "predictions.parquet#model"
        assert found.how


@pytest.mark.parametrize("kinds", [2, 4, 0])
def test_the_same_inputs_give_the_same_bytes_apart_from_timings(make_inputs, kinds):
    one, two = (evaluate(make_inputs(kinds)).to_json() for _ in range(2))
    assert one.pop("timings")
    assert two.pop("timings")
    assert canonical_json(one) == canonical_json(two)


def test_the_report_folder_holds_json_page_predictions_and_calibration(make_inputs, tmp_path):
    report = evaluate(make_inputs(2))
    paths = write(report, tmp_path, language="en")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths.values())
    assert (
        json.loads(paths["json"].read_text())["figures"]["test"]["roc_auc"]["value"]
        == report.metrics["test"]["roc_auc"]
    )
    assert json.loads(paths["calibration"].read_text()) == {
        "temperature": report.temperature, "threshold": report.threshold, "positive": "yes", "shifts": {}, "classes": ["no", "yes"],
    }  # fmt: skip


@pytest.mark.parametrize("kinds", [2, 4, 0])
def test_predictions_are_read_back_as_they_were_written(make_inputs, tmp_path, kinds):
    weight = {name: np.linspace(1, 2, rows) for name, rows in (("validation", 120), ("test", 160))}
    inputs = make_inputs(kinds)
    inputs = replace(
        inputs,
        test=replace(inputs.test, weight=weight["test"]),
        validation=replace(inputs.validation, weight=weight["validation"]),
    )
    report = evaluate(inputs)
    write(report, tmp_path, language="en")
    again = read_predictions(tmp_path / "predictions.parquet")
    assert digest_predictions(again) == digest_predictions(report.predictions)


def test_each_baseline_has_figures_and_a_paired_difference(make_inputs):
    report = evaluate(make_inputs(2))
    assert [one.name for one in report.analysis.baselines] == ["majority", "linear", "lightgbm"]
    majority = report.analysis.baselines[0]
    assert majority.verdict == "better"
    gap = majority.differences["roc_auc"]
    assert gap.value == pytest.approx(report.metrics["test"]["roc_auc"] - 0.5)
    assert gap.low <= gap.value <= gap.high
    assert report.timings.predictors["linear"].train_seconds > 0


@pytest.mark.parametrize("kinds", [2, 0])
def test_the_lead_is_positive_when_the_model_is_the_best(make_inputs, kinds):
    inputs = make_inputs(kinds, settings={"gates": {"beats_baseline": True}})
    perfect = {
        name: Scores(probabilities=np.eye(2)[getattr(inputs, name).target] * 0.98 + 0.01)
        if kinds
        else Scores(values=getattr(inputs, name).target)
        for name in ("validation", "test")
    }
    report = evaluate(replace(inputs, scores=perfect))
    assert report.analysis.lead.value > 0
    assert report.analysis.lead.low > 0
    assert report.passed


def test_a_failed_gate_is_data_and_no_exception(make_inputs):
    report = evaluate(make_inputs(2, settings={"gates": {"roc_auc": ">= 0.999", "accuracy": ">= 0.1"}}))
    assert {gate.name: gate.passed for gate in report.gates} == {"roc_auc": False, "accuracy": True}
    assert not report.passed


def test_rows_of_unknown_target_are_left_out_and_counted(make_inputs):
    inputs = make_inputs(2)
    target = inputs.test.target.copy()
    target[:10] = -1
    report = evaluate(replace(inputs, test=replace(inputs.test, target=target)))
    assert report.unlabelled == {"train": 0, "validation": 0, "test": 10}
    assert report.figures["test"]["accuracy"].rows == 150


def test_one_class_in_test_leaves_ranking_absent_and_the_report_whole(make_inputs, tmp_path):
    inputs = make_inputs(2)
    alike = replace(inputs.test, target=np.zeros(160, dtype=np.int64))
    report = evaluate(replace(inputs, test=alike))
    assert "roc_auc" not in report.metrics["test"]
    assert report.figures["test"]["roc_auc"].absent == "only the class no occurs in the split"
    write(report, tmp_path, language="en")
    assert "NaN" not in (tmp_path / "report.json").read_text()


def test_without_validation_nothing_is_fitted_on_test(make_inputs):
    inputs = make_inputs(2)
    empty = replace(
        inputs.validation, rows=0, target=np.zeros(0, np.int64), raw={}, numbers=np.zeros((0, 3), np.float32),
        categories=np.zeros((0, 2), np.int64), bags={"note": inputs.validation.bags["note"][:0]},
    )  # fmt: skip
    scores = {"validation": Scores(probabilities=np.zeros((0, 2))), "test": inputs.scores["test"]}
    report = evaluate(replace(inputs, validation=empty, scores=scores))
    assert (report.temperature, report.threshold) == (1.0, 0.5)
    assert set(report.metrics) == {"test"}


def test_calibration_baselines_and_intervals_can_be_left_out(make_inputs):
    report = evaluate(make_inputs(2, settings={"calibrate": False, "baselines": False, "bootstrap": 0}))
    assert report.temperature == 1.0
    assert report.analysis.baselines == ()
    assert report.figures["test"]["roc_auc"].low is None


def test_free_text_is_not_sliced_and_says_why(make_inputs):
    slices = evaluate(make_inputs(2)).analysis.slices
    assert slices.columns == ("city", "age")
    assert slices.left_out == {"note": "nearly every row has a value of its own"}


def test_slices_may_be_named_and_an_unknown_name_is_told(make_inputs):
    slices = evaluate(make_inputs(2, settings={"slices": ["city", "town"]})).analysis.slices
    assert slices.columns == ("city",)
    assert "town" in slices.left_out


def test_scores_that_do_not_fit_or_are_not_finite_are_refused(make_inputs):
    inputs = make_inputs(2)
    with pytest.raises(DataError, match=r"\(160, 3\)"):
        evaluate(replace(inputs, scores={**inputs.scores, "test": Scores(probabilities=np.ones((160, 3)))}))
    with pytest.raises(DataError, match="160 of 160 rows"):
        evaluate(replace(inputs, scores={**inputs.scores, "test": Scores(probabilities=np.full((160, 2), np.nan))}))


def test_a_test_split_without_known_targets_is_refused(make_inputs):
    inputs = make_inputs(2)
    with pytest.raises(DataError, match="no row with a known target"):
        evaluate(replace(inputs, test=replace(inputs.test, target=np.full(160, -1))))
