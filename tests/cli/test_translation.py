"""The verbs over a translator: pairs become a run, and what is not made of it yet is refused before any work."""

import json

from typer.testing import CliRunner

from tests.pairs import SECTIONS, write_pairs
from tradewind.cli.app import app


def test_train_makes_a_run_and_evaluate_says_what_there_is_not(tmp_path):
    write_pairs(tmp_path)
    (tmp_path / "tradewind.yaml").write_text(json.dumps(SECTIONS))
    done = CliRunner().invoke(app, ["train", "-C", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    outcome = json.loads(done.stdout)
    assert outcome["metrics"]["validation"]["perplexity"] > 1
    assert set(outcome["artifacts"]) == {"dataset", "run"}
    refused = CliRunner().invoke(app, ["evaluate", "-C", str(tmp_path)])
    assert refused.exit_code != 0
    assert "translation_unmeasured" in f"{refused.output}{refused.exception!r}{getattr(refused.exception, 'code', '')}"
