"""`tradewind estimate`: what training will take, before any of it is done. Nothing is prepared, trained or kept."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from tradewind.artifacts import open_artifact
from tradewind.cli.language import SPARING, duration
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, SetOption, emit
from tradewind.data.corpus import Corpus, load_corpus
from tradewind.errors import ArtifactError
from tradewind.money import parse_price
from tradewind.train.costs import Estimate
from tradewind.train.estimate import Foreseen, estimate

AcceleratorOption = Annotated[
    str | None,
    typer.Option("--accelerator", help="A machine from the table, in place of this one.", show_default=False),
]
PriceOption = Annotated[
    str | None, typer.Option("--price-per-hour", help="What an hour of the machine costs: 12 CNY.", show_default=False)
]


def command(
    directory: FolderOption = HERE, changes: SetOption = None, accelerator: AcceleratorOption = None,
    price_per_hour: PriceOption = None, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Say what training will take: counts, memory, seconds and money."""
    session = Session.open(directory, changes)
    hour = None if price_per_hour is None else parse_price(price_per_hour)
    with session.timed("estimate", "Estimate"):
        corpus = _prepared(session) if session.product.task == "generation" else None
        found = estimate(session.product, corpus=corpus, base=session.folder, machine=accelerator, hour=hour)
    _show(session, found)
    if as_json:
        emit({**found.estimate.to_json(), "guessed": found.is_guess, "objective": found.plan.objective})


def _prepared(session: Session) -> Corpus | None:
    """The newest corpus that was prepared with these settings. Files are not read for it: it may be of an earlier state of
    them, which is near enough for an estimate."""
    data, tokenizer = session.product.data.model_dump(mode="json"), session.product.tokenizer
    found = []
    for folder in sorted((session.workspace.home / "datasets").glob("[0-9a-f]*")):
        try:
            artifact = open_artifact(folder, kind="dataset")
        except ArtifactError:
            continue
        made_of = artifact.made_of
        learnt = made_of.get("tokenizer")
        same = isinstance(learnt, str) or learnt == {"kind": tokenizer.kind, "vocabulary": tokenizer.vocabulary}
        if made_of.get("task") == "generation" and made_of.get("data") == data and same:
            found.append(artifact)
    return load_corpus(max(found, key=lambda one: one.created).folder) if found else None


def _show(session: Session, found: Foreseen) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in _lines(found.estimate):
        table.add_row(name, value)
    session.voice.console.print(table)
    session.voice.say(f"on {found.estimate.machine}")
    if found.is_guess:
        session.voice.say("Tokens were guessed from the size of the files: after `tradewind prepare` they are counted.")
    if found.estimate.fits is False:
        session.voice.say(f"! That is more memory than there is. {SPARING}")


def _lines(estimate: Estimate) -> list[tuple[str, str]]:
    work = estimate.work
    lines = [
        ("parameters", f"{work.parameters['total']:,}"), ("of them learnt", f"{work.parameters['learn']:,}"),
        ("steps", f"{work.steps:,}"), ("tokens", f"{work.tokens:,}"), ("operations", f"{work.operations:.3g}"),
    ]  # fmt: skip
    lines += [(f"memory: {name.replace('_', ' ')}", f"{size / 1e6:,.1f} MB") for name, size in work.memory.items()]
    lines += [("memory in all", f"{sum(work.memory.values()) / 1e6:,.1f} MB"), ("time", duration(estimate.seconds))]
    return lines + ([("price", estimate.price)] if estimate.price is not None else [])
