"""Other servers of the same graph, each in the virtual environment that TRADEWIND_PEERS names (`.venv-peers` beside the
project by default, filled by `make peers`). None has keys, limits or meters. Not here: what loads them (`serving.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "TRADEWIND_PEERS"
APPS = Path(__file__).parent / "peers_apps"
_PREPARE_S = 120
_END_S = 20


class Skipped(Exception):
    """Why a peer is not in the table."""


@dataclass(frozen=True)
class Peer:
    """`command` of the folder with the environment's programs, a port and a scratch folder; `body` of one row."""

    name: str
    package: str
    path: str
    command: Callable[[Path, int, Path], list[str]]
    body: Callable[[Mapping[str, float]], Any] = dict
    prepare: Callable[[Path, Path], list[str]] | None = None


PEERS = (
    Peer(
        "FastAPI + pydantic", "fastapi", "/predict",
        lambda programs, port, _: [str(programs / "python"), "with_fastapi.py", str(port)],
    ),
    Peer(
        "LitServe", "litserve", "/predict",
        lambda programs, port, _: [str(programs / "python"), "with_litserve.py", str(port)],
    ),
    Peer(
        "BentoML", "bentoml", "/predict",
        lambda programs, port, _: [
            str(programs / "bentoml"), "serve", "with_bentoml:Twenty", "--host", "127.0.0.1", "--port", str(port),
        ],
        body=lambda row: {"row": row},
    ),
    Peer(
        "MLflow", "mlflow", "/invocations",
        lambda programs, port, scratch: [
            str(programs / "mlflow"), "models", "serve", "--model-uri", str(scratch / "model"), "--env-manager", "local",
            "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        ],
        body=lambda row: {"dataframe_records": [row]},
        prepare=lambda programs, scratch: [str(programs / "python"), "with_mlflow.py", str(scratch / "model")],
    ),
)  # fmt: skip


def programs() -> Path:
    """The folder with the peers' Python. Raises Skipped."""
    home = Path(os.environ.get(VARIABLE) or Path(__file__).parent.parent / ".venv-peers")
    if not (home / "bin" / "python").exists():
        raise Skipped(f"{VARIABLE} names no virtual environment and `make peers` was not run")
    return (home / "bin").resolve()


def version(peer: Peer, folder: Path) -> str:
    """Raises Skipped where the package is not installed."""
    ask = f"import importlib.metadata as m; print(m.version({peer.package!r}))"
    done = subprocess.run([folder / "python", "-c", ask], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise Skipped(f"{peer.package} is not installed in {folder.parent}")
    return done.stdout.strip()


@contextlib.contextmanager
def running(
    peer: Peer,
    folder: Path,
    port: int,
    scratch: Path,
    *,
    graph: Path,
    columns: str,
    pin: Callable[[list[str]], list[str]],
) -> Iterator[subprocess.Popen[bytes]]:
    """The server, and in the end its whole process group gone. Raises Skipped where its model cannot be made."""
    environment = {
        **os.environ, "GRAPH": str(graph), "COLUMNS": columns, "PYTHONPATH": str(APPS), "HOME": str(scratch),
        "PATH": f"{folder}:{os.environ.get('PATH', '')}", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
        # None of them may tell anybody of this run.
        "DO_NOT_TRACK": "true", "BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true",
        "BENTOML_HOME": str(scratch / "bentoml"), "MLFLOW_TRACKING_URI": f"sqlite:///{scratch / 'mlflow.sqlite'}",
    }  # fmt: skip
    log = (scratch / "log").open("wb")
    with log:
        told: dict[str, Any] = {"cwd": APPS, "env": environment, "stdout": log, "stderr": subprocess.STDOUT}
        if peer.prepare is not None:
            made = subprocess.run(peer.prepare(folder, scratch), check=False, timeout=_PREPARE_S, **told)
            if made.returncode:
                raise Skipped(f"its model could not be made: {last_line(scratch)}")
        server = subprocess.Popen(pin(peer.command(folder, port, scratch)), start_new_session=True, **told)
        try:
            yield server
        finally:
            _end(server)


def write_body(peer: Peer, row: Mapping[str, float], path: Path) -> Path:
    path.write_text(json.dumps(peer.body(row)))
    return path


def _end(server: subprocess.Popen[bytes]) -> None:
    """The group is its own (`start_new_session`), so nobody else is met."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_END_S)


def last_line(scratch: Path) -> str:
    lines = (scratch / "log").read_text(errors="replace").strip().splitlines() or ["nothing was said"]
    return lines[-1][:300]
