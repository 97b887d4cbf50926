"""`tradewind train`: a dataset becomes a run. An interrupted one goes on from its last checkpoint."""

from __future__ import annotations

from tradewind.cli.prepare import prepare
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, SetOption, emit
from tradewind.data.dataset import Dataset
from tradewind.train import run as runs
from tradewind.train.run import Run


def command(directory: FolderOption = HERE, changes: SetOption = None, as_json: JsonOption = False) -> None:
    """Train the model on the prepared data."""
    session = Session.open(directory, changes)
    train(session, prepare(session))
    if as_json:
        emit(session.outcome.to_json())


def train(session: Session, dataset: Dataset) -> Run:
    """The run of the product over `dataset`; the finished one at once when nothing it is made from has changed."""
    with session.timed("train", "Train"):
        run = runs.train(session.product, dataset, workspace=session.workspace, progress=session.voice.progress)
    session.outcome.artifacts["run"] = str(run.artifact.folder)
    session.voice.say(run.describe())
    return run
