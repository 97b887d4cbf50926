"""Subscriptions start, change now or later, end, and start again; what is due is applied at its moment, however late."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradewind.business import accounts, audit, plans
from tradewind.business.database import Database
from tradewind.business.periods import Period
from tradewind.clock import FixedClock
from tradewind.errors import InputError
from tradewind.tariff import Plan

FREE = Plan(monthly="0 CNY", included=1000)
PRO = Plan(monthly="299 CNY", included=100_000, overage="0.002 CNY", rate="50/s", products=["credit-risk"])
TEAM = Plan(monthly="999 CNY", included=500_000, overage="0.001 CNY")
TRIAL = Plan(monthly="299 CNY", included=100_000, trial_days=45)
DOLLARS = Plan(monthly="999 USD", included=1)
DAY_S, DAY_MS = 86_400, 86_400_000


def code_of(caught):
    return caught.value.code.removeprefix("input.")


def day(text):
    return int(datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


NOON = day("2026-03-10T12:00")
END = day("2026-04-10T12:00")


@pytest.fixture
def account(database):
    return accounts.add(database, "Harbour", actor="operator")


def subscribe(database, account, plan="pro", terms=PRO):
    return plans.subscribe(database, account.id, plan=plan, terms=terms, actor="operator")


def change(database, account, plan, terms, when=None):
    return plans.change(database, account.id, plan=plan, terms=terms, when=when, actor="operator")


# ---------------------------------------------------------------- start


def test_a_subscription_starts_now_and_is_read_back_whole(database, account):
    started = subscribe(database, account)
    assert plans.current(database, account.id) == started
    assert (started.plan, started.terms, started.started_ms, started.anchor_ms) == ("pro", PRO, NOON, NOON)
    assert started.price_version == plans.price_version(PRO)
    assert started.period(NOON) == Period(NOON, END)
    assert started.until_ms is None


def test_it_allows_the_products_of_its_plan(database, account):
    started = subscribe(database, account)
    assert started.allows("credit-risk")
    assert not started.allows("other")
    assert change(database, account, "team", TEAM).allows("other")


def test_starting_bumps_the_revision_and_is_logged(database, account):
    before = database.revision()
    started = subscribe(database, account)
    assert database.revision() == before + 1
    entry = audit.entries(database)[-1]
    assert (entry.action, entry.subject) == ("plan.subscribe", started.id)
    assert entry.detail == {"account": account.id, "plan": "pro", "price_version": started.price_version}


def test_an_account_has_one_subscription(database, account):
    subscribe(database, account)
    with pytest.raises(InputError, match="Change its plan instead") as caught:
        subscribe(database, account, "team", TEAM)
    assert code_of(caught) == "subscribed"


def test_of_many_that_subscribe_at_once_one_succeeds(database, account):
    def attempt(_):
        try:
            return subscribe(database, account).plan
        except InputError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))) == ["input.subscribed"] * 7 + ["pro"]


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb"])
def test_a_bad_name_of_a_plan_is_refused(database, account, name):
    with pytest.raises(InputError) as caught:
        subscribe(database, account, name)
    assert code_of(caught) == "plan_name"


def test_an_unknown_or_closed_account_gets_no_plan(database, account):
    with pytest.raises(InputError, match="no account acc_none"):
        plans.subscribe(database, "acc_none", plan="pro", terms=PRO, actor="operator")
    with pytest.raises(InputError, match="no account acc_none"):
        plans.current(database, "acc_none")
    accounts.close(database, account.id, actor="operator")
    with pytest.raises(InputError, match="is closed"):
        subscribe(database, account)


def test_without_a_subscription_there_is_nothing_to_show_or_change(database, account):
    for act in (
        lambda: plans.current(database, account.id),
        lambda: plans.cancel(database, account.id, actor="operator"),
        lambda: plans.resume(database, account.id, actor="operator"),
        lambda: change(database, account, "pro", PRO),
    ):
        with pytest.raises(InputError) as caught:
            act()
        assert code_of(caught) == "no_subscription"


def test_a_price_version_names_the_terms_and_nothing_else():
    spelled_out = Plan.model_validate_json(PRO.model_dump_json())
    assert plans.price_version(spelled_out) == plans.price_version(PRO)
    assert len(plans.price_version(PRO)) == 16
    dearer = PRO.model_copy(update={"monthly": TEAM.monthly})
    assert plans.price_version(dearer) != plans.price_version(PRO)


# ---------------------------------------------------------------- trial


def test_a_trial_ends_where_the_first_paid_period_begins(database, account):
    started = subscribe(database, account, terms=TRIAL)
    ends = NOON + 45 * DAY_MS
    assert (started.trial_end_ms, started.anchor_ms) == (ends, ends)
    assert started.period(ends) == Period(ends, day("2026-05-24T12:00"))
    assert started.in_trial(ends - 1)
    assert not started.in_trial(ends)


def test_a_trial_is_cut_into_months_counted_back_from_its_end(database, account):
    started = subscribe(database, account, terms=TRIAL)
    assert started.period(NOON) == Period(day("2026-02-24T12:00"), day("2026-03-24T12:00"))
    assert started.period(day("2026-03-24T12:00")) == Period(day("2026-03-24T12:00"), started.trial_end_ms)


def test_an_upgrade_in_the_trial_keeps_the_trial_and_its_periods(database, account, clock):
    started = subscribe(database, account, terms=TRIAL)
    clock.advance(5 * DAY_S)
    upgraded = change(database, account, "team", TEAM)
    assert (upgraded.trial_end_ms, upgraded.anchor_ms) == (started.trial_end_ms, started.anchor_ms)
    assert upgraded.period(NOON) == started.period(NOON)


def test_an_account_has_one_trial_in_its_life(database, account, clock):
    subscribe(database, account, terms=TRIAL)
    plans.cancel(database, account.id, actor="operator")
    clock.advance(60 * DAY_S)
    again = subscribe(database, account, terms=TRIAL)
    assert again.trial_end_ms is None
    assert again.anchor_ms == again.started_ms


# ---------------------------------------------------------------- change


def test_an_upgrade_is_at_once_and_keeps_the_period(database, account, clock):
    first = subscribe(database, account)
    clock.advance(10 * DAY_S)
    second = change(database, account, "team", TEAM)
    assert second.id != first.id
    assert (second.started_ms, second.anchor_ms) == (NOON + 10 * DAY_MS, NOON)
    assert second.period(second.started_ms) == Period(NOON, END)
    old, new = plans.history(database, account.id)
    assert (old.id, old.ended_ms) == (first.id, second.started_ms)
    assert new == second == plans.current(database, account.id)


def test_a_downgrade_waits_for_the_end_of_the_period(database, account, clock):
    first = subscribe(database, account)
    clock.advance(10 * DAY_S)
    waiting = change(database, account, "free", FREE)
    assert (waiting.id, waiting.plan, waiting.next_plan, waiting.next_terms) == (first.id, "pro", "free", FREE)
    assert waiting.cancel_ms == waiting.until_ms == END
    assert plans.current(database, account.id) == waiting
    clock.advance(21 * DAY_S - 1)
    assert plans.current(database, account.id).plan == "pro"
    clock.advance(1)
    after = plans.current(database, account.id)
    assert (after.plan, after.terms, after.started_ms, after.anchor_ms) == ("free", FREE, END, NOON)
    assert after.next_plan is None


def test_the_moment_of_a_change_may_be_chosen(database, account):
    subscribe(database, account)
    assert change(database, account, "free", FREE, "now").plan == "free"
    assert change(database, account, "team", TEAM, "period_end").next_plan == "team"


def test_the_same_plan_with_the_same_terms_is_no_change(database, account):
    subscribe(database, account)
    with pytest.raises(InputError) as caught:
        change(database, account, "pro", PRO)
    assert code_of(caught) == "plan_same"
    dearer = PRO.model_copy(update={"monthly": TEAM.monthly})
    assert change(database, account, "pro", dearer).terms == dearer


def test_another_currency_starts_with_a_period(database, account):
    subscribe(database, account)
    with pytest.raises(InputError) as caught:
        change(database, account, "dollars", DOLLARS, "now")
    assert code_of(caught) == "plan_currency"
    assert change(database, account, "dollars", DOLLARS).next_plan == "dollars"


def test_the_newest_wish_replaces_one_that_waits(database, account, clock):
    subscribe(database, account)
    plans.cancel(database, account.id, actor="operator")
    change(database, account, "free", FREE)
    assert change(database, account, "team", TEAM).cancel_ms is None
    clock.advance(60 * DAY_S)
    assert plans.current(database, account.id).plan == "team"
    change(database, account, "free", FREE)
    assert plans.cancel(database, account.id, actor="operator").next_plan is None


def test_two_changes_in_one_millisecond_leave_one_subscription_in_force(database, account):
    subscribe(database, account)
    change(database, account, "free", FREE, "now")
    last = change(database, account, "team", TEAM)
    found = plans.history(database, account.id)
    assert [item.ended_ms for item in found] == [NOON, NOON, None]
    assert found[-1] == last


# ---------------------------------------------------------------- end


def test_a_cancellation_ends_with_the_period_and_repeating_it_changes_nothing(database, account, clock):
    subscribe(database, account)
    cancelled = plans.cancel(database, account.id, actor="operator")
    assert cancelled.cancel_ms == END
    clock.advance(DAY_S)
    assert plans.cancel(database, account.id, actor="operator") == cancelled
    clock.advance(30 * DAY_S)
    with pytest.raises(InputError):
        plans.current(database, account.id)
    (ended,) = plans.history(database, account.id)
    assert ended.ended_ms == END


def test_a_withdrawn_cancellation_leaves_all_as_it_was(database, account, clock):
    started = subscribe(database, account)
    plans.cancel(database, account.id, actor="operator")
    assert plans.resume(database, account.id, actor="operator") == started
    assert plans.resume(database, account.id, actor="operator") == started
    clock.advance(60 * DAY_S)
    assert plans.current(database, account.id) == started


def test_who_comes_back_starts_a_new_period(database, account, clock):
    subscribe(database, account)
    plans.cancel(database, account.id, actor="operator")
    clock.advance(40 * DAY_S)
    again = subscribe(database, account)
    assert again.anchor_ms == again.started_ms == NOON + 40 * DAY_MS
    assert [item.ended_ms for item in plans.history(database, account.id)] == [END, None]


def test_a_closed_account_ends_at_its_moment(database, account, clock):
    subscribe(database, account)
    clock.advance(5 * DAY_S)
    accounts.close(database, account.id, actor="operator")
    clock.advance(5 * DAY_S)
    with pytest.raises(InputError, match="has no plan"):
        plans.current(database, account.id)
    (ended,) = plans.history(database, account.id)
    assert ended.ended_ms == NOON + 5 * DAY_MS


def test_a_change_that_was_due_before_the_account_closed_is_still_made(database, account, clock):
    subscribe(database, account)
    change(database, account, "free", FREE)
    clock.advance(40 * DAY_S)
    accounts.close(database, account.id, actor="operator")
    assert plans.roll(database) == 1
    old, new = plans.history(database, account.id)
    assert (old.ended_ms, new.started_ms, new.ended_ms) == (END, END, NOON + 40 * DAY_MS)


def test_a_change_that_was_not_due_when_the_account_closed_is_not_made(database, account, clock):
    subscribe(database, account)
    change(database, account, "free", FREE)
    accounts.close(database, account.id, actor="operator")
    clock.advance(40 * DAY_S)
    plans.roll(database)
    (only,) = plans.history(database, account.id)
    assert only.ended_ms == NOON


def test_rolling_applies_what_is_due_for_all_and_then_has_nothing_to_do(database, clock):
    made = [accounts.add(database, name, actor="operator") for name in "abc"]
    for account in made:
        subscribe(database, account)
    plans.cancel(database, made[0].id, actor="operator")
    change(database, made[1], "free", FREE)
    assert plans.roll(database) == 0
    clock.advance(100 * DAY_S)
    before = database.revision()
    assert plans.roll(database) == 2
    assert database.revision() > before
    assert plans.roll(database) == 0
    assert [item.plan for item in plans.history(database, made[1].id)] == ["pro", "free"]
    assert plans.history(database, made[1].id)[1].started_ms == END
    assert plans.current(database, made[2].id).plan == "pro"


def test_many_that_roll_at_once_apply_a_change_once(database, account, clock):
    subscribe(database, account)
    change(database, account, "free", FREE)
    clock.advance(40 * DAY_S)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: plans.roll(database), range(8))) == 1
    assert len(plans.history(database, account.id)) == 2
    assert audit.verify(database) == []


# ---------------------------------------------------------------- whatever happens


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wishes=st.lists(
        st.tuples(
            st.sampled_from(["free", "pro", "team", "cancel", "resume", "roll", "subscribe"]), st.integers(0, 45)
        ),
        max_size=10,
    )
)
def test_whatever_is_wished_subscriptions_never_overlap_and_changes_leave_no_gap(tmp_path_factory, wishes):
    path = tmp_path_factory.mktemp("wishes") / "b.sqlite"
    clock = FixedClock(datetime(2026, 1, 31, 12, tzinfo=UTC))
    database = Database.open(f"sqlite:///{path}", clock=clock)
    account = accounts.add(database, "Harbour", actor="operator")
    terms = {"free": FREE, "pro": PRO, "team": TEAM}
    for wish, days in wishes:
        clock.advance(days * DAY_S)
        try:
            if wish in terms:
                change(database, account, wish, terms[wish])
            elif wish == "subscribe":
                subscribe(database, account, terms=TRIAL)
            elif wish == "roll":
                plans.roll(database)
            else:
                getattr(plans, wish)(database, account.id, actor="operator")
        except InputError:
            continue
    found = plans.history(database, account.id)
    assert len([item for item in found if item.ended_ms is None]) <= 1
    for one, two in pairwise(found):
        assert one.ended_ms is not None
        assert one.started_ms <= one.ended_ms <= two.started_ms
        if one.anchor_ms == two.anchor_ms:
            assert one.ended_ms == two.started_ms
        else:
            assert one.period(one.ended_ms).start_ms == one.ended_ms
    assert audit.verify(database) == []
    database.close()
