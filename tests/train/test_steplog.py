"""The log survives a resume without a line twice, and reaches the sinks."""

import json

import pytest

from tradewind.errors import EnvironmentFailure
from tradewind.train import steplog
from tradewind.train.steplog import StepLog, open_sinks


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_resume_cuts_what_came_after_the_checkpoint(tmp_path):
    path = tmp_path / "steps.jsonl"
    log = StepLog(path)
    log.write({"step": 1, "loss": 0.5})
    offset = log.offset
    log.write({"step": 2, "loss": 0.4})
    log.close()
    again = StepLog(path, offset=offset)
    again.write({"step": 2, "loss": 0.3})
    again.close()
    assert lines(path) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.3}]


def test_tensorboard_gets_each_figure(tmp_path):
    pytest.importorskip("tensorboard")
    log = StepLog(tmp_path / "steps.jsonl", sinks=open_sinks(["tensorboard"], tmp_path, product="toy"))
    log.write({"step": 1, "loss": 0.5})
    log.close()
    assert next(path.name for path in (tmp_path / "tensorboard").iterdir()).startswith("events")


def test_a_sink_that_is_not_installed_says_so(tmp_path, monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(steplog, "import_module", absent)
    with pytest.raises(EnvironmentFailure, match="The sink mlflow needs the package mlflow"):
        open_sinks(["mlflow"], tmp_path, product="toy")
