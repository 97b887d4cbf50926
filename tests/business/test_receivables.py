"""How each invoice stands, and collecting all of them: one that fails stops no other, and nothing is charged twice."""

import httpx
import pytest

from tests.business.billing import customer
from tests.business.test_invoices import LATER, final
from tests.business.test_stripe import SECRET, double  # noqa: F401  a local server that keeps Stripe's rules
from tradewind.business import audit, billing, invoices, payment_methods, payments, providers, receivables
from tradewind.business.invoices import Correction
from tradewind.business.payment_methods import Card
from tradewind.business.payments import FakeProvider
from tradewind.errors import EnvironmentFailure, InputError


def finals(database, clock, count):
    """So many invoices of as many accounts, 309 CNY each."""
    customers = [customer(database) for _ in range(count)]
    for who in customers:
        who.use(1_500)
    clock.moment = LATER
    return [made for one in billing.run(database, actor="test") for made in one.invoices]


def standing(database, made):
    return receivables.standings(database, [made])[made.id]


def collect(database, provider):
    return {one.invoice.id: one for one in receivables.collect_all(database, provider, actor="test")}


def test_an_invoice_is_open_then_paid_then_refunded(database, clock):
    _, made = final(database, clock)
    assert (standing(database, made).state, standing(database, made).outstanding_minor) == ("open", 30_900)
    provider = FakeProvider()
    assert collect(database, provider)[made.id].payment.status == "succeeded"
    assert standing(database, made) == receivables.Standing("paid", 30_900, 0)
    payments.refund(database, provider, payments.payments_of(database, made.id)[0].id, actor="test")
    assert standing(database, made).state == "refunded"


def test_what_a_credit_note_took_off_is_not_outstanding(database, clock):
    _, made = final(database, clock)
    invoices.credit_note(database, made.id, corrections=[Correction("sorry", 900)], actor="test")
    assert standing(database, made).outstanding_minor == 30_000
    invoices.credit_note(database, made.id, corrections=[Correction("sorry", 30_000)], actor="test")
    assert standing(database, made) == receivables.Standing("nothing_due", 0, 0)


def test_drafts_and_void_ones_are_not_due(database, clock):
    who, made = final(database, clock)
    invoices.void(database, made.id, actor="test")
    draft = invoices.draft(database, who.id, actor="test")
    found = receivables.standings(database, invoices.invoices_of(database, who.id))
    assert {found[draft.id].state, found[made.id].state} == {"not_due"}


def test_one_that_fails_stops_no_other_and_a_second_round_charges_what_is_left(database, clock):
    made = finals(database, clock, 4)
    provider = FakeProvider(faults=["decline", "lose_answer", "refuse", None])
    first = collect(database, provider)
    assert sum(one.failed for one in first.values()) == 3
    states = {one.id: standing(database, one).state for one in made}
    assert sorted(states.values()) == ["failed", "failed", "paid", "pending"]
    assert set(collect(database, provider)) == {one for one, state in states.items() if state != "paid"}
    assert collect(database, provider) == {}
    assert provider.charged_minor == 4 * 30_900
    assert all(standing(database, one).state == "paid" for one in made)


# ---------------------------------------------------------------- providers by name


@pytest.fixture
def environment(double):  # noqa: F811
    return {"STRIPE_SECRET_KEY": SECRET, "TRADEWIND_STRIPE_URL": double.base}


def test_stripe_charges_the_card_that_is_kept_of_the_account(database, clock, double, environment):  # noqa: F811
    made, other = finals(database, clock, 2)
    payment_methods.keep(database, made.account_id, provider="stripe", card=Card("cus_1", "pm_card_visa"), actor="test")
    for _ in range(2):
        with providers.provider(database, "stripe", environment=environment) as through:
            collect(database, through)
    assert double.charged == 30_900
    assert standing(database, made).state == "paid"
    assert standing(database, other).state == "pending"  # nobody's card is known: the customer pays there
    assert payment_methods.cards(database, "stripe") == {made.account_id: Card("cus_1", "pm_card_visa")}
    assert payment_methods.forget(database, made.account_id, provider="stripe", actor="test")
    assert payment_methods.cards(database, "stripe") == {}
    assert "pm_card_visa" not in str(audit.entries(database))


def test_the_secret_stands_in_no_error_and_no_row(database, clock, double, environment):  # noqa: F811
    _, made = final(database, clock)
    wrong = {**environment, "STRIPE_SECRET_KEY": "sk_test_wrong_wrong"}
    with providers.provider(database, "stripe", environment=wrong) as through:
        done = collect(database, through)[made.id]
        assert "sk_test_wrong" not in repr(through)
    assert done.error.code == "input.payment_key"
    assert "sk_test_wrong_wrong" not in str(done.error)
    assert "sk_test_wrong" not in str(audit.entries(database))


def test_without_a_key_or_over_an_open_line_nothing_is_asked(database):
    with (
        pytest.raises(EnvironmentFailure, match="no key for Stripe") as caught,
        providers.provider(database, "stripe", environment={}),
    ):
        pass
    assert caught.value.where == "STRIPE_SECRET_KEY"
    open_line = {"STRIPE_SECRET_KEY": SECRET, "TRADEWIND_STRIPE_URL": "http://stripe.example.com"}
    with (
        pytest.raises(InputError, match="no address to send a secret key to"),
        providers.provider(database, "stripe", environment=open_line),
    ):
        pass


def test_an_unknown_provider_is_answered_with_the_nearest(database):
    with pytest.raises(InputError, match="Did you mean stripe"), providers.provider(database, "strpe", environment={}):
        pass


def test_the_fake_makes_no_two_payments_alike_in_two_processes(database, clock):
    made = finals(database, clock, 2)
    for one in made:
        with providers.provider(database, "fake", environment={}) as through:
            payments.collect(database, through, one.id)
    with providers.provider(database, "fake", environment={}) as through:
        (paid,) = payments.payments_of(database, made[0].id)
        assert payments.refund(database, through, paid.id, actor="test").status == "refunded"


@pytest.mark.parametrize(
    "words", [("", "pm_1"), ("cus_1", "4242424242424242"), ("cus_1", "pm\n1"), ("c" * 300, "pm_1")]
)
def test_what_is_no_reference_is_not_kept(database, words):
    who = customer(database)
    with pytest.raises(InputError, match="no reference"):
        payment_methods.keep(database, who.id, provider="stripe", card=Card(*words), actor="test")


def test_a_closed_client_asks_no_more(database, environment):
    with providers.provider(database, "stripe", environment=environment) as through:
        pass
    with pytest.raises((RuntimeError, httpx.HTTPError)):
        through.status("pi_1")
