"""The whole way: from rows to a signed release, what is printed, what is kept and what is not done twice."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tradewind.cli.app import main
from tradewind.engines.loading import load


def outcome(folder: Path, capsys: pytest.CaptureFixture[str], *verb: str) -> dict:
    code = main([*(verb or ("run",)), "-C", str(folder), "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    (line,) = captured.out.splitlines()
    return json.loads(line)


def test_one_command_makes_every_artifact_and_one_object(released, capsys):
    result = outcome(released, capsys)
    assert set(result["artifacts"]) == {"dataset", "run", "report", "release"}
    assert all(Path(folder).is_dir() for folder in result["artifacts"].values())
    assert {"roc_auc", "accuracy", "log_loss"} <= set(result["metrics"]["test"])
    assert set(result["seconds"]) == {"prepare", "train", "evaluate", "release"}


def test_a_second_run_makes_nothing_new(released, capsys):
    before = sorted(
        path.stat().st_mtime_ns for path in (released / ".tradewind").rglob("*.json") if "registry" not in path.name
    )
    first = outcome(released, capsys)
    after = sorted(
        path.stat().st_mtime_ns for path in (released / ".tradewind").rglob("*.json") if "registry" not in path.name
    )
    assert before == after
    assert outcome(released, capsys)["artifacts"] == first["artifacts"]


def test_the_same_product_elsewhere_gives_the_same_digests_and_weights(finished, product, capsys):
    here, there = outcome(product, capsys), outcome(finished, capsys)
    for kind in ("dataset", "run", "report"):
        assert Path(here["artifacts"][kind]).name == Path(there["artifacts"][kind]).name
    assert (Path(here["artifacts"]["run"]) / "best.safetensors").read_bytes() == (
        Path(there["artifacts"]["run"]) / "best.safetensors"
    ).read_bytes()
    assert here["metrics"] == there["metrics"]


def test_the_resolved_product_is_kept_with_every_default(released, capsys):
    run = Path(outcome(released, capsys)["artifacts"]["run"])
    resolved = json.loads((run / "product.json").read_text())
    of_others = ("objective", "steps", "compile", "negatives")  # of generation and recommendation
    assert "auto" not in [value for name, value in resolved["train"].items() if name not in of_others]
    assert resolved["train"]["epochs"] == 2


def test_verify_holds_and_finds_one_edited_digit(released, capsys):
    result = outcome(released, capsys)
    assert main(["verify", "candidate", "-C", str(released)]) == 0
    report = Path(result["artifacts"]["report"]) / "report.json"
    content = json.loads(report.read_text())
    content["figures"]["test"]["accuracy"]["value"] += 0.01
    report.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    capsys.readouterr()
    assert main(["verify", str(report.parent), "-C", str(released)]) == 1
    assert "accuracy" in capsys.readouterr().err


def test_a_file_in_bulk_gets_the_answers_that_rows_get(released, capsys, tmp_path):
    output = tmp_path / "answers.csv"
    assert main(["predict", "candidate", str(released / "rows.csv"), "-C", str(released), "-o", str(output)]) == 0
    with output.open(encoding="utf-8") as file:
        answers = list(csv.DictReader(file))
    with (released / "rows.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(answers) == len(rows)
    (release,) = (released / ".tradewind" / "releases").iterdir()
    predictor = load(release).predictor
    given = [{"tenure": float(row["tenure"]), "plan": row["plan"], "spend": float(row["spend"])} for row in rows]
    expected = predictor.predict_rows(given).to_rows()
    assert [one["label"] for one in answers] == [one["label"] for one in expected]
    for found, wanted in zip(answers, expected, strict=True):
        assert float(found["p:yes"]) == pytest.approx(wanted["probabilities"]["yes"], abs=1e-6)


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_answers_are_written_in_other_formats_with_reasons(released, tmp_path, ending):
    output = tmp_path / f"answers{ending}"
    verb = [
        "predict",
        "candidate",
        str(released / "rows.csv"),
        "-C",
        str(released),
        "-o",
        str(output),
        "--reasons",
        "2",
    ]
    assert main(verb) == 0
    assert output.stat().st_size > 0


def test_reasons_name_columns_and_effects(released, capsys):
    row = json.dumps({"tenure": 1, "plan": "basic", "spend": 50})
    result = outcome(released, capsys, "predict", "candidate", "--row", row, "--reasons", "2")
    reasons = result["predictions"][0]["reasons"]
    assert 1 <= len(reasons) <= 2
    assert {reason["column"] for reason in reasons} <= {"tenure", "plan", "spend"}


def test_promote_and_roll_back_move_the_live_alias(released, capsys):
    assert outcome(released, capsys, "promote", "candidate")["live"] == 1
    second = outcome(released, capsys, "run", "--set", "train.seed=1")
    assert outcome(released, capsys, "promote", "candidate")["live"] == 2
    assert outcome(released, capsys, "rollback")["live"] == 1
    assert Path(second["artifacts"]["release"]).is_dir()


def test_init_writes_a_product_file_that_runs(released, tmp_path, capsys):
    folder = tmp_path / "new"
    assert main(["init", str(folder), "--source", str(released / "rows.csv"), "--target", "churn"]) == 0
    assert main(["check", "-C", str(folder)]) == 0
    assert main(["init", str(folder), "--source", str(released / "rows.csv"), "--target", "churn"]) == 2


def test_help_of_every_verb_is_shown():
    for verb in ("run", "predict", "verify"):
        done = subprocess.run(
            [sys.executable, "-m", "tradewind.cli", verb, "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0
        assert "Usage" in done.stdout
