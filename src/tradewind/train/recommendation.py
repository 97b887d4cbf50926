"""The run of a recommender: from events to a folder that answers without torch. One story, read from the top.

Not here: the loop (`loop.py`), what a step computes (`recommendation_task.py`), defaults (`recommendation_defaults.py`), figures
of the test split, which no training sees (`evaluate/recommendation.py`).

Legend: Q users asked about, I items, F factors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tradewind.artifacts import Artifact, Workspace, open_artifact
from tradewind.data.interactions import Asked, Described, Interactions
from tradewind.data.sessions import Packs, pieces_of
from tradewind.features.factors import Factors
from tradewind.files import digest_json, read_json, write_json
from tradewind.model.recommender import Recommender, RecommenderConfig
from tradewind.model.recommender_export import export_recommender, item_table
from tradewind.model.weights import parameters, save_model
from tradewind.product import Product
from tradewind.release.recommender import Parts, write_parts
from tradewind.train.device import choose_device, environment, reproducible
from tradewind.train.loop import Fitted, Progress, fit
from tradewind.train.power import Meter
from tradewind.train.recommendation_defaults import RecommendationFacts, resolve, row_length
from tradewind.train.recommendation_task import RecommendationTask, states
from tradewind.train.steplog import open_sinks

FORMAT = 1
MODEL = "model"  # the folder that answers
_NOT_IN_DIGEST = {"checkpoint", "sinks", "threads"}  # how a run is made, not what comes out of it
_HELD = 2000  # users of validation that are asked about after every epoch
_WEIGHTS = (0.0, 1.0, 2.0, 4.0, 8.0)  # of the linear model's scores
_GOLDEN = 16
_ASK = 256
_TOP = 10


@dataclass(frozen=True)
class RecommendationRun:
    """A finished run: `product.json` resolved, `steps.jsonl`, `checkpoints/`, `best.safetensors`, `model/` as a release holds it,
    `environment.json`, `summary.json`; after learning validation events too, `refit/`."""

    artifact: Artifact

    @cached_property
    def product(self) -> Product:
        return Product.model_validate(read_json(self.artifact.folder / "product.json"))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Seconds, steps, epochs, the best epoch, its validation figures, parameters, why it stopped."""
        summary: dict[str, Any] = read_json(self.artifact.folder / "summary.json")
        return summary

    @property
    def model(self) -> Path:
        return self.artifact.folder / MODEL


def load_recommendation_run(folder: Path) -> RecommendationRun:
    """Opens a finished run. Raises ArtifactError when the folder is none."""
    return RecommendationRun(open_artifact(folder, kind="run"))


def train_recommendation(
    product: Product, dataset: Interactions, *, workspace: Workspace, progress: Callable[[Progress], None] | None = None
) -> RecommendationRun:
    """Makes the run of a product over its events, or returns the finished one at once.

    An interrupted run goes on from its last checkpoint and ends with the same weights, bit for bit. Raises ModelError when
    nothing can be learnt or settings contradict each other, EnvironmentFailure for the disk or a GPU that is not there.
    """
    # ---- 1. settings: no auto is left
    lengths = np.diff(dataset.starts_U)
    facts = RecommendationFacts(len(dataset.items), len(lengths), int(dataset.trained_U.sum()), int(lengths.max()))
    device = choose_device(product.train.device)
    product = resolve(product, facts)
    product = product.model_copy(update={"train": product.train.model_copy(update={"device": device.type})})

    # ---- 2. made before?
    settings = product.resolved()
    made_of: dict[str, Any] = {
        "format": FORMAT,
        "dataset": dataset.artifact.digest,
        "task": product.task,
        "model": settings["model"],
        "train": {name: value for name, value in settings["train"].items() if name not in _NOT_IN_DIGEST},
    }
    found = workspace.find("run", digest_json(made_of))
    if found is not None:
        return RecommendationRun(found)

    # ---- 3. made now, or gone on with
    with workspace.making("run", made_of, parents={"dataset": dataset.artifact.digest}, resume=True) as folder:
        write_json(folder / "product.json", settings)
        write_json(folder / "environment.json", {**environment(device), "threads": product.train.threads})
        fitting = _Fitting(product, dataset, folder, device, progress)
        with Meter() as meter:
            model, fitted = fitting.first()
            linear = fitting.linear(model)
            refitted = None
            if product.train.refit:
                model, refitted = fitting.again(fitted.best_epoch)
            factors = fitting.factors(dataset.trained_U + fitting.further) if linear["weight"] else None
        # ---- 4. what it leaves behind
        save_model(model, folder / "best.safetensors", metadata={"fingerprint": dataset.artifact.digest})
        difference = fitting.write(model, folder / MODEL, factors, linear["weight"])
        write_json(folder / "summary.json", {
            **_summary(fitted, refitted, facts, model), **meter.to_json(), "linear": linear, "parity": difference,
        })  # fmt: skip
    made = workspace.find("run", digest_json(made_of))
    assert made is not None
    return RecommendationRun(made)


class _Fitting:
    """A network and what it learns from, made the same way for the first training and for the one on validation events too."""

    def __init__(
        self, product: Product, dataset: Interactions, folder: Path, device: torch.device, progress: Callable[[Progress], None] | None,
    ) -> None:  # fmt: skip
        self.product, self.dataset, self.folder, self.device, self.progress = product, dataset, folder, device, progress
        self.settings = product.train
        self.described: dict[str, Described | None] = {what: dataset.described(what) for what in ("items", "users")}
        self.held = dataset.asked("validation", most=_HELD)
        # Whose validation event is learnt too, when training is done again.
        self.further = np.where(np.diff(dataset.starts_U) > dataset.trained_U, 1, 0) if self.settings.refit else 0

    def first(self) -> tuple[Recommender, Fitted]:
        """On the training events; validation chooses the weights."""
        return self._fit(self.dataset.trained_U, self.held, self.folder)

    def again(self, epochs: int) -> tuple[Recommender, Fitted]:
        """On the validation events too, from the same start, for as many epochs as were best without them."""
        folder = self.folder / "refit"
        folder.mkdir(exist_ok=True)
        return self._fit(self.dataset.trained_U + self.further, None, folder, epochs=epochs)

    def _fit(
        self, lengths_U: NDArray[np.int64], held: Asked | None, folder: Path, *, epochs: int | None = None
    ) -> tuple[Recommender, Fitted]:
        dataset, settings = self.dataset, self.settings
        model = self.built(lengths_U)
        context = model.config.context
        assert isinstance(settings.batch, int)
        batches = Packs(
            dataset.item_N, dataset.weight_N, pieces_of(dataset.starts_U, lengths_U, context=context),
            start=model.config.items, length=row_length(context), size=settings.batch, seed=settings.seed,
        )  # fmt: skip
        assert settings.loss in ("cross_entropy", "sampled_softmax", "gbce")
        assert isinstance(settings.negatives, int)
        task = RecommendationTask(
            model=model, loss=settings.loss, share_I=self._share(lengths_U).to(self.device), negatives=settings.negatives,
            device=self.device, held=held, again=self.product.data.recommendation.again,
            label_smoothing=settings.label_smoothing if isinstance(settings.label_smoothing, float) else 0.0,
            monitor=settings.monitor,
        )  # fmt: skip
        fitted = fit(
            model, task, batches, settings=settings, folder=folder, fingerprint=dataset.artifact.digest, device=self.device,
            overrides=model.parameter_groups(), progress=self.progress, stop_after=epochs,
            sinks=open_sinks(settings.sinks, folder, product=self.product.product),
        )  # fmt: skip
        return model, fitted

    def built(self, lengths_U: NDArray[np.int64]) -> Recommender:
        """A network at its start; equal seeds give equal weights."""
        shape = self.product.model
        assert isinstance(shape.width, int)
        assert isinstance(shape.depth, int)
        assert isinstance(shape.heads, int)
        assert isinstance(shape.context, int)
        assert isinstance(shape.dropout, float)
        config = RecommenderConfig(
            len(self.dataset.items), shape.width, shape.depth, shape.heads, shape.context, shape.dropout
        )
        items, users = self.described["items"], self.described["users"]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            model = Recommender(
                config,
                items=None if items is None else items.features.layout,
                users=None if users is None else users.features.layout,
            )
        model.begin(self._share(lengths_U))
        for content, described in ((model.item_content, items), (model.user_content, users)):
            if content is not None and described is not None:
                content.arrays = {
                    name: torch.from_numpy(np.array(one)).to(self.device) for name, one in described.arrays.items()
                }
        return model.to(self.device)

    def _share(self, lengths_U: NDArray[np.int64]) -> torch.Tensor:
        """How often each item is met in the first events of each user, one time more so that none is never met."""
        met = self.dataset.item_N[_first(self.dataset.starts_U, lengths_U)]
        counts = np.bincount(met, minlength=len(self.dataset.items)).astype(np.float32) + 1
        return torch.from_numpy(counts / counts.sum())

    # ---------------------------------------------------------------- the linear model beside it

    def factors(self, lengths_U: NDArray[np.int64]) -> Factors:
        """Of the first events of each user."""
        chosen = _first(self.dataset.starts_U, lengths_U)
        starts = np.concatenate([[0], np.cumsum(lengths_U)])
        factors = self.product.model.factors
        assert isinstance(factors, int)
        return Factors.fit(
            starts, self.dataset.item_N[chosen], self.dataset.weight_N[chosen], items=len(self.dataset.items),
            factors=factors, seed=self.settings.seed,
        )  # fmt: skip

    def linear(self, model: Recommender) -> dict[str, Any]:
        """The weight of the linear model's scores that is best on validation, and what each weight gives there."""
        if not self.product.model.factors:
            return {"weight": 0.0, "tried": {}}
        factors = self.factors(self.dataset.trained_U)
        with reproducible(seed=self.settings.seed, threads=_threads(self.settings.threads), device=self.device):
            tried = _blended(model, factors, self.held, again=self.product.data.recommendation.again)
        best = max(tried, key=lambda weight: (tried[weight], -weight))
        return {"weight": best, "tried": {f"{weight:g}": round(value, 6) for weight, value in tried.items()}}

    # ---------------------------------------------------------------- what it leaves behind

    def write(self, model: Recommender, folder: Path, factors: Factors | None, weight: float) -> float:
        """The folder that answers; gives the graphs' largest difference from torch."""
        folder.mkdir(exist_ok=True)
        golden = self.dataset.asked("validation", most=_GOLDEN)
        histories = [golden.history(row) for row in range(len(golden))]
        items, users = self.described["items"], self.described["users"]
        difference = export_recommender(
            model, folder, histories=histories, items=None if items is None else items.features.layout,
            users=None if users is None else users.features.layout,
        )  # fmt: skip
        with torch.no_grad():
            nobody = Asked(golden.user, golden.before, golden.starts, golden.target)
            scores = _scores(model, nobody, range(len(golden)), factors, weight, users=False)
        attributes = {} if items is None else {
            column.name: self.dataset.raw("items", column.name)
            for column in items.features.columns
            if column.kind in ("category", "number")
        }  # fmt: skip
        write_parts(folder, Parts(
            names=self.dataset.items, counts=self.dataset.counts_I, context=model.config.context,
            again=self.product.data.recommendation.again, factors=factors, weight=weight, attributes=attributes,
            fresh_bias=_fresh_bias(model, self.dataset.counts_I),
            items=None if items is None else items.features, users=None if users is None else users.features,
            golden_histories=histories, golden_scores=scores,
        ))  # fmt: skip
        return difference


def _fresh_bias(model: Recommender, counts_I: NDArray[np.int64]) -> float:
    """Nobody has met a new item: it begins where those stand that hardly anybody met."""
    rare = counts_I <= max(1, int(np.quantile(counts_I, 0.1)))
    return float(model.bias.detach().cpu().numpy()[rare].mean())


def _first(starts_U: NDArray[np.int64], lengths_U: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which events are among the first `lengths_U` of their users."""
    lengths = np.diff(starts_U)
    place = np.arange(starts_U[-1]) - np.repeat(starts_U[:-1], lengths)
    chosen: NDArray[np.bool_] = place < np.repeat(lengths_U, lengths)
    return chosen


@torch.no_grad()
def _scores(
    model: Recommender, asked: Asked, rows: range, factors: Factors | None, weight: float, *, users: bool = True
) -> NDArray[np.float32]:  # fmt: skip
    """Scores [B, I] of some users asked about."""
    kept, model.user_content = model.user_content, model.user_content if users else None
    try:
        model.eval()
        vectors_ID, bias_I = item_table(model)
        found = states(model, asked, rows).cpu().numpy() @ vectors_ID.T + bias_I
    finally:
        model.user_content = kept
    if factors is not None and weight:
        starts = asked.starts[rows.start : rows.stop + 1]
        folded = factors.fold(starts - starts[0], asked.before[starts[0] : starts[-1]])
        found = found + np.float32(weight) * (folded @ factors.items_IF.T)
    scores: NDArray[np.float32] = found.astype(np.float32)
    return scores


def _blended(model: Recommender, factors: Factors, asked: Asked, *, again: bool) -> dict[float, float]:
    """NDCG of the first ten on the users asked about, by the weight of the linear scores."""
    gains: dict[float, list[NDArray[np.float64]]] = {weight: [] for weight in _WEIGHTS}
    for begin in range(0, len(asked), _ASK):
        rows = range(begin, min(begin + _ASK, len(asked)))
        own = _scores(model, asked, rows, None, 0.0)
        beside = _scores_of(factors, asked, rows)
        target = asked.target[rows.start : rows.stop].astype(np.int64)
        for weight in _WEIGHTS:
            scores = own + np.float32(weight) * beside
            right = scores[np.arange(len(rows)), target].copy()
            if not again:
                for at, row in enumerate(rows):
                    scores[at, asked.history(row)] = -np.inf
            rank = (scores > right[:, None]).sum(1)
            gains[weight].append(np.where(rank < _TOP, 1 / np.log2(rank + 2.0), 0.0))
    return {weight: float(np.concatenate(found).mean()) for weight, found in gains.items()}


def _scores_of(factors: Factors, asked: Asked, rows: range) -> NDArray[np.float32]:
    starts = asked.starts[rows.start : rows.stop + 1]
    folded = factors.fold(starts - starts[0], asked.before[starts[0] : starts[-1]])
    scores: NDArray[np.float32] = folded @ factors.items_IF.T
    return scores


def _threads(wanted: int | str) -> int:
    return wanted if isinstance(wanted, int) else 1


def _summary(
    fitted: Fitted, refitted: Fitted | None, facts: RecommendationFacts, model: Recommender
) -> dict[str, Any]:  # fmt: skip
    return {
        "seconds": fitted.seconds, "steps": fitted.steps, "epochs": fitted.epochs, "best_epoch": fitted.best_epoch,
        "epoch_seconds": fitted.seconds / max(1, fitted.epochs), "monitor": fitted.monitor,
        "validation": {name: value for name, value in fitted.figures.items() if name != "loss"},
        "loss": fitted.figures.get("loss"), "stopped": fitted.stopped, "resumed": fitted.resumed, "events": facts.events,
        "items": facts.items, "users": facts.users, "parameters": parameters(model),
        "refit": None if refitted is None else {"epochs": refitted.epochs, "seconds": refitted.seconds, "loss": refitted.figures["loss"]},
    }  # fmt: skip
