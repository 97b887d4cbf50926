"""The event `handoff`: what is told when somebody begins to wait for a person, also after a crash in between.

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
    reply = turn.reply
    assert reply is not None
    if talks.outgoing is None:
        return
    handoff = talks.talk(conversation.product).settings.handoff
    queue = conversation.queue or (handoff.queue if handoff is not None else None)
    language = language_of(turn.said.content.text, otherwise="zh" if conversation.language == "zh" else "en")
    event = {
        "event": "handoff", "product": conversation.product, "conversation": conversation.id, "queue": queue,
        "intent": reply.content.intent, "language": language,
    }  # fmt: skip
    talks.outgoing.tell(conversation.product, event, id=f"evt_{conversation.id}_{reply.place}")


def tell_missed(talks: Talks) -> None:
    """Whoever began to wait lately and may have been told of to nobody."""
    since_ms = milliseconds(talks.database.clock) - _RECENT_MS
    for one in handovers.waiting(talks.database):
        if one.product not in talks.talks or one.status != "waiting" or (one.waiting_ms or 0) < since_ms:
            continue
        try:
            said = conversations.read(talks.database, talks.vault, one.id, last=_LATEST)
        except VerificationFailed:  # of a key that was dropped: the others are told of all the same
            continue
        latest = {message.place: message for message in said}
        for message in reversed(latest.values()):
            if message.content.kind == "handoff" and message.answers in latest:
                tell_handoff(talks, one, Turn(latest[message.answers], message))
                break
