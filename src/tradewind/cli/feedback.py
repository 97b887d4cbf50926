"""`tradewind feedback`: how satisfied people were with answers, and judged messages as rows to learn from. Not here: who may
judge (`server/conversations.py`), what is learnt.

Rows leave only of accounts that agreed to `training` (`account consent`). A satisfied verdict confirms the intent; after another
one the intent is left empty, for a person to say what it was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tradewind.business import verdicts
from tradewind.business.verdicts import Figures, Judged
from tradewind.business.views import moment
from tradewind.cli.office import Office, show
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.errors import InputError, writing
from tradewind.files import write_bytes
from tradewind.privacy.vault import Vault
from tradewind.server.handoffs import figures_view

_DAY_MS = 86_400_000


def command(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write judged messages here: FILE.jsonl.", show_default=False)
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Figures of so many last days.")] = 30,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """How satisfied people were, by intent and by document; judged messages as JSON lines to learn from."""
    if output is not None and output.suffix != ".jsonl":
        raise InputError("The file ends in .jsonl.", code="export_format", where=str(output))
    with Office.open(directory) as office:
        product = office.product().product
        since_ms = office.now_ms - days * _DAY_MS
        whole = verdicts.figures(office.database, product=product, since_ms=since_ms)
        by: dict[str, dict[str, Figures]] = {
            name: verdicts.figures_by(office.database, name, product=product, since_ms=since_ms)
            for name in ("intent", "source", "kind")
        }
        rows = []
        if output is not None and (office.workspace.home / "vault").is_dir():
            vault = Vault.open(office.workspace.home / "vault")
            rows = [row_of(one) for one in verdicts.judged(office.database, vault, product=product)]
    if output is not None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        with writing(str(output)):
            output.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(output, text.encode(), mode=0o600)
    told: dict[str, Any] = {"product": product, "days": days, **figures_view(whole)}
    if as_json:
        inner = {name: {key: figures_view(one) for key, one in found.items()} for name, found in by.items()}
        emit(told | {"by": inner, "file": None if output is None else str(output), "rows": len(rows)})
        return
    columns = ("by", "which", "verdicts", "satisfied", "not", "rate")
    lines = [("all", "", *_line(whole))]
    lines += [(name, key, *_line(one)) for name, found in by.items() for key, one in found.items()]
    show(f"Feedback of {days} days", columns, lines)
    if output is not None:
        typer.echo(f"{len(rows):,} judged messages in {output}, of accounts that agreed to training.")


def row_of(one: Judged) -> dict[str, Any]:
    """A line for whoever learns from it: `intent` where it is confirmed, `taken_for` what the machine thought."""
    good = one.score >= verdicts.GOOD
    return {
        "text": one.text, "intent": one.intent if good else None, "taken_for": one.intent, "kind": one.kind,
        "source": one.source, "score": one.score, "verdict": "good" if good else "bad" if one.score <= verdicts.BAD else "mixed",
        "comment": one.comment, "at": moment(one.at_ms), "account": one.account_id, "conversation": one.conversation_id,
    }  # fmt: skip


def _line(figures: Figures) -> tuple[int, int, int, str]:
    rate = "–" if figures.rate is None else f"{100 * figures.rate:.0f} %"
    return figures.verdicts, figures.good, figures.bad, rate
