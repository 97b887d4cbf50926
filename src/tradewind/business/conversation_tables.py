"""Tables of conversations: who talks about what, each message sealed, and what people thought of the answers.
Not here: all other tables (`tables.py`, which names these too), nor queries (`conversations.py`).

In the clear stands what routes and figures ask for (states, intents, names of documents); what people wrote is sealed.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from tradewind.business.metadata import ACCOUNT, ID, metadata

conversations = Table(
    "conversations",
    metadata,
    Column("id", ID, primary_key=True),  # cnv_…
    Column("account_id", ID, ForeignKey(ACCOUNT), nullable=False),
    Column("product", String(64), nullable=False),
    Column("release", String(80)),  # pinned; null: whatever is live
    Column("token", String(64), nullable=False),  # SHA-256 of what a public key must show beside itself
    Column("public", Boolean, nullable=False),  # begun by a public key
    Column("subject", String(64)),  # whom it is about, as a keyed hash; null for nobody
    Column("language", String(2), nullable=False),
    Column("status", String(16), nullable=False),  # open, waiting (for a person), held (by one), closed
    Column("queue", String(64)),  # where it waits or waited
    Column("holder", String(200)),  # who holds it: key and name
    Column("failures", Integer, nullable=False, server_default="0"),  # messages in a row without an answer
    Column("last", Integer, nullable=False, server_default="0"),  # place of the newest message
    Column("began_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("waiting_ms", BigInteger),  # since when
    Column("expires_ms", BigInteger, nullable=False),
    Index("ix_conversations_account", "account_id", "updated_ms"),
    Index("ix_conversations_waiting", "status", "waiting_ms"),
    Index("ix_conversations_expires", "expires_ms"),
    Index("ix_conversations_subject", "subject"),
)

conversation_messages = Table(
    "conversation_messages",
    metadata,
    Column("conversation_id", ID, ForeignKey("conversations.id"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3 … without a gap
    Column("author", String(16), nullable=False),  # user, assistant, person, system
    Column("kind", String(16), nullable=False),  # message, greeting, intent, passage, generated, clarify, handoff, …
    Column("request_id", ID),  # of a user's message: the request that it came by
    Column("answers", Integer),  # place of the user's message that this one answers
    Column("confidence", Float),
    Column("intent", String(200)),
    Column("source", String(400)),  # the first that was cited
    Column("sealed", LargeBinary, nullable=False),  # vault.Vault.seal of the JSON of its content
    Column("at_ms", BigInteger, nullable=False),
    UniqueConstraint("conversation_id", "request_id"),
)

# One verdict a message, and one a conversation (place 0); the newest stands.
conversation_feedback = Table(
    "conversation_feedback",
    metadata,
    Column("conversation_id", ID, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("account_id", ID, ForeignKey(ACCOUNT), nullable=False, index=True),
    Column("product", String(64), nullable=False),
    Column("kind", String(16)),  # of the message: how it was answered
    Column("intent", String(200)),
    Column("source", String(400)),
    Column("score", Integer, nullable=False),  # 1 to 5
    Column("comment", LargeBinary),  # sealed
    Column("at_ms", BigInteger, nullable=False),
    CheckConstraint("score >= 1 AND score <= 5", name="score"),
    Index("ix_conversation_feedback_product", "product", "at_ms"),
)
