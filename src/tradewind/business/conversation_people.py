"""Conversations about a person or naming one: found for an export, taken away for an erasure. Not here: the walk over all
holders (`privacy/erasure.py`).

A conversation that was begun about somebody goes as a whole, with what was thought of it. Where others name him, the
message that does loses its words; the rest stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, delete, select

from tradewind.business import audit, conversation_keeping, conversations
from tradewind.business.conversations import Content, Message, of
from tradewind.business.database import Database
from tradewind.business.tables import conversation_feedback as feedback
from tradewind.business.tables import conversations as table
from tradewind.business.verdicts import comment_context
from tradewind.errors import VerificationFailed
from tradewind.privacy.erasure import Done, Item, Removed
from tradewind.privacy.subjects import Subject
from tradewind.privacy.suppression import MARK
from tradewind.privacy.vault import Vault


class Conversations:
    """The holder of conversations."""

    name = "conversations"

    def __init__(self, database: Database, vault: Vault | None, *, actor: str = "", receipt: str = "") -> None:
        self._database = database
        self._vault = vault
        self._actor = actor
        self._receipt = receipt

    def find(self, subject: Subject) -> Sequence[Item]:
        items = []
        for conversation_id in self._about(subject):
            said = [_shown(one) for one in self._messages(conversation_id)]
            items.append(Item(f"conversation {conversation_id}, about the subject", {"messages": said}))
        for conversation_id, named in self._naming(subject):
            said = [_shown(one) for one in named]
            items.append(Item(f"conversation {conversation_id}, messages naming the subject", {"messages": said}))
        items += [Item(f"comment on conversation {one}", text) for one, _, text in self._comments(subject)]
        return items

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        about, naming = self._about(subject), list(self._naming(subject))
        comments = self._comments(subject)

        def change(connection: Connection) -> int:
            conversation_keeping.forget(connection, about)
            struck = 0
            for conversation_id, named in naming:
                for one in named:
                    assert self._vault is not None
                    empty = replace(one.content, text=MARK, beside={})
                    conversation_keeping.rewrite(
                        connection, self._vault, conversation_id, place=one.place, content=empty
                    )
                    struck += 1
            for conversation_id, place, _ in comments:
                here = (feedback.c.conversation_id == conversation_id) & (feedback.c.place == place)
                struck += connection.execute(delete(feedback).where(here)).rowcount
            if about or struck:
                detail = {"receipt": self._receipt, "conversations": len(about), "messages": struck}
                audit.append(
                    connection, actor=self._actor, action="subject.erase", subject=subject.digest, detail=detail
                )
            return struck

        struck = self._database.write(change)
        removed = []
        if about:
            removed.append(Removed("conversations", "conversations about the subject", len(about)))
        if struck:
            removed.append(Removed("conversation_messages", "messages and comments that named the subject", struck))
        return Done(removed)

    def _about(self, subject: Subject) -> list[str]:
        with self._database.reading() as connection:
            mine = select(table.c.id).where(table.c.subject == subject.digest).order_by(table.c.id)
            return list(connection.execute(mine).scalars())

    def _naming(self, subject: Subject) -> Iterator[tuple[str, list[Message]]]:
        """Conversations about others or nobody, with the messages in which the subject is named."""
        with self._database.reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.id)).mappings().all()
        for conversation in map(of, rows):
            if conversation.subject == subject.digest:
                continue
            named = [
                one for one in self._messages(conversation.id)
                if subject.appears_in(one.content.text) or subject.appears_in(str(dict(one.content.beside)))
            ]  # fmt: skip
            if named:
                yield conversation.id, named

    def _messages(self, conversation_id: str) -> list[Message]:
        if self._vault is None:
            return []
        try:
            return conversations.read(self._database, self._vault, conversation_id)
        except VerificationFailed:
            return []  # nobody can read it; it goes when its time is over

    def _comments(self, subject: Subject) -> list[tuple[str, int, str]]:
        if self._vault is None:
            return []
        chosen = select(feedback.c.conversation_id, feedback.c.place, feedback.c.comment)
        with self._database.reading() as connection:
            rows = connection.execute(chosen.where(feedback.c.comment.is_not(None))).all()
        found = []
        for row in rows:
            context = comment_context(row.conversation_id, row.place)
            try:
                text = self._vault.open_sealed(row.comment, context).decode()
            except VerificationFailed:
                continue
            if subject.appears_in(text):
                found.append((row.conversation_id, row.place, text))
        return found


def _shown(message: Message) -> dict[str, Any]:
    content: Content = message.content
    return {"place": message.place, "author": content.author, "text": content.text, "at_ms": message.at_ms}
