"""Gates are read, and those that can never hold are refused with the reason, at their place in the file."""

import pytest

from tradewind import product_file
from tradewind.errors import ProductFileError
from tradewind.gate_rules import Rule, contradiction, parse

EOD, EOPP, DPR = "equalized_odds_difference", "equal_opportunity_difference", "demographic_parity_ratio"


@pytest.mark.parametrize(
    ("written", "value", "holds"),
    [(">= 0.77", 0.77, True), ("> 0.77", 0.77, False), ("<=0.1", 0.05, True), ("< -1", 0.0, False), ("== 2", 2.0, True)],
)  # fmt: skip
def test_a_comparison_is_read_and_applied(written, value, holds):
    rule = parse(written)
    assert isinstance(rule, Rule)
    assert rule.holds(value) is holds


@pytest.mark.parametrize(
    ("gates", "words"),
    [
        ({EOD: "<= 0.05", f"{EOD}:sex": ">= 0.2"}, "cannot both hold"),
        ({EOD: "<= 0.1", EOPP: "> 0.1"}, "cannot both hold"),
        ({EOD: "<= 0.1", f"{EOPP}:sex": ">= 0.2"}, "cannot both hold"),
        ({DPR: ">= 0.8", f"{DPR}:sex": "< 0.8"}, "cannot both hold"),
        ({"mae": ">= 5", "rmse": "<= 3"}, "cannot both hold"),
    ],
)
def test_what_can_never_hold_is_told(gates, words):
    found = contradiction(gates)
    assert found is not None
    assert found[0] in gates
    assert words in found[1]


@pytest.mark.parametrize(
    "gates",
    [
        {"roc_auc": ">= 1", "accuracy": "== 0", "log_loss": ">= 7", "r2": "<= -3", "beats_baseline": True},
        {EOD: "<= 0.1", f"{EOD}:sex": "<= 0.2", f"{EOD}:race": ">= 0.1", EOPP: ">= 0.05"},
        {EOD: ">= 0.2", f"{EOD}:sex": "<= 0.05"},  # the other column may be the worse one
        {DPR: "<= 0.5", f"{DPR}:sex": ">= 0.8", "mae": "<= 3", "rmse": ">= 5"},
        {f"{EOD}:sex": "<= 0.1", f"{EOD}:sex×race": ">= 0.3", f"{EOPP}:race": ">= 0.2"},
        {"accuracy": ">= 1.01"},  # nothing contradicts it: it fails, and the report says so
        {"my_metric": ">= 12", "equalized_odds_difference:sex": False},
    ],
)
def test_what_may_hold_is_not_refused(gates):
    assert contradiction(gates) is None


PRODUCT = """\
product: loans
task: classification
data:
  source: rows.csv
  target: paid
evaluate:
  gates:
    roc_auc: ">= 0.7"
    GATE
"""


@pytest.mark.parametrize(
    ("gate", "at", "words"),
    [
        (f'{EOD}: "<= 0.1"\n    {EOPP}: ">= 0.2"', "10:35", "cannot both hold"),
        (f'{EOD}: "<= 0.1"', "9:32", "names no column. Name one"),
    ],
)
def test_a_mistake_stands_at_its_line_and_column(tmp_path, gate, at, words):
    (tmp_path / "tradewind.yaml").write_text(PRODUCT.replace("GATE", gate))
    with pytest.raises(ProductFileError, match=words) as caught:
        product_file.load(tmp_path)
    assert str(caught.value.where).endswith(f"tradewind.yaml:{at}")
