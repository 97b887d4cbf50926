"""Conversations are kept sealed, in order, each request once, by tenant; two people never hold one; their time ends."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from tradewind.business import consent, conversation_keeping, conversations, handovers, verdicts
from tradewind.business.conversation_people import Conversations
from tradewind.business.conversations import Content, New, Next
from tradewind.business.tables import conversation_feedback, conversation_messages
from tradewind.business.tables import conversations as table
from tradewind.errors import InputError
from tradewind.privacy.subjects import Subject, SubjectKey
from tradewind.tariff import rate_of

DAY_MS = 86_400_000


@pytest.fixture
def begun(filled, vault):
    def begin(account="acc_1", **more):
        return conversations.begin(filled, vault, New(account, "helpdesk", "en", DAY_MS, **more))

    return begin


def said(text):
    return Content("user", "message", text)


def answer(text="Five days.", kind="intent", **more):
    return Content("assistant", kind, text, **{"confidence": 0.9, "intent": "refund", **more})


def say(filled, vault, conversation, text, request_id, *, reply=None, then=None, **more):
    then = then or Next(reply or answer())
    return conversations.say(
        filled, vault, conversation, request_id=request_id, said=said(text), then=then, keep_ms=DAY_MS, **more
    )


def test_a_turn_is_read_back_as_it_was_said(filled, vault, begun):
    one = begun(greeting=Content("assistant", "greeting", "Hello")).conversation
    beside = {"sources": [{"source": "a.md", "line": 3}]}
    say(filled, vault, one, "退款?", "req_1", reply=answer(beside=beside, source="a.md#Refunds"))
    greeting, question, reply = conversations.read(filled, vault, one.id)
    assert [m.place for m in (greeting, question, reply)] == [1, 2, 3]
    assert (question.content.text, reply.answers) == ("退款?", 2)
    assert (reply.content.beside, reply.content.source, reply.content.confidence) == (beside, "a.md#Refunds", 0.9)
    assert conversations.read(filled, vault, one.id, after=2) == [reply]
    assert conversations.read(filled, vault, one.id, last=2) == [question, reply]


def test_what_was_said_lies_nowhere_in_the_clear(filled, vault, begun):
    one = begun().conversation
    say(filled, vault, one, "my card is 4711", "req_1", reply=answer("secret answer"))
    verdicts.give(filled, vault, one, place=2, score=1, comment="secret comment")
    with filled.reading() as connection:
        rows = repr(
            [connection.execute(select(t)).all() for t in (table, conversation_messages, conversation_feedback)]
        )
    assert not any(word in rows for word in ("4711", "secret answer", "secret comment"))


def test_the_same_request_is_said_once(filled, vault, begun):
    one = begun().conversation
    first = say(filled, vault, one, "hello", "req_1")
    again = say(filled, vault, one, "hello", "req_1", reply=answer("another"))
    assert again == first == conversations.turn(filled, vault, one.id, "req_1")
    assert len(conversations.read(filled, vault, one.id)) == 2


def test_messages_at_once_are_numbered_without_a_gap(filled, vault, begun):
    one = begun().conversation
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: say(filled, vault, one, f"m{number}", f"req_{number}"), range(16)))
    found = conversations.read(filled, vault, one.id)
    assert [message.place for message in found] == list(range(1, 33))
    assert all(reply.answers == question.place for question, reply in zip(found[::2], found[1::2], strict=True))


def test_another_tenants_conversation_is_as_unknown_as_none(filled, begun):
    one = begun("acc_1").conversation
    for conversation_id in (one.id, "cnv_nobody"):
        with pytest.raises(InputError) as caught:
            conversations.get(filled, conversation_id, account_id="acc_2")
        assert (caught.value.code, str(caught.value)) == ("input.conversation_unknown", str(conversations.unknown()))
    assert conversations.page(filled, "acc_2") == []
    assert handovers.waiting(filled, within="acc_2") == []


def test_a_token_opens_its_own_conversation_alone(filled, begun):
    one, other = begun(), begun()
    assert conversations.opens(filled, one.conversation.id, one.token)
    assert not conversations.opens(filled, one.conversation.id, other.token)
    assert not conversations.opens(filled, "cnv_nobody", one.token)


def test_public_keys_begin_and_say_no_more_than_they_may(filled, vault, clock, begun):
    rate = rate_of("2/min")
    one = begun(public=True, rate=rate).conversation
    begun(public=True, rate=rate)
    with pytest.raises(InputError, match="begun at once"):
        begun(public=True, rate=rate)
    for number in range(2):
        say(filled, vault, one, "x", f"req_{number}", rate=rate)
    with pytest.raises(InputError, match="Too many messages"):
        say(filled, vault, one, "x", "req_9", rate=rate)
    clock.advance(61)
    assert begun(public=True, rate=rate)
    assert say(filled, vault, one, "x", "req_9", rate=rate)


def test_pages_go_back_in_time_without_a_gap(filled, clock, begun):
    made = []
    for _ in range(5):
        clock.advance(1)
        made.append(begun().conversation.id)
    first = conversations.page(filled, "acc_1", most=2)
    rest = conversations.page(filled, "acc_1", after=first[-1].id)
    assert [one.id for one in first + rest] == made[::-1]
    assert conversations.page(filled, "acc_1", status="closed") == []


def test_a_closed_conversation_takes_nothing_more(filled, vault, begun):
    one = begun().conversation
    conversations.close(filled, one.id)
    with pytest.raises(InputError) as caught:
        say(filled, vault, one, "hello", "req_1")
    assert caught.value.code == "input.conversation_closed"


# ---------------------------------------------------------------- a person takes over


@pytest.fixture
def waiting(filled, vault, begun):
    one = begun().conversation
    say(filled, vault, one, "human", "req_1", then=Next(answer(kind="handoff"), queue="support"))
    return one


def test_of_many_people_one_takes_it(filled, waiting):
    barrier, won = threading.Barrier(6), []

    def take(name):
        barrier.wait()
        try:
            won.append(handovers.take(filled, waiting.id, holder=name, actor="test").holder)
        except InputError as error:
            return error.code
        return "took"

    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(take, [f"agent {number}" for number in range(6)]))
    assert sorted(codes) == ["input.conversation_held"] * 5 + ["took"]
    assert conversations.get(filled, waiting.id).holder == won[0]
    assert handovers.take(filled, waiting.id, holder=won[0], actor="test").status == "held"


def test_while_a_person_holds_it_the_machine_is_silent(filled, vault, waiting):
    before = conversations.get(filled, waiting.id)
    handovers.take(filled, waiting.id, holder="Li", actor="test")
    turn = say(filled, vault, before, "hello?", "req_2")  # answered from a state that has passed meanwhile
    assert turn.reply is None
    spoken = handovers.reply(filled, vault, waiting.id, holder="Li", text="I am Li.", keep_ms=DAY_MS)
    assert (spoken.place, spoken.content.author) == (turn.said.place + 1, "person")
    for change in (handovers.reply, handovers.give_back):
        more = (
            {"vault": vault, "text": "x", "keep_ms": DAY_MS} if change is handovers.reply else {"to": "", "actor": "t"}
        )
        with pytest.raises(InputError) as caught:
            change(filled, conversation_id=waiting.id, holder="Bo", **more)
        assert caught.value.code == "input.conversation_not_held"


def test_given_back_it_waits_again_or_the_machine_goes_on(filled, vault, waiting):
    handovers.take(filled, waiting.id, holder="Li", actor="test")
    assert handovers.give_back(filled, waiting.id, holder="Li", to="support", actor="test").status == "waiting"
    handovers.take(filled, waiting.id, holder="Bo", actor="test")
    back = handovers.give_back(filled, waiting.id, holder="Bo", to="", actor="test")
    assert (back.status, back.failures) == ("open", 0)
    assert say(filled, vault, back, "refund", "req_2").reply is not None
    with pytest.raises(InputError) as caught:
        handovers.take(filled, waiting.id, holder="Li", actor="test")
    assert caught.value.code == "input.conversation_not_waiting"


# ---------------------------------------------------------------- verdicts


def test_a_verdict_is_changed_and_counted_once(filled, vault, begun):
    one = begun().conversation
    say(filled, vault, one, "refund", "req_1", reply=answer(source="a.md#R"))
    for score in (1, 5):
        verdicts.give(filled, vault, one, place=2, score=score)
    verdicts.give(filled, vault, one, place=verdicts.WHOLE, score=2)
    whole = verdicts.figures(filled, product="helpdesk")
    assert (whole.verdicts, whole.good, whole.bad, whole.mean, whole.rate) == (2, 1, 1, 3.5, 0.5)
    assert {name: one.mean for name, one in verdicts.figures_by(filled, "intent").items()} == {"refund": 5.0}
    assert list(verdicts.figures_by(filled, "source")) == ["a.md#R"]
    assert verdicts.figures(filled, account_id="acc_2").verdicts == 0
    with pytest.raises(InputError) as caught:
        verdicts.give(filled, vault, one, place=1, score=5)  # that was the user's own message
    assert caught.value.code == "input.message_unknown"


def test_rows_to_learn_from_are_of_those_who_agreed(filled, vault, begun):
    for account in ("acc_1", "acc_2"):
        one = begun(account).conversation
        say(filled, vault, one, f"refund for {account}", "req_1")
        verdicts.give(filled, vault, one, place=2, score=5, comment="fine")
    assert list(verdicts.judged(filled, vault)) == []
    consent.record(filled, "acc_2", purpose="training", given=True, actor="test")
    (row,) = verdicts.judged(filled, vault)
    assert (row.account_id, row.text, row.intent, row.comment) == ("acc_2", "refund for acc_2", "refund", "fine")
    consent.record(filled, "acc_2", purpose="training", given=False, actor="test")
    assert list(verdicts.judged(filled, vault)) == []
    assert len(list(verdicts.judged(filled, vault, all_accounts=True))) == 2


# ---------------------------------------------------------------- their end


def test_when_its_time_is_over_only_figures_are_left(filled, vault, clock, begun):
    one = begun().conversation
    say(filled, vault, one, "refund", "req_1")
    verdicts.give(filled, vault, one, place=2, score=5, comment="thanks, Ann")
    clock.advance(86_400)
    with pytest.raises(InputError):
        conversations.get(filled, one.id)
    fresh = begun().conversation
    assert conversation_keeping.sweep_all(filled) == 1
    with filled.reading() as connection:
        assert connection.execute(select(conversation_messages)).all() == []
        assert connection.execute(select(conversation_feedback.c.comment)).scalars().all() == [None]
        assert connection.execute(select(table.c.id)).scalars().all() == [fresh.id]
    assert verdicts.figures(filled).verdicts == 1


def test_a_message_prolongs_its_conversation(filled, vault, clock, begun):
    one = begun().conversation
    clock.advance(80_000)
    say(filled, vault, one, "refund", "req_1")
    clock.advance(80_000)
    assert conversations.get(filled, one.id).last == 2


def test_under_a_new_key_the_old_one_may_go(filled, vault, begun):
    one = begun(greeting=Content("assistant", "greeting", "Hello")).conversation
    say(filled, vault, one, "refund", "req_1")
    verdicts.give(filled, vault, one, place=3, score=5, comment="fine")
    old = vault.all_keys()[0].key_id
    vault.rotate()
    assert conversation_keeping.reseal_all(filled, vault, most=1) == 4
    assert conversation_keeping.reseal_all(filled, vault) == 0
    vault.drop(old)
    assert [m.content.text for m in conversations.read(filled, vault, one.id)] == ["Hello", "refund", "Five days."]


def test_a_person_is_found_and_forgotten(filled, vault, tmp_path, begun):
    ann = Subject.of("ann@example.com", SubjectKey.open(tmp_path))
    about, other = begun(subject=ann.digest).conversation, begun().conversation
    say(filled, vault, about, "where is my parcel", "req_1")
    verdicts.give(filled, vault, about, place=2, score=1, comment="slow")
    say(filled, vault, other, "I am ann@example.com", "req_1")
    say(filled, vault, other, "thanks", "req_2")
    holder = Conversations(filled, vault, actor="operator", receipt="rcp_1")
    assert [item.place.split(", ")[1] for item in holder.find(ann)] == [
        "about the subject",
        "messages naming the subject",
    ]
    done = holder.erase(ann, redact=False)
    assert {one.place: one.count for one in done.removed} == {"conversations": 1, "conversation_messages": 1}
    assert holder.find(ann) == []
    assert not holder.erase(ann, redact=False).removed
    assert [m.content.text for m in conversations.read(filled, vault, other.id)][2] == "thanks"
    assert verdicts.figures(filled).verdicts == 0
