"""A reply in one call: the same bytes as by ASGI's two messages, and every way out of it that uvicorn has."""

import re
import socket

import pytest

from tests.server.running import running
from tradewind.server.wire import WHOLE, send_whole

KIND = (b"content-type", b"text/plain")


async def app(scope, receive, send):
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        continue
    path = scope["path"]
    headers = [KIND, (b"content-length", b"5"), (b"x-word", b"a\r\nset-cookie: b" if path == "/injected" else b"a")]
    if path == "/bye":
        headers.append((b"connection", b"close"))
    if path == "/two":
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello"})
    else:
        assert WHOLE in scope["extensions"]
        await send_whole(scope, send, 200, headers, b"hello")


@pytest.fixture(scope="module")
def address():
    with running(app) as found:
        host, port = found.split(":")
        yield host, int(port)


def asked(address, text):
    """All bytes until the server closes, with the date taken out."""
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(text.encode())
        found = b""
        while part := client.recv(65536):
            found += part
    return re.sub(rb"date: [^\r]*\r\n", b"", found)


def request(path, method="GET", *, close=True, version="1.1"):
    return f"{method} {path} HTTP/{version}\r\nhost: x\r\n{'connection: close' if close else 'x-a: b'}\r\n\r\n"


def test_it_is_the_reply_that_two_messages_make(address):
    # Both stay open for a second request, whose reply is the last.
    both = [asked(address, request(path, close=False) + request("/two")) for path in ("/one", "/two")]
    assert both[0] == both[1]
    assert both[0].count(b"hello") == 2
    assert b"x-word: a\r\n" in both[0]


def test_requests_that_came_together_are_answered_in_order(address):
    found = asked(address, request("/one", close=False) * 5 + request("/one"))
    assert found.count(b"HTTP/1.1 200 OK\r\n") == 6
    assert found.endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize(
    ("text", "closing"),
    [(request("/bye", close=False), True), (request("/one"), True), (request("/one", version="1.0"), True)],
)
def test_a_connection_that_is_to_be_closed_is_said_to_be(address, text, closing):
    found = asked(address, text)
    assert (b"connection: close" in found) == closing
    assert found.endswith(b"hello")


def test_head_has_no_body(address):
    found = asked(address, request("/one", "HEAD"))
    assert b"content-length: 5\r\n" in found
    assert not found.endswith(b"hello")


def test_a_header_that_ends_its_line_is_never_sent(address):
    found = asked(address, request("/injected", close=False))
    assert found.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in found
