"""Every table of the business database, for SQLite and PostgreSQL alike. Not here: queries, nor how a schema changes
(`migrations/`).

Moments are integers, milliseconds since 1970 in UTC (`_ms`); money is integer minor units with a currency; JSON is text.
History is never edited: a correction is a new row. Rows of `usage_events`, `credit_entries`, `consents`, `audit` are only added.
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
    Text,
    UniqueConstraint,
)

from tradewind.business.conversation_tables import conversation_feedback as conversation_feedback
from tradewind.business.conversation_tables import conversation_messages as conversation_messages
from tradewind.business.conversation_tables import conversations as conversations
from tradewind.business.metadata import ACCOUNT as _ACCOUNT
from tradewind.business.metadata import ID as _ID
from tradewind.business.metadata import metadata as metadata

# ---------------------------------------------------------------- whom we serve

accounts = Table(
    "accounts",
    metadata,
    Column("id", _ID, primary_key=True),  # acc_…
    Column("name", String(200), nullable=False),
    Column("email", String(320)),
    Column("language", String(2), nullable=False, server_default="en"),  # of invoices: en, zh
    Column("created_ms", BigInteger, nullable=False),
    Column("closed_ms", BigInteger),
)

members = Table(
    "members",
    metadata,
    Column("id", _ID, primary_key=True),  # mem_…
    Column("account_id", _ID, ForeignKey(_ACCOUNT), nullable=False, index=True),
    Column("email", String(320), nullable=False),
    Column("role", String(16), nullable=False),  # owner, admin, member, billing, viewer
    Column("created_ms", BigInteger, nullable=False),
    Column("removed_ms", BigInteger),
)

keys = Table(
    "keys",
    metadata,
    Column("id", _ID, primary_key=True),  # key_…
    Column("account_id", _ID, ForeignKey(_ACCOUNT), index=True),  # null: a key of the operator
    Column("member_id", _ID, ForeignKey("members.id"), index=True),  # null: a key of the account itself
    Column("name", String(200), nullable=False),
    Column("prefix", String(24), nullable=False, unique=True),  # shown; finds the row
    Column("hash", String(64), nullable=False),  # SHA-256 of the whole secret, hexadecimal
    Column("scopes", Text, nullable=False),  # JSON list: predict, converse, usage, keys, invoices, operator
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),  # also the end of the grace period after a rotation
    Column("revoked_ms", BigInteger),
    Column("replaced_by", _ID),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", _ID, primary_key=True),  # sub_…
    Column("account_id", _ID, ForeignKey(_ACCOUNT), nullable=False, index=True),
    Column("plan", String(64), nullable=False),
    Column("terms", Text, nullable=False),  # JSON of tariff.Plan as it was when agreed
    Column("price_version", String(16), nullable=False),  # first digits of the digest of the terms
    Column("started_ms", BigInteger, nullable=False),
    Column("anchor_ms", BigInteger, nullable=False),  # periods are months counted from here
    Column("trial_end_ms", BigInteger),
    Column("cancel_ms", BigInteger),  # ends then: the end of a period
    Column("ended_ms", BigInteger),
    Column("next_plan", String(64)),  # a downgrade waits for the end of the period
    Column("next_terms", Text),
)

# ---------------------------------------------------------------- what they used

workers = Table(
    "workers",
    metadata,
    Column("id", _ID, primary_key=True),  # wrk_…
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("journal", Text, nullable=False),  # path of its journal on that host
    Column("journal_offset", BigInteger, nullable=False, server_default="0"),  # bytes that are in usage_events
    Column("revision", BigInteger, nullable=False, server_default="0"),  # the newest revision it has taken in
    Column("heartbeat_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
)

# One row per account and period, the pool of all meters (settlement.POOL). granted = what is out on leases and not yet settled; used = settled.
# Never used + granted > cap.
quotas = Table(
    "quotas",
    metadata,
    Column("account_id", _ID, ForeignKey(_ACCOUNT), primary_key=True),
    Column("period_start_ms", BigInteger, primary_key=True),
    Column("meter", String(32), primary_key=True),
    Column("used", BigInteger, nullable=False, server_default="0"),
    Column("granted", BigInteger, nullable=False, server_default="0"),
    Column("requests", BigInteger, nullable=False, server_default="0"),
    Column("recall_ms", BigInteger),  # somebody waits for units that lie unspent with another worker
    CheckConstraint("used >= 0 AND granted >= 0", name="counts"),
)

leases = Table(
    "leases",
    metadata,
    Column("worker_id", _ID, ForeignKey("workers.id"), primary_key=True),
    Column("account_id", _ID, primary_key=True),
    Column("period_start_ms", BigInteger, primary_key=True),
    Column("meter", String(32), primary_key=True),
    Column("units", BigInteger, nullable=False),  # granted to this worker and not yet settled
    Column("expires_ms", BigInteger, nullable=False),
    Column("answered_ms", BigInteger, nullable=False, server_default="0"),  # newest recall that its worker has answered
    Index("ix_leases_account", "account_id", "period_start_ms", "meter"),
)

usage_events = Table(
    "usage_events",
    metadata,
    Column("request_id", _ID, primary_key=True),
    Column("meter", String(32), primary_key=True),  # rows, characters, prompt_tokens, completion_tokens
    Column("account_id", _ID, ForeignKey(_ACCOUNT), nullable=False),
    Column("key_id", _ID, nullable=False),
    Column("subscription_id", _ID, nullable=False),
    Column("period_start_ms", BigInteger, nullable=False),
    Column("product", String(64), nullable=False),
    Column("release", String(80), nullable=False),
    Column("price_version", String(16), nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("outcome", String(16), nullable=False),  # complete, disconnected
    Column("at_ms", BigInteger, nullable=False),
    CheckConstraint("units >= 0", name="units"),
    Index("ix_usage_events_account", "account_id", "period_start_ms"),
    Index("ix_usage_events_at", "at_ms"),
)

# Token buckets, shared by all workers. Tokens in thousandths.
buckets = Table(
    "buckets",
    metadata,
    Column("account_id", _ID, primary_key=True),
    Column("kind", String(16), primary_key=True),  # requests, units
    Column("millitokens", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("account_id", _ID, primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("digest", String(80), nullable=False),  # of method, path and body
    Column("request_id", _ID, nullable=False),
    Column("worker_id", _ID),  # who runs the first request
    Column("status", Integer),  # null while the first request runs
    Column("headers", Text),
    Column("body", LargeBinary),
    Column("created_ms", BigInteger, nullable=False),
    Index("ix_idempotency_created", "created_ms"),
)

# ---------------------------------------------------------------- money

credit_entries = Table(
    "credit_entries",
    metadata,
    Column("id", _ID, primary_key=True),  # crd_…
    Column("account_id", _ID, ForeignKey(_ACCOUNT), nullable=False, index=True),
    Column("amount_minor", BigInteger, nullable=False),  # positive: bought or given; negative: spent on an invoice
    Column("currency", String(3), nullable=False),
    Column("kind", String(16), nullable=False),  # top_up, grant, invoice, credit_note, refund
    Column("reference", String(80), nullable=False),  # code hash, invoice id …; one entry per kind and reference
    Column("at_ms", BigInteger, nullable=False),
    UniqueConstraint("kind", "reference"),
)

top_up_codes = Table(
    "top_up_codes",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("prefix", String(24), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("redeemed_ms", BigInteger),
    Column("account_id", _ID, ForeignKey(_ACCOUNT)),
)

invoices = Table(
    "invoices",
    metadata,
    Column("id", _ID, primary_key=True),  # inv_…
    Column("number", String(40), unique=True),  # given when finalized, without a gap
    Column("kind", String(16), nullable=False),  # invoice, credit_note
    Column("status", String(16), nullable=False),  # draft, final, void
    Column("account_id", _ID, ForeignKey(_ACCOUNT), nullable=False, index=True),
    Column("subscription_id", _ID, nullable=False),
    Column("corrects", _ID),  # the invoice that a credit note corrects
    Column("period_start_ms", BigInteger, nullable=False),
    Column("period_end_ms", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("terms", Text, nullable=False),  # JSON of the plan that was applied
    Column("created_ms", BigInteger, nullable=False),
    Column("finalized_ms", BigInteger),
    Column("voided_ms", BigInteger),
    Column("digest", String(80)),  # of the finalized content
)

invoice_lines = Table(
    "invoice_lines",
    metadata,
    Column("invoice_id", _ID, ForeignKey("invoices.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),  # plan, included, overage, proration, credit, correction
    Column("description", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("unit_price", String(60), nullable=False),  # tariff's spelling, exact
    Column("amount_minor", BigInteger, nullable=False),
    Column("evidence", Text, nullable=False),  # JSON: what it was computed from
)

# What a provider keeps of an account that may be charged at once: references, never a card's number.
payment_methods = Table(
    "payment_methods",
    metadata,
    Column("account_id", _ID, ForeignKey(_ACCOUNT), primary_key=True),
    Column("provider", String(255), primary_key=True),
    Column("customer", String(255), nullable=False),
    Column("payment_method", String(255), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

payments = Table(
    "payments",
    metadata,
    Column("id", _ID, primary_key=True),  # pay_…
    Column("invoice_id", _ID, ForeignKey("invoices.id"), nullable=False, index=True),
    Column("provider", String(32), nullable=False),
    Column("provider_id", String(255), unique=True),
    Column("status", String(16), nullable=False),  # pending, succeeded, failed, refunded
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)

# ---------------------------------------------------------------- records

# Only added to: the newest row of a purpose says how it stands.
consents = Table(
    "consents",
    metadata,
    Column("id", _ID, primary_key=True),  # con_…
    Column("account_id", _ID, ForeignKey(_ACCOUNT), nullable=False),
    Column("purpose", String(32), nullable=False),  # store_inputs, training
    Column("given", Boolean, nullable=False),  # false: withdrawn
    Column("note", String(500)),
    Column("actor", String(120), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_consents_account", "account_id", "purpose", "at_ms"),
)

request_records = Table(
    "request_records",
    metadata,
    Column("request_id", _ID, primary_key=True),
    Column("account_id", _ID, ForeignKey(_ACCOUNT), nullable=False),
    Column("product", String(64), nullable=False),
    Column("release", String(80), nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # vault.Vault.seal of the JSON of inputs and outputs
    Column("at_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Index("ix_request_records_expires", "expires_ms"),
    Index("ix_request_records_account", "account_id", "at_ms"),
)

# Whom a stored request is about, as keyed hashes (privacy/subjects.py): never a name.
request_subjects = Table(
    "request_subjects",
    metadata,
    Column("request_id", _ID, primary_key=True),
    Column("kind", String(16), primary_key=True),  # record: request_records, reply: idempotency
    Column("place", Integer, primary_key=True),  # the row of the request; -1 for all of it
    Column("subject", String(64), nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Index("ix_request_subjects_subject", "subject"),
    Index("ix_request_subjects_expires", "expires_ms"),
)

# Whose requests until then are not stored any more: a worker may still hold one when its subject is erased.
erased_subjects = Table(
    "erased_subjects",
    metadata,
    Column("subject", String(64), primary_key=True),
    Column("receipt", _ID, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

# What customers bring beside a release: documents of a knowledge base, examples of intents. Kept until they take it away.
customer_texts = Table(
    "customer_texts",
    metadata,
    Column("account_id", _ID, ForeignKey(_ACCOUNT), primary_key=True),
    Column("product", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),  # document, intent
    Column("name", String(200), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # vault.Vault.seal of its JSON
    Column("encoder", String(80)),  # what the vectors were made with
    Column("vectors", LargeBinary),  # sealed too: texts can be guessed from their vectors
    Column("revision", BigInteger, nullable=False),  # of the database when it was written: a later one is a larger one
    Column("at_ms", BigInteger, nullable=False),
)

# Decisions that a person must make: what waits, who has it, what was found.
reviews = Table(
    "reviews",
    metadata,
    Column("id", _ID, primary_key=True),  # rev_…
    Column("account_id", _ID, ForeignKey(_ACCOUNT), nullable=False),
    Column("product", String(64), nullable=False),
    Column("release", String(80), nullable=False),
    Column("request_id", _ID, nullable=False, unique=True),
    Column("score", Float, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # vault.Vault.seal of the JSON of transaction, windows, reasons
    Column("state", String(16), nullable=False),  # open, claimed, closed
    Column("at_ms", BigInteger, nullable=False),
    Column("claimed_by", String(120)),
    Column("claimed_ms", BigInteger),
    Column("verdict", String(200)),
    Column("note", String(500)),
    Column("closed_ms", BigInteger),
    Index("ix_reviews_waiting", "product", "state", "score"),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 … without a gap
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),  # operator, key_…, system
    Column("action", String(64), nullable=False),  # account.add, key.revoke, invoice.finalize …
    Column("subject", String(80), nullable=False),
    Column("detail", Text, nullable=False),  # canonical JSON, no secret
    Column("previous", String(80), nullable=False),
    Column("hash", String(80), nullable=False),  # digest of previous and of this row
)

# One row: counts every change that workers must take in (keys, plans, accounts).
state = Table(
    "state",
    metadata,
    Column("name", String(32), primary_key=True),  # revision
    Column("value", BigInteger, nullable=False),
    Column("flag", Boolean),
)
