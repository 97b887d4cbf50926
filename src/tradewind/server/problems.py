"""House errors to HTTP: one table from codes to statuses, one shape of body. Not here: where errors are raised.

The body is that of OpenAI's API, `{"error": {message, type, param, code}}`, and the request id. Messages of our own
failures stay inside: a caller learns that it was not their fault and whether to try again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from tradewind.errors import CheckFailed, DataError, EnvironmentFailure, InputError, ModelError, TradewindError
from tradewind.server.gate import Headers

# Codes that differ from the status of their family. Everything that a caller can get stands here.
STATUS: dict[str, int] = {
    "input.key_missing": 401,
    "input.key_malformed": 401,
    "input.key_unknown": 401,
    "input.key_revoked": 401,
    "input.key_expired": 401,
    "input.account_closed": 403,
    "input.no_subscription": 403,
    "input.scope_missing": 403,
    "input.product_not_allowed": 403,
    "input.operator_only": 403,
    "input.route_unknown": 404,
    "input.model_unknown": 404,
    "input.release_unknown": 404,
    "input.account_unknown": 404,
    "input.invoice_unknown": 404,
    "input.member_unknown": 404,
    "input.request_unknown": 404,
    "input.not_found": 404,
    "input.method_not_allowed": 405,
    "input.body_slow": 408,
    "input.idempotency_running": 409,
    "input.state": 409,
    "input.body_too_large": 413,
    "input.too_many_rows": 413,
    "input.content_type": 415,
    "input.content_encoding": 415,
    "input.idempotency_conflict": 422,
    "input.rate_limited": 429,
    "input.requests_limited": 429,
    "input.units_limited": 429,
    "input.quota_used_up": 429,
    "input.cap_reached": 429,
    "input.credit_used_up": 429,
    "environment.timeout": 504,
}
_FAMILIES = {"input": 400, "data": 400, "environment": 503}
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_PRIVATE = {
    500: "Something went wrong on our side. Nothing was charged.",
    503: "The service cannot take this request at the moment. Nothing was charged. Try again soon.",
    504: "The answer took too long and was given up. Nothing was charged.",
}
_QUOTA = frozenset(["input.quota_used_up", "input.cap_reached", "input.credit_used_up"])
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
    if error.code in STATUS:
        return STATUS[error.code]
    if isinstance(error, ModelError | CheckFailed):
        return 500
    return _FAMILIES.get(error.family, 500)


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
