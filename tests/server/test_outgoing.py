"""Events told to the operator: signed, again until heard, and never silently lost."""

import base64
import hashlib
import hmac
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tradewind.errors import EnvironmentFailure
from tradewind.server.outgoing import Hook, Outgoing

SECRET = b"0123456789abcdef0123456789abcdef"
ENVIRONMENT = {"HOOK": "whsec_" + base64.b64encode(SECRET).decode()}
EVENT = {"event": "score_drift", "product": "cards", "psi": 0.31}


class Ear(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.heard.append((dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.end_headers()
        self.server.came.set()

    def log_message(self, *arguments):
        pass


@contextmanager
def listening(*answers):
    with HTTPServer(("127.0.0.1", 0), Ear) as server:
        server.heard, server.answers, server.came = [], list(answers), threading.Event()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def outgoing(port, log, *, events=("score_drift",), pauses_s=(0.0, 0.0)):
    hook = Hook(f"http://127.0.0.1:{port}/alerts", "HOOK", frozenset(events))
    return Outgoing({"cards": hook}, ENVIRONMENT, log=log.append, pauses_s=pauses_s)


def told(server, log, *events, **options):
    """Everything that was heard when all of `events` were told and the process ended."""
    teller = outgoing(server.server_port, log, **options)
    for event in events:
        teller.tell("cards", event)
    teller.start()
    server.came.wait(5)
    teller.stop()
    return server.heard


def test_what_is_told_can_be_proved_to_be_ours():
    with listening() as server:
        ((headers, body),) = told(server, [], EVENT)
    assert json.loads(body) | {"timestamp": ""} == {
        "type": "score_drift",
        "timestamp": "",
        "data": {"product": "cards", "psi": 0.31},
    }
    # As the specification of Standard Webhooks has it.
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_what_was_not_heard_is_told_again_under_the_same_id():
    log = []
    with listening(500, 503) as server:
        teller = outgoing(server.server_port, log)
        teller.start()
        teller.tell("cards", EVENT)
        for _ in range(200):
            if len(server.heard) == 3:
                break
            server.came.wait(0.05)
            server.came.clear()
        teller.stop()
        heard = server.heard
    assert len({headers["webhook-id"] for headers, _ in heard}) == 1
    assert (len(heard), log) == (3, [])


def test_what_nobody_heard_in_the_end_stands_in_the_log():
    log = []
    with listening(*[500] * 9) as server:
        told(server, log, EVENT, pauses_s=(3600.0,))
    (line,) = log
    assert (line["event"], line["kind"], line["reason"]) == ("webhook_lost", "score_drift", "status 500")
    assert "/alerts" not in json.dumps(line)  # an address may hold a secret


def test_an_address_where_nobody_listens_holds_nothing_up():
    log = []
    teller = outgoing(9, log, pauses_s=())
    teller.start()
    teller.tell("cards", EVENT)
    teller.stop()
    assert log[0]["reason"] == "ConnectError"


def test_only_what_was_asked_for_is_told():
    with listening() as server:
        heard = told(server, [], {"event": "handoff", "queue": "support"}, EVENT, events=("handoff",))
        assert [json.loads(body)["type"] for _, body in heard] == ["handoff"]


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_!!", base64.b64encode(SECRET).decode(), "whsec_" + base64.b64encode(b"short").decode()],
)
def test_without_a_good_secret_nothing_begins(secret):
    with pytest.raises(EnvironmentFailure) as caught:
        Outgoing({"cards": Hook("https://a.example", "HOOK", frozenset())}, {"HOOK": secret}, log=print)
    assert caught.value.code == "environment.webhook_secret"
