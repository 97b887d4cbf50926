"""The one loop: batches to weights. One story, read from the top; a kill at any line is repaired by the next call.

Not here: the artifact around it (`run.py`), what a step computes (`tasks.py`), what a setting is by default (`defaults.py`).

Legend: a batch is what one forward pass sees; a step is one move of the optimizer, after `accumulate` batches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tradewind.model.weights import load_into
from tradewind.product import Train
from tradewind.train import guards, optimizers
from tradewind.train.averaging import Average, trained_tensors
from tradewind.train.checkpoints import newest_checkpoint, save_checkpoint
from tradewind.train.device import Precision, autocast, generator_states, reproducible, restore_generators
from tradewind.train.schedules import Schedule
from tradewind.train.steplog import Sink, StepLog
from tradewind.train.tasks import BatchSource, LongTask, Task, lower_is_better

_LOG_SECONDS = 1.0  # of training between two records or two looks at the clock of the log
_LOG_STEPS = 50


@dataclass(frozen=True)
class Progress:
    """Where a run stands. `seconds_left` is by the rate so far and the epochs allowed; early stopping may end sooner."""

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    rows_per_s: float
    seconds_left: float
    figures: dict[str, float]


@dataclass(frozen=True)
class Fitted:
    """How a run ended. The model holds the best weights. `figures` are those of the best epoch; epochs count from 1."""

    steps: int
    epochs: int
    best_epoch: int
    figures: dict[str, float]
    monitor: str
    seconds: float
    stopped: str
    resumed: bool


@dataclass
class _Position:
    """What a checkpoint keeps as JSON. `batches` are those of `epoch` already seen; `seconds` those of all attempts."""

    epoch: int = 0
    batches: int = 0
    step: int = 0
    seconds: float = 0.0
    log_offset: int = 0
    best_figure: float | None = None
    best_epoch: int = -1
    best_step: int = -1
    best_figures: dict[str, float] = field(default_factory=dict)
    bad_epochs: int = 0
    stopped: str | None = None


def fit(
    model: nn.Module,
    task: Task,
    batches: BatchSource,
    *,
    settings: Train,
    folder: Path,
    fingerprint: str,
    device: torch.device,
    precision: Precision = "float32",
    sinks: Sequence[Sink] = (),
    overrides: dict[str, dict[str, float]] | None = None,
    progress: Callable[[Progress], None] | None = None,
    stop_after: int | None = None,
    steps: int | None = None,
) -> Fitted:
    """Trains `model` (already on `device`) in place, by resolved `settings`, and leaves the best weights in it.

    `folder` gets `steps.jsonl` and `checkpoints/`; when it holds those of an interrupted call with the same arguments,
    that one is continued, and the weights come out bit-identical. `fingerprint` names the columns. `stop_after` ends it
    after so many epochs, on the schedule of all of them; `steps` makes the last epoch as short as leaves so many in all.
    Raises ModelError when the run diverges or does not move, EnvironmentFailure when the disk is full.
    """
    threads = settings.threads if isinstance(settings.threads, int) else None
    with reproducible(seed=settings.seed, threads=threads, device=device):
        run = _Run(model, task, batches, settings, folder, fingerprint, device, precision, sinks, overrides, progress)
        if steps is not None:
            run.steps = run.schedule.total_steps = min(steps, run.steps)
        if stop_after is not None:
            run.last_epoch = min(run.last_epoch, stop_after)
        return run.go()


class _Run:
    def __init__(
        self,
        model: nn.Module,
        task: Task,
        batches: BatchSource,
        settings: Train,
        folder: Path,
        fingerprint: str,
        device: torch.device,
        precision: Precision,
        sinks: Sequence[Sink],
        overrides: dict[str, dict[str, float]] | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        # ---- 1. what is asked for
        self.model, self.task, self.batches = model, task, batches
        self.folder, self.fingerprint = folder, fingerprint
        self.device, self.precision, self.progress = device, precision, progress
        self.epochs = self.last_epoch = _number(settings.epochs)
        self.accumulate = settings.accumulate
        self.rate = float(settings.learning_rate)
        self.clip = settings.clip if isinstance(settings.clip, float) else None
        self.l1 = settings.l1
        self.patience = settings.stop_early if isinstance(settings.stop_early, int) else None
        self.max_seconds = settings.max_minutes * 60 if settings.max_minutes is not None else math.inf
        self.checkpoint = settings.checkpoint
        self.steps_per_epoch = math.ceil(len(batches) / self.accumulate)
        self.steps = self.steps_per_epoch * self.epochs

        # ---- 2. what moves the weights
        assert settings.optimizer != "auto"
        assert settings.schedule != "auto"
        assert settings.average != "auto"
        decay = settings.l2 if isinstance(settings.l2, float) else 0.0
        self.optimizer = optimizers.build(
            model, name=settings.optimizer, rate=self.rate, weight_decay=decay, overrides=overrides,
            beta2=settings.beta2 if isinstance(settings.beta2, float) else 0.999,
        )  # fmt: skip
        self.keep_last = settings.keep == "last"
        self.matrices = [p for p in self.optimizer.parameters if p.ndim >= 2]
        self.schedule = Schedule(
            settings.schedule,
            self.steps,
            warmup=settings.warmup if isinstance(settings.warmup, float) else 0.0,
            patience=max(1, (self.patience or 6) // 3),
        )
        average_decay = settings.average_decay if isinstance(settings.average_decay, float) else 0.999
        self.average = Average(settings.average, model, decay=average_decay, epochs=self.epochs)
        self.movement = guards.Movement()

        # ---- 3. where an earlier attempt stopped
        self.at = _Position()
        self.best: dict[str, Tensor] = {}
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.weight_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.resumed = self._resume()
        if not self.resumed:
            self.movement.begin(self.optimizer.parameters)
        self.log = StepLog(folder / "steps.jsonl", offset=self.at.log_offset, sinks=sinks)
        self.seconds_before = self.at.seconds
        self.started = self.saved = self.logged = time.perf_counter()
        self.logged_step = self.saved_step = self.first_step = self.at.step
        self.rows = 0

    # ---------------------------------------------------------------- the story

    def go(self) -> Fitted:
        try:
            while self.at.epoch < self.last_epoch and self.at.stopped is None:
                self._epoch()
            if self.saved_step > self.first_step:  # what follows may be killed too, and training was long
                self._save()
        finally:
            self.log.close()
        if self.best:
            load_into(self.model, self.best, where="best weights", partial=True)
        self.model.eval()
        at = self.at
        return Fitted(
            steps=at.step,
            epochs=at.epoch,
            best_epoch=at.best_epoch + 1,
            figures=at.best_figures,
            monitor=self.task.monitor,
            seconds=self._seconds(),
            stopped=at.stopped or "epochs",
            resumed=self.resumed,
        )

    def _epoch(self) -> None:
        at = self.at
        self.model.train()
        pending = 0
        part_weight: Tensor | None = None
        for batch in self.batches.epoch(at.epoch, at.batches):
            if at.batches and (at.step >= self.steps or self._seconds() >= self.max_seconds):
                break  # never before the first batch: the mean loss of none is no number
            # ---- 4. forward and backward, batch by batch
            with autocast(self.precision, self.device):
                loss = self.task.step(batch)
            pending += 1
            at.batches += 1
            self.rows += len(batch.target)
            last = at.batches == len(self.batches)
            if self.accumulate == 1:
                (loss.total / loss.weight.clamp_min(1e-12)).backward()  # type: ignore[no-untyped-call]
            else:
                # Sums now, one division at the step: rows of short batches weigh as much as all others.
                loss.total.backward()  # type: ignore[no-untyped-call]
                weight = loss.weight.detach()
                part_weight = weight if part_weight is None else part_weight + weight
            self.loss_sum += loss.total.detach()
            self.weight_sum += loss.weight.detach()
            # ---- 5. a step, then everything that hangs on steps
            if pending == self.accumulate or last:
                self._step(part_weight)
                pending, part_weight = 0, None
                self._after_step()
        self._end_of_epoch()

    def _step(self, weight: Tensor | None) -> None:
        grads = [p.grad for p in self.optimizer.parameters if p.grad is not None]
        if weight is not None:
            torch._foreach_div_(grads, weight.clamp_min(1e-12).to(grads[0].dtype))
        if self.l1 > 0:
            with torch.no_grad():  # the subgradient of l1 * |w| over matrices; biases and norms are left alone
                for parameter in self.matrices:
                    if parameter.grad is not None:
                        parameter.grad.add_(parameter.sign(), alpha=self.l1)
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.optimizer.parameters, self.clip)
        self.optimizer.set_rate(self.rate * self.schedule.factor(self.at.step))
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.after_step()
        self.at.step += 1

    def _after_step(self) -> None:
        at = self.at
        since = at.step - self.logged_step
        now = time.perf_counter()
        if since >= _LOG_STEPS or now - self.logged >= _LOG_SECONDS:
            self._log_step(now)
        if self._checkpoint_due(now):
            self._save()

    def _end_of_epoch(self) -> None:
        at = self.at
        # ---- 6. the loss of the epoch, and whether it can go on
        weight = float(self.weight_sum)
        loss = float(self.loss_sum) / weight if weight > 0 else math.nan
        guards.check_loss(loss, step=at.step)
        self.average.after_epoch(at.epoch)
        self.movement.observe(loss, self.optimizer.parameters, steps=at.step)
        # ---- 7. validation by the averaged weights; the best so far are kept
        with self.average.applied():
            figures = {"loss": loss, **self.task.validate()}
            monitor = self.task.monitor if self.task.monitor in figures else "loss"
            guards.check_loss(figures[monitor], step=at.step)
            improved = self._better(figures[monitor], lower=lower_is_better(monitor))
            # Without validation rows, or where so few would choose by luck, the last weights are taken.
            if improved or self.keep_last or len(figures) == 1:
                at.best_figure = figures[monitor] if improved else at.best_figure
                at.best_epoch, at.best_step, at.best_figures = at.epoch, at.step, figures
                self.best = {name: tensor.detach().clone() for name, tensor in trained_tensors(self.model).items()}
        at.bad_epochs = 0 if improved else at.bad_epochs + 1
        self.schedule.observe(improved=improved)
        validation = {name: value for name, value in figures.items() if name != "loss"}
        self.log.write({"step": at.step, "epoch": at.epoch + 1, "epoch_loss": loss, **validation})
        # ---- 8. whether there is another epoch
        at.epoch, at.batches = at.epoch + 1, 0
        self.loss_sum.zero_()
        self.weight_sum.zero_()
        if self.patience is not None and at.bad_epochs >= self.patience and validation:
            at.stopped = "early"
        elif self._seconds() >= self.max_seconds:
            at.stopped = "time"
        self._report(loss, validation)
        if self._checkpoint_due(time.perf_counter()):
            self._save()

    # ---------------------------------------------------------------- its parts

    def _better(self, figure: float, *, lower: bool) -> bool:
        best = self.at.best_figure
        return best is None or (figure < best if lower else figure > best)

    def _log_step(self, now: float) -> None:
        weight = float(self.weight_sum)
        loss = float(self.loss_sum) / weight if weight > 0 else 0.0
        guards.check_loss(loss, step=self.at.step)
        rate = self.rate * self.schedule.factor(self.at.step - 1)
        rates = self.task.rates(now - self.started) if isinstance(self.task, LongTask) else {}
        self.log.write(
            {
                "step": self.at.step,
                "epoch": self.at.epoch + 1,
                "loss": loss,
                "learning_rate": rate,
                "rows_per_s": round(self.rows / max(now - self.started, 1e-9), 1),
                "seconds": round(self._seconds(), 3),
                **rates,
            }
        )
        self.logged, self.logged_step = now, self.at.step
        self._report(loss, rates)

    def _report(self, loss: float, figures: dict[str, float]) -> None:
        if self.progress is None:
            return
        took = time.perf_counter() - self.started
        steps = min(self.steps, self.steps_per_epoch * self.last_epoch)
        left = 0.0 if self.at.stopped else took / max(1, self.at.step - self.first_step) * (steps - self.at.step)
        self.progress(
            Progress(
                step=self.at.step,
                steps=steps,
                epoch=self.at.epoch + (self.at.batches > 0),
                epochs=self.last_epoch,
                loss=loss,
                rows_per_s=self.rows / max(took, 1e-9),
                seconds_left=min(left, self.max_seconds - self._seconds()),
                figures=figures,
            )
        )

    def _seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started

    def _checkpoint_due(self, now: float) -> bool:
        steps, minutes = self.checkpoint.steps, self.checkpoint.minutes
        if steps is not None and self.at.step - self.saved_step >= steps:
            return True
        return minutes is not None and now - self.saved >= minutes * 60

    def _save(self) -> None:
        weight = float(self.weight_sum)
        if weight > 0:  # weights that are already lost are no place to go on from
            guards.check_loss(float(self.loss_sum) / weight, step=self.at.step)
        self.at.seconds, self.at.log_offset = self._seconds(), self.log.offset
        state = {
            "fingerprint": self.fingerprint,
            "position": vars(self.at),
            "schedule": self.schedule.state(),
            "average_updates": self.average.updates,
            "movement": self.movement.state(),
            "task": self.task.state() if isinstance(self.task, LongTask) else None,
        }
        tensors = {
            "model": trained_tensors(self.model),
            "optimizer": self.optimizer.state(),
            "average": self.average.tensors(),
            "generator": generator_states(self.device),
            "sum": {"loss": self.loss_sum, "weight": self.weight_sum},
        }
        save_checkpoint(
            self.folder / "checkpoints",
            step=self.at.step,
            tensors=tensors,
            state=state,
            best=self.best,
            best_step=self.at.best_step,
            keep=self.checkpoint.keep,
        )
        self.saved, self.saved_step = time.perf_counter(), self.at.step

    def _resume(self) -> bool:
        found = newest_checkpoint(self.folder / "checkpoints", fingerprint=self.fingerprint)
        if found is None:
            return False
        self.at = _Position(**found.state["position"])
        self.schedule.restore(found.state["schedule"])
        self.movement.restore(found.state["movement"])
        if isinstance(self.task, LongTask):
            self.task.restore(found.state["task"])
        load_into(self.model, found.tensors["model"], where="checkpoint", partial=True)
        self.optimizer.restore(found.tensors.get("optimizer", {}))
        self.average.restore(found.tensors.get("average", {}), found.state["average_updates"])
        restore_generators(found.tensors["generator"], self.device)
        self.loss_sum.copy_(found.tensors["sum"]["loss"])
        self.weight_sum.copy_(found.tensors["sum"]["weight"])
        self.best = {name: tensor.to(self.device) for name, tensor in found.best.items()}
        return True


def _number(value: Any) -> int:
    assert isinstance(value, int), "settings are resolved before training"
    return value
