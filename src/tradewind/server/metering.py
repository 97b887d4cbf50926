"""The one file where an engine's counts meet the ledger: reserve before work, settle once after it, release on failure.

Not here: leases and journal (`business/ledger.py`, `journal.py`), who calls (`auth.py`), what is predicted.

A request that finds its key remembered, its units in this worker's lease and its token taken ahead passes without
asking anybody (`enter_now`). Settling is one append to the journal, before the reply leaves; the database learns of it
some hundredths of a second later. A client that disconnects before its reply was computed is not billed; one that
disconnects afterwards is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tradewind.business import conversation_keeping, fleet, idempotency, plans, recovery, requests, reviews
from tradewind.business.database import Database
from tradewind.business.journal import Event, Journal
from tradewind.business.ledger import Lease, Ledger, enlist
from tradewind.business.settlement import POOL
from tradewind.business.subscription import Subscription
from tradewind.clock import milliseconds
from tradewind.errors import EnvironmentFailure, TradewindError
from tradewind.server.auth import Authenticator, Customer
from tradewind.server.gate import Call, Headers, Outcome, Refused, Reply, Ticket
from tradewind.server.holdings import Holding
from tradewind.server.settling import SETTLE_S, Settler
from tradewind.server.supply import Supply

T = TypeVar("T")
log = logging.getLogger("tradewind.metering")

_WATCH_S = 0.1
_BEAT_S = 5.0
_SWEEP_S = 5.0
_SLOW_RETRY_S = 1.0


@dataclass(slots=True)
class MeteredTicket(Ticket):
    """What settling needs to know."""

    customer: Customer | None = None
    holding: Holding | None = None
    units: int = 0
    product: str = ""
    meter: str = ""
    idempotency_key: str | None = None


class Meter:
    """The gate of a worker. `start` before the first call, `stop` after the last; everything runs on one event loop
    beside one thread for the database.
    """

    def __init__(self, database: Database, journals: Path, authenticator: Authenticator) -> None:
        self._database = database
        self._journals = journals
        self.authenticator = authenticator
        self._revision = -1
        self._asking = ThreadPoolExecutor(4, thread_name_prefix="gate")
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = asyncio.Event()
        self._cut_off = False
        self._worker_id = ""
        self._ledger: Ledger
        self._journal: Journal
        self._settler: Settler
        self._supply: Supply

    # ------------------------------------------------------------ the life of a worker

    async def start(self) -> None:
        """Enlists this worker and settles what dead ones left behind. Raises EnvironmentFailure."""
        await self._ask(recovery.sweep, self._database)
        self._worker_id, self._journal = await self._ask(enlist, self._database, self._journals)
        self._ledger = Ledger(self._database, self._worker_id)
        self._supply = Supply(self._database, self._ledger, self._ask)
        self._supply.revive = self._beat
        self._settler = Settler(self._journal, self._ledger, self._ask, self._supply.settled)
        self._supply.settling = self._settler.turn
        await self._beat()
        await self._take_in()
        for work, every_s in (
            (self.flush, SETTLE_S),
            (self._watch, _WATCH_S),
            (self._beat, _BEAT_S),
            (self._sweep, _SWEEP_S),
        ):
            self._tasks.append(asyncio.create_task(self._repeat(work, every_s)))

    async def stop(self) -> None:
        """After the last reply: settles everything and gives the leases back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._supply.close()
        try:
            await self.flush()
            await self._ask(recovery.recover, self._database, self._worker_id)
            self._journal.close()
        except EnvironmentFailure as error:
            log.warning("the journal stays for the next worker: %s", error.code)
        self._asking.shutdown(wait=True)

    @property
    def ready(self) -> bool:
        return bool(self._tasks) and not self._ended.is_set()

    @property
    def ended(self) -> asyncio.Event:
        """Set when another worker has found this one dead: it must not serve on."""
        return self._ended

    # ------------------------------------------------------------ the gate

    def enter_now(self, call: Call) -> Ticket | None:
        """Without waiting, or None. Raises Refused where that is certain already."""
        if call.authorization is None or call.idempotency_key is not None:
            return None
        customer = self.authenticator.recall(call.authorization)
        if customer is None:
            return None
        subscription = _entitled(customer, call)
        if subscription is None or not call.units:
            return self._ticket(call, customer, None, units=0)
        holding = self._supply.reserve_now(customer, subscription, POOL, call.units)
        return None if holding is None else self._ticket(call, customer, holding, units=call.units)

    async def enter(self, call: Call) -> Ticket:
        """As `enter_now`, asking the database where it must."""
        if call.authorization is None or (customer := self.authenticator.recall(call.authorization)) is None:
            customer = await self._ask(self.authenticator.find, call.authorization)
        subscription = _entitled(customer, call)
        if subscription is None or not call.units:
            return self._ticket(call, customer, None, units=0)
        account_id = subscription.account_id
        request_id = call.request_id
        if call.idempotency_key is not None:
            begun = await self._ask(
                idempotency.begin, self._database, account_id,
                key=call.idempotency_key, digest=call.digest, request_id=request_id,
            )  # fmt: skip
            if isinstance(begun, idempotency.Replay):
                headers: Headers = tuple((name.encode(), value.encode()) for name, value in begun.headers)
                reply = Reply(begun.status, headers, begun.body)
                return MeteredTicket(account_id, begun.request_id, subscription.price_version, replay=reply)
            if isinstance(begun, idempotency.Conflict):
                raise Refused("This idempotency key was used for another request.", code="idempotency_conflict")
            if isinstance(begun, idempotency.Running):
                raise Refused(
                    "A request with this idempotency key is still running.", code="idempotency_running", retry_after_s=1
                )
            request_id = begun.request_id
        try:
            holding = await self._supply.reserve(customer, subscription, POOL, call.units)
        except BaseException:
            if call.idempotency_key is not None:
                await self._ask(
                    idempotency.abandon, self._database, account_id, key=call.idempotency_key, request_id=request_id
                )
            raise
        return self._ticket(call, customer, holding, units=call.units, request_id=request_id)

    def settle(
        self, ticket: Ticket, units: int, outcome: Outcome, *, by_meter: Mapping[str, int] | None = None
    ) -> None:
        """One record in the journal: from here on the reply is billed, whatever is killed."""
        assert isinstance(ticket, MeteredTicket)
        holding, customer = ticket.holding, ticket.customer
        if holding is None or customer is None:
            return
        assert 0 <= units <= ticket.units
        subscription = customer.access.subscription
        assert subscription is not None
        period_start_ms, at_ms = holding.key.period_start_ms, milliseconds(self._database.clock)
        told = "disconnected" if outcome == "disconnected" else "complete"

        def event(meter: str, part: int) -> Event:
            return Event(
                ticket.request_id, ticket.account_id, customer.access.key_id, subscription.id, period_start_ms, meter, part,
                ticket.product, ticket.release_version, ticket.price_version, told, at_ms,
            )  # fmt: skip

        if by_meter is None:
            events: tuple[Event, ...] = (event(ticket.meter, units),)
        else:
            assert sum(by_meter.values()) == units
            events = tuple(event(meter, part) for meter, part in by_meter.items())
        try:
            end = self._journal.append(events)
        except TradewindError:
            self.release(ticket)
            raise
        holding.reserved -= ticket.units
        holding.unsettled += units
        ticket.holding = None
        self._settler.add(events, end)

    def release(self, ticket: Ticket) -> None:
        """Nothing was answered: the units are free again, and so is the idempotency key."""
        assert isinstance(ticket, MeteredTicket)
        if ticket.holding is not None:
            ticket.holding.reserved -= ticket.units
            ticket.holding = None
        if ticket.idempotency_key is not None:
            key, ticket.idempotency_key = ticket.idempotency_key, None
            self._asking.submit(
                idempotency.abandon, self._database, ticket.account_id, key=key, request_id=ticket.request_id
            )

    async def finish(self, ticket: Ticket, reply: Reply) -> None:
        """Keeps the reply for those who ask again with the same idempotency key."""
        assert isinstance(ticket, MeteredTicket)
        if ticket.idempotency_key is None:
            return
        key, ticket.idempotency_key = ticket.idempotency_key, None
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.headers]
        await self._ask(
            idempotency.finish, self._database, ticket.account_id,
            key=key, request_id=ticket.request_id, status=reply.status, headers=headers, body=reply.body,
            subjects=ticket.subjects,
        )  # fmt: skip

    # ------------------------------------------------------------ beside the requests

    async def flush(self) -> None:
        """Brings what the journal holds into the database."""
        await self._settler.flush()

    async def _watch(self) -> None:
        """Takes in changed keys and plans, and gives back what others wait for or nobody here needs."""
        if await self._ask(self._database.revision) != self._revision:
            await self._take_in()
        await self._supply.tidy()

    @property
    def revision(self) -> int:
        """Of keys, plans, accounts and customers' texts: this worker acts by all changes up to it."""
        return self._revision

    async def _take_in(self) -> None:
        revision = await self._ask(self._database.revision)
        self.authenticator.forget()
        self._revision = revision
        await self._ask(fleet.take_in, self._database, self._worker_id, revision)

    async def _beat(self) -> None:
        try:
            if self._cut_off:
                await self._reconcile()
            beat = await self._ask(self._ledger.heartbeat)
        except EnvironmentFailure as error:
            self._cut_off = True
            if error.code == "environment.worker_ended":
                self._ended.set()
            raise
        self._supply.reserve_until_ms = beat.reserve_until_ms

    async def _reconcile(self) -> None:
        async def look() -> Sequence[Lease]:
            beat = await self._ask(self._ledger.heartbeat)
            return beat.leases

        async with self._settler.turn:
            await self._supply.reconcile(look)
        self._cut_off = False

    async def _sweep(self) -> None:
        for done in await self._ask(recovery.sweep, self._database):
            log.warning(
                "worker %s was gone: %d events billed, %d units given back", done.worker_id, done.events, done.units
            )
        await self._ask(plans.roll, self._database)
        await self._ask(idempotency.forget, self._database)
        while (await self._ask(requests.sweep, self._database)).records:
            continue
        while await self._ask(conversation_keeping.sweep, self._database):
            continue
        await self._ask(reviews.sweep, self._database)

    async def _repeat(self, work: Callable[[], Any], every_s: float) -> None:
        while True:
            try:
                await work()
                await asyncio.sleep(every_s)
            except TradewindError as error:
                log.warning("%s: %s", work.__name__.strip("_"), error.code)
                await asyncio.sleep(max(every_s, _SLOW_RETRY_S))

    async def _ask(self, work: Callable[..., T], *given: Any, **named: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._asking, lambda: work(*given, **named))

    def _ticket(
        self, call: Call, customer: Customer, holding: Holding | None, *, units: int, request_id: str | None = None
    ) -> MeteredTicket:
        subscription = customer.access.subscription
        return MeteredTicket(
            account_id=customer.access.account_id or "operator",
            request_id=request_id or call.request_id,
            price_version=subscription.price_version if subscription is not None else "",
            headers=self._supply.headers(subscription, holding) if subscription and holding else (),
            customer=customer,
            holding=holding,
            units=units,
            product=call.product or "",
            meter=call.meter,
            idempotency_key=call.idempotency_key if holding is not None else None,
        )


def _entitled(customer: Customer, call: Call) -> Subscription | None:
    """The subscription that pays for the call; None for the operator's own key, and where only the key is asked about."""
    access = customer.access
    if access.operator or call.product is None:
        return access.subscription if not access.operator else None
    if not access.may(call.scope):
        raise Refused(
            f"This key may not {call.scope}.", code="scope_missing", hint=f"Use a key with the scope {call.scope}."
        )
    if access.subscription is None:
        raise Refused("The account has no plan at present.", code="no_subscription", hint="Subscribe to a plan.")
    if not access.subscription.allows(call.product):
        raise Refused(f"The plan does not include {call.product}.", code="product_not_allowed", where="model")
    return access.subscription
