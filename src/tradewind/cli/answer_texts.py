"""Whether `serve.answers` speaks of what the release knows: its classes, and the columns of its rows. Not the texts' use."""

from __future__ import annotations

from tradewind.cli.session import Session
from tradewind.errors import ProductFileError, nearest
from tradewind.files import read_json
from tradewind.release.registry import Registry


def check_answers(session: Session) -> None:
    """Raises ProductFileError for a text of a class, or of a column, that the release to be served has not."""
    answers, registry = session.product.serve.answers, Registry.open(session.workspace)
    if not answers.texts and answers.fallback is None:
        return
    version = registry.find("live") if "live" in registry.aliases else registry.versions[-1]
    folder = registry.path(version)
    classes = read_json(folder / "manifest.json").get("classes", [])
    schemas = read_json(folder / "schema.json")["input"]["properties"]
    columns = [
        name for name, schema in schemas.items() if "contentEncoding" not in schema
    ]  # no file is put into a text
    for name, places in answers.places().items():
        where = f"{session.folder}: serve.answers.{f'texts.{name}' if name else 'fallback'}"
        if name and name not in classes:
            raise ProductFileError(
                f"The release knows no class {name}. Classes: {', '.join(classes[:20]) or 'none'}.", code="answer_class",
                where=where, hint=nearest(name, classes) or "Write a text for a class that the model can answer.",
            )  # fmt: skip
        for place in sorted(places - set(columns)):
            raise ProductFileError(
                f"{{{place}}} is no column. Columns: {', '.join(columns[:20])}; also {{label}} and {{confidence}}.",
                code="answer_column", where=where, hint=nearest(place, columns) or None,
            )  # fmt: skip
