"""`tradewind predict` on the release of a translator, for texts given as JSON: needs neither Polars nor torch.

Not here: files in bulk (`predict.py`), translating (`engines/translation.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from tradewind.cli.session import emit
from tradewind.engines.loading import load_translator
from tradewind.errors import InputError
from tradewind.features.glossary import checked
from tradewind.files import read_json

_FIELDS = ("text", "glossary", "beams", "length_penalty")


def translate_rows(folder: Path, rows: list[dict[str, Any]], *, key: Path | None, int8: bool, as_json: bool) -> None:
    """Translates `text` of each row and prints the answers: JSON lines, or one object with --json. Raises InputError."""
    engine = load_translator(folder, public_key=key, precision="int8" if int8 else None)
    asks = [engine.read(**_asked(row)) for row in rows]
    answers = [one.to_json() for one in engine.answer(asks)]
    if as_json:
        emit({"predictions": answers, "release": read_json(folder / "manifest.json")["product"]})
        return
    for answer in answers:
        typer.echo(json.dumps(answer, ensure_ascii=False))


def _asked(row: dict[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(row) - set(_FIELDS)):
        raise InputError(
            f"A text has no {unknown[0]!r}.", code="row_json", where="--row", hint=f"It has {', '.join(_FIELDS)}."
        )
    kinds: dict[str, tuple[type, ...]] = {
        "text": (str,),
        "glossary": (dict,),
        "beams": (int,),
        "length_penalty": (int, float),
    }
    for name, allowed in kinds.items():
        value = row.get(name)
        if (value is None and name == "text") or not (value is None or isinstance(value, allowed)) or value is True:
            raise InputError(
                f"{name} is {json.dumps(value)}.", code="row_json", where="--row", hint="""Write --row '{"text": "One kite."}'."""
            )  # fmt: skip
    terms = row.get("glossary") or {}
    return {**row, "glossary": checked({term: str(one) for term, one in terms.items()}, where="--row")}
