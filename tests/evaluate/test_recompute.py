"""Every figure has a witness: one edited digit is found, wherever it stands."""

import json
import shutil

import pytest

from tradewind.errors import ArtifactError
from tradewind.evaluate.recompute import NOT_RECOMPUTED, recompute
from tradewind.evaluate.report import evaluate, write
from tradewind.files import write_json


@pytest.fixture(scope="module", params=[(2, "en"), (4, "zh"), (0, "en")], ids=["binary", "multiclass", "regression"])
def written(request, make_inputs, tmp_path_factory):
    kinds, language = request.param
    gates = {"rmse": "<= 1000"} if not kinds else {"accuracy": ">= 0.2", "beats_baseline": True}
    folder = tmp_path_factory.mktemp("report")
    write(evaluate(make_inputs(kinds, settings={"gates": gates})), folder, language=language)
    return folder


@pytest.fixture
def copied(written, tmp_path):
    return shutil.copytree(written, tmp_path / "report")


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, (*path, key))
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from leaves(one, (*path, at))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, value


def changed(content, path, value):
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = value


def test_an_untouched_report_holds(written):
    found = recompute(written)
    assert found.holds, found.differences
    assert found.checked > 100


def test_every_edited_last_digit_is_found_wherever_it_stands(copied):
    path = copied / "report.json"
    content = json.loads(path.read_text())
    # Settings are what figures are made from; which figures each one moves is tested below.
    skip = (*NOT_RECOMPUTED, "settings", "format")
    places = [(where, value) for where, value in leaves(content) if where[0] not in skip]
    for where, value in places:
        last = float(f"{value:.9e}") if isinstance(value, float) else value
        text = f"{last:.9e}" if isinstance(value, float) else str(value)
        mantissa, _, exponent = text.partition("e")
        digit = (int(mantissa[-1]) + 1) % 10
        new = mantissa[:-1] + str(digit) + (f"e{exponent}" if exponent else "")
        changed(content, where, float(new) if isinstance(value, float) else int(new))
    write_json(path, content)
    found = {one.where for one in recompute(copied).differences}
    assert {".".join(map(str, where)) for where, _ in places} - found == set()


def test_an_edited_digit_on_the_page_is_found(copied):
    path = copied / "report.html"
    content = json.loads((copied / "report.json").read_text())
    value = content["figures"]["test"][content["primary"]]["value"]
    text = f"{value:.4f}" if content["task"] == "classification" else f"{value:,.3f}"
    html = path.read_text()
    assert text in html
    path.write_text(html.replace(text, text[:-1] + str((int(text[-1]) + 1) % 10)))
    assert any(one.where.startswith("report.html:") for one in recompute(copied).differences)


def test_an_edited_temperature_or_setting_is_found(copied):
    calibration = json.loads((copied / "calibration.json").read_text())
    write_json(copied / "calibration.json", {**calibration, "temperature": calibration["temperature"] + 1e-6})
    report = json.loads((copied / "report.json").read_text())
    report["settings"]["seed"] = 5
    write_json(copied / "report.json", report)
    places = [one.where for one in recompute(copied).differences]
    assert "calibration.json.temperature" in places
    assert any(place.endswith(".low") for place in places)


def test_another_reports_predictions_are_found(copied, make_inputs, tmp_path):
    kinds = len(json.loads((copied / "report.json").read_text())["classes"])
    write(evaluate(make_inputs(kinds, seed=9)), tmp_path / "other", language="en")
    shutil.copy(tmp_path / "other" / "predictions.parquet", copied / "predictions.parquet")
    assert "predictions.digest" in [one.where for one in recompute(copied).differences]


@pytest.mark.parametrize("name", ["report.json", "predictions.parquet", "calibration.json"])
def test_a_file_that_is_missing_or_garbage_is_one_clear_error(copied, name):
    (copied / name).write_bytes(b"not what it was")
    with pytest.raises(ArtifactError, match="cannot be read"):
        recompute(copied)
    (copied / name).unlink()
    with pytest.raises(ArtifactError, match="cannot be read"):
        recompute(copied)
