"""`tradewind run`: everything from raw data to a signed release, as far as something changed."""

from __future__ import annotations

from rich.table import Table

from tradewind.cli.evaluate import evaluate, refuse
from tradewind.cli.examine import lexicon_of
from tradewind.cli.prepare import prepare
from tradewind.cli.purpose import refuse_unstated
from tradewind.cli.release import release
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, SetOption, emit
from tradewind.cli.stories import story_of
from tradewind.cli.train import train
from tradewind.privacy import retraining

_SHOWN = ("roc_auc", "pr_auc", "accuracy", "f1_macro", "recall", "log_loss", "ece", "rmse", "mae", "r2", "loss", "perplexity",
          "bits_per_byte", "ndcg@10", "hit@10", "mrr@10", "sampled_ndcg@10", "sampled_hit@10", "coverage@10",
          "bleu", "chrf", "length_ratio", "terms_kept", "cut", "repeated")  # fmt: skip


def command(directory: FolderOption = HERE, changes: SetOption = None, as_json: JsonOption = False) -> None:
    """All of these, as far as something changed."""
    session = Session.open(directory, changes)
    refuse_unstated(session.product)
    _say_due(session)
    story = story_of(session.product.task)
    if story is not None:
        story.release(session)
    else:
        lexicon_of(session)
        dataset = prepare(session)
        run = train(session, dataset)
        evaluation = evaluate(session, dataset, run)
        # A gate that says no, or a plan below cost, stops the release, but what was measured is printed all the same.
        if session.outcome.may_release:
            release(session, dataset, run, evaluation)
    _summary(session)
    refuse(session)
    if as_json:
        emit(session.outcome.to_json())


def _say_due(session: Session) -> None:
    """Releases that learnt from somebody who was erased: what is made now takes their place."""
    for one in retraining.due(session.workspace.home):
        session.voice.say(f"v{one.version} is due to be trained again since {one.since[:10]} (receipt {one.receipt})")


def _summary(session: Session) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("figure", "test", "validation"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    metrics = session.outcome.metrics
    for name in _SHOWN:
        if name in metrics.get("test", {}):
            validation = metrics.get("validation", {}).get(name)
            table.add_row(name, f"{metrics['test'][name]:.4f}", "" if validation is None else f"{validation:.4f}")
    console = session.voice.console
    console.print()
    console.print(table)
    console.print()
    for kind, folder in session.outcome.artifacts.items():
        shown = f"{folder}/report.html" if kind == "report" else folder
        console.print(f"{kind:10} {shown}", markup=False)
    console.print(f"{'seconds':10} {sum(session.outcome.seconds.values()):.1f}", markup=False)
