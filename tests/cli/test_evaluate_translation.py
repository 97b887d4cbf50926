"""The verbs over a translator up to its report: the engine that ships is measured, beside the source and a table of words."""

import json
import shutil
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.pairs import SECTIONS, write_pairs
from tradewind.cli.app import app
from tradewind.cli.app import main as tradewind
from tradewind.engines.translation import TranslationEngine
from tradewind.evaluate.translation_witness import read_translations
from tradewind.features.run_table import RunTable


@pytest.fixture(scope="module")
def measured(made_translator):
    """The outcome of `evaluate` over the translator of the session, gates left to the report."""
    done = CliRunner().invoke(app, ["evaluate", "-C", str(made_translator.folder), *CHANGES, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


CHANGES = ["--set", "evaluate.bootstrap=40", "--set", "evaluate.most_pairs=80", "--set", "evaluate.gates={beats_baseline: true}"]  # fmt: skip


def test_the_report_is_of_the_engine_that_ships(made_translator, measured):
    assert measured["artifacts"]["translator"] == str(made_translator.translator.artifact.folder)
    assert [gate["passed"] for gate in measured["gates"]] == [True]
    held = read_translations(folder_of(measured))
    engine = TranslationEngine.open(made_translator.translator.folder)
    again = engine.translate(held.sources[:20])
    assert [one.text for one in again] == list(held.said["model"][:20])
    assert [one.target_tokens for one in again] == held.target_tokens_N[:20].tolist()
    assert measured["metrics"]["test"]["bleu"] > 10


def folder_of(outcome):
    return Path(outcome["artifacts"]["report"])


def test_pairs_are_from_all_over_the_split_and_baselines_know_no_more_than_the_model(made_translator, measured):
    held = read_translations(folder_of(measured))
    pairs = list(made_translator.parallel.texts("test"))
    assert (held.row_N[0], held.row_N[-1], len(held.row_N)) == (0, len(pairs) - 1, 80)
    assert [(source, reference) for source, reference in zip(held.sources, held.references, strict=True)] == [pairs[row] for row in held.row_N]  # fmt: skip
    assert held.said["copy"] == held.sources
    table = RunTable.fit(list(made_translator.parallel.texts("train")), source="en", target="zh")
    assert held.said["word_table"] == tuple(map(table.translate, held.sources))


def test_terms_of_the_glossary_are_counted(made_translator, measured):
    held = read_translations(folder_of(measured))
    wanted = [(terms, said) for terms, said in zip(held.terms, held.said["model"], strict=True) if terms]
    assert wanted
    kept = [term in said for terms, said in wanted for term in terms]
    assert measured["metrics"]["test"]["terms_kept"] == pytest.approx(sum(kept) / len(kept))


def test_verify_recomputes_it_and_finds_what_was_edited(measured, tmp_path):
    assert tradewind(["verify", measured["artifacts"]["report"]]) == 0
    copy = shutil.copytree(measured["artifacts"]["report"], tmp_path / "report")
    content = json.loads((copy / "report.json").read_text())
    content["figures"]["test"]["chrf"]["value"] += 0.5
    (copy / "report.json").write_text(json.dumps(content))
    assert tradewind(["verify", str(copy)]) == 1


def test_a_gate_that_says_no_ends_with_1_and_the_same_report_is_not_made_again(made_translator, measured):
    missed = [*CHANGES[:-1], "evaluate.gates={bleu: '>= 100'}"]
    assert tradewind(["evaluate", "-C", str(made_translator.folder), *missed]) == 1
    done = CliRunner().invoke(app, ["evaluate", "-C", str(made_translator.folder), *CHANGES, "--json"])
    assert json.loads(done.stdout)["artifacts"] == measured["artifacts"]


DEAR = ["--set", "serve.machine_hour=1000000000000 CNY", "--set", "serve.plans={pro: {monthly: 299 CNY, included: 10, overage: 0.5 CNY}}"]  # fmt: skip


def cost_of(folder, *changes):
    done = CliRunner().invoke(app, ["evaluate", "-C", str(folder), *CHANGES, *changes, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads((folder_of(json.loads(done.stdout)) / "report.json").read_text())["cost"]


def test_the_report_says_what_a_unit_of_its_plans_takes(made_translator, measured, monkeypatch):
    texts = json.loads((folder_of(measured) / "report.json").read_text())["cost"]
    assert (texts["request"]["unit"], texts["alone"]) == ("text", None)
    assert 0 < texts["request"]["bulk_seconds"] < texts["request"]["alone_seconds"] < 1
    held = read_translations(folder_of(measured))
    ticks = SimpleNamespace(process_time=count().__next__, monotonic=time.monotonic)  # each call takes one
    monkeypatch.setattr("tradewind.cli.translation_cost.time", ticks)
    for unit, each in (("character", np.mean([*map(len, held.sources)])), ("token", np.mean(held.source_tokens_N + held.target_tokens_N))):  # fmt: skip
        cost = cost_of(made_translator.folder, "--set", f"translation.unit={unit}")["request"]
        assert 1 / cost["alone_seconds"] == pytest.approx(each, rel=0.05)


def test_a_plan_that_sells_a_translation_below_its_cost_stops_the_release(made_translator, measured, tmp_path, capsys):
    folder = shutil.copytree(made_translator.folder, tmp_path / "product")
    assert tradewind(["run", "-C", str(folder), *CHANGES, *DEAR, "--json"]) == 1
    told = capsys.readouterr()
    assert "serve.plans: The plan pro includes 10 units for 299.00 CNY, below their cost of" in told.err
    outcome = json.loads(told.out)
    assert outcome["metrics"]["test"]["bleu"] > 10
    assert "release" not in outcome["artifacts"]
    assert not (folder / ".tradewind" / "registry.json").exists()
    assert tradewind(["verify", outcome["artifacts"]["report"]]) == 0
    allowed = DEAR[-1].replace("0.5 CNY}", "0.5 CNY, below_cost: true}")
    assert [one["allowed"] for one in cost_of(folder, *DEAR[:-1], allowed)["sales"]] == [True, True]


def test_train_alone_makes_a_run(tmp_path):
    write_pairs(tmp_path)
    (tmp_path / "tradewind.yaml").write_text(json.dumps(SECTIONS))
    done = CliRunner().invoke(app, ["train", "-C", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    outcome = json.loads(done.stdout)
    assert outcome["metrics"]["validation"]["perplexity"] > 1
    assert set(outcome["artifacts"]) == {"dataset", "run"}


def test_a_glossary_that_is_not_there_is_told_before_any_work(tmp_path):
    (tmp_path / "tradewind.yaml").write_text(
        json.dumps(SECTIONS | {"translation": {"from": "en", "to": "zh", "glossary": "no.csv"}})
    )
    found = CliRunner().invoke(app, ["run", "-C", str(tmp_path)])
    assert getattr(found.exception, "code", "") == "data.glossary_missing"  # and not that there are no pairs
