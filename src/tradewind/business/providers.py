"""Payment providers by name, ready to collect. Not here: what they do (`payments.py`, `stripe.py`).

An entry point of `tradewind.payments` is a class with `opened(environment, *, cards)`: secrets come from the environment
and stand nowhere else; `cards` is what the database keeps of each account for this provider. One that reports by itself has
`heard(payload, headers, *, environment, clock) -> Answer | None` too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

from tradewind import plugins
from tradewind.business import payment_methods
from tradewind.business.database import Database
from tradewind.business.payments import Answer, Provider
from tradewind.clock import Clock
from tradewind.errors import InputError


@contextmanager
def provider(database: Database, name: str, *, environment: Mapping[str, str]) -> Iterator[Provider]:
    """The provider called `name`, closed at the end of the block.

    Raises InputError `plugin_unknown`; EnvironmentFailure `payment_key` where its secret is not in the environment.
    """
    kind = plugins.load("payments", name)
    made = cast(Provider, kind.opened(environment, cards=payment_methods.cards(database, name)))
    try:
        yield made
    finally:
        made.close()


def heard(
    name: str, payload: bytes, headers: Mapping[str, str], *, environment: Mapping[str, str], clock: Clock
) -> Answer | None:
    """What the provider `name` reports of a payment; None for an event about something else.

    Raises InputError `plugin_unknown` where it reports nothing, `payment_signature`, `payment_webhook`; EnvironmentFailure
    `payment_key` where the secret that proves it is not in the environment.
    """
    kind = plugins.load("payments", name)
    listens = getattr(kind, "heard", None)
    if listens is None:
        raise InputError(f"{name} reports nothing by itself.", code="plugin_unknown")
    answer: Answer | None = listens(payload, headers, environment=environment, clock=clock)
    return answer
