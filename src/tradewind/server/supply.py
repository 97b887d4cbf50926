"""What a worker may give out: units from its leases, tokens from the rate limits, fetched before they run out.

Not here: who asks (`metering.py`), what is held in memory (`holdings.py`), the database behind it (`business/ledger.py`,
`business/limits.py`). Everything runs on the event loop; `ask` runs a function in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from tradewind.business import credit, limits, recovery
from tradewind.business.database import Database
from tradewind.business.journal import Event
from tradewind.business.ledger import Grant, Lease, Ledger
from tradewind.business.settlement import POOL, Key
from tradewind.business.subscription import Subscription
from tradewind.clock import milliseconds
from tradewind.errors import EnvironmentFailure, TradewindError
from tradewind.server.auth import Customer
from tradewind.server.gate import Headers, Refused
from tradewind.server.holdings import Holding, Tokens
from tradewind.tariff import Plan

log = logging.getLogger("tradewind.metering")

_RECALL_WAIT_S = 3.0  # an answer takes a tenth of that; refusing units that lie unspent is worse than waiting
_RECALL_ASK_S = 0.01
_REFILL_PAUSE_S = 0.1


class Supply:
    """The units and tokens of one worker."""

    def __init__(self, database: Database, ledger: Ledger, ask: Callable[..., Awaitable[Any]]) -> None:
        self._database = database
        self._ledger = ledger
        self._ask = ask
        self._holdings: dict[tuple[str, str], Holding] = {}
        self._tokens: dict[str, _Buckets] = {}  # by account
        self._running: set[asyncio.Task[None]] = set()
        self.reserve_until_ms = 0  # beyond it others may have given this worker's leases back
        self.settling = asyncio.Lock()  # held while events settle; taken before any holding's turn
        self.revive: Callable[[], Awaitable[None]]  # asks for a later `reserve_until_ms`

    # ------------------------------------------------------------ units

    def reserve_now(self, customer: Customer, subscription: Subscription, meter: str, units: int) -> Holding | None:
        """Units and tokens from what is at hand, or None."""
        holding = self._holdings.get((subscription.account_id, meter))
        if holding is None or customer.period is None or holding.key.period_start_ms != customer.period.start_ms:
            return None
        if holding.free < units or milliseconds(self._database.clock) > self.reserve_until_ms:
            return None
        terms = subscription.terms
        if (terms.rate is not None or terms.unit_rate is not None) and not self._spend(subscription, units):
            return None
        holding.reserve(units)
        if holding.low and not holding.refilling:
            self._refill(holding, subscription)
        return holding

    async def reserve(self, customer: Customer, subscription: Subscription, meter: str, units: int) -> Holding:
        """Tokens, then units, asking the database for what is not at hand. Raises Refused, EnvironmentFailure."""
        await self._rate(subscription, units)
        return await self._reserve(customer, subscription, meter, units)

    async def _reserve(self, customer: Customer, subscription: Subscription, meter: str, units: int) -> Holding:
        holding = self._holding(customer, subscription, meter)
        arrived_s = time.monotonic()
        recall: int | None = None
        while True:
            async with holding.turn:
                # Whoever came before the quota was found used up need not ask again: the answer is his too.
                if holding.exhausted_s > arrived_s and units >= holding.exhausted_units:
                    raise self._used_up(holding, subscription)
                if milliseconds(self._database.clock) > self.reserve_until_ms:
                    await self.revive()
                if holding.free < units:
                    asked_s = time.monotonic()
                    short = units - holding.free
                    grant: Grant = await self._ask(self._grant, holding, subscription, short, recall)
                    if not grant.units and (not grant.pending or asked_s > arrived_s + _RECALL_WAIT_S):
                        holding.exhausted_s, holding.exhausted_units = asked_s, units
                        holding.beyond = grant.free
                        raise self._used_up(holding, subscription)
                    holding.filled(grant.units, grant.free)
                if holding.free >= units:
                    holding.reserve(units)
                    return holding
            # Others hold unspent units and are asked for them, without this worker's turn: it may have to answer too.
            if recall is None:
                await self._ask(recovery.sweep, self._database)
            recall = grant.recall
            await asyncio.sleep(_RECALL_ASK_S)

    def _holding(self, customer: Customer, subscription: Subscription, meter: str) -> Holding:
        assert customer.period is not None
        place = (subscription.account_id, meter)
        holding = self._holdings.get(place)
        if holding is None or holding.key.period_start_ms != customer.period.start_ms:
            if holding is not None:
                self._beside(self._return(holding))
            holding = Holding(Key(subscription.account_id, customer.period.start_ms, meter))
            self._holdings[place] = holding
        return holding

    def _grant(self, holding: Holding, subscription: Subscription, units: int, recall: int | None = None) -> Grant:
        """Runs in the gate's threads."""
        cap = self._cap(subscription)
        want = max(units, holding.slice(capped=cap is not None))
        return self._ledger.take(*holding.key, units=units, want=want, cap=cap, recall=recall)

    def _cap(self, subscription: Subscription) -> int | None:
        terms = subscription.terms
        cap = terms.hard_cap
        if not terms.prepaid or terms.overage is None or terms.overage.amount == 0:
            return cap
        balance = credit.balance(self._database, subscription.account_id, terms.currency)
        bought = terms.included
        if balance.amount_minor > 0:
            bought += terms.overage.units_within(balance)
        return bought if cap is None else min(cap, bought)

    def _refill(self, holding: Holding, subscription: Subscription) -> None:
        """Fetches the next slice while the present one lasts."""
        holding.refilling = True

        async def fetch() -> None:
            try:
                async with holding.turn:
                    if holding.low:
                        grant = await self._ask(self._grant, holding, subscription, 1)
                        holding.filled(grant.units, grant.free)
            except TradewindError as error:
                log.warning("no further units could be leased: %s", error.code)
            finally:
                # Near the cap there is no slice to fetch: requests then ask one by one.
                asyncio.get_running_loop().call_later(_REFILL_PAUSE_S, setattr, holding, "refilling", False)

        self._beside(fetch())

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _return(self, holding: Holding, recall: int | None = None) -> None:
        # Nothing settles meanwhile: what is kept for it would come back short by so much, though others wait for all of it.
        async with self.settling, holding.turn:
            # What is free now must not be reserved while the database is told that it went back.
            returned = holding.free
            holding.lease -= returned
            try:
                keep = holding.reserved + holding.unsettled
                await self._ask(self._give_back, holding.key, keep, recall)
            except TradewindError:
                holding.lease += returned
                raise

    def _give_back(self, key: Key, keep: int, recall: int | None) -> int:
        return self._ledger.give_back(*key, keep=keep, recall=recall)

    def _used_up(self, holding: Holding, subscription: Subscription) -> Refused:
        terms = subscription.terms
        period = subscription.period(milliseconds(self._database.clock))
        wait_s = max(1.0, (period.end_ms - milliseconds(self._database.clock)) / 1000)
        headers = _unit_headers(subscription, 0, wait_s)
        if terms.prepaid and (terms.cap is None or holding.beyond == 0):
            return Refused(
                f"The included {terms.included} units and the credit are used up.", code="credit_used_up",
                hint="Redeem a code, or wait for the next period.", retry_after_s=wait_s, headers=headers,
            )  # fmt: skip
        return Refused(
            f"The {terms.hard_cap} units of this period are used up.", code="quota_used_up",
            hint="Change the plan, or wait for the next period.", retry_after_s=wait_s, headers=headers,
        )  # fmt: skip

    # ------------------------------------------------------------ rates

    def _spend(self, subscription: Subscription, units: int) -> bool:
        requests, rows = self._buckets(subscription)
        if requests is not None and not requests.spend(1):
            return False
        if rows is not None and not rows.spend(units):
            if requests is not None:
                requests.left += 1
            return False
        for tokens in (requests, rows):
            if tokens is not None and tokens.low and not tokens.refilling:
                self._top_up(subscription.account_id, tokens)
        return True

    def _buckets(self, subscription: Subscription) -> tuple[Tokens | None, Tokens | None]:
        """Of requests and of units; each None where the plan sets no such rate."""
        found = self._tokens.get(subscription.account_id)
        if found is None or found.terms is not subscription.terms:
            found = self._tokens[subscription.account_id] = _Buckets.of(subscription.terms, found)
        return found.requests, found.units

    async def _rate(self, subscription: Subscription, units: int) -> None:
        for tokens, wanted in zip(self._buckets(subscription), (1, units), strict=True):
            if tokens is None:
                continue
            async with tokens.turn:
                if tokens.spend(wanted):
                    continue
                taken = await self._draw(subscription.account_id, tokens, wanted)
                if not taken.tokens:
                    raise _too_fast(tokens, wanted, taken)
                tokens.left += taken.tokens
                tokens.spend(wanted)

    async def _draw(self, account_id: str, tokens: Tokens, least: int) -> limits.Taken:
        want = max(least, tokens.ahead - tokens.left)
        try:
            taken: limits.Taken = await self._ask(
                limits.refill_and_take, self._database, account_id, tokens.kind,
                rate_per_s=tokens.rate_per_s, want=want, least=least,
            )  # fmt: skip
            return taken
        except EnvironmentFailure:
            # Without the database each worker allows the whole rate by itself.
            return tokens.alone(want, least)

    def _top_up(self, account_id: str, tokens: Tokens) -> None:
        """Takes the next tokens while there are some left."""
        tokens.refilling = True

        async def draw() -> None:
            try:
                async with tokens.turn:
                    tokens.left += (await self._draw(account_id, tokens, 1)).tokens
            finally:
                tokens.refilling = False

        self._beside(draw())

    # ------------------------------------------------------------ beside the requests

    @property
    def capped(self) -> bool:
        """Whether any lease is from a quota with a cap: only those are recalled."""
        return any(holding.beyond is not None for holding in self._holdings.values())

    def settled(self, event: Event) -> None:
        """The database has taken an event: its units are no longer leased."""
        holding = self._holdings.get((event.account_id, POOL))
        if holding is not None and holding.key.period_start_ms == event.period_start_ms:
            holding.unsettled -= event.units
            holding.lease -= event.units

    async def tidy(self) -> None:
        """Gives back what others wait for, and what nobody here needs."""
        held = {holding.key: holding for holding in self._holdings.values()}
        if self.capped:
            for recall in await self._ask(self._ledger.recalled):
                if (holding := held.get(recall.key)) is not None:
                    await self._return(holding, recall.recall)
        for holding in held.values():
            if holding.idle:
                await self._return(holding)

    async def reconcile(self, look: Callable[[], Awaitable[Sequence[Lease]]]) -> None:
        """After a time without the database: others may have given back leases of this worker that had expired."""
        holdings = list(self._holdings.values())
        for holding in holdings:
            await holding.turn.acquire()
        try:
            held = {lease.key: lease.units for lease in await look()}
            for holding in holdings:
                running = holding.reserved + holding.unsettled
                holding.lease = max(running, min(holding.lease, held.get(holding.key, 0)))
        finally:
            for holding in holdings:
                holding.turn.release()

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def headers(self, subscription: Subscription, holding: Holding) -> Headers:
        """What is left, as OpenAI says it: x-ratelimit-remaining-requests and its kin, and the same for units."""
        found: Headers = ()
        requests, _ = self._buckets(subscription)
        if requests is not None:
            found = (
                (b"x-ratelimit-limit-requests", b"%d" % max(1, int(requests.rate_per_s))),
                (b"x-ratelimit-remaining-requests", b"%d" % requests.left),
                (b"x-ratelimit-reset-requests", b"1s"),
            )
        if holding.beyond is not None:
            found += _unit_headers(subscription, holding.beyond + holding.free, None)
        return found


@dataclass(frozen=True)
class _Buckets:
    """Tokens of one account, by the terms that it had when they were made."""

    terms: Plan
    requests: Tokens | None
    units: Tokens | None

    @classmethod
    def of(cls, terms: Plan, before: _Buckets | None) -> _Buckets:
        """What an equal rate left over goes on."""

        def tokens(kind: str, rate: float | None, known: Tokens | None) -> Tokens | None:
            if rate is None:
                return None
            return known if known is not None and known.rate_per_s == rate else Tokens(kind, rate)

        requests, units = (None, None) if before is None else (before.requests, before.units)
        return cls(terms, tokens("requests", terms.rate_per_s, requests), tokens("units", terms.units_per_s, units))


def _unit_headers(subscription: Subscription, left: int, reset_s: float | None) -> Headers:
    cap = subscription.terms.hard_cap
    headers: Headers = ((b"x-ratelimit-remaining-units", b"%d" % max(0, left)),)
    if cap is not None:
        headers = ((b"x-ratelimit-limit-units", b"%d" % cap), *headers)
    if reset_s is not None:
        headers += ((b"x-ratelimit-reset-units", b"%ds" % int(reset_s)),)
    return headers


def _too_fast(tokens: Tokens, wanted: int, taken: limits.Taken) -> Refused:
    if taken.wait_s is None:
        return Refused(
            f"{wanted} {tokens.kind} at once never fit into {tokens.rate_per_s:g} a second.",
            code=f"{tokens.kind}_limited",
            hint="Ask for fewer in one request.",
        )
    headers: Headers = (
        (b"x-ratelimit-limit-" + tokens.kind.encode(), b"%d" % max(1, int(tokens.rate_per_s))),
        (b"x-ratelimit-remaining-" + tokens.kind.encode(), b"%d" % taken.left),
        (b"x-ratelimit-reset-" + tokens.kind.encode(), b"%.3fs" % taken.wait_s),
    )
    return Refused(
        f"The plan allows {tokens.rate_per_s:g} {tokens.kind} a second.",
        code=f"{tokens.kind}_limited",
        hint=f"Try again in {taken.wait_s:.3f} s.",
        retry_after_s=taken.wait_s,
        headers=headers,
    )
