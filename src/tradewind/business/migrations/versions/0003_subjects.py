"""Whom stored requests are about, as keyed hashes, and who was erased."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "request_subjects",
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "kind", "place", name="pk_request_subjects"),
    )
    op.create_index("ix_request_subjects_subject", "request_subjects", ["subject"], unique=False)
    op.create_index("ix_request_subjects_expires", "request_subjects", ["expires_ms"], unique=False)
    op.create_table(
        "erased_subjects",
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("receipt", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_erased_subjects"),
    )
