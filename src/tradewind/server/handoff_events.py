"""The event `handoff`: what is told when somebody begins to wait for a person, also after a crash in between, and when a person
gives a conversation back to the queue.

The message that made it is stored first. Whoever is killed before the event is written has its successor tell it: at a start
all that began to wait in the last hours is told again, and what was told before has the same id. Not here: how it is sent
(`outgoing.py`), when a person is asked for (`dialogue/policy.py`).
"""

from __future__ import annotations

from tradewind.business import conversations, handovers
from tradewind.business.conversations import Conversation, Turn
from tradewind.clock import milliseconds
from tradewind.errors import VerificationFailed
from tradewind.server.dialogue.memory import language_of
from tradewind.server.talks import Talks

_RECENT_MS = 12 * 3_600_000  # half of the time for which told ids are known
_LATEST = 20  # messages among which the one that led to a person is looked for


def tell_handoff(talks: Talks, conversation: Conversation, turn: Turn) -> None:
    """Of a turn whose answer hands over. For a thread."""
    assert turn.reply is not None
    _tell(talks, conversation, turn, id=f"evt_{conversation.id}_{turn.reply.place}")


def tell_returned(talks: Talks, conversation: Conversation) -> None:
    """Of a conversation that a person has given back to its queue. For a thread."""
    now = milliseconds(talks.database.clock)
    _tell(talks, conversation, _handed_over(talks, conversation), id=f"evt_{conversation.id}_{now}", returned=True)


def tell_missed(talks: Talks) -> None:
    """Whoever began to wait lately and may have been told of to nobody."""
    since_ms = milliseconds(talks.database.clock) - _RECENT_MS
    for one in handovers.waiting(talks.database):
        if one.product not in talks.talks or one.status != "waiting" or (one.waiting_ms or 0) < since_ms:
            continue
        turn = _handed_over(talks, one)
        if turn is not None:
            tell_handoff(talks, one, turn)


def _tell(talks: Talks, conversation: Conversation, turn: Turn | None, *, id: str, returned: bool = False) -> None:
    if talks.outgoing is None:
        return
    handoff = talks.talk(conversation.product).settings.handoff
    queue = conversation.queue or (handoff.queue if handoff is not None else None)
    text = turn.said.content.text if turn is not None else ""
    intent = turn.reply.content.intent if turn is not None and turn.reply is not None else None
    event = {
        "event": "handoff", "product": conversation.product, "conversation": conversation.id, "queue": queue, "intent": intent,
        "language": language_of(text, otherwise="zh" if conversation.language == "zh" else "en"), "returned": returned,
    }  # fmt: skip
    talks.outgoing.tell(conversation.product, event, id=id)


def _handed_over(talks: Talks, conversation: Conversation) -> Turn | None:
    """The last turn that handed over; None where it is long ago, or was sealed with a key that was dropped."""
    try:
        said = conversations.read(talks.database, talks.vault, conversation.id, last=_LATEST)
    except VerificationFailed:
        return None
    latest = {message.place: message for message in said}
    for message in reversed(latest.values()):
        if message.content.kind == "handoff" and message.answers in latest:
            return Turn(latest[message.answers], message)
    return None
