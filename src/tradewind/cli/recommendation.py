"""The stages of a recommender as one story: events, a run, a report beside popularity, neighbours and factors, a release.

Not here: what is measured (`evaluate_recommendation.py`), what ships (`release_recommendation.py`), the verbs.
"""

from __future__ import annotations

from tradewind.cli.evaluate_recommendation import evaluate_recommendation
from tradewind.cli.release_recommendation import release_recommendation
from tradewind.cli.session import Session
from tradewind.cli.stories import Story
from tradewind.data.interactions import Interactions, prepare_interactions
from tradewind.train.loop import Progress
from tradewind.train.recommendation import RecommendationRun, train_recommendation


def prepare(session: Session) -> Interactions:
    """The events of the product; the finished dataset at once when nothing it is made from has changed."""
    with session.timed("prepare", "Prepare"), session.placed():
        dataset = prepare_interactions(
            session.product, base=session.folder, workspace=session.workspace, progress=session.voice.progress
        )
    session.outcome.artifacts["dataset"] = str(dataset.folder)
    profile = dataset.profile
    events, history = profile["events"], profile["history"]
    session.voice.say(
        f"{events['kept']:,} events of {profile['users']:,} users with {profile['items']:,} items "
        f"({history['mean']:.1f} a user, at most {history['most']:.0f}); {events['train']:,} to train on, "
        f"{events['validation']:,} to validate, {events['test']:,} to test; {events['read'] - events['kept']:,} left out"
    )
    if profile["items_unseen_in_training"]:
        session.voice.say(f"{profile['items_unseen_in_training']:,} items are in no training event")
    for finding in profile["cleaning"]["findings"]:
        if finding["level"] == "warning":
            session.voice.say(f"! {finding['message']}")
    return dataset


def train(session: Session, dataset: Interactions) -> RecommendationRun:
    """The run of the product over its events; the finished one at once when nothing it is made from has changed."""
    with session.timed("train", "Train"):
        run = train_recommendation(
            session.product, dataset, workspace=session.workspace, progress=lambda at: _show(session, at)
        )
    session.outcome.artifacts["run"] = str(run.artifact.folder)
    found = run.summary
    session.outcome.metrics["validation"] = found["validation"]
    figures = ", ".join(f"{name} {value:.4f}" for name, value in found["validation"].items())
    again, weight = found["refit"], found["linear"]["weight"]
    session.voice.say(
        f"{found['parameters']['total']:,} parameters, {found['epochs']} epochs in {found['seconds']:.0f} s, best "
        f"{found['best_epoch']} ({figures}); {found['stopped']}"
        + (f"; then {again['epochs']} on validation events too in {again['seconds']:.0f} s" if again else "")
        + (f"; scores of factors are added {weight:g} times" if weight else "")
    )
    return run


def _show(session: Session, at: Progress) -> None:
    figures = "".join(f" {name} {value:.4f}" for name, value in at.figures.items())
    words = f"epoch {at.epoch}/{at.epochs} loss {at.loss:.4f}{figures}, {at.rows_per_s:,.0f} events/s, {at.seconds_left:.0f} s left at most"
    session.voice.progress(words, at.step / max(at.steps, 1))


def train_stages(session: Session) -> None:
    """From events to a run."""
    train(session, prepare(session))


def evaluate_stages(session: Session) -> None:
    """From events to a report."""
    dataset = prepare(session)
    evaluate_recommendation(session, dataset, train(session, dataset))


def release_stages(session: Session) -> None:
    """Everything from events to a release, which a failed gate leaves out."""
    dataset = prepare(session)
    run = train(session, dataset)
    evaluation = evaluate_recommendation(session, dataset, run)
    if all(gate["passed"] for gate in session.outcome.gates):
        release_recommendation(session, dataset, run, evaluation)


STORY = Story(prepare=prepare, train=train_stages, evaluate=evaluate_stages, release=release_stages)
