"""What a customer of Tradewind does with a scenario: init, run, a key, serve, requests. Real processes, a real socket.

Not here: what a scenario is expected to answer (its own test file).
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tradewind.product import Product
from tradewind.product_file import FILE_NAME, load

_ADDRESS = re.compile(r"Serving .* on (http://\S+) ")
_START_S, _END_S = 90, 40


@dataclass(frozen=True)
class Scenario:
    """A scenario that was begun and run in `folder`. `outcome` is what `run --json` printed: artifacts, metrics, gates, seconds."""

    name: str
    folder: Path
    outcome: dict[str, Any]

    @classmethod
    def run(cls, name: str, folder: Path, *, changes: Sequence[str] = (), seed: int = 0) -> Scenario:
        """`init --scenario NAME`, then `run` with `--set` for each of `changes` (PATH=VALUE)."""
        tell("init", str(folder), "--scenario", name, "--seed", str(seed), "--json")
        changed = [word for change in changes for word in ("--set", change)]
        return cls(name, folder, tell("run", "-C", str(folder), *changed, "--json"))

    @property
    def product(self) -> Product:
        return load(self.folder / FILE_NAME)

    def key(self, *, plan: str | None = None) -> str:
        """The key of a new account on `plan`, by default the first that the product file sells."""
        wanted = plan or next(iter(self.product.serve.plans))
        account = tell("account", "add", "Ann's Shop", "--plan", wanted, "-C", str(self.folder), "--json")["account"]
        secret: str = tell("key", "add", account, "-C", str(self.folder), "--json")["key"]
        return secret

    @contextmanager
    def served(self, *options: str, plan: str | None = None) -> Iterator[httpx.Client]:
        """The server on a free port, and a client with a key. SIGTERM at the end: it must go in peace."""
        headers = {"authorization": f"Bearer {self.key(plan=plan)}"}
        log = self.folder / "serve.log"
        command = [*_TRADEWIND, "serve", "-C", str(self.folder), "--port", "0", *options]
        with log.open("w") as stderr:
            process = subprocess.Popen(command, stderr=stderr, stdout=subprocess.DEVNULL, env=_environment())
        try:
            address = _address(process, log)
            with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
                yield client
            process.send_signal(signal.SIGTERM)
            assert process.wait(_END_S) == 0, log.read_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def predict(self, client: httpx.Client, *rows: dict[str, Any], **beside: Any) -> list[dict[str, Any]]:
        """The outputs of `POST /v1/predict` for `rows`; `beside` are further fields of the request."""
        body = {"model": self.product.product, "inputs": list(rows), **beside}
        reply = client.post("/v1/predict", json=body)
        assert reply.status_code == 200, reply.text
        outputs: list[dict[str, Any]] = reply.json()["outputs"]
        return outputs


_TRADEWIND = (sys.executable, "-m", "tradewind.cli")


def tell(*words: str) -> dict[str, Any]:
    """What `tradewind WORDS` printed on stdout, as JSON. Fails with what it said where its status is not 0."""
    done = subprocess.run([*_TRADEWIND, *words], capture_output=True, text=True, env=_environment(), check=False)
    assert done.returncode == 0, f"tradewind {' '.join(words)}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRADEWIND_")}
    return {"OMP_NUM_THREADS": "1", **kept}


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    patience = time.monotonic() + _START_S
    while time.monotonic() < patience and process.poll() is None:
        found = _ADDRESS.search(log.read_text())
        if found is not None:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"It does not serve: {log.read_text()}")
