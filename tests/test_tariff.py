"""Plans as the product file writes them."""

import pytest
from pydantic import ValidationError

from tradewind.money import Money, parse_price
from tradewind.tariff import Plan


def test_a_plan_reads_money_price_and_rate():
    plan = Plan.model_validate({"monthly": "299 CNY", "included": 100, "overage": "0.002 CNY", "rate": "90/min"})
    assert plan.monthly == Money(29900, "CNY")
    assert plan.overage == parse_price("0.002 CNY")
    assert plan.rate_per_s == 1.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"monthly": "299"}, "no amount"),
        ({"overage": "0.1 USD"}, "but overage in USD"),
        ({"rate": "fast"}, "no rate"),
        ({"included": -1}, "greater than or equal to 0"),
        ({"extra": 1}, "not permitted"),
    ],
)
def test_a_mistake_in_a_plan_is_refused(change, words):
    with pytest.raises(ValidationError, match=words):
        Plan.model_validate({"monthly": "299 CNY", "included": 1, **change})
