"""Writes docs/reference.md from the code: every verb with its options, every setting with its default."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from tradewind.cli.app import VERBS, load_verb
from tradewind.product import Product

TARGET = Path(__file__).parent / "reference.md"


def reference() -> str:
    """The whole page, as Markdown."""
    lines = ["# Reference", "", "Written by `docs/generate.py` from the code. Do not edit.", "", "## Verbs", ""]
    for name, verb in VERBS.items():
        lines += [f"### `tradewind {name}`", "", verb.help, "", *_options(load_verb(name), name)]
    lines += ["## Product file", "", "| setting | values | default | meaning |", "|---|---|---|---|"]
    lines += _settings(Product, "")
    return "\n".join(lines) + "\n"


def _options(command: Any, name: str) -> list[str]:
    """The options of a verb, or of each of its actions."""
    below = getattr(command, "commands", None)
    if below is not None:
        lines = []
        for action, inner in below.items():
            if not hasattr(inner, "commands"):
                lines += [f"#### `tradewind {name} {action}`", "", inner.help or "", ""]
            lines += _options(inner, f"{name} {action}")
        return lines
    lines = ["| option | meaning |", "|---|---|"]
    for parameter in command.params:
        names = ", ".join(f"`{option}`" for option in parameter.opts if option.startswith("-"))
        label = names or f"`{parameter.name}`"
        lines.append(f"| {label} | {getattr(parameter, 'help', '') or ''} |")
    return [*lines, ""]


def _settings(model: type[BaseModel], place: str) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        dotted = f"{place}{field.alias or name}"
        inner = _models(field.annotation)
        words = [word for word in get_args(field.annotation) if isinstance(word, str)]
        values = " · ".join(words) or _named(field.annotation)
        lines.append(f"| `{dotted}` | {values} | {_default(field.default)} | {field.description or ''} |")
        for below in inner:
            key = "NAME." if "dict" in str(field.annotation) else ""
            lines += _settings(below, f"{dotted}.{key}")
    return lines


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _named(annotation: Any) -> str:
    if isinstance(annotation, type):
        known = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
        return known.get(annotation.__name__, "section")
    literals = [word for part in get_args(annotation) for word in (get_args(part) or [part]) if isinstance(word, str)]
    return " · ".join(literals)


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return ""
    if value is None or isinstance(value, BaseModel):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
