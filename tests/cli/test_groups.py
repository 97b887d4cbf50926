"""Sensitive columns whose groups cannot be compared are told before training, at their place in the product file."""

import csv
import random

import pytest

from tests.cli.conftest import PRODUCT
from tradewind.cli.app import main

GATE = "equalized_odds_difference"


def write(folder, sex, *, sensitive="sex", gate=GATE):
    """A product with a column `sex` of these values and a gate over its groups."""
    text = PRODUCT.replace("  target: churn\n", f"  target: churn\n  sensitive: [plan, {sensitive}]\n")
    if gate:
        text = text.replace("bootstrap: 20", f'bootstrap: 20, gates: {{{gate}: "<= 0.9"}}')
    (folder / "tradewind.yaml").write_text(text, encoding="utf-8")
    draw = random.Random(1)
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["tenure", "spend", "plan", "sex", "churn"])
        for at, one in enumerate(sex):
            rows.writerow(
                [draw.randint(0, 60), round(draw.gauss(50, 12), 2), "ab"[at % 2], one, draw.choice(["yes", "no"])]
            )
    return str(folder)


def test_an_unknown_sensitive_column_stands_at_its_line_and_column(product, capsys):
    folder = write(product, ["F", "M"] * 100, sensitive="sxe", gate=None)
    assert main(["prepare", "-C", folder]) == 2
    said = capsys.readouterr().err
    assert "tradewind.yaml:6:21: sxe: no such column" in said
    assert "Did you mean sex?" in said


def test_one_that_came_by_set_is_told_so(product, capsys):
    folder = write(product, ["F", "M"] * 100, gate=None)
    assert main(["prepare", "-C", folder, "--set", "data.sensitive=[sxe]"]) == 2
    assert "--set data.sensitive: sxe: no such column" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sex", "why"),
    [(["F"] * 200, "F is its only group"), ([""] * 200, "every value is missing"), (range(1000, 1200), None)],
    ids=["one group", "all missing", "numbers are banded"],
)
@pytest.mark.parametrize("gate", [GATE, f"{GATE}:sex", f"{GATE}:plan×sex"])
def test_a_gate_over_groups_that_are_not_there_is_refused_before_training(product, capsys, sex, why, gate):
    code = main(["prepare", "-C", write(product, sex, gate=gate)])
    said = capsys.readouterr().err
    assert code == (0 if why is None else 2)
    if why is not None:
        assert f"tradewind.yaml:6:21: sex: {why} in the test split" in said


def test_without_a_gate_or_with_one_over_another_column_it_is_said(product, capsys):
    for gate in (None, f"{GATE}:plan"):
        assert main(["prepare", "-C", write(product, ["F"] * 200, gate=gate)]) == 0
        assert "! sex: F is its only group in the test split" in capsys.readouterr().err


def test_a_group_of_one_is_told_early_and_fails_its_gate_late(product, capsys):
    folder = write(product, ["F", "M"] * 110 + ["X"] * 6)
    assert main(["prepare", "-C", folder]) == 0
    said = capsys.readouterr().err
    assert f"get no verdict, so the gate {GATE} will not pass: X (" in said
    assert main(["evaluate", "-C", folder]) == 1
    assert "not enough data" in capsys.readouterr().err
