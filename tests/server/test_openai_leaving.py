"""A client that leaves, an engine that fails, a reader that never reads: what was computed is billed, once, and the slot is
free at once.
"""

import asyncio
import json
import socket
import time

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.language import HELLO, KEY, CountingGenerator, app_of, events, served, serving, tokenizer
from tests.server.test_metering import customer, gate, reserved
from tradewind.business import derive, invoices, meters
from tradewind.business.database import Database
from tradewind.clock import SystemClock
from tradewind.errors import EnvironmentFailure
from tradewind.server.auth import Authenticator
from tradewind.server.gate import OpenGate
from tradewind.server.metering import Meter
from tradewind.server.settings import Settings

CHUNKS = 17  # of the answer to HELLO: begin and fifteen pieces, and the end
ROUTES = {
    "/v1/chat/completions": {"model": "writer", "messages": HELLO},
    "/v1/completions": {"model": "writer", "prompt": "hello world, how are you today?"},
    "/v1/responses": {"model": "writer", "input": "hello world"},
}


class Leaving:
    """A client over bare ASGI that leaves behind the message number `after`; never, where it is None."""

    def __init__(self, path, body, after, headers=()):
        self.scope = {
            "type": "http", "method": "POST", "path": path,
            "headers": [(b"content-type", b"application/json"), *headers],
        }  # fmt: skip
        self.messages = []
        self._body = json.dumps(body).encode()
        self._after = after
        self._gone = asyncio.Event()

    async def receive(self):
        if self._body:
            body, self._body = self._body, b""
            if self._after == 0:
                self._gone.set()
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.messages.append(message)
        if self._after is not None and len(self.messages) >= self._after:
            self._gone.set()

    async def ask(self, app):
        await app(self.scope, self.receive, self.send)
        return self

    @property
    def text(self):
        return b"".join(message.get("body", b"") for message in self.messages).decode()


class Stuck(Leaving):
    """Takes three messages, then no more, and stays connected."""

    async def send(self, message):
        await super().send(message)
        if len(self.messages) > 3:
            await asyncio.sleep(3600)


def stream(path="/v1/chat/completions", **further):
    return {**ROUTES[path], "temperature": 0, "stream": True, **further}


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("after", range(CHUNKS + 3))
def test_whoever_leaves_at_any_chunk_pays_what_was_computed_until_then(path, after):
    engine, open_gate = CountingGenerator(tokenizer(), pace_s=0.0005), OpenGate()

    async def story():
        await Leaving(path, stream(path), after).ask(app_of(served(engine), open_gate))
        assert engine.running == 0

    asyncio.run(story())
    prompt, completion = engine.computed
    assert open_gate.reserved == {}
    assert sum(open_gate.by_meter.values()) == prompt + completion
    if completion:
        assert open_gate.by_meter == {"prompt_tokens": prompt, "completion_tokens": completion}
    else:
        assert open_gate.released == 2  # the key that was asked about, and the request


ASKED = st.tuples(st.sampled_from(sorted(ROUTES)), st.none() | st.integers(0, 20), st.booleans())


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(asked=st.lists(ASKED, min_size=1, max_size=12))
def test_the_books_hold_what_was_computed_whoever_leaves_when(tmp_path_factory, asked):
    """With the ledger, the journal and SQLite behind the gate: nothing is lost, nothing is billed twice."""
    folder = tmp_path_factory.mktemp("books")
    database = Database.open(f"sqlite:///{folder / 'business.sqlite'}", clock=SystemClock())
    account, header, _ = customer(database, {"monthly": "9 CNY", "included": 100_000})
    engine = CountingGenerator(tokenizer(), pace_s=0.0003)
    clients = [
        Leaving(path, stream(path, stream=streams), after, [(b"authorization", header)])
        for path, after, streams in asked
    ]

    async def story():
        async with gate(database, folder) as meter:
            app = app_of(served(engine), meter)
            await asyncio.gather(*(client.ask(app) for client in clients))
            assert engine.running == 0

    asyncio.run(story())
    used = meters.usage(database, account)
    prompt, completion = engine.computed
    assert (used.by_meter.get("prompt_tokens", 0), used.by_meter.get("completion_tokens", 0)) == (prompt, completion)
    assert used.units == prompt + completion
    assert used.requests == sum(one.completion_tokens > 0 for one in engine.started)
    assert reserved(database) == (0, 0)
    assert meters.agree(database) == []
    database.close()


def test_each_record_says_whether_the_client_left(database, tmp_path):
    account, header, _ = customer(database, {"monthly": "9 CNY", "included": 10_000})
    engine = CountingGenerator(tokenizer(), pace_s=0.0005)

    async def story():
        async with gate(database, tmp_path) as meter:
            app = app_of(served(engine), meter)
            for after in (None, 5):
                await Leaving("/v1/chat/completions", stream(), after, [(b"authorization", header)]).ask(app)

    asyncio.run(story())
    found = [(one.meter, one.outcome, one.product, one.release) for one in meters.records(database, account).records]
    assert sorted(found) == sorted(
        (meter, outcome, "writer", "v1") for meter in ("prompt_tokens", "completion_tokens") for outcome in ("complete", "disconnected")
    )  # fmt: skip


def test_a_dead_workers_journal_bills_both_meters_of_a_request(database, tmp_path):
    account, header, _ = customer(database, {"monthly": "9 CNY", "included": 10_000})

    async def killed():
        meter = Meter(database, tmp_path / "journals", Authenticator(database))
        await meter.start()
        async with meter._settler.turn:  # nothing reaches the database any more
            await Leaving("/v1/chat/completions", stream(), None, [(b"authorization", header)]).ask(
                app_of(served(), meter)
            )
            for task in meter._tasks:
                task.cancel()
        meter._journal.close()  # what the operating system does when a process dies

    async def next_one():
        async with gate(database, tmp_path):
            pass

    asyncio.run(killed())
    assert meters.usage(database, account).units == 0
    asyncio.run(next_one())
    asyncio.run(next_one())
    used = meters.usage(database, account)
    assert set(used.by_meter) == {"prompt_tokens", "completion_tokens"}
    assert (used.requests, used.units) == (1, sum(used.by_meter.values()))
    assert meters.agree(database) == []
    assert reserved(database) == (0, 0)


def test_a_cap_holds_over_tokens_and_an_invoice_follows_from_them(database, tmp_path, clock):
    account, header, _ = customer(database, {"monthly": "9 CNY", "included": 50, "cap": 100, "overage": "0.01 CNY"})
    engine = CountingGenerator(tokenizer())
    answered = []

    async def story():
        async with gate(database, tmp_path) as meter:
            app = app_of(served(engine), meter)
            for _ in range(5):
                client = Leaving(
                    "/v1/chat/completions", stream(stream=False, max_tokens=20), None, [(b"authorization", header)]
                )
                await client.ask(app)
                answered.append((client.messages[0]["status"], json.loads(client.text)))

    asyncio.run(story())
    used = meters.usage(database, account)
    assert [status for status, _ in answered] == [200, 200, 200, 200, 429]
    assert 50 < used.units <= 100
    assert {body["error"]["type"] for status, body in answered if status == 429} == {"insufficient_quota"}
    assert (
        used.units
        == sum(engine.computed)
        == sum(body["usage"]["total_tokens"] for status, body in answered if status == 200)
    )
    invoice = invoices.draft(database, account, actor="test")
    beyond = sum(line.quantity for line in invoice.lines if line.kind == "overage")
    assert beyond == used.units - 50
    clock.advance(40 * 86400)
    invoices.finalize(database, invoice.id, actor="test")
    assert derive.verify(database) == []


def test_a_request_below_the_cap_is_refused_where_its_longest_answer_would_pass_it(database, tmp_path):
    _, header, _ = customer(database, {"monthly": "9 CNY", "included": 60})

    async def story():
        async with gate(database, tmp_path) as meter:
            app, statuses = app_of(served(), meter), []
            for said in ({}, {"max_tokens": 30}):
                client = Leaving(
                    "/v1/chat/completions", stream(stream=False, **said), None, [(b"authorization", header)]
                )
                statuses.append((await client.ask(app)).messages[0]["status"])
            return statuses

    assert asyncio.run(story()) == [429, 200]


def test_a_unit_rate_counts_tokens(database, tmp_path):
    _, header, _ = customer(database, {"monthly": "9 CNY", "included": 10_000, "unit_rate": "40/s"})

    async def story():
        async with gate(database, tmp_path) as meter:
            app, statuses = app_of(served(), meter), []
            for most in (100, 20, 20):
                client = Leaving(
                    "/v1/chat/completions", stream(stream=False, max_tokens=most), None, [(b"authorization", header)]
                )
                statuses.append((await client.ask(app)).messages[0]["status"])
            return statuses

    assert asyncio.run(story()) == [429, 200, 429]  # more than a second's worth never fits; then the second is used up


def test_a_stream_that_nobody_reads_is_given_up_and_others_go_on():
    engine, open_gate = CountingGenerator(tokenizer(), pace_s=0.001), OpenGate()
    app = app_of(served(engine), open_gate, Settings(send_seconds=0.05))

    async def story():
        stuck = asyncio.create_task(Stuck("/v1/chat/completions", stream(), None).ask(app))
        other = await Leaving("/v1/chat/completions", stream(), None).ask(app)
        await stuck
        assert other.text.endswith("data: [DONE]\n\n")
        assert engine.running == 0

    asyncio.run(story())
    assert open_gate.reserved == {}
    assert sum(open_gate.by_meter.values()) == sum(engine.computed)


def test_a_real_client_that_never_reads_holds_nobody_up():
    """Over a socket: what the two kernels buffer is much, so the answer is long and each token drags its figures along."""
    engine = CountingGenerator(tokenizer(), context=1 << 17, answer="hello " * 100_000)
    with serving(served(engine), settings=Settings(send_seconds=0.3)) as (address, open_gate):
        host, port = address.removeprefix("http://").split(":")
        body = json.dumps({**stream(), "logprobs": True, "top_logprobs": 20, "max_tokens": 60_000}).encode()
        with socket.create_connection((host, int(port))) as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer secret\r\n"
                         b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))  # fmt: skip
            until(lambda: engine.started)
            with httpx.Client(base_url=address, headers=KEY, timeout=30) as other:
                answer = other.post("/v1/chat/completions", json={**stream(stream=False), "max_tokens": 5})
            assert answer.status_code == 200
            until(lambda: engine.running == 0, seconds=60)
            until(lambda: not open_gate.reserved)
    assert 0 < engine.started[0].completion_tokens < 60_000
    assert sum(open_gate.by_meter.values()) == sum(engine.computed)


@pytest.mark.parametrize("chunks", [1, 4, 9])
def test_a_real_client_that_closes_its_socket_frees_the_slot(chunks):
    engine = CountingGenerator(tokenizer(), pace_s=0.01)
    with serving(served(engine)) as (address, open_gate):
        with (
            httpx.Client(base_url=address, headers=KEY) as client,
            client.stream("POST", "/v1/chat/completions", json=stream()) as reply,
        ):
            lines = reply.iter_lines()
            for _ in range(2 * chunks):
                next(lines)
        until(lambda: engine.running == 0)
        until(lambda: not open_gate.reserved)
        assert 0 < sum(open_gate.by_meter.values()) == sum(engine.computed)
        assert engine.computed[1] < 16


def test_half_a_body_reserves_nothing():
    engine = CountingGenerator(tokenizer())
    with serving(served(engine), settings=Settings(seconds=0.2)) as (address, open_gate):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as half:
            half.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer secret\r\ncontent-length: 500\r\n\r\n{"
            )
            reply = ""
            while not reply.endswith("}"):
                part = half.recv(65536).decode()
                assert part
                reply += part
    assert reply.startswith("HTTP/1.1 408")
    assert "input.body_slow" in reply
    assert (engine.started, open_gate.reserved) == ([], {})


# ---------------------------------------------------------------- an engine that fails


@pytest.mark.parametrize("streams", [True, False])
def test_an_engine_that_fails_before_the_first_token_costs_nothing(streams):
    engine, open_gate = CountingGenerator(tokenizer(), fail_after=0), OpenGate()
    client = Leaving("/v1/chat/completions", stream(stream=streams), None)
    asyncio.run(client.ask(app_of(served(engine), open_gate)))
    assert client.messages[0]["status"] == 500
    assert json.loads(client.text)["error"]["code"] == "error.internal"
    assert (open_gate.by_meter, open_gate.reserved, engine.running) == ({}, {}, 0)


@pytest.mark.parametrize("path", ROUTES)
def test_a_stream_that_breaks_off_says_so_and_bills_what_was_sent(path):
    engine, open_gate = CountingGenerator(tokenizer(), pace_s=0.0005, fail_after=4), OpenGate()
    client = Leaving(path, stream(path), None)
    asyncio.run(client.ask(app_of(served(engine), open_gate)))
    assert client.messages[0]["status"] == 200
    assert client.messages[-1]["more_body"] is False
    last = events(client.text)[-1]
    error = last["response"]["error"] if path == "/v1/responses" else last["error"]
    assert error["code"] == "error.internal"
    assert "is charged" in error["message"]
    assert "[DONE]" not in client.text
    assert engine.computed[1] == open_gate.by_meter["completion_tokens"] == 4
    assert open_gate.reserved == {}


def test_a_whole_answer_that_breaks_off_costs_nothing():
    engine, open_gate = CountingGenerator(tokenizer(), fail_after=4), OpenGate()
    client = Leaving("/v1/chat/completions", stream(stream=False), None)
    asyncio.run(client.ask(app_of(served(engine), open_gate)))
    assert client.messages[0]["status"] == 500
    assert (open_gate.by_meter, open_gate.reserved) == ({}, {})


@pytest.mark.parametrize("streams", [True, False])
def test_an_answer_that_takes_too_long_is_given_up(streams):
    engine, open_gate = CountingGenerator(tokenizer(), pace_s=0.02), OpenGate()
    client = Leaving("/v1/chat/completions", stream(stream=streams), None)
    asyncio.run(client.ask(app_of(served(engine), open_gate, Settings(answer_seconds=0.1))))
    assert engine.running == 0
    assert open_gate.reserved == {}
    if streams:
        assert events(client.text)[-1]["error"]["code"] == "environment.timeout"
        assert sum(open_gate.by_meter.values()) == sum(engine.computed) > 0
    else:
        assert client.messages[0]["status"] == 504
        assert open_gate.by_meter == {}


def test_a_worker_that_is_stopped_in_the_middle_bills_what_it_sent():
    engine, open_gate = CountingGenerator(tokenizer(), pace_s=0.05), OpenGate()

    async def story():
        client = Leaving("/v1/chat/completions", stream(), None)
        running = asyncio.create_task(client.ask(app_of(served(engine), open_gate)))
        while len(client.messages) < 4:
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert engine.running == 0

    asyncio.run(story())
    assert open_gate.reserved == {}
    assert sum(open_gate.by_meter.values()) == sum(engine.computed) > 0


# ---------------------------------------------------------------- asking twice


def test_an_idempotency_key_gives_the_same_answer_for_one_price_and_is_not_for_streams():
    engine = CountingGenerator(tokenizer())
    with serving(served(engine)) as (address, open_gate), httpx.Client(base_url=address, headers=KEY) as client:
        body, named = stream(stream=False), {"idempotency-key": "k"}
        one, two = (client.post("/v1/chat/completions", json=body, headers=named) for _ in range(2))
        assert one.json() == two.json()
        assert sum(open_gate.by_meter.values()) == one.json()["usage"]["total_tokens"]
        other = client.post("/v1/chat/completions", json={**body, "seed": 1}, headers=named)
        assert other.status_code == 422
        refused = client.post("/v1/chat/completions", json=stream(), headers=named)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "idempotency-key")
        assert open_gate.reserved == {}


def test_who_leaves_a_request_with_a_key_may_ask_it_again_and_pays_once():
    engine, open_gate = CountingGenerator(tokenizer(), pace_s=0.002), OpenGate()
    app, named = app_of(served(engine), open_gate), [(b"idempotency-key", b"k")]

    async def story():
        client = Leaving("/v1/chat/completions", stream(stream=False), None, named)
        asyncio.get_running_loop().call_later(0.01, client._gone.set)
        await client.ask(app)
        assert client.messages == []
        assert open_gate.by_meter == {}
        return await Leaving("/v1/chat/completions", stream(stream=False), None, named).ask(app)

    again = asyncio.run(story())
    assert sum(open_gate.by_meter.values()) == json.loads(again.text)["usage"]["total_tokens"]


def until(true, *, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


# ---------------------------------------------------------------- a journal that takes no more


class FullGate(OpenGate):
    def settle(self, ticket, units, outcome, *, by_meter=None):
        self.release(ticket)
        raise EnvironmentFailure("No space is left on the disk.", code="disk_full", where="/secret/path")


@pytest.mark.parametrize("streams", [True, False])
def test_what_cannot_be_written_down_is_not_billed_and_says_so(streams):
    engine, open_gate = CountingGenerator(tokenizer()), FullGate()
    client = Leaving("/v1/chat/completions", stream(stream=streams), None)
    asyncio.run(client.ask(app_of(served(engine), open_gate)))
    error = events(client.text)[-1]["error"] if streams else json.loads(client.text)["error"]
    assert (error["code"], "Nothing was charged" in error["message"]) == ("environment.disk_full", True)
    assert client.messages[0]["status"] == (200 if streams else 503)
    assert "[DONE]" not in client.text
    assert "/secret" not in client.text
    assert (open_gate.reserved, open_gate.by_meter, engine.running) == ({}, {}, 0)
