"""How long one row takes the released engine on this machine, alone and in bulk. Not here: what that costs
(`business/cost.py`), how the whole service fares under load (`benchmarks/serving`).
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from statistics import median

from tradewind.engines.onnx import OnnxPredictor
from tradewind.evaluate.cost import RequestTime
from tradewind.features.column import Values

_WARM_CALLS = 10
_CALLS = 300
_LEAST_CALLS = 20
_MOST_S = 3.0
_BULK_ROWS = 2000
_BULK_ROUNDS = 3


def request_time(predictor: OnnxPredictor, columns: Mapping[str, Values], bulk: Mapping[str, Values]) -> RequestTime:
    """Measures a predictor of one thread: rows of `columns` one at a time, then at most 2000 rows of `bulk` at once.

    Processor time of this thread, not the clock on the wall: what else the machine does is not charged to a request.
    """
    rows = _rows(columns)
    alone = _alone(predictor, rows)
    part = {name: values[:_BULK_ROWS] for name, values in bulk.items()}
    count = max((len(values) for values in part.values()), default=0)
    if count == 0:
        part, count = dict(columns), len(rows)
    rounds = []
    for _ in range(_BULK_ROUNDS):
        started = time.thread_time()
        predictor.predict(part)
        rounds.append(time.thread_time() - started)
        if sum(rounds) > _MOST_S:
            break
    return RequestTime(
        alone_seconds=median(alone),
        calls=len(alone),
        bulk_seconds=median(rounds) / count,
        bulk_rows=count,
        processor=processor_name(),
        processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )


def processor_name() -> str:
    """As the system names it, or the kind of machine where it does not."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _alone(predictor: OnnxPredictor, rows: Sequence[Mapping[str, object]]) -> list[float]:
    assert rows
    for call in range(_WARM_CALLS):
        predictor.predict_rows([rows[call % len(rows)]])
    times: list[float] = []
    ends = time.monotonic() + _MOST_S
    while len(times) < _CALLS and (len(times) < _LEAST_CALLS or time.monotonic() < ends):
        row = [rows[len(times) % len(rows)]]
        started = time.thread_time()
        predictor.predict_rows(row)
        times.append(time.thread_time() - started)
    return times


def _rows(columns: Mapping[str, Values]) -> list[dict[str, object]]:
    count = max(len(values) for values in columns.values())
    return [{name: values[at] for name, values in columns.items()} for at in range(count)]
