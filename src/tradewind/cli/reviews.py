"""`tradewind reviews`: decisions that wait for a person, and what was found, as rows to learn from.

Not here: the queue (`business/reviews.py`), nor the same over HTTP (`server/admin_reviews.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tradewind.business import reviews
from tradewind.business.reviews import Review, State
from tradewind.business.views import moment
from tradewind.business.views import review as view
from tradewind.cli.office import OPERATOR, Office, facts, show
from tradewind.cli.office import actions as new_actions
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.errors import InputError, nearest, writing
from tradewind.files import write_bytes
from tradewind.privacy.vault import Vault

actions = new_actions("Decisions that wait for a person: list, claim, close; verdicts as rows to learn from.")
ByOption = Annotated[str, typer.Option("--by", help="Who reviews, for the audit log.")]


@actions.command("list")
def waiting(
    state: Annotated[str, typer.Option("--state", help="open, claimed or closed.")] = "open",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Show what waits, the likeliest first."""
    with Office.open(directory) as office:
        found = reviews.listed(office.database, _vault(office), state=_state(state), limit=limit)
    if as_json:
        emit({"reviews": [view(one) for one in found]})
        return
    rows = [(one.id, one.product, f"{one.score:.4f}", one.state, moment(one.at_ms), _why(one)) for one in found]
    show(f"{len(found)} decisions {state}", ("review", "product", "score", "state", "since", "reasons"), rows)


@actions.command()
def claim(
    review: Annotated[str | None, typer.Argument(help="Its id; the likeliest by default.", show_default=False)] = None,
    by: ByOption = OPERATOR,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Take one decision: nobody else gets it for half an hour."""
    with Office.open(directory) as office:
        found = reviews.claim(office.database, _vault(office), by=by, review_id=review)
    if as_json:
        emit({"review": None if found is None else view(found)})
    elif found is None:
        typer.echo("Nothing waits.")
    else:
        facts({"review": found.id, "score": found.score, **found.content["transaction"], "reasons": _why(found)})


@actions.command()
def close(
    review: Annotated[str, typer.Argument(help="Its id.")],
    verdict: Annotated[str, typer.Argument(help="A class of the product: what it was in truth.")],
    note: Annotated[str | None, typer.Option("--note")] = None,
    by: ByOption = OPERATOR,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write down what was found."""
    with Office.open(directory) as office:
        found = reviews.close(office.database, _vault(office), review, verdict=verdict, by=by, note=note)
    if as_json:
        emit(view(found))
    else:
        typer.echo(f"{found.id}: {found.verdict}")


@actions.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="A JSONL file.")] = Path("reviews.jsonl"),
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write closed decisions as rows to learn from: transactions with their verdicts in the target's column."""
    with Office.open(directory) as office:
        product = office.product()
        labels = reviews.labels(office.database, _vault(office), product=product.product, target=product.data.target)
        rows = [json.dumps(row, ensure_ascii=False) + "\n" for row in labels]
    with writing(str(output)):
        write_bytes(output, "".join(rows).encode())
    if as_json:
        emit({"rows": len(rows), "output": str(output)})
    else:
        typer.echo(f"{len(rows):,} rows in {output}")


def _state(word: str) -> State:
    found = next((state for state in reviews.STATES if state == word), None)
    if found is None:
        known = ", ".join(reviews.STATES)
        raise InputError(
            f"{word} is no state of a review: {known}.", code="state", hint=nearest(word, reviews.STATES) or None
        )
    return found


def _vault(office: Office) -> Vault:
    return Vault.open(office.workspace.home / "vault")


def _why(one: Review) -> str:
    return "; ".join(str(reason.get("text", reason["column"])) for reason in one.content.get("reasons", [])[:3])
