"""The stages of a language model as one story: documents, a run, a report beside an n-gram model, a release.

Not here: what is measured (`evaluate_language.py`), what ships (`release_language.py`, `release_encoder.py`), the verbs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradewind.cli.evaluate_language import evaluate_language, read_tasks
from tradewind.cli.release_encoder import release_encoder
from tradewind.cli.release_language import release_language
from tradewind.cli.session import Session
from tradewind.cli.stories import Story
from tradewind.data.corpus import Corpus, prepare_corpus
from tradewind.train import language
from tradewind.train.costs import Estimate
from tradewind.train.language import LanguageRun
from tradewind.train.loop import Progress

SPARING = "Set train.recompute: true, halve train.batch and double train.accumulate, or take a smaller preset."


def prepare_language(session: Session) -> Corpus:
    """The corpus of a product for generation; the finished one at once when nothing it is made from has changed."""
    with session.timed("prepare", "Prepare"):
        corpus = prepare_corpus(
            session.product, base=session.folder, workspace=session.workspace, progress=session.voice.progress
        )
    session.outcome.artifacts["dataset"] = str(corpus.folder)
    profile = corpus.profile
    splits, cleaning = profile["splits"], profile["cleaning"]
    documents = sum(split["documents"] for split in splits.values())
    learnt = {name: split["learnt"] for name, split in splits.items()}
    masked = "" if profile["kind"] == "text" else " of answers"
    rejected = sum(cleaning["rejected"].values())
    session.voice.say(
        f"{documents:,} documents ({profile['kind']}, split by {profile['split_by']}); {learnt['train']:,} tokens{masked} to "
        f"train on, {learnt['validation']:,} to validate, {learnt['test']:,} to test; {profile['bytes_per_token']:.2f} bytes "
        f"a token, vocabulary {profile['tokenizer']['vocabulary']:,}; {rejected:,} rejected"
    )
    for finding in cleaning["findings"]:
        if finding["level"] == "warning":
            session.voice.say(f"! {finding['message']}")
    return corpus


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


def train_stages(session: Session) -> None:
    """From documents to a run."""
    train_language(session, prepare_language(session))


def evaluate_stages(session: Session) -> None:
    """From documents to a report."""
    read_tasks(session)
    corpus = prepare_language(session)
    evaluate_language(session, corpus, train_language(session, corpus))


def release_stages(session: Session) -> None:
    """Everything from documents to a release, which a failed gate leaves out."""
    read_tasks(session)
    corpus = prepare_language(session)
    run = train_language(session, corpus)
    if run.summary["objective"] == "mlm":
        release_encoder(session, corpus, run)
        return
    evaluation = evaluate_language(session, corpus, run)
    if all(gate["passed"] for gate in session.outcome.gates):
        release_language(session, corpus, run, evaluation)


STORY = Story(prepare=prepare_language, train=train_stages, evaluate=evaluate_stages, release=release_stages)
