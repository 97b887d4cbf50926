"""`tradewind train`: a dataset becomes a run, of a table's model or of a language model. An interrupted one goes on from its last checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradewind.cli.prepare import prepare, prepare_language
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, SetOption, emit
from tradewind.data.corpus import Corpus
from tradewind.data.dataset import Dataset
from tradewind.train import language
from tradewind.train import run as runs
from tradewind.train.costs import Estimate
from tradewind.train.language import LanguageRun
from tradewind.train.loop import Progress
from tradewind.train.run import Run

SPARING = "Set train.recompute: true, halve train.batch and double train.accumulate, or take a smaller preset."


def command(directory: FolderOption = HERE, changes: SetOption = None, as_json: JsonOption = False) -> None:
    """Train the model on the prepared data."""
    session = Session.open(directory, changes)
    if session.product.task == "generation":
        train_language(session, prepare_language(session))
    else:
        train(session, prepare(session))
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


def train_language(session: Session, corpus: Corpus) -> LanguageRun:
    """The run of a language model; says before it what it will take, and afterwards how far off that was."""
    with session.timed("train", "Train"):
        run = language.train_language(
            session.product, corpus, workspace=session.workspace, progress=lambda at: _show_language(session, at),
            told=lambda estimate: _foretell(session, estimate),
        )  # fmt: skip
    session.outcome.artifacts["run"] = str(run.artifact.folder)
    found = run.summary
    session.outcome.metrics["validation"] = found["validation"]
    figures = ", ".join(f"{name} {value:.4f}" for name, value in found["validation"].items())
    session.voice.say(
        f"{found['parameters']['learn']:,} of {found['parameters']['total']:,} parameters learnt, {found['steps']:,} steps, "
        f"{found['tokens']:,} tokens in {found['seconds']:.0f} s ({found['tokens_per_s']:,.0f} a second, "
        f"{found['matmul_share']:.0%} of the measured peak), best at step {found['best_step']:,}: {figures}"
    )
    for line in too_long(found):
        session.voice.say(line)
    off = found["estimate"]
    session.voice.say(
        f"It was estimated at {off['seconds']:.0f} s and took {off['took']:.0f} s: {abs(off['error']):.0%} "
        f"{'too high' if off['error'] > 0 else 'too low'}"
    )
    return run


def too_long(found: Mapping[str, Any]) -> list[str]:
    """What of the conversations was not seen whole."""
    context = found["context"]
    lines = []
    if found.get("shortened"):
        lines.append(
            f"! {found['shortened']:,} conversations are longer than the {context:,} tokens of model.context: they were learnt "
            "without their beginning"
        )
    if found.get("left_out"):
        lines.append(
            f"! {found['left_out']:,} conversations were left out: their last answer has no room in the {context:,} tokens of "
            "model.context"
        )
    return lines


def _foretell(session: Session, estimate: Estimate) -> None:
    session.voice.say(f"Estimated: {in_words(estimate)}")
    if estimate.fits is False:
        session.voice.say(f"! That is more memory than is free. {SPARING}")


def in_words(estimate: Estimate) -> str:
    """One line of what a run takes."""
    work = estimate.work
    memory = sum(work.memory.values())
    return (
        f"{work.parameters['total']:,} parameters, {work.tokens:,} tokens, {work.operations:.2g} operations, "
        f"{memory / 1e9:.2g} GB, {duration(estimate.seconds)} on {estimate.machine}"
        + (f", {estimate.price}" if estimate.price is not None else "")
    )


def duration(seconds: float) -> str:
    """In the unit that people would say it in."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _show_language(session: Session, at: Progress) -> None:
    figures = dict(at.figures)
    pace = figures.pop("tokens_per_s", None)
    share = figures.pop("matmul_share", None)
    words = f"step {at.step:,}/{at.steps:,} loss {at.loss:.4f}"
    words += "".join(f" {name} {value:.4f}" for name, value in figures.items())
    words += "" if pace is None else f", {pace:,.0f} tokens/s"
    words += "" if share is None else f" ({share:.0%} of peak)"
    session.voice.progress(f"{words}, {at.seconds_left:.0f} s left", at.step / max(at.steps, 1))
