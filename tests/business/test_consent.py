"""What was agreed is only added to, its newest act counts, and the audit log says who wrote it."""

import pytest

from tests.business.billing import customer
from tradewind.business import audit, consent
from tradewind.errors import InputError


def say(database, who, purpose, given, **more):
    return consent.record(database, who.id, purpose=purpose, given=given, actor="test", **more)


def test_the_newest_act_counts_and_every_act_stays(database):
    who = customer(database)
    assert consent.standing(database, who.id) == {"store_inputs": None, "training": None}
    for given in (True, False, True, False):  # all in one moment of the clock
        say(database, who, "store_inputs", given, note="contract 7")
    assert [one.given for one in consent.history(database, who.id)] == [True, False, True, False]
    newest = consent.standing(database, who.id)["store_inputs"]
    assert (newest.given, newest.note, newest.actor) == (False, "contract 7", "test")


def test_many_accounts_are_answered_at_once(database):
    yes, no, silent = (customer(database) for _ in range(3))
    say(database, yes, "training", True)
    say(database, no, "training", True)
    say(database, no, "training", False)
    say(database, silent, "store_inputs", True)
    ids = [one.id for one in (yes, no, silent)]
    assert list(consent.answers(database, ids, purpose="training").values()) == [True, False, None]
    assert consent.answers(database, [], purpose="training") == {}


def test_the_audit_log_says_who_and_what(database):
    who = customer(database)
    say(database, who, "training", False)
    last = audit.entries(database)[-1]
    assert (last.actor, last.action, last.subject) == ("test", "consent.withdraw", who.id)
    assert audit.verify(database) == []


@pytest.mark.parametrize(
    ("purpose", "note", "code"),
    [
        ("traning", None, "purpose"),
        ("training", "", "note"),
        ("training", "a\nb", "note"),
        ("training", "x" * 501, "note"),
    ],
)
def test_a_wrong_word_is_refused(database, purpose, note, code):
    with pytest.raises(InputError) as caught:
        say(database, customer(database), purpose, True, note=note)
    assert caught.value.code == f"input.{code}"


def test_an_unknown_account_is_refused(database):
    with pytest.raises(InputError, match="no account"):
        consent.record(database, "acc_nobody", purpose="training", given=True, actor="test")
