"""SIGTERM while a stream runs: it ends whole; one that outlasts the grace is torn, and billed up to there."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.server.language import HELLO, KEY, events, tokenizer

ROOT = Path(__file__).parents[2]
WHOLE = len(tokenizer().encode("hello " * 40)) + 1  # with the token that ends it
# A worker's own server over the engine's fake. On its way out it tells what was computed and what was billed.
WORKER = """
import asyncio, json, socket, sys
from pathlib import Path
from tests.server.language import CountingGenerator, OpenGate, app_of, served, tokenizer
from tradewind.server.worker import Site, _Server

engine = CountingGenerator(tokenizer(), pace_s=0.05, answer="hello " * 40)
gate = OpenGate(keys={"secret": "acc_1"})
listening = socket.create_server(("127.0.0.1", 0))
site = Site((), Path("."), "", grace_s=float(sys.argv[1]))
server = _Server(app_of(served(engine), gate), site, lambda: print(listening.getsockname()[1], flush=True))
asyncio.run(server.serve(sockets=[listening]))
print(json.dumps({"computed": engine.computed, "billed": gate.by_meter, "reserved": gate.reserved, "running": engine.running}))
"""


@pytest.mark.parametrize("grace_s", [30, 1])
def test_a_running_stream_ends_whole_or_is_billed_up_to_where_it_was_torn(grace_s):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(grace_s)], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as worker:
        port = int(worker.stdout.readline())
        text, body = "", {"model": "writer", "messages": HELLO, "temperature": 0, "stream": True}
        try:
            with httpx.stream(
                "POST", f"http://127.0.0.1:{port}/v1/chat/completions", json=body, headers=KEY, timeout=30
            ) as reply:
                for part in reply.iter_text():
                    if not text:
                        worker.send_signal(signal.SIGTERM)
                    text += part
        except httpx.RemoteProtocolError:
            assert grace_s == 1
        told = json.loads(worker.stdout.read())
    prompt, completion = told["computed"]
    assert told["billed"] == {"prompt_tokens": prompt, "completion_tokens": completion}
    assert (told["reserved"], told["running"]) == ({}, 0)
    if grace_s == 30:
        assert events(text)[-1] == "[DONE]"
        assert completion == WHOLE
    else:
        assert "[DONE]" not in text
        assert 0 < completion < WHOLE
