"""House errors to HTTP: one table from codes to statuses, one shape of body. Not here: where errors are raised.

The body is that of OpenAI's API, `{"error": {message, type, param, code}}`, and the request id. Messages of our own
failures stay inside: a caller learns that it was not their fault and whether to try again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from tradewind.errors import DataError, EnvironmentFailure, InputError, TradewindError
from tradewind.server.gate import Headers

# Every code of the family `input` that a request can meet: tests/server/test_statuses.py reads the source and holds it.
_INPUT: dict[int, tuple[str, ...]] = {
    400: (
        "conversation_missing",
        "account_name", "adapters_unsupported", "amount", "answers_missing", "beams_range", "beside_unsuited", "code_expired", "code_redeemed", "code_unknown",
        "consent_option", "conversation_empty", "document_binary", "document_empty", "conversation_refused", "counterfactuals_range", "counterfactuals_undefined",
        "credit_amount", "credit_count", "credit_currency", "credit_reference", "credit_too_much", "currency",
        "domain_missing", "duration", "email", "events_unsupported", "expiry", "field", "grace", "guidance_unsupported", "heatmap_missing", "idempotency_key", "intents_missing", "items_unsupported", "json", "key_name",
        "language", "length_penalty_range", "model_task", "month",
        "no_period", "no_rows", "note", "payment_method", "payment_provider", "plan_currency", "plan_name",
        "plan_unknown", "prompt_empty", "prompt_token", "prompt_too_long", "purpose", "reasons_range", "request",
        "role", "sampling", "schema_invalid", "scope", "sets_missing", "subject", "subject_rows", "tensor", "unsupported", "value", "window_given",
    ),
    401: ("key_expired", "key_missing", "key_revoked", "key_unknown"),
    402: ("payment_refused",),
    403: (
        "origin_refused",
        "account_closed", "no_subscription", "operator_only", "product_not_allowed", "role_scope", "scope_missing",
    ),
    404: (
        "conversation_unknown", "message_unknown",
        "account_unknown", "adapter_unknown", "invoice_unknown", "item_unknown", "member_unknown", "model_unknown", "not_found", "payment_unknown",
        "knowledge_missing", "release_unknown", "request_unknown", "review_unknown", "route_unknown", "text_unknown", "usage_unknown",
    ),
    405: ("method_not_allowed",),
    408: ("body_slow",),
    409: (
        "conversation_closed", "conversation_full", "conversation_held", "conversation_not_held", "conversation_not_waiting",
        "account_ambiguous", "credit_exists", "currencies_mixed", "idempotency_running", "invoice_credited",
        "invoice_final", "invoice_paid", "invoice_status", "key_replaced", "last_owner", "member_exists",
        "payment_status", "period_open", "plan_same", "review_taken", "state", "subscribed", "text_exists", "too_many_items", "too_many_texts", "usage_unsettled",
    ),
    413: ("body_too_large", "too_many_rows"),
    415: ("content_encoding", "content_type"),
    422: ("idempotency_conflict",),
    429: ("conversations_limited", "messages_limited", "credit_used_up", "quota_used_up", "requests_limited", "units_limited"),
    # What the operator set up wrongly is no fault of a caller.
    500: (
        "database_url", "key_broken", "key_exists", "no_earlier_release", "plugin_unknown", "product_twice",
        "vault_key_in_use", "vault_key_unknown",
    ),
}  # fmt: skip
STATUS: dict[str, int] = {f"input.{code}": status for status, codes in _INPUT.items() for code in codes} | {
    "environment.timeout": 504
}
# For a code that is not in the table.
FAMILIES = {
    "input": 400, "data": 400, "environment": 503,
    "product": 500, "model": 500, "artifact": 500, "check": 500, "gate": 500, "verify": 500,
}  # fmt: skip
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_PRIVATE = {
    500: "Something went wrong on our side. Nothing was charged.",
    503: "The service cannot take this request at the moment. Nothing was charged. Try again soon.",
    504: "The answer took too long and was given up. Nothing was charged.",
}
_QUOTA = frozenset(["input.quota_used_up", "input.credit_used_up"])
_RETRY_S = {"environment": 2.0}
_MESSAGE_CHARACTERS = 1000
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True)
class Problem:
    status: int
    code: str
    message: str
    type: str
    param: str | None
    headers: Headers

    def body(self, request_id: str) -> bytes:
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return _encode({"error": error, "request_id": request_id})

    def oip_body(self) -> bytes:
        """The shape of the Open Inference Protocol: the message alone."""
        return _encode({"error": self.message})


def problem_of(error: BaseException) -> Problem:
    """What a caller is told about `error`. An error that is not of the house is 500 without detail."""
    if isinstance(error, RecursionError):
        return problem_of(InputError("The JSON is nested too deep.", code="json"))
    if not isinstance(error, TradewindError):
        return Problem(500, "error.internal", _PRIVATE[500], "server_error", None, ())
    status = status_of(error)
    headers: Headers = getattr(error, "headers", ())
    retry_after_s = getattr(error, "retry_after_s", None) or _RETRY_S.get(error.family)
    if retry_after_s is not None:
        headers = (*headers, (b"retry-after", str(max(1, math.ceil(retry_after_s))).encode()))
    if status >= 500:
        return Problem(status, _public_code(error, status), _PRIVATE[status], "server_error", None, headers)
    message = f"{error.message} {error.hint}" if error.hint else error.message
    kind = "insufficient_quota" if error.code in _QUOTA else _TYPES.get(status, "invalid_request_error")
    return Problem(status, error.code, message[:_MESSAGE_CHARACTERS], kind, _param(error), headers)


def status_of(error: TradewindError) -> int:
    return STATUS.get(error.code) or FAMILIES.get(error.family, 500)


def _public_code(error: TradewindError, status: int) -> str:
    """Of our own failures only those codes are told that help a caller to decide: none of them names a place."""
    return error.code if isinstance(error, EnvironmentFailure) else f"error.{'internal' if status == 500 else status}"


def _param(error: TradewindError) -> str | None:
    """The column or field at fault. A path of this machine is none."""
    place = error.where
    if place is None or (not isinstance(error, DataError) and ("/" in place or "\\" in place)):
        return None
    return place[:_MESSAGE_CHARACTERS]


def _encode(content: dict[str, Any]) -> bytes:
    try:
        return _JSON.encode(content)
    except UnicodeEncodeError:  # half a surrogate pair in what the caller sent
        error = content["error"]
        cleaned = _clean(error) if isinstance(error, str) else {name: _clean(text) for name, text in error.items()}
        return _JSON.encode({**content, "error": cleaned})


def _clean(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "replace").decode()
