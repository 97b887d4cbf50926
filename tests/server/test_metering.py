"""The gate with the books behind it: nobody passes a cap, nothing is billed twice, nothing stays reserved."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, select

from tradewind.business import accounts, credit, keys, meters, plans
from tradewind.business.journal import Event
from tradewind.business.tables import leases, quotas, usage_events
from tradewind.errors import InputError
from tradewind.money import Money
from tradewind.server.auth import Authenticator
from tradewind.server.gate import Call, Refused, Reply
from tradewind.server.metering import Meter
from tradewind.server.settling import Settler
from tradewind.tariff import Plan

GENEROUS = {"monthly": "9 CNY", "included": 1000, "overage": "0.01 CNY"}


def customer(database, terms=GENEROUS, name="Ann"):
    """An account with a plan, and the header that its key is sent in."""
    account = accounts.add(database, name, actor="test")
    plans.subscribe(database, account.id, plan="pro", terms=Plan.model_validate(terms), actor="test")
    issued = keys.issue(database, account.id, name="key", scopes=["predict"], actor="test")
    return account.id, f"Bearer {issued.secret}".encode(), issued.key


@asynccontextmanager
async def gate(database, folder):
    meter = Meter(database, folder / "journals", Authenticator(database))
    await meter.start()
    try:
        yield meter
    finally:
        await meter.stop()


def call(header, *, units=1, number=1, **further):
    return Call(authorization=header, method="POST", path="/v1/predict", request_id=f"req_{number}", product="churn",
                units=units, **further)  # fmt: skip


async def enter(meter, asked):
    return meter.enter_now(asked) or await meter.enter(asked)


async def serve(meter, asked, *, units=None):
    ticket = await enter(meter, asked)
    ticket.release_version = "v1"
    meter.settle(ticket, ticket.units if units is None else units, "served")
    return ticket


def reserved(database):
    with database.reading() as connection:
        granted = connection.execute(select(func.coalesce(func.sum(quotas.c.granted), 0))).scalar()
        leased = connection.execute(select(func.coalesce(func.sum(leases.c.units), 0))).scalar()
    return int(granted), int(leased)


def test_what_was_settled_is_billed_and_nothing_stays_reserved(database, tmp_path):
    account, header, _ = customer(database)

    async def story():
        async with gate(database, tmp_path) as meter:
            for number in range(5):
                await serve(meter, call(header, units=2, number=number))

    asyncio.run(story())
    usage = meters.usage(database, account)
    assert (usage.units, usage.requests) == (10, 5)
    assert reserved(database) == (0, 0)
    assert meters.agree(database) == []


def test_a_second_request_passes_without_waiting(database, tmp_path):
    _, header, _ = customer(database)

    async def story():
        async with gate(database, tmp_path) as meter:
            assert meter.enter_now(call(header)) is None
            await serve(meter, call(header))
            ticket = meter.enter_now(call(header, number=2))
            assert ticket is not None
            meter.release(ticket)

    asyncio.run(story())


def test_what_was_released_is_not_billed(database, tmp_path):
    account, header, _ = customer(database)

    async def story():
        async with gate(database, tmp_path) as meter:
            meter.release(await enter(meter, call(header, units=7)))

    asyncio.run(story())
    assert meters.usage(database, account).requests == 0
    assert reserved(database) == (0, 0)


def test_rows_that_were_not_answered_are_not_charged(database, tmp_path):
    account, header, _ = customer(database)

    async def story():
        async with gate(database, tmp_path) as meter:
            await serve(meter, call(header, units=5), units=3)
            await meter.flush()
            await serve(meter, call(header, units=5, number=2), units=0)

    asyncio.run(story())
    usage = meters.usage(database, account)
    assert (usage.units, usage.requests) == (3, 2)
    assert reserved(database) == (0, 0)


def test_two_workers_serve_exactly_the_cap(database, tmp_path):
    account, header, _ = customer(database, {"monthly": "9 CNY", "included": 10, "cap": 10})

    async def one(meter, number):
        try:
            await serve(meter, call(header, number=number))
        except Refused as error:
            return error.code
        return "served"

    async def story():
        async with gate(database, tmp_path) as left, gate(database, tmp_path) as right:
            return await asyncio.gather(*(one((left, right)[n % 2], n) for n in range(60)))

    assert Counter(asyncio.run(story())) == {"served": 10, "input.quota_used_up": 50}
    assert meters.usage(database, account).units == 10
    assert reserved(database) == (0, 0)


def test_what_another_worker_holds_unspent_is_not_refused(database, tmp_path):
    account, header, _ = customer(database, {"monthly": "9 CNY", "included": 400})

    async def story():
        async with gate(database, tmp_path) as left, gate(database, tmp_path) as right:
            await serve(left, call(header, number=0))
            assert reserved(database)[0] > 1
            await serve(right, call(header, units=399, number=1))

    asyncio.run(story())
    assert meters.usage(database, account).units == 400


def test_a_dead_workers_journal_is_billed_once_by_the_next(database, tmp_path):
    account, header, _ = customer(database)

    async def killed():
        meter = Meter(database, tmp_path / "journals", Authenticator(database))
        await meter.start()
        await serve(meter, call(header, units=3))
        for task in meter._tasks:
            task.cancel()
        meter._journal.close()  # what the operating system does when a process dies

    async def next_one():
        async with gate(database, tmp_path):
            pass

    asyncio.run(killed())
    assert meters.usage(database, account).units == 0
    asyncio.run(next_one())
    asyncio.run(next_one())
    assert meters.usage(database, account).units == 3
    assert reserved(database) == (0, 0)


def test_too_many_requests_are_told_when_to_come_again(database, tmp_path, clock):
    _, header, _ = customer(database, {**GENEROUS, "rate": "2/s"})

    async def story():
        async with gate(database, tmp_path) as meter:
            await serve(meter, call(header, number=1))
            await serve(meter, call(header, number=2))
            with pytest.raises(Refused) as refused:
                await enter(meter, call(header, number=3))
            assert refused.value.code == "input.requests_limited"
            assert refused.value.retry_after_s == pytest.approx(0.5)
            clock.advance(0.5)
            await serve(meter, call(header, number=4))

    asyncio.run(story())


def test_more_rows_at_once_than_the_rate_ever_gives_are_refused_for_good(database, tmp_path):
    _, header, _ = customer(database, {**GENEROUS, "unit_rate": "5/s"})

    async def story():
        async with gate(database, tmp_path) as meter:
            with pytest.raises(Refused, match="never fit") as refused:
                await enter(meter, call(header, units=6))
            assert refused.value.retry_after_s is None

    asyncio.run(story())


def test_a_revoked_key_is_refused_as_soon_as_the_worker_has_taken_it_in(database, tmp_path):
    _, header, key = customer(database)

    async def story():
        async with gate(database, tmp_path) as meter:
            await serve(meter, call(header))
            keys.revoke(database, key.id, actor="test")
            await meter._watch()
            with pytest.raises(InputError) as refused:
                await enter(meter, call(header, number=2))
            assert refused.value.code == "input.key_revoked"

    asyncio.run(story())


@pytest.mark.parametrize(("terms", "scopes", "code"), [
    ({**GENEROUS, "products": ["other"]}, ["predict"], "product_not_allowed"),
    (GENEROUS, ["usage"], "scope_missing"),
])  # fmt: skip
def test_what_the_plan_or_the_key_does_not_allow_is_refused(database, tmp_path, terms, scopes, code):
    account, _, _ = customer(database, terms)
    secret = keys.issue(database, account, name="narrow", scopes=scopes, actor="test").secret

    async def story():
        async with gate(database, tmp_path) as meter:
            with pytest.raises(Refused) as refused:
                await enter(meter, call(f"Bearer {secret}".encode()))
            assert refused.value.code == f"input.{code}"

    asyncio.run(story())


def test_the_same_idempotency_key_gets_the_same_reply_and_is_billed_once(database, tmp_path):
    account, header, _ = customer(database)
    reply = Reply(200, ((b"content-type", b"application/json"),), b"{}")

    async def story():
        async with gate(database, tmp_path) as meter:
            first = await enter(meter, call(header, idempotency_key="k", body=b"one"))
            with pytest.raises(Refused) as running:
                await enter(meter, call(header, number=2, idempotency_key="k", body=b"one"))
            assert running.value.code == "input.idempotency_running"
            meter.settle(first, 1, "served")
            await meter.finish(first, reply)
            again = await enter(meter, call(header, number=3, idempotency_key="k", body=b"one"))
            assert again.replay == reply
            with pytest.raises(Refused) as other:
                await enter(meter, call(header, number=4, idempotency_key="k", body=b"two"))
            assert other.value.code == "input.idempotency_conflict"

    asyncio.run(story())
    assert meters.usage(database, account).units == 1


def test_a_released_request_leaves_its_idempotency_key_free(database, tmp_path):
    _, header, _ = customer(database)

    async def story():
        async with gate(database, tmp_path) as meter:
            meter.release(await enter(meter, call(header, idempotency_key="k")))
            for _ in range(100):
                try:
                    meter.release(await enter(meter, call(header, number=2, idempotency_key="k")))
                    return
                except Refused:
                    await asyncio.sleep(0.02)
            pytest.fail("the key was never free again")

    asyncio.run(story())


def test_prepaid_units_end_with_the_credit_and_go_on_with_more(database, tmp_path):
    account, header, _ = customer(database, {"monthly": "0 CNY", "included": 2, "overage": "1 CNY", "prepaid": True})
    credit.grant(database, account, amount=Money(300, "CNY"), actor="test")

    async def story():
        async with gate(database, tmp_path) as meter:
            for number in range(5):
                await serve(meter, call(header, number=number))
            with pytest.raises(Refused) as refused:
                await enter(meter, call(header, number=6))
            assert refused.value.code == "input.credit_used_up"
            credit.grant(database, account, amount=Money(100, "CNY"), actor="test")
            await serve(meter, call(header, number=7))

    asyncio.run(story())
    assert meters.usage(database, account).units == 6


def test_a_new_period_has_units_of_its_own(database, tmp_path, clock):
    account, header, _ = customer(database, {"monthly": "9 CNY", "included": 3})

    async def story():
        async with gate(database, tmp_path) as meter:
            await serve(meter, call(header, units=3))
            with pytest.raises(Refused):
                await enter(meter, call(header, number=2))
            clock.advance(32 * 86400)
            meter.authenticator.forget()
            await meter._beat()
            await serve(meter, call(header, units=3, number=3))

    asyncio.run(story())
    assert meters.usage(database, account).units == 6
    assert reserved(database) == (0, 0)


def test_events_that_found_no_room_in_memory_are_read_from_the_journal(database, tmp_path):
    account, header, _ = customer(database)

    async def story():
        async with gate(database, tmp_path) as meter:
            taken: list[Event] = []
            meter._settler = Settler(meter._journal, meter._ledger, meter._ask, taken.append, kept=3)
            async with meter._settler.turn:  # as long as the database cannot be reached
                for number in range(20):
                    await serve(meter, call(header, number=number))
            await meter.flush()
            assert len(taken) == 20

    asyncio.run(story())
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(usage_events)).scalar() == 20
    assert meters.usage(database, account).units == 20


def test_rows_and_tokens_draw_on_one_cap(database, tmp_path):
    account, header, _ = customer(database, {"monthly": "9 CNY", "included": 10, "cap": 10})
    tokens = {"prompt_tokens": 4, "completion_tokens": 3}

    async def story():
        async with gate(database, tmp_path) as meter:
            await serve(meter, call(header, units=2))
            ticket = await enter(meter, call(header, units=8, number=2))
            meter.settle(ticket, 7, "served", by_meter=tokens)
            with pytest.raises(Refused):
                await enter(meter, call(header, units=2, number=3))
            await serve(meter, call(header, number=4))

    asyncio.run(story())
    used = meters.usage(database, account)
    assert (used.units, used.requests, used.by_meter) == (10, 3, {"rows": 3, **tokens})
    assert meters.agree(database) == []
    assert reserved(database) == (0, 0)


def test_the_records_of_one_request_settle_together_however_they_are_cut(database, tmp_path):
    account, header, _ = customer(database)

    async def story():
        async with gate(database, tmp_path) as meter:
            meter._settler = Settler(meter._journal, meter._ledger, meter._ask, meter._supply.settled, kept=2)
            async with meter._settler.turn:  # as long as the database cannot be reached
                for number in range(7):
                    ticket = await enter(meter, call(header, units=5, number=number))
                    meter.settle(ticket, 5, "served", by_meter={"prompt_tokens": 2, "completion_tokens": 3})
            await meter.flush()

    asyncio.run(story())
    used = meters.usage(database, account)
    assert (used.requests, used.by_meter) == (7, {"prompt_tokens": 14, "completion_tokens": 21})
    assert reserved(database) == (0, 0)
