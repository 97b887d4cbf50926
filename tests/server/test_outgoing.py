"""Events told to the operator: signed, on the disk first, again until heard, and never silently lost."""

import base64
import hashlib
import hmac
import json
import multiprocessing
import os
import signal
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tradewind.clock import FixedClock
from tradewind.errors import EnvironmentFailure
from tradewind.server.outbox import Outbox
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
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def outgoing(home, port, log, *, events=("score_drift",), pauses_s=(0.0, 0.0), clock=None, most=9):
    hook = Hook(f"http://127.0.0.1:{port}/alerts", "HOOK", frozenset(events))
    return Outgoing({"cards": hook}, ENVIRONMENT, home=home, log=log.append, pauses_s=pauses_s, clock=clock, most=most)


def told(home, server, log, *events, **options):
    """Everything that was heard when all of `events` were told and the process ended."""
    teller = outgoing(home, server.server_port, log, **options)
    for event in events:
        teller.tell("cards", event)
    teller.start()
    server.came.wait(5)
    teller.stop()
    return server.heard


def waits(home):
    box = Outbox(home / "cards")
    found = box.waiting()
    box.close()
    return found


def test_what_is_told_can_be_proved_to_be_ours(tmp_path):
    with listening() as server:
        ((headers, body),) = told(tmp_path, server, [], EVENT)
    assert json.loads(body) | {"timestamp": ""} == {
        "type": "score_drift",
        "timestamp": "",
        "data": {"product": "cards", "psi": 0.31},
    }
    # As the specification of Standard Webhooks has it.
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert waits(tmp_path) == []


def test_what_was_not_heard_is_told_again_under_the_same_id(tmp_path):
    log = []
    with listening(500, 503) as server:
        teller = outgoing(tmp_path, server.server_port, log)
        teller.start()
        for _ in range(3):
            teller.tell("cards", EVENT, id="evt_1")  # one event, however often it is told
            server.came.wait(5)
            server.came.clear()
        teller.stop()
        heard = server.heard
    assert [headers["webhook-id"] for headers, _ in heard] == ["evt_1"] * 3
    assert (log, waits(tmp_path)) == ([], [])


def test_what_nobody_heard_waits_for_the_next_start_and_goes_out_once(tmp_path):
    log, clock = [], FixedClock(datetime(2026, 11, 28, tzinfo=UTC))
    with listening(500) as server:
        told(tmp_path, server, log, EVENT, pauses_s=(3600.0,), clock=clock)
    (one,) = waits(tmp_path)
    assert (one.tries, log) == (1, [])
    clock.advance(3600)
    with listening() as server:
        told(tmp_path, server, log, pauses_s=(3600.0,), clock=clock)
        ((headers, _),) = server.heard
    assert (headers["webhook-id"], waits(tmp_path)) == (one.id, [])


def test_what_nobody_heard_in_the_end_stands_in_the_log(tmp_path):
    log = []
    with listening(500) as server:
        told(tmp_path, server, log, EVENT, pauses_s=())
    (line,) = log
    assert (line["event"], line["kind"], line["reason"]) == ("webhook_lost", "score_drift", "status 500")
    assert "/alerts" not in json.dumps(line)  # an address may hold a secret
    assert waits(tmp_path) == []


def test_an_address_where_nobody_listens_is_left_alone_for_a_while(tmp_path):
    tried = []

    class Counting(Outgoing):
        def _try(self, client, product, one, seconds):
            tried.append(one.id)
            return super()._try(client, product, one, seconds)

    hook = Hook("http://127.0.0.1:9/alerts", "HOOK", frozenset(["score_drift"]))
    teller = Counting({"cards": hook}, ENVIRONMENT, home=tmp_path, log=print)
    for number in range(20):
        teller.tell("cards", EVENT, id=f"evt_{number}")
    teller.start()
    teller.stop()
    assert (len(tried), len(waits(tmp_path))) == (1, 20)


def test_a_killed_process_leaves_what_it_told_to_another_one(tmp_path):
    """Killed right behind `tell`, while it held the right to tell: nothing of its memory is left."""
    reading, writing = os.pipe()
    with listening(500, 500) as server:
        child = multiprocessing.get_context("fork").Process(
            target=_tells_and_hangs, args=(tmp_path, server.server_port, writing)
        )
        child.start()
        assert os.read(reading, 1) == b"x"
        assert server.came.wait(5)
        other = outgoing(tmp_path, server.server_port, [], pauses_s=(0.0,) * 9)
        other.start()
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        server.came.clear()
        before = len(server.heard)
        assert server.came.wait(5)
        other.stop()
    assert len(server.heard) > before
    assert len({(headers["webhook-id"], body) for headers, body in server.heard}) == 1


def _tells_and_hangs(home, port, writing):
    teller = outgoing(home, port, [], pauses_s=(0.3,) * 9)
    teller.tell("cards", EVENT)
    teller.start()
    os.write(writing, b"x")
    time.sleep(60)


def test_too_many_that_wait_are_told_to_the_log(tmp_path):
    log = []
    teller = outgoing(tmp_path, 9, log, most=2)
    for _ in range(3):
        teller.tell("cards", EVENT)
    teller.stop()
    assert ([line["reason"] for line in log], len(waits(tmp_path))) == (["too many wait"], 2)


def test_only_what_was_asked_for_is_told(tmp_path):
    with listening() as server:
        heard = told(tmp_path, server, [], {"event": "handoff", "queue": "support"}, EVENT, events=("handoff",))
        assert [json.loads(body)["type"] for _, body in heard] == ["handoff"]


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_!!", base64.b64encode(SECRET).decode(), "whsec_" + base64.b64encode(b"short").decode()],
)
def test_without_a_good_secret_nothing_begins(tmp_path, secret):
    with pytest.raises(EnvironmentFailure) as caught:
        Outgoing({"cards": Hook("https://a.example", "HOOK", frozenset())}, {"HOOK": secret}, home=tmp_path, log=print)
    assert caught.value.code == "environment.webhook_secret"
