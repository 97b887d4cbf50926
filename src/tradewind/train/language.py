"""The run of a language model: from a corpus to a folder that `from_pretrained` opens. One story, read from the top.

Not here: the loop (`loop.py`), what a step computes (`language_tasks.py`), defaults (`language_defaults.py`), the test
split, which no training sees (`evaluate/generation.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tradewind.artifacts import Artifact, Workspace, open_artifact
from tradewind.data.corpus import Corpus
from tradewind.data.sequences import Conversations, Preferences, Windows
from tradewind.files import digest_json, read_json, write_json
from tradewind.model.decoder import Decoder
from tradewind.product import Product
from tradewind.release.golden import recombined
from tradewind.train import language_model
from tradewind.train.costs import Estimate, outcome
from tradewind.train.device import Precision, autocast, choose_device, reproducible
from tradewind.train.language_batches import learnt_batches, tokens_of_batch
from tradewind.train.language_model import LanguageModule, uncompiled
from tradewind.train.language_plan import HELD_SHARE, HELD_TOKENS, Plan, longest_of, plan_of, splits_of
from tradewind.train.language_samples import Samples, prompts_of, write_golden
from tradewind.train.language_speed import speed_of
from tradewind.train.language_tasks import (
    Held,
    LanguageTask,
    MaskedTask,
    NextTokenTask,
    Pace,
    PreferenceTask,
    Source,
    reference_of,
)  # fmt: skip
from tradewind.train.loop import Fitted, Progress, fit
from tradewind.train.power import Meter
from tradewind.train.steplog import open_sinks
from tradewind.train.tasks import BatchSource

_GOLDEN_PROMPTS, _SAMPLE_PROMPTS, _SAMPLE_TOKENS = 8, 2, 48
_LAST_HELD_SHARE, _LAST_HELD_TOKENS = 0.1, 1 << 18  # and once at the end


@dataclass(frozen=True)
class LanguageRun:
    """A finished run: `product.json` resolved, `steps.jsonl`, `samples.jsonl`, `checkpoints/`, `hf/`, of LoRA `adapter/`,
    `golden.npz`, `environment.json`, `summary.json`."""

    artifact: Artifact

    @cached_property
    def product(self) -> Product:
        return Product.model_validate(read_json(self.artifact.folder / "product.json"))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Seconds, steps, tokens, tokens_per_s, matmul_share, parameters, best_step, loss, bits_per_byte, estimate."""
        summary: dict[str, Any] = read_json(self.artifact.folder / "summary.json")
        return summary

    @property
    def hf(self) -> Path:
        return self.artifact.folder / "hf"

    @property
    def adapter(self) -> Path | None:
        folder = self.artifact.folder / "adapter"
        return folder if folder.is_dir() else None

    @property
    def golden(self) -> Path:
        return self.artifact.folder / "golden.npz"


def load_language_run(folder: Path) -> LanguageRun:
    """Opens a finished run. Raises ArtifactError when the folder is none."""
    return LanguageRun(open_artifact(folder, kind="run"))


def train_language(
    product: Product, corpus: Corpus, *, workspace: Workspace, progress: Callable[[Progress], None] | None = None,
    told: Callable[[Estimate], None] | None = None,
) -> LanguageRun:  # fmt: skip
    """Makes the run of a product over its corpus, or returns the finished one at once.

    An interrupted run goes on from its last checkpoint, at its place in the data, and ends with the same weights, bit for
    bit. `told` gets the estimate before the first step. Raises DataError or ModelError when nothing can be learnt or
    settings contradict each other, EnvironmentFailure for the disk, a GPU that is not there or a missing sink.
    """
    # ---- 1. settings: no auto is left but what is measured
    plan = plan_of(product, corpus)
    device = choose_device(product.train.device)

    # ---- 2. made before?
    made_of = plan.identity(corpus.artifact.digest, device)
    found = workspace.find("run", digest_json(made_of))
    if found is not None:
        return LanguageRun(found)

    # ---- 3. made now, or gone on with
    with workspace.making("run", made_of, parents={"dataset": corpus.artifact.digest}, resume=True) as folder:
        fitting = _Fitting(plan, corpus, folder, device)
        if told is not None:
            told(fitting.estimate)
        fitted, figures = fitting.go(progress)
        # ---- 4. what it leaves behind
        tokenizer = corpus.artifact.folder / "tokenizer"
        model = language_model.save(fitting.model, folder, tokenizer=tokenizer, base=plan.base)
        prompts = prompts_of(fitting.held, count=_GOLDEN_PROMPTS) or [[corpus.tokenizer.specials.eos]]
        longest = min(64, plan.context)
        prompts = recombined([prompt[-longest:] for prompt in prompts])
        write_golden(folder / "golden.npz", model, prompts, pad=corpus.tokenizer.specials.pad)
        write_json(folder / "summary.json", fitting.summary(fitted, figures))
    made = workspace.find("run", digest_json(made_of))
    assert made is not None
    return LanguageRun(made)


# ---------------------------------------------------------------- doing it


class _Fitting:
    """One attempt at a plan: module, batches, task, and the way they are computed on this machine."""

    def __init__(self, plan: Plan, corpus: Corpus, folder: Path, device: torch.device) -> None:
        self.plan, self.corpus, self.folder, self.device = plan, corpus, folder, device
        self.settings = plan.product.train
        self.split, self.held = splits_of(corpus, plan.objective)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.settings.seed)
            self.model: LanguageModule = language_model.build(plan.base, plan.product, device)
        self.batches: Any = learnt_batches(plan, corpus)
        self.work = plan.work(device, tokens_per_batch=tokens_of_batch(self.batches))
        self.speed = speed_of(
            self.model, plan, self.work, path=folder / "environment.json", device=device,
            one_shape=isinstance(self.batches, Windows),
        )  # fmt: skip
        self.settings = self.settings.model_copy(
            update={"threads": self.speed.way.threads, "precision": self.speed.way.precision,
                    "compile": self.speed.way.compiled, "device": device.type}
        )  # fmt: skip
        write_json(folder / "product.json", plan.product.model_copy(update={"train": self.settings}).resolved())
        self.estimate = Estimate.of(self.work, self.speed)
        self.meter = Meter()  # of this attempt's training, its evaluations included
        self.pace = Pace(self.work.operations_per_token, self.speed.peak_per_s)
        self.task = self._task(self.speed.way.precision)

    def go(self, progress: Callable[[Progress], None] | None) -> tuple[Fitted, dict[str, float]]:
        """Trains; then the figures of the best weights over as much of the validation split as is sensible."""
        assert isinstance(self.settings.steps, int)
        per_epoch = math.ceil(len(self.batches) / self.settings.accumulate)
        epochs = math.ceil(self.settings.steps / per_epoch)
        with self.meter:
            fitted = fit(
                self.model, self.task, self.batches, settings=self.settings.model_copy(update={"epochs": epochs}),
                folder=self.folder, fingerprint=self.corpus.tokenizer.fingerprint, device=self.device,
                precision=self.speed.way.precision, progress=progress, steps=self.settings.steps,
                sinks=open_sinks(self.settings.sinks, self.folder, product=self.plan.product.product),
            )  # fmt: skip
        assert isinstance(self.settings.threads, int)
        with reproducible(seed=self.settings.seed, threads=self.settings.threads, device=self.device):
            last = self._held(share=_LAST_HELD_SHARE, least=_LAST_HELD_TOKENS)
            with uncompiled(self.model):
                return fitted, self.task.figures(last)

    def summary(self, fitted: Fitted, figures: dict[str, float]) -> dict[str, Any]:
        per_epoch = math.ceil(len(self.batches) / self.settings.accumulate)
        named = {name.removeprefix("validation_"): value for name, value in figures.items()}
        return {
            "seconds": fitted.seconds, **self.meter.to_json(), "steps": fitted.steps, "tokens": self.pace.tokens, "learnt": self.pace.learnt,
            **self.pace.whole(fitted.seconds), "parameters": self.work.parameters,
            "best_step": min(fitted.best_epoch * per_epoch, fitted.steps), "monitor": fitted.monitor,
            "loss": named.get("loss"), "bits_per_byte": named.get("bits_per_byte"), "validation": named,
            "train_loss": fitted.figures.get("loss"), "stopped": fitted.stopped, "resumed": fitted.resumed,
            "objective": self.plan.objective, "adapt": self.plan.product.model.adapt if self.plan.base.folder else None,
            "context": self.plan.context, "left_out": getattr(self.batches, "left_out", 0),
            "shortened": getattr(self.batches, "shortened", 0),
            "way": self.speed.to_json()["way"], "estimate": outcome(self.estimate, fitted.seconds),
        }  # fmt: skip

    # ---------------------------------------------------------------- its parts

    def _held(self, *, share: float, least: int) -> Held:
        """Batches of the validation split worth at least `least` tokens, or `share` of those trained on."""
        assert isinstance(self.settings.batch, int)
        plan, size = self.plan, self.settings.batch
        most = max(least, round(share * self.work.tokens))
        if plan.objective == "dpo":
            pairs = self.corpus.pairs("validation")
            return Held(Preferences(pairs, length=plan.context, size=size, shuffle=False), 0.0)
        if plan.objective == "sft":
            every = Conversations(self.held, length=plan.context, size=size, shuffle=False)
            batches = max(1, most // max(1, size * min(plan.context, longest_of(self.held))))
            return Held(_First(every, batches), self.held.bytes / max(1, self.held.learnt))
        size = max(size, 4096 // plan.context)
        windows = Windows(self.held, length=plan.context, size=size, shuffle=False)
        if len(self.held) > most:
            steps = max(1, most // (size * windows.length))
            windows = Windows(self.held, length=plan.context, size=size, steps=steps, seed=1, shuffle=True)
        return Held(windows, 0.0 if plan.objective == "mlm" else self.held.bytes / len(self.held))

    def _task(self, precision: Precision) -> LanguageTask:
        held = self._held(share=HELD_SHARE, least=HELD_TOKENS)
        shared: dict[str, Any] = {
            "model": self.model, "device": self.device, "precision": precision, "held": held, "pace": self.pace,
            "sampler": self._samples(), "monitor": self.settings.monitor,
        }  # fmt: skip
        match self.plan.objective:
            case "mlm":
                specials = self.corpus.tokenizer.specials
                return MaskedTask(**shared, special=(*specials.stops, specials.eos, specials.pad))
            case "dpo":
                return PreferenceTask(
                    **shared, beta=self.settings.dpo_beta, reference=self._reference("train"),
                    held_reference=self._reference("validation"),
                )  # fmt: skip
            case _:
                return NextTokenTask(**shared)

    def _samples(self) -> Samples | None:
        if not isinstance(self.model, Decoder):
            return None
        prompts = prompts_of(self.held, count=_SAMPLE_PROMPTS)
        return Samples(
            self.folder / "samples.jsonl", self.model, self.corpus.tokenizer, prompts,
            tokens=min(_SAMPLE_TOKENS, self.plan.context), seed=self.settings.seed,
        )  # fmt: skip

    def _reference(self, name: Literal["train", "validation"]) -> NDArray[np.float64]:
        """What the weights that training begins with say: computed before any checkpoint is loaded."""
        pairs = self.corpus.pairs(name)
        assert isinstance(self.settings.batch, int)
        batches = Preferences(pairs, length=self.plan.context, size=self.settings.batch, shuffle=False)
        way = self.speed.way
        with (
            reproducible(seed=self.settings.seed, threads=way.threads, device=self.device),
            autocast(way.precision, self.device),
        ):
            return reference_of(self.model, batches, rows=len(pairs), device=self.device)


class _First:
    """The first batches of a source."""

    def __init__(self, source: BatchSource | Source, count: int) -> None:
        self._source, self._count = source, count

    def __len__(self) -> int:
        return min(len(self._source), self._count)

    def epoch(self, n: int, start: int = 0) -> Iterator[Any]:
        return islice(self._source.epoch(n, start), max(0, self._count - start))
