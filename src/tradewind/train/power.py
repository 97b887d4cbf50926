"""What a piece of work took: processor seconds of this process, and the power that the processors drew, where the kernel
lets it be read (Intel's and AMD's RAPL under /sys/class/powercap). Not here: energy in kWh (`release/transparency_facts.py`).

The counters are of whole processor packages: what else ran on the machine is in them. They turn over within the hour on a
busy machine, so they are read every few seconds. Memory, disks, fans and accelerators are not in them.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

POWERCAP = Path("/sys/class/powercap")
_EVERY_S = 10.0
_MICRO = 1e-6


class Meter:
    """`with Meter() as meter: …`, then `meter.to_json()`."""

    def __init__(self, folder: Path = POWERCAP, *, every_s: float = _EVERY_S) -> None:
        self._packages = [one for one in sorted(folder.glob("*-rapl:*")) if one.name.count(":") == 1]
        self._every_s = every_s
        self._last: dict[Path, int] = {}
        self._lost = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.joules = self.seconds = self.cpu_s = 0.0

    def __enter__(self) -> Meter:
        self._began, self._cpu = time.perf_counter(), time.process_time()
        self._read()
        if self._last:
            self._thread = threading.Thread(target=self._watch, name="power", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._read()
        self.seconds = time.perf_counter() - self._began
        self.cpu_s = time.process_time() - self._cpu

    @property
    def watts(self) -> float | None:
        """Mean power of all packages; None where it could not be read from beginning to end."""
        return None if self._lost or not self._last or not self.seconds else self.joules / self.seconds

    def to_json(self) -> dict[str, Any]:
        """`cpu_s`, and `power` with watts, joules and seconds, or None."""
        power = None
        if self.watts is not None:
            power = {"watts": self.watts, "joules": self.joules, "seconds": self.seconds, "source": "rapl"}
        return {"cpu_s": self.cpu_s, "power": power}

    def _watch(self) -> None:
        while not self._stop.wait(self._every_s):
            self._read()

    def _read(self) -> None:
        for package in self._packages:
            try:
                now = int((package / "energy_uj").read_text())
                if package in self._last:
                    turn = int((package / "max_energy_range_uj").read_text()) if now < self._last[package] else 0
                    self.joules += (now - self._last[package] + turn) * _MICRO
            except (OSError, ValueError):
                self._lost = True
                return
            self._last[package] = now
