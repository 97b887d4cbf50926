"""The stages of a translator as one story: pairs of texts, a run, a report, a release.

Not here: what is left out of the pairs (`data/pair_rules.py`), training (`train/translation.py`), what is measured
(`evaluate_translation.py`), what ships (`release_translation.py`), the verbs.
"""

from __future__ import annotations

from tradewind.cli.evaluate_translation import TranslationEvaluation, evaluate_translation
from tradewind.cli.release_translation import release_translation
from tradewind.cli.session import Session
from tradewind.cli.stories import Story
from tradewind.cli.translator import Translator, build_translator, settled
from tradewind.data.parallel import Parallel, prepare_parallel
from tradewind.train.loop import Progress
from tradewind.train.translation import TranslationRun, train_translation


def prepare_stage(session: Session) -> Parallel:
    """The pairs of the product; the finished dataset at once when nothing it is made from has changed."""
    with session.timed("prepare", "Prepare"):
        parallel = prepare_parallel(
            session.product, base=session.folder, workspace=session.workspace, progress=session.voice.progress
        )
    session.outcome.artifacts["dataset"] = str(parallel.folder)
    splits, cleaning = parallel.profile["splits"], parallel.profile["cleaning"]
    pairs = {name: splits[name]["pairs"] - splits[name]["term_pairs"] for name in splits}
    session.voice.say(
        f"{pairs['train']:,} pairs to train on, {splits['train']['term_pairs']:,} of them once more with terms, "
        f"{pairs['validation']:,} to validate, {pairs['test']:,} to test; vocabulary "
        f"{parallel.profile['tokenizer']['vocabulary']:,}; {sum(cleaning['rejected'].values()):,} rejected"
    )
    for finding in cleaning["findings"]:
        session.voice.say(f"! {finding['message']}")
    return parallel


def train_stage(session: Session) -> TranslationRun:
    """From pairs to a run, whose `hf/` opens in transformers."""
    return train_on(session, prepare_stage(session))


def train_on(session: Session, parallel: Parallel) -> TranslationRun:
    """The run of the product over its pairs; the finished one at once when nothing it is made from has changed."""
    with session.timed("train", "Train"):
        run = train_translation(
            session.product, parallel, workspace=session.workspace, base=session.folder,
            progress=lambda at: _show(session, at),
        )  # fmt: skip
    session.outcome.artifacts["run"] = str(run.artifact.folder)
    found = run.summary
    session.outcome.metrics["validation"] = found["validation"]
    session.voice.say(
        f"{found['parameters']['total']:,} parameters, {found['epochs']} epochs in {found['seconds']:.0f} s, best "
        f"{found['best_epoch']} (loss {found['validation']['validation_loss']:.4f}); {found['stopped']}"
    )
    return run


def evaluate_stage(session: Session) -> None:
    """From pairs to a report of the very engine that a release holds."""
    _measured(session)


def release_stage(session: Session) -> None:
    """Everything from pairs to a release, which a failed gate or a plan below cost leaves out."""
    parallel, run, translator, evaluation = _measured(session)
    if session.outcome.may_release:
        release_translation(session, parallel, run, translator, evaluation.artifact)


def _measured(session: Session) -> tuple[Parallel, TranslationRun, Translator, TranslationEvaluation]:
    settled(session)  # what is wrong with it costs no time of training
    parallel = prepare_stage(session)
    run = train_on(session, parallel)
    translator = build_translator(session, parallel, run)
    return parallel, run, translator, evaluate_translation(session, parallel, run, translator)


def _show(session: Session, at: Progress) -> None:
    words = f"epoch {at.epoch}/{at.epochs} loss {at.loss:.4f}, {at.seconds_left:.0f} s left at most"
    session.voice.progress(words, at.step / max(at.steps, 1))


STORY = Story(prepare=prepare_stage, train=train_stage, evaluate=evaluate_stage, release=release_stage)
