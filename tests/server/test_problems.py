"""One table: every house error has a status, and nothing of the inside gets out."""

import json

import pytest

from tradewind.errors import (
    ArtifactError,
    DataError,
    EnvironmentFailure,
    GateFailed,
    InputError,
    ModelError,
    ProductFileError,
    VerificationFailed,
)
from tradewind.server.gate import Refused
from tradewind.server.problems import STATUS, problem_of


def body(error):
    return json.loads(problem_of(error).body("req_1"))


def test_the_body_is_that_of_openai_with_the_request_id():
    error = DataError("The value is a list.", code="value_type", where="tenure", hint="Send a number.")
    assert body(error) == {
        "error": {
            "message": "The value is a list. Send a number.",
            "type": "invalid_request_error",
            "param": "tenure",
            "code": "data.value_type",
        },
        "request_id": "req_1",
    }
    assert json.loads(problem_of(error).oip_body()) == {"error": "The value is a list. Send a number."}


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InputError("x", code="anything"), 400, "invalid_request_error"),
        (InputError("x", code="key_unknown"), 401, "authentication_error"),
        (InputError("x", code="scope_missing"), 403, "permission_error"),
        (InputError("x", code="model_unknown"), 404, "invalid_request_error"),
        (InputError("x", code="idempotency_running"), 409, "invalid_request_error"),
        (InputError("x", code="requests_limited"), 429, "rate_limit_error"),
        (InputError("x", code="quota_used_up"), 429, "insufficient_quota"),
        (DataError("x", code="value_type"), 400, "invalid_request_error"),
        (EnvironmentFailure("x", code="disk_full"), 503, "server_error"),
        (EnvironmentFailure("x", code="timeout"), 504, "server_error"),
        (ArtifactError("x", code="broken"), 500, "server_error"),
        (ModelError("x", code="broken"), 500, "server_error"),
        (ProductFileError("x", code="broken"), 500, "server_error"),
        (VerificationFailed("x", code="digest"), 500, "server_error"),
        (GateFailed("x", code="missed"), 500, "server_error"),
        (ValueError("x"), 500, "server_error"),
        (RecursionError("x"), 400, "invalid_request_error"),
    ],
)
def test_statuses_and_types(error, status, kind):
    problem = problem_of(error)
    assert (problem.status, problem.type) == (status, kind)


@pytest.mark.parametrize(
    "error",
    [
        EnvironmentFailure("secret", code="disk_full", where="/srv/secret", hint="secret"),
        ArtifactError("secret", code="secret", where="/srv/secret"),
        VerificationFailed("secret", code="secret"),
        KeyError("secret"),
    ],
)
def test_our_own_failures_are_told_without_detail(error):
    assert b"secret" not in problem_of(error).body("req_1")
    assert b"secret" not in problem_of(error).oip_body()


def test_a_path_of_this_machine_is_no_param():
    assert body(InputError("x", code="y", where="/etc/keys"))["error"]["param"] is None
    assert body(DataError("x", code="y", where="a/b"))["error"]["param"] == "a/b"  # a column may be called so


def test_when_to_try_again_is_said_in_whole_seconds():
    refused = Refused("x", code="requests_limited", retry_after_s=1.2, headers=((b"x-ratelimit-limit-requests", b"5"),))
    assert problem_of(refused).headers == ((b"x-ratelimit-limit-requests", b"5"), (b"retry-after", b"2"))
    assert (b"retry-after", b"2") in problem_of(EnvironmentFailure("x", code="disk_full")).headers


def test_half_a_surrogate_pair_in_a_message_is_no_second_error():
    assert problem_of(DataError("bad \ud800", code="x", where="\ud800")).body("r")
    assert problem_of(DataError("bad \ud800", code="x")).oip_body()


def test_the_table_holds_statuses_of_http_only():
    assert all(400 <= status < 600 for status in STATUS.values())
