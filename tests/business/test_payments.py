"""An invoice is charged at most once, whatever the provider's answers do on their way."""

import threading

import pytest

from tests.business.billing import customer
from tests.business.test_invoices import final
from tradewind.business import audit, invoices, payments
from tradewind.business.database import Database
from tradewind.business.invoices import Correction
from tradewind.business.payments import Answer, FakeProvider
from tradewind.errors import EnvironmentFailure, InputError


def test_an_invoice_is_collected_once_however_often_it_is_asked(database, clock):
    _, made = final(database, clock)
    provider = FakeProvider()
    first = payments.collect(database, provider, made.id)
    assert (first.status, first.amount.amount_minor) == ("succeeded", 30_900)
    assert payments.collect(database, provider, made.id) == first
    assert provider.charged_minor == 30_900


def test_an_answer_that_was_lost_after_charging_does_not_charge_twice(database, clock):
    _, made = final(database, clock)
    provider = FakeProvider(faults=["lose_answer"])
    with pytest.raises(EnvironmentFailure):
        payments.collect(database, provider, made.id)
    (waiting,) = payments.payments_of(database, made.id)
    assert (waiting.status, provider.charged_minor) == ("pending", 30_900)
    assert payments.collect(database, provider, made.id).status == "succeeded"
    assert provider.charged_minor == 30_900


def test_a_lost_answer_is_found_again_after_the_key_was_forgotten(database, clock):
    _, made = final(database, clock)
    provider = FakeProvider(faults=["lose_answer"])
    with pytest.raises(EnvironmentFailure):
        payments.collect(database, provider, made.id)
    provider.forgets_keys = True
    clock.advance(24 * 3600)
    assert payments.collect(database, provider, made.id).status == "succeeded"
    assert provider.charged_minor == 30_900


def test_a_request_that_never_arrived_is_made_again(database, clock):
    _, made = final(database, clock)
    provider = FakeProvider(faults=["lose_request"])
    with pytest.raises(EnvironmentFailure):
        payments.collect(database, provider, made.id)
    clock.advance(24 * 3600)
    assert payments.collect(database, provider, made.id).status == "succeeded"
    assert provider.charged_minor == 30_900


def test_a_declined_card_fails_and_the_next_attempt_is_a_new_one(database, clock):
    _, made = final(database, clock)
    provider = FakeProvider(faults=["decline"])
    assert payments.collect(database, provider, made.id).status == "failed"
    assert payments.collect(database, provider, made.id).status == "succeeded"
    assert [one.status for one in payments.payments_of(database, made.id)] == ["failed", "succeeded"]


def test_money_that_came_in_after_a_decline_is_not_charged_again(database, clock):
    _, made = final(database, clock)
    provider = FakeProvider(faults=["decline"])
    failed = payments.collect(database, provider, made.id)
    provider.payments[failed.provider_id] = Answer(failed.provider_id, "succeeded")  # the customer tried again there
    assert payments.collect(database, provider, made.id).id == failed.id
    assert provider.charged_minor == 0


def test_a_refused_request_leaves_the_invoice_free_to_be_voided(database, clock):
    _, made = final(database, clock)
    with pytest.raises(InputError, match="refused"):
        payments.collect(database, FakeProvider(faults=["refuse"]), made.id)
    assert payments.payments_of(database, made.id)[0].status == "failed"
    assert invoices.void(database, made.id, actor="test").status == "void"


def test_a_refusal_of_a_second_request_does_not_unsay_the_first(database, clock):
    _, made = final(database, clock)
    provider = FakeProvider(faults=["lose_answer", "refuse"])
    with pytest.raises(EnvironmentFailure):
        payments.collect(database, provider, made.id)
    with pytest.raises(InputError):
        payments.collect(database, provider, made.id)
    assert payments.payments_of(database, made.id)[0].status == "pending"
    assert payments.collect(database, provider, made.id).status == "succeeded"
    assert provider.charged_minor == 30_900


def test_many_who_collect_at_once_charge_once(database, database_url, clock):
    _, made = final(database, clock)
    provider = FakeProvider()

    def work():
        other = Database.open(database_url, clock=clock)
        payments.collect(other, provider, made.id)
        other.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert provider.charged_minor == 30_900
    assert len(payments.payments_of(database, made.id)) == 1


def test_what_credit_and_credit_notes_took_off_is_not_collected(database, clock):
    _, made = final(database, clock, credit=10_000)
    invoices.credit_note(database, made.id, corrections=[Correction("Outage", 900)], actor="test")
    assert payments.collect(database, FakeProvider(), made.id).amount.amount_minor == 20_000


def test_nothing_to_pay_is_nothing_to_collect(database, clock):
    _, made = final(database, clock, credit=99_999)
    assert payments.collect(database, FakeProvider(), made.id) is None


def test_only_a_final_invoice_is_collected(database, clock):
    made = invoices.draft(database, customer(database).id, actor="test")
    with pytest.raises(InputError, match="is a draft invoice"):
        payments.collect(database, FakeProvider(), made.id)
    with pytest.raises(InputError, match="no invoice"):
        payments.collect(database, FakeProvider(), "inv_9")


def test_a_payment_goes_on_with_the_provider_it_began_with(database, clock):
    _, made = final(database, clock)
    with pytest.raises(EnvironmentFailure):
        payments.collect(database, FakeProvider(faults=["lose_answer"]), made.id)
    with pytest.raises(InputError, match="begun with fake, not other"):
        payments.collect(database, FakeProvider(name="other"), made.id)


def test_a_refund_gives_the_whole_amount_back_once(database, clock):
    _, made = final(database, clock)
    provider = FakeProvider()
    paid = payments.collect(database, provider, made.id)
    for _ in range(2):
        assert payments.refund(database, provider, paid.id, actor="test").status == "refunded"
    assert payments.collect(database, provider, made.id).status == "refunded"
    assert (provider.refunded_minor, provider.charged_minor) == (30_900, 30_900)
    assert invoices.void(database, made.id, actor="test").status == "void"


def test_only_money_that_came_in_is_refunded(database, clock):
    _, made = final(database, clock)
    failed = payments.collect(database, FakeProvider(faults=["decline"]), made.id)
    with pytest.raises(InputError, match="no money came in"):
        payments.refund(database, FakeProvider(), failed.id, actor="test")
    with pytest.raises(InputError, match="no payment pay_9"):
        payments.get(database, "pay_9")


def test_messages_may_come_late_twice_and_before_the_answer(database, clock):
    _, made = final(database, clock)
    provider = FakeProvider(faults=["lose_answer"])
    with pytest.raises(EnvironmentFailure):
        payments.collect(database, provider, made.id)
    (waiting,) = payments.payments_of(database, made.id)
    news = Answer("fake_1", "succeeded", None, waiting.id)
    late = Answer("fake_1", "failed")
    stranger = Answer("fake_7", "succeeded", None, "pay_of_somebody_else")
    assert payments.record(database, "fake", stranger) is None
    assert [payments.record(database, "fake", one).status for one in (news, news, late)] == ["succeeded"] * 3
    assert payments.collect(database, provider, made.id).provider_id == "fake_1"
    actions = [entry.action for entry in audit.entries(database) if entry.subject == waiting.id]
    assert actions == ["payment.begin", "payment.succeeded"]
