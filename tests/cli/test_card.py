"""The card of a real release: frames, forms and languages by the verb, and `verify` that finds what was edited."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tradewind.cli.app import main
from tradewind.files import read_json


def _release(folder: Path) -> Path:
    (found,) = (folder / ".tradewind" / "releases").iterdir()
    return found


def _json(capsys, *verb: str) -> dict:
    capsys.readouterr()
    assert main([*verb, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_card_loads_with_the_figures_of_the_report_and_says_what_is_missing(released, capsys):
    assert main(["card", "candidate", "-C", str(released)]) == 0
    card = capsys.readouterr().out
    assert card == (_release(released) / "report" / "card.md").read_text()
    figures = read_json(_release(released) / "report" / "report.json")["figures"]["test"]
    loaded = {one.metric_type: one.metric_value for one in ModelCard(card).data.eval_results}
    assert loaded == {name: one["value"] for name, one in figures.items()}
    assert "- `release.intended_use`" in card


@pytest.mark.parametrize("form", ["md", "html", "pdf"])
def test_a_rendering_that_was_written_is_verified_and_one_edited_digit_is_named(released, capsys, tmp_path, form):
    path = tmp_path / f"nist.{form}"
    assert (
        main(["card", "-C", str(released), "--as", "nist", "--format", form, "--language", "zh", "-o", str(path)]) == 0
    )
    assert main(["verify", str(path), "-C", str(released)]) == 0
    assert "against the release" in capsys.readouterr().out
    rows = str(
        read_json(_release(released) / "report" / "evidence" / "training.json")["summary"]["parameters"]["total"]
    )
    shown, other = f"{int(rows):,}".encode(), f"{int(rows) + 7:,}".encode()
    assert shown in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(shown, other, 1))
    assert main(["verify", str(path), "-C", str(released)]) == 1
    told = capsys.readouterr().err
    assert path.name in told
    assert other.decode() in told


def test_an_edited_card_is_told_by_line_before_the_signature_that_it_broke(released, capsys):
    path = _release(released) / "report" / "card.md"
    lines = path.read_text().split("\n")
    at = next(at for at, line in enumerate(lines) if line.startswith("| `accuracy`"))
    lines[at] = lines[at].replace("0.", "1.", 1)
    path.write_text("\n".join(lines))
    assert main(["verify", "candidate", "-C", str(released)]) == 1
    told = capsys.readouterr().err
    assert f"report/card.md:{at + 1}: figures.test.accuracy" in told
    assert "Its bytes are not those that were released." in told


def test_evidence_is_held_against_the_workspace_that_it_was_taken_from(released, capsys):
    (run,) = (released / ".tradewind" / "runs").iterdir()
    summary = read_json(run / "summary.json")
    (run / "summary.json").write_text(json.dumps(summary | {"steps": summary["steps"] + 1}))
    assert main(["verify", "candidate", "-C", str(released)]) == 1
    assert "report/evidence/training.json: /summary/steps" in capsys.readouterr().err


def test_a_text_that_is_filled_in_later_makes_a_new_release_of_the_same_run(released, capsys):
    before = _json(capsys, "run", "-C", str(released))["artifacts"]
    after = _json(
        capsys, "run", "-C", str(released), "--set", "release.risks=None known.", "--set", "data.source.collection=By hand."
    )["artifacts"]  # fmt: skip
    assert after["run"] == before["run"]
    assert after["release"] != before["release"]
    changes = {one["key"]: one for one in read_json(Path(after["release"]) / "report" / "transparency.json")["changes"]}
    assert set(changes) == {"stated.risks", "data.collection"}
    card = (Path(after["release"]) / "report" / "card.md").read_text()
    assert "| `stated.risks` | not there | None known. |" in card
    assert main(["verify", "candidate", "-C", str(released)]) == 0


def test_a_second_model_tells_figures_and_settings_against_the_first(released, capsys):
    after = _json(capsys, "run", "-C", str(released), "--set", "train.seed=1")["artifacts"]
    changes = {one["key"]: one for one in read_json(Path(after["release"]) / "report" / "transparency.json")["changes"]}
    assert (changes["settings.train.seed"]["before"], changes["settings.train.seed"]["now"]) == (0, 1)
    assert changes["figures.test.log_loss"]["difference"] != 0
    assert not [key for key in changes if key.startswith("data.")]


def test_json_names_what_is_missing_by_frame(released, capsys):
    found = _json(capsys, "card", "-C", str(released), "--as", "annex-iv", "--language", "zh")
    assert "release.answers.annex-iv.8" in found["missing"]
    assert "release.contact" in found["missing"]
    assert found["text"].startswith("# churn")


def test_an_answer_to_no_heading_is_refused_by_every_verb(released, capsys):
    assert main(["check", "-C", str(released), "--set", "release.answers={annex-iv.99: yes}"]) == 2
    assert "annex-iv.99" in capsys.readouterr().err


def test_a_file_that_is_no_rendering_is_refused(released, capsys):
    assert main(["verify", str(released / "rows.csv"), "-C", str(released)]) == 2
    assert "Endings: .md, .html, .pdf" in capsys.readouterr().err
