"""What an account agreed to pay and gets, for how long. Not here: how that comes about and changes (`plans.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tradewind.business.periods import Period, period_at
from tradewind.files import digest_json
from tradewind.tariff import Plan


@dataclass(frozen=True)
class Subscription:
    """In force from `started_ms` on and before `until_ms`. `terms` are the plan's as they were when agreed."""

    id: str
    account_id: str
    plan: str
    terms: Plan
    price_version: str
    started_ms: int
    anchor_ms: int
    trial_end_ms: int | None
    cancel_ms: int | None
    ended_ms: int | None
    next_plan: str | None
    next_terms: Plan | None

    @property
    def until_ms(self) -> int | None:
        """When it ended or will end, as far as is known: a worker asks again from that moment on."""
        return self.ended_ms if self.ended_ms is not None else self.cancel_ms

    def period(self, at_ms: int) -> Period:
        """The account's period that holds `at_ms`; it may begin before this subscription did."""
        return period_at(self.anchor_ms, at_ms)

    def in_trial(self, at_ms: int) -> bool:
        return self.trial_end_ms is not None and at_ms < self.trial_end_ms

    def is_due(self, at_ms: int) -> bool:
        """Whether the end that it waits for has come and was not applied yet (`plans.roll`)."""
        return self.ended_ms is None and self.cancel_ms is not None and self.cancel_ms <= at_ms

    def allows(self, product: str) -> bool:
        return self.terms.products is None or product in self.terms.products


def price_version(terms: Plan) -> str:
    """16 hexadecimal digits that name the terms: equal terms, equal version."""
    return digest_json(terms.model_dump(mode="json", exclude_defaults=True)).removeprefix("sha256:")[:16]


def subscription_of(row: Mapping[str, Any]) -> Subscription:
    """A row of the table `subscriptions`."""
    next_terms = None if row["next_terms"] is None else _terms(row["next_terms"])
    return Subscription(**{**row, "terms": _terms(row["terms"]), "next_terms": next_terms})


@lru_cache(maxsize=256)
def _terms(text: str) -> Plan:
    return Plan.model_validate_json(text)
