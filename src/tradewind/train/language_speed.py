"""How the steps of a language run are computed: threads, precision and compiling by a look at the very steps. An interrupted
run keeps its way, since sums depend on it.

Not here: the measuring (`measure.py`), what the speed is used for (`costs.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tradewind.errors import EnvironmentFailure
from tradewind.files import read_json, write_json
from tradewind.train import language_model
from tradewind.train.costs import Estimate, Work
from tradewind.train.device import Precision, environment, reproducible
from tradewind.train.language_model import LanguageModule
from tradewind.train.language_plan import Plan
from tradewind.train.measure import WORTH, Speed, Way, measure, ways_of

_MEASURED_S, _MOST_MEASURED_S = 0.5, 20.0
_MEASURED_SHARE = 0.005  # of a long run
_COMPILE_FROM_S = 60.0  # shorter runs do not win back what compiling costs


def speed_of(
    model: LanguageModule, plan: Plan, work: Work, *, path: Path, device: torch.device, one_shape: bool
) -> Speed:
    """As `path`, the environment.json of an interrupted attempt, says; else as is fastest here, which is written there.

    `one_shape` says that every batch has the same shape: others would be compiled again and again.
    Raises EnvironmentFailure where compiling is asked for and fails.
    """
    if path.exists():
        speed = Speed.from_json(read_json(path)["speed"])
        if speed.way.compiled:
            _ask_compiler(False)
            language_model.compile_layers(model)
        return speed
    # Under the settings of the loop: what is compiled under others would be compiled again.
    with reproducible(seed=plan.product.train.seed, threads=None, device=device):
        speed = _fastest(_Measured(model, plan, work, device), one_shape=one_shape)
    write_json(path, {**environment(device), "threads": speed.way.threads, "speed": speed.to_json()})
    return speed


class _Measured:
    """Steps of the plan, timed."""

    def __init__(self, model: LanguageModule, plan: Plan, work: Work, device: torch.device) -> None:
        self.model, self.plan, self.work, self.device = model, plan, work, device
        self.train = plan.product.train

    def ways(self, *, compiled: bool) -> list[Way]:
        threads = self.train.threads if isinstance(self.train.threads, int) else None
        precision: Precision | None = None if self.train.precision == "auto" else self.train.precision
        return ways_of(threads=threads, precision=precision, device=self.device, compiled=compiled)

    def time(self, ways: list[Way], seconds: float) -> Speed:
        assert self.train.optimizer != "auto"
        length = min(self.plan.context, self.work.tokens_per_batch)
        return measure(
            self.model, self.model.loss, rows=max(1, self.work.tokens_per_batch // length), length=length,
            vocabulary=self.plan.base.config.vocabulary, device=self.device, ways=ways, optimizer=self.train.optimizer,
            seconds=seconds,
        )  # fmt: skip


def _fastest(measured: _Measured, *, one_shape: bool) -> Speed:
    asked = measured.train.compile
    if asked is True:
        return _compiled(measured.model, lambda: measured.time(measured.ways(compiled=True), _MEASURED_S))
    ways = measured.ways(compiled=False)
    plain = measured.time(ways, _MEASURED_S)
    expected_s = Estimate.of(measured.work, plain).seconds
    seconds = min(_MOST_MEASURED_S, max(_MEASURED_S, expected_s * _MEASURED_SHARE))
    if seconds > _MEASURED_S:  # a long run is worth a longer look
        plain = measured.time(ways, seconds)
    if asked is False or not one_shape or expected_s < _COMPILE_FROM_S:
        return plain
    way = Way(plain.way.threads, plain.way.precision, compiled=True)
    try:
        compiled = _compiled(measured.model, lambda: measured.time([way], seconds))
    except EnvironmentFailure:
        return plain
    if compiled.batch_s * WORTH < plain.batch_s:
        return compiled
    language_model.uncompile(measured.model)
    return plain


def _compiled(model: LanguageModule, timed: Callable[[], Speed]) -> Speed:
    """Raises EnvironmentFailure compile where there is no compiler, or it fails."""
    _ask_compiler(False)
    try:
        return _at_first_use(model, timed)
    except EnvironmentFailure:  # perhaps it is older than the processor
        _ask_compiler(True)
        return _at_first_use(model, timed)


def _at_first_use(model: LanguageModule, timed: Callable[[], Speed]) -> Speed:
    try:
        language_model.compile_layers(model)
        return timed()
    except (RuntimeError, OSError, ImportError) as error:  # torch's own errors of compiling are RuntimeErrors
        language_model.uncompile(model)
        raise EnvironmentFailure(
            f"The model could not be compiled: {str(error).splitlines()[0][:200]}", code="compile", where="train.compile",
            hint="Install a C++ compiler, or leave out train.compile.",
        ) from error  # fmt: skip


def _ask_compiler(asked: bool) -> None:
    """Whether a program is built for each of the processor's instruction sets before any of them is used: on a fresh machine that
    takes longer than all the rest of compiling (LAB.md). Whoever set TORCHINDUCTOR_VEC_ISA_OK keeps his choice."""
    if "TORCHINDUCTOR_VEC_ISA_OK" in os.environ:
        return
    inductor: Any = torch._inductor
    inductor.config.cpp.vec_isa_ok = None if asked else True
    inductor.cpu_vec_isa.valid_vec_isa_list.cache_clear()
