"""What is shown of accounts, keys, subscriptions, usage and invoices, as JSON values: the same to the command line and
over HTTP. Not here: tables for people, nor who may see what.

Moments are ISO 8601 in UTC to the millisecond, amounts integers in minor units beside the currency, prices as written in
the product file. No view holds a hash of a secret.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tradewind.business.accounts import Account, Member
from tradewind.business.audit import Entry
from tradewind.business.consent import Consent
from tradewind.business.derive import DryRun
from tradewind.business.invoices import Invoice
from tradewind.business.keys import Key
from tradewind.business.meters import Record, Usage
from tradewind.business.payments import Payment
from tradewind.business.periods import Period
from tradewind.business.receivables import Standing
from tradewind.business.reviews import Review
from tradewind.business.subscription import Subscription
from tradewind.money import Money
from tradewind.tariff import Plan

View = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at_ms: int | None) -> str | None:
    """2026-11-23T20:15:00.000Z, or None for no moment."""
    if at_ms is None:
        return None
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def period(value: Period | None) -> View | None:
    return None if value is None else {"start": moment(value.start_ms), "end": moment(value.end_ms)}


def account(value: Account) -> View:
    return {
        "account": value.id,
        "name": value.name,
        "email": value.email,
        "language": value.language,
        "created": moment(value.created_ms),
        "closed": moment(value.closed_ms),
    }


def member(value: Member) -> View:
    return {"id": value.id, "email": value.email, "role": value.role, "created": moment(value.created_ms)}


def consent(value: Consent) -> View:
    return {
        "purpose": value.purpose,
        "given": value.given,
        "at": moment(value.at_ms),
        "by": value.actor,
        "note": value.note,
    }


def key(value: Key, *, now_ms: int) -> View:
    return {
        "id": value.id,
        "prefix": value.prefix,
        "name": value.name,
        "scopes": sorted(value.scopes),
        "member": value.member_id,
        "state": key_state(value, now_ms=now_ms),
        "created": moment(value.created_ms),
        "expires": moment(value.expires_ms),
        "revoked": moment(value.revoked_ms),
        "replaced_by": value.replaced_by,
    }


def key_state(value: Key, *, now_ms: int) -> str:
    """active, replaced (works on for its time of grace), expired or revoked."""
    if value.revoked_ms is not None:
        return "revoked"
    if value.expires_ms is not None and value.expires_ms <= now_ms:
        return "expired"
    return "replaced" if value.replaced_by is not None else "active"


def plan(value: Plan) -> View:
    """As it is written in the product file, without what was left out there."""
    return value.model_dump(mode="json", exclude_defaults=True)


def subscription(value: Subscription | None) -> View | None:
    if value is None:
        return None
    return {
        "id": value.id,
        "plan": value.plan,
        "terms": plan(value.terms),
        "price_version": value.price_version,
        "started": moment(value.started_ms),
        "trial_end": moment(value.trial_end_ms),
        "ends": moment(value.cancel_ms),
        "next_plan": value.next_plan,
    }


def money(value: Money) -> View:
    return {"amount_minor": value.amount_minor, "currency": value.currency, "text": str(value)}


def invoice(value: Invoice) -> View:
    """Whole: each line says in `evidence` what it was computed from."""
    lines = [
        {
            "kind": line.kind,
            "description": line.description,
            "quantity": line.quantity,
            "unit_price": line.unit_price,
            "amount_minor": line.amount_minor,
            "evidence": dict(line.evidence),
        }
        for line in value.lines
    ]
    return {
        "id": value.id,
        "number": value.number,
        "kind": value.kind,
        "status": value.status,
        "account": value.account_id,
        "subscription": value.subscription_id,
        "corrects": value.corrects,
        "period": period(value.period),
        "currency": value.currency,
        "subtotal_minor": value.subtotal_minor,
        "credit_minor": value.credit_minor,
        "total_minor": value.total_minor,
        "total": str(value.total),
        "lines": lines,
        "created": moment(value.created_ms),
        "finalized": moment(value.finalized_ms),
        "voided": moment(value.voided_ms),
        "digest": value.digest,
    }


def standing(value: Standing) -> View:
    """How an invoice is paid: open, pending, failed, paid, refunded, nothing_due, not_due."""
    return {"state": value.state, "paid_minor": value.paid_minor, "outstanding_minor": value.outstanding_minor}


def payment(value: Payment) -> View:
    return {
        "id": value.id,
        "invoice": value.invoice_id,
        "provider": value.provider,
        "provider_id": value.provider_id,
        "status": value.status,
        "amount_minor": value.amount.amount_minor,
        "currency": value.amount.currency,
        "amount": str(value.amount),
        "created": moment(value.created_ms),
        "updated": moment(value.updated_ms),
    }


def usage(value: Usage) -> View:
    return {"units": value.units, "requests": value.requests, "by_meter": dict(value.by_meter)}


def record(value: Record) -> View:
    return {
        "id": value.id,
        "request": value.request_id,
        "meter": value.meter,
        "units": value.units,
        "outcome": value.outcome,
        "product": value.product,
        "release": value.release,
        "key": value.key_id,
        "price_version": value.price_version,
        "at": moment(value.at_ms),
    }


def dry_run(value: DryRun) -> View:
    """One customer's month under its own plan (`old`) and under the changed one (`new`), before credit."""
    return {
        "account": value.account_id,
        "name": value.name,
        "plan": value.plan,
        "units": value.units,
        "currency": value.currency,
        "old_minor": value.old_minor,
        "new_minor": value.new_minor,
        "difference_minor": value.difference_minor,
        "refused": value.refused,
    }


def entry(value: Entry) -> View:
    return {
        "sequence": value.sequence,
        "at": moment(value.at_ms),
        "actor": value.actor,
        "action": value.action,
        "subject": value.subject,
        "detail": value.detail,
        "hash": value.hash,
    }


def review(one: Review) -> View:
    return {
        "id": one.id, "account": one.account_id, "product": one.product, "release": one.release, "request_id": one.request_id,
        "score": one.score, "state": one.state, "at": moment(one.at_ms), "by": one.claimed_by, "verdict": one.verdict,
        "note": one.note, "closed": moment(one.closed_ms), **one.content,
    }  # fmt: skip
