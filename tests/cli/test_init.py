"""`tradewind init`: what it refuses. What it writes is run in test_run.py and in tests/scenarios/."""

import pytest

from tradewind.cli.app import main


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--scenario", "nonsense"], "no scenario called nonsense"),
        (["--scenario", "fraud", "--target", "y"], "brings its own data"),
        (["--target", "y"], "--source is missing"),
        (["--source", "rows.csv"], "--target is missing"),
    ],
)
def test_what_does_not_fit_is_one_clear_error_and_writes_nothing(given, says, tmp_path, capsys):
    assert main(["init", str(tmp_path / "new"), *given]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
