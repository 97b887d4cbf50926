"""Keeps N worker processes alive on one listening socket: starts them, replaces one that dies, drains all on SIGTERM.

Not here: what a worker does (`worker.py`). POSIX only: workers are forked from a parent that has imported everything,
opened nothing and started no thread, so a worker that was killed is replaced in a fraction of a second.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
_TICK_S = 0.5
_QUICK_S = 3.0  # a worker that ends sooner did not start well: the next one waits
_LONGEST_PAUSE_S = 10.0
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)

Work = Callable[[int, Callable[[], None]], int]


@dataclass
class _Slot:
    number: int
    pid: int = 0
    started_s: float = 0.0
    ready: bool = False
    pipe: int = -1
    failures: int = 0
    not_before_s: float = 0.0


@dataclass
class Supervisor:
    """`work(number, ready)` runs in each forked worker, calls `ready()` once it answers, returns its exit status.

    `run` returns 0 after a drain that SIGTERM or SIGINT asked for. When the first workers end before any was ready, that
    is a fault of the set-up, not of a worker: their exit status is returned. A worker still alive `grace_s` after
    SIGTERM is killed. `on_drain` closes the parent's copy of the listening socket: a connection that nobody will accept
    must be refused, not left to wait.
    """

    work: Work
    workers: int
    grace_s: float
    on_ready: Callable[[], None]
    on_drain: Callable[[], None]
    say: Callable[[str], None]
    _slots: list[_Slot] = field(default_factory=list)
    _was_ready: bool = False

    def run(self) -> int:
        assert _threads() == 1, "a process with threads must not fork"
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._slots = [_Slot(number) for number in range(self.workers)]
        try:
            while True:
                now = time.monotonic()
                for slot in self._slots:
                    if slot.pid == 0 and now >= slot.not_before_s:
                        self._start(slot)
                received = signal.sigtimedwait(_SIGNALS, _TICK_S if self._was_ready else 0.02)
                self._note_ready()
                if received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT):
                    return self._drain()
                status = self._reap()
                if status is not None and not self._was_ready:
                    self._drain()
                    return status
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _start(self, slot: _Slot) -> None:
        reading, writing = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _leave_with_parent(parent)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            status = 3
            try:
                status = self.work(slot.number, lambda: _tell(writing))
            except KeyboardInterrupt:
                status = 130
            except BaseException:  # noqa: BLE001  the process edge: a fork has no other place to say it
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        os.close(writing)
        os.set_blocking(reading, False)
        slot.pid, slot.pipe, slot.ready, slot.started_s = pid, reading, False, time.monotonic()

    def _note_ready(self) -> None:
        for slot in self._slots:
            if slot.pid and not slot.ready:
                try:
                    slot.ready = bool(os.read(slot.pipe, 1))
                except BlockingIOError:
                    continue
        if not self._was_ready and any(slot.ready for slot in self._slots):
            self._was_ready = True
            self.on_ready()

    def _reap(self) -> int | None:
        """The exit status of a worker that ended, if any did; its place is taken by a new one."""
        found: int | None = None
        for slot in self._slots:
            if not slot.pid:
                continue
            pid, status = os.waitpid(slot.pid, os.WNOHANG)
            if pid:
                self._ended(slot)
                found = max(1, os.waitstatus_to_exitcode(status))
        return found

    def _ended(self, slot: _Slot) -> None:
        lived_s = time.monotonic() - slot.started_s
        os.close(slot.pipe)
        quick = lived_s < _QUICK_S and not slot.ready
        slot.failures = slot.failures + 1 if quick else 0
        pause_s = min(_LONGEST_PAUSE_S, 0.25 * 2**slot.failures) if quick else 0.0
        if self._was_ready:
            self.say(f"worker {slot.number} (process {slot.pid}) ended after {lived_s:.1f} s; another takes its place")
        slot.pid, slot.not_before_s = 0, time.monotonic() + pause_s

    def _drain(self) -> int:
        self.on_drain()
        alive = [slot for slot in self._slots if slot.pid]
        for slot in alive:
            _signal(slot.pid, signal.SIGTERM)
        deadline_s = time.monotonic() + self.grace_s
        while alive and time.monotonic() < deadline_s:
            alive = [slot for slot in alive if os.waitpid(slot.pid, os.WNOHANG)[0] == 0]
            signal.sigtimedwait(_SIGNALS, 0.05)
        for slot in alive:
            self.say(f"worker {slot.number} (process {slot.pid}) did not end in {self.grace_s:.0f} s and is killed")
            _signal(slot.pid, signal.SIGKILL)
            os.waitpid(slot.pid, 0)
        return 0


def _threads() -> int:
    tasks = Path("/proc/self/task")
    return sum(1 for _ in tasks.iterdir()) if tasks.exists() else 1


def _tell(pipe: int) -> None:
    os.write(pipe, b"1")
    os.close(pipe)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _leave_with_parent(parent: int) -> None:
    """A worker whose supervisor is killed drains too: nobody would replace it, and nobody could stop it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(0)
