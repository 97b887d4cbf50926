"""What a customer of Tradewind does with a scenario: init, run, a key, serve, requests. A real server on a real socket; the verbs
before it run in the test's own process, which has loaded what they need, or each in its own (`apart`).

Not here: what a scenario is expected to answer (its own test file).
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tradewind.cli.app import main
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
    apart: bool

    @classmethod
    def run(
        cls, name: str, folder: Path, *, changes: Sequence[str] = (), seed: int = 0, apart: bool = False
    ) -> Scenario:
        """`init --scenario NAME`, then `run` with `--set` for each of `changes` (PATH=VALUE)."""
        tell("init", str(folder), "--scenario", name, "--seed", str(seed), "--json", apart=apart)
        changed = [word for change in changes for word in ("--set", change)]
        return cls(name, folder, tell("run", "-C", str(folder), *changed, "--json", apart=apart), apart)

    @property
    def product(self) -> Product:
        return load(self.folder / FILE_NAME)

    def key(self, *, plan: str | None = None) -> str:
        """The key of a new account on `plan`, by default the first that the product file sells."""
        wanted, here = plan or next(iter(self.product.serve.plans)), ("-C", str(self.folder), "--json")
        account = tell("account", "add", "Ann's Shop", "--plan", wanted, *here, apart=self.apart)["account"]
        secret: str = tell("key", "add", account, *here, apart=self.apart)["key"]
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


def tell(*words: str, apart: bool = False) -> dict[str, Any]:
    """What `tradewind WORDS` printed on stdout, as JSON. Fails with what it said where its status is not 0."""
    code, printed, said = (_in_a_process if apart else _here)(words)
    assert code == 0, f"tradewind {' '.join(words)}: status {code}\n{printed}\n{said}"
    found: dict[str, Any] = json.loads(printed)
    return found


def _in_a_process(words: Sequence[str]) -> tuple[int, str, str]:
    done = subprocess.run([*_TRADEWIND, *words], capture_output=True, text=True, env=_environment(), check=False)
    return done.returncode, done.stdout, done.stderr


def _here(words: Sequence[str]) -> tuple[int, str, str]:
    printed, said = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(said):
        for name in os.environ.keys() - _environment().keys():
            patch.delenv(name)
        return main(list(words)), printed.getvalue(), said.getvalue()


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
