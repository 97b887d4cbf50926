"""A product over a small CSV, prepared in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tradewind.artifacts import Workspace
from tradewind.data.dataset import Dataset, prepare
from tradewind.product import Product

Prepare = Callable[..., Dataset]


def product_of(target: str = "y", task: str = "classification", **data: Any) -> Product:
    return Product.model_validate(
        {"product": "test", "task": task, "data": {"source": "rows.csv", "target": target, **data}}
    )


def csv_of(columns: dict[str, list[Any]]) -> str:
    rows = zip(*columns.values(), strict=True)
    return "\n".join(",".join(map(str, row)) for row in [tuple(columns), *rows]) + "\n"


@pytest.fixture
def make(tmp_path: Path) -> Prepare:
    """make(columns or CSV text, **data section) → Dataset; further files are given as files={name: text}."""

    def made(table: dict[str, list[Any]] | str, *, files: dict[str, str] | None = None, **data: Any) -> Dataset:
        content = table if isinstance(table, str) else csv_of(table)
        (tmp_path / "rows.csv").write_text(content, encoding="utf-8")
        for name, text in (files or {}).items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        return prepare(product_of(**data), base=tmp_path, workspace=Workspace(tmp_path / "home"))

    return made
