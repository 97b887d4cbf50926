"""How long a unit takes the released translator on this machine, alone and in bulk, with the settings that it is served with. Not
here: what that costs (`business/cost.py`), the time of rows (`timing.py`) and of a language model's tokens (`token_cost.py`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import numpy as np

from tradewind.cli.timing import processor_name
from tradewind.engines.translation import Translation, TranslationEngine
from tradewind.evaluate.cost import RequestTime

_ALONE = 100
_LEAST_ALONE = 10
_MOST_S = 3.0
_BULK = 256


def translation_time(engine: TranslationEngine, texts: Sequence[str], *, unit: str) -> RequestTime:
    """Measures an engine of one thread with texts from all over `texts`: one at a time, then together.

    Processor time of the whole process, in which the runtime has a thread of its own: of seconds and of units the sums are
    divided, so that a short text, dear by the character, counts as often as it comes.
    """
    assert texts
    chosen = np.unique(np.linspace(0, len(texts) - 1, min(_ALONE, len(texts))).round().astype(int)).tolist()
    engine.translate([texts[chosen[0]]])
    seconds, units, ends = 0.0, 0, time.monotonic() + _MOST_S
    for calls, at in enumerate(chosen, 1):
        took, counted = _timed(engine, [texts[at]], unit)
        seconds, units = seconds + took, units + counted
        if calls >= _LEAST_ALONE and time.monotonic() > ends:
            break
    many = [texts[at] for at in np.unique(np.linspace(0, len(texts) - 1, min(_BULK, len(texts))).round().astype(int))]
    bulk_seconds, bulk_units = _timed(engine, many, unit)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return RequestTime(
        alone_seconds=seconds / max(1, units), calls=calls, bulk_seconds=bulk_seconds / max(1, bulk_units),
        bulk_rows=len(many), processor=processor_name(), processors=processors,
    )  # fmt: skip


def _timed(engine: TranslationEngine, texts: Sequence[str], unit: str) -> tuple[float, int]:
    began = time.process_time()
    found = engine.translate(texts)
    return time.process_time() - began, _units(texts, found, unit)


def _units(texts: Sequence[str], found: Sequence[Translation], unit: str) -> int:
    """What a plan counts of them: texts, their characters, or tokens read and written."""
    if unit == "token":
        return sum(one.source_tokens + one.target_tokens for one in found)
    return sum(map(len, texts)) if unit == "character" else len(texts)
