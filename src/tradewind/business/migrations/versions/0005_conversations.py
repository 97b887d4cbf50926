"""Conversations, their messages, and what people thought of the answers."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.String(length=64)


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", _ID, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("product", sa.String(length=64), nullable=False),
        sa.Column("release", sa.String(length=80), nullable=True),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=True),
        sa.Column("holder", sa.String(length=200), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last", sa.Integer(), server_default="0", nullable=False),
        sa.Column("began_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("waiting_ms", sa.BigInteger(), nullable=True),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_conversations_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
    )
    op.create_index("ix_conversations_account", "conversations", ["account_id", "updated_ms"], unique=False)
    op.create_index("ix_conversations_waiting", "conversations", ["status", "waiting_ms"], unique=False)
    op.create_index("ix_conversations_expires", "conversations", ["expires_ms"], unique=False)
    op.create_index("ix_conversations_subject", "conversations", ["subject"], unique=False)
    op.create_table(
        "conversation_messages",
        sa.Column("conversation_id", _ID, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("author", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("request_id", _ID, nullable=True),
        sa.Column("answers", sa.Integer(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("intent", sa.String(length=200), nullable=True),
        sa.Column("source", sa.String(length=400), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_conversation_messages_conversation_id_conversations"
        ),
        sa.PrimaryKeyConstraint("conversation_id", "place", name="pk_conversation_messages"),
        sa.UniqueConstraint(
            "conversation_id", "request_id", name="uq_conversation_messages_conversation_id_request_id"
        ),
    )
    op.create_table(
        "conversation_feedback",
        sa.Column("conversation_id", _ID, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("product", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=True),
        sa.Column("intent", sa.String(length=200), nullable=True),
        sa.Column("source", sa.String(length=400), nullable=True),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("comment", sa.LargeBinary(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("score >= 1 AND score <= 5", name=op.f("ck_conversation_feedback_score")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_conversation_feedback_account_id_accounts"),
        sa.PrimaryKeyConstraint("conversation_id", "place", name="pk_conversation_feedback"),
    )
    op.create_index("ix_conversation_feedback_account_id", "conversation_feedback", ["account_id"], unique=False)
    op.create_index("ix_conversation_feedback_product", "conversation_feedback", ["product", "at_ms"], unique=False)
