"""A small product that every test of a verb starts from, and one finished release of it."""

from __future__ import annotations

import csv
import random
import shutil
from pathlib import Path

import pytest

from tradewind.cli.app import main

PRODUCT = """\
product: churn
task: classification
data:
  source: rows.csv
  target: churn
model: {tabular: mlp, width: 16, depth: 1}
train: {epochs: 2, threads: 1}
evaluate: {bootstrap: 20}
"""


def write_rows(path: Path, count: int = 240) -> None:
    """Customers whose churn follows from tenure and plan, with some noise."""
    draw = random.Random(1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["tenure", "plan", "spend", "churn"])
        for _ in range(count):
            tenure, plan = draw.randint(0, 60), draw.choice(["basic", "plus", "pro"])
            odds = 0.9 - tenure / 60 - 0.2 * (plan == "pro")
            writer.writerow([tenure, plan, f"{draw.gauss(50, 12):.2f}", "yes" if draw.random() < odds else "no"])


def write_product(folder: Path, text: str = PRODUCT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tradewind.yaml").write_text(text, encoding="utf-8")
    write_rows(folder / "rows.csv")
    return folder


@pytest.fixture
def product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh product folder; nothing is built yet."""
    monkeypatch.delenv("TRADEWIND_HOME", raising=False)
    return write_product(tmp_path / "churn")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product folder after `tradewind run`. Do not change it; take `released`."""
    folder = write_product(tmp_path_factory.mktemp("finished") / "churn")
    assert main(["run", "-C", str(folder)]) == 0
    return folder


@pytest.fixture
def released(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished product that a test may damage."""
    monkeypatch.delenv("TRADEWIND_HOME", raising=False)
    folder = tmp_path / "churn"
    shutil.copytree(finished, folder)
    return folder
