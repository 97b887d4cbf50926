"""`tradewind train`: a dataset becomes a run, An interrupted one goes on from its last checkpoint."""

from __future__ import annotations

from tradewind.cli.prepare import prepare
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, SetOption, emit
from tradewind.cli.stories import story_of
from tradewind.data.dataset import Dataset
from tradewind.train import run as runs
from tradewind.train.loop import Progress
from tradewind.train.run import Run


def command(directory: FolderOption = HERE, changes: SetOption = None, as_json: JsonOption = False) -> None:
    """Train the model on the prepared data."""
    session = Session.open(directory, changes)
    story = story_of(session.product.task)
    if story is None:
        train(session, prepare(session))
    else:
        story.train(session)
    if as_json:
        emit(session.outcome.to_json())


def train(session: Session, dataset: Dataset) -> Run:
    """The run of the product over `dataset`; the finished one at once when nothing it is made from has changed."""
    with session.timed("train", "Train"):
        run = runs.train(session.product, dataset, workspace=session.workspace, progress=lambda at: _show(session, at))
    session.outcome.artifacts["run"] = str(run.artifact.folder)
    found = run.summary
    figures = ", ".join(f"{name} {value:.4f}" for name, value in found["validation"].items())
    again = found["refit"]
    session.voice.say(
        f"{found['parameters']['total']:,} parameters, {found['epochs']} epochs in {found['seconds']:.0f} s, "
        f"best {found['best_epoch']} ({figures}); {found['stopped']}"
        + (f"; then {again['epochs']} on validation rows too in {again['seconds']:.0f} s" if again else "")
    )
    spent = found.get("privacy")
    if spent:
        session.voice.say(
            f"private: epsilon {spent['epsilon']:.3f} at delta {spent['delta']:.2g}, noise {spent['sigma']:g}"
        )
    return run


def _show(session: Session, at: Progress) -> None:
    figures = "".join(f" {name} {value:.4f}" for name, value in at.figures.items())
    words = (
        f"epoch {at.epoch}/{at.epochs} loss {at.loss:.4f}{figures}, {at.rows_per_s:,.0f} rows/s, "
        f"{at.seconds_left:.0f} s left at most"
    )
    session.voice.progress(words, at.step / max(at.steps, 1))
