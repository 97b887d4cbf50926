"""Credit is the sum of its entries, whatever their order; a code redeems exactly once, whoever races."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from tradewind.business import accounts, audit, credit, plans
from tradewind.business.database import Database
from tradewind.business.tables import credit_entries, metadata
from tradewind.errors import InputError
from tradewind.money import Money
from tradewind.tariff import Plan

TEN = Money(1000, "CNY")


def code_of(caught):
    return caught.value.code.removeprefix("input.")


@pytest.fixture
def account(database):
    return accounts.add(database, "Harbour", actor="operator")


def code(database, amount=TEN, **values):
    (made,) = credit.issue_codes(database, amount, actor="operator", **values)
    return made


def test_a_code_adds_its_amount(database, account):
    entry = credit.redeem(database, account.id, code(database).code)
    assert (entry.amount, entry.kind) == (TEN, "top_up")
    assert credit.balance(database, account.id, "CNY") == TEN
    assert credit.balance(database, account.id, "USD") == Money(0, "USD")
    assert credit.entries(database, account.id) == (entry,)


def test_a_code_is_read_as_people_write_it(database, account):
    spoken = code(database).code
    written = spoken.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    credit.redeem(database, account.id, f" {written} ")


def test_a_code_has_125_bits_in_five_groups_and_its_hash_alone_is_kept(database):
    made = code(database)
    groups = made.code.split("-")
    assert [len(group) for group in groups] == [5] * 5
    assert made.prefix == groups[0]
    assert made.code not in repr(made)
    with database.reading() as connection:
        rows = repr([connection.execute(select(table)).all() for table in metadata.sorted_tables])
    assert made.code not in rows
    assert made.code.replace("-", "") not in rows


def test_a_code_is_redeemed_once(database, account):
    made = code(database)
    other = accounts.add(database, "Other", actor="operator")
    credit.redeem(database, account.id, made.code)
    for again in (account, other):
        with pytest.raises(InputError) as caught:
            credit.redeem(database, again.id, made.code)
        assert code_of(caught) == "code_redeemed"
    assert credit.balance(database, account.id, "CNY") == TEN
    assert credit.balance(database, other.id, "CNY") == Money(0, "CNY")


@pytest.mark.parametrize("many_accounts", [False, True])
def test_of_twenty_that_redeem_one_code_at_once_one_succeeds(database, account, many_accounts):
    made = code(database)
    names = range(20 if many_accounts else 1)
    ids = [accounts.add(database, f"a{name}", actor="operator").id for name in names]
    start = Barrier(20)

    def redeem(number):
        start.wait()
        try:
            return credit.redeem(database, ids[number % len(ids)], made.code).kind
        except InputError as error:
            return error.code

    with ThreadPoolExecutor(20) as pool:
        told = sorted(pool.map(redeem, range(20)))
    assert told == ["input.code_redeemed"] * 19 + ["top_up"]
    assert sum(credit.balance(database, item, "CNY").amount_minor for item in ids) == 1000
    assert audit.verify(database) == []


def test_an_unknown_and_an_expired_code_are_refused(database, account, clock):
    now_ms = int(clock.now().timestamp() * 1000)
    made = code(database, expires_ms=now_ms + 1000)
    clock.advance(1)
    for text, wanted in (
        (made.code, "code_expired"),
        ("AAAAA", "code_unknown"),
        ("", "code_unknown"),
        ("\ud800\x00", "code_unknown"),
    ):
        with pytest.raises(InputError) as caught:
            credit.redeem(database, account.id, text)
        assert code_of(caught) == wanted


def test_credit_in_another_currency_than_the_plans_is_refused_and_the_code_stays_good(database, account):
    plans.subscribe(database, account.id, plan="pro", terms=Plan(monthly="9 USD", included=1), actor="operator")
    made = code(database)
    with pytest.raises(InputError) as caught:
        credit.redeem(database, account.id, made.code)
    assert code_of(caught) == "credit_currency"
    with pytest.raises(InputError):
        credit.grant(database, account.id, amount=TEN, actor="operator")
    other = accounts.add(database, "Other", actor="operator")
    credit.redeem(database, other.id, made.code)


def test_a_closed_or_an_unknown_account_gets_no_credit_and_the_code_stays_good(database, account):
    made = code(database)
    other = accounts.add(database, "Other", actor="operator")
    accounts.close(database, other.id, actor="operator")
    for refused in (other.id, "acc_none"):
        with pytest.raises(InputError):
            credit.redeem(database, refused, made.code)
    credit.redeem(database, account.id, made.code)


def test_a_grant_with_a_reference_is_given_once(database, account):
    other = accounts.add(database, "Other", actor="operator")
    credit.grant(database, account.id, amount=TEN, reference="outage-7", actor="operator")
    for again in (account, other):
        with pytest.raises(InputError) as caught:
            credit.grant(database, again.id, amount=TEN, reference="outage-7", actor="operator")
        assert code_of(caught) == "credit_exists"
    credit.grant(database, account.id, amount=TEN, actor="operator")
    credit.grant(database, account.id, amount=TEN, actor="operator")
    assert credit.balance(database, account.id, "CNY") == Money(3000, "CNY")


def test_one_reference_granted_to_many_at_once_is_given_once(database):
    ids = [accounts.add(database, f"a{name}", actor="operator").id for name in range(6)]

    def grant(account_id):
        try:
            return credit.grant(database, account_id, amount=TEN, reference="outage-7", actor="operator").kind
        except InputError as error:
            return error.code

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(grant, ids)) == ["grant"] + ["input.credit_exists"] * 5


@pytest.mark.parametrize("minor", [0, -1, 10**15 + 1])
def test_an_amount_has_bounds(database, account, minor):
    amount = Money(minor, "CNY")
    for act in (
        lambda: credit.grant(database, account.id, amount=amount, actor="operator"),
        lambda: credit.issue_codes(database, amount, actor="operator"),
    ):
        with pytest.raises(InputError) as caught:
            act()
        assert code_of(caught) == "credit_amount"


@pytest.mark.parametrize(
    ("values", "wanted"),
    [({"count": 0}, "credit_count"), ({"count": 10_001}, "credit_count"), ({"expires_ms": 0}, "expiry")],
)
def test_bad_input_makes_no_code(database, values, wanted):
    with pytest.raises(InputError) as caught:
        credit.issue_codes(database, TEN, actor="operator", **values)
    assert code_of(caught) == wanted


def test_an_empty_or_a_long_reference_is_refused(database, account):
    for reference in ("", "x" * 81):
        with pytest.raises(InputError) as caught:
            credit.grant(database, account.id, amount=TEN, reference=reference, actor="operator")
        assert code_of(caught) == "credit_reference"


def test_an_unknown_currency_or_account_has_no_balance(database, account):
    with pytest.raises(InputError):
        credit.balance(database, account.id, "XYZ")
    with pytest.raises(InputError):
        credit.balance(database, "acc_none", "CNY")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), amounts=st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=8))
def test_a_balance_never_depends_on_the_order_of_entries(tmp_path, clock, data, amounts):
    database = Database.open(f"sqlite:///{tmp_path / 'b.sqlite'}", clock=clock)
    account = accounts.add(database, "Harbour", actor="operator")
    with database.writing() as connection:
        connection.execute(delete(credit_entries))
    for number, amount in enumerate(data.draw(st.permutations(amounts))):
        with database.writing() as connection:
            credit.record(
                connection,
                database,
                account_id=account.id,
                amount=Money(amount, "CNY"),
                kind="grant",
                reference=str(number),
                actor="operator",
            )
    found = credit.balance(database, account.id, "CNY")
    database.close()
    assert found == Money(sum(amounts), "CNY")


def test_codes_are_made_many_at_once_and_differ(database):
    made = credit.issue_codes(database, TEN, count=200, actor="operator")
    assert len({item.code for item in made}) == 200
    assert [entry.detail["count"] for entry in audit.entries(database)] == [200]
