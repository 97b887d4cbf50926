"""The run artifact: from a product and its dataset to trained weights, a graph and golden examples.

Not here: the loop (`loop.py`), defaults (`defaults.py`), figures of the test split (`evaluate/`), which no training sees.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tradewind.artifacts import Artifact, Workspace, open_artifact
from tradewind.data.augment import build_augment
from tradewind.data.batches import Batches
from tradewind.data.dataset import Dataset, Split
from tradewind.errors import ModelError, nearest
from tradewind.features.column import Values
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import ClassTarget, NumberTarget
from tradewind.files import digest_json, read_json, write_bytes, write_json
from tradewind.model.assemble import assemble
from tradewind.model.export import TOLERANCE, ExportReport, export, predict
from tradewind.model.text import TextEncoder
from tradewind.model.trunk import TradewindModel
from tradewind.model.weights import load_model, parameters, save_model
from tradewind.product import Product
from tradewind.release.golden import Golden, write_golden
from tradewind.train.defaults import Facts, resolve
from tradewind.train.device import Precision, choose_device, choose_precision, environment, to_tensor
from tradewind.train.examples import golden_rows
from tradewind.train.frontier import Fairness, Point
from tradewind.train.guards import check_target
from tradewind.train.loop import Fitted, Progress, fit
from tradewind.train.objectives import Objective, balanced_weights
from tradewind.train.power import Meter
from tradewind.train.privacy import Private
from tradewind.train.robustness import withstanding
from tradewind.train.steplog import open_sinks
from tradewind.train.tasks import SupervisedTask
from tradewind.train.undersampling import kept_of, logit_offsets

FORMAT = 1

_MOST_THREADS = 8
_VALIDATION_ROWS = 2048
_VALIDATION_ROWS_TENSORS = 128
# Settings that say how a run is made, not what comes out of it.
_NOT_IN_DIGEST = {"checkpoint", "sinks", "threads"}
_DECIDING = ("calibrate", "threshold", "positive", "fairness_least")


@dataclass(frozen=True)
class Run:
    """A finished run: `product.json` resolved, `steps.jsonl`, `checkpoints/`, `best.safetensors`, `model.onnx`,
    `golden.npz`, `golden.json`, `environment.json`, `summary.json`; after refitting `held_out.npz` and `refit/` too."""

    artifact: Artifact

    @cached_property
    def product(self) -> Product:
        return Product.model_validate(read_json(self.artifact.folder / "product.json"))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Seconds, steps, epochs, the best epoch, its validation figures, parameters, why it stopped."""
        summary: dict[str, Any] = read_json(self.artifact.folder / "summary.json")
        return summary

    @cached_property
    def held_out(self) -> NDArray[np.float32] | None:
        """Of a run that was refitted: probabilities [R, K] or values [R] that the validation rows got from the model
        which had not learnt from them. None where the final model itself has not."""
        path = self.artifact.folder / "held_out.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as content:
            outputs: NDArray[np.float32] = content["outputs"]
        return outputs

    @property
    def graph(self) -> Path:
        return self.artifact.folder / "model.onnx"

    def model(self, features: FeatureSet) -> TradewindModel:
        """The trained module, in evaluation mode. Raises ArtifactError when the columns are not those it was made for."""
        model = assemble(self.product, features, seed=self.product.train.seed)
        load_model(model, self.artifact.folder / "best.safetensors", fingerprint=features.fingerprint)
        return model.eval()


def load_run(folder: Path) -> Run:
    """Opens a finished run. Raises ArtifactError when the folder is none."""
    return Run(open_artifact(folder, kind="run"))


def train(
    product: Product, dataset: Dataset, *, workspace: Workspace, progress: Callable[[Progress], None] | None = None
) -> Run:
    """Makes the run of a product over its dataset, or returns the finished one at once.

    An interrupted run goes on from its last checkpoint and ends with the same weights, bit for bit.
    Raises DataError or ModelError when nothing can be learnt or settings contradict each other, EnvironmentFailure for
    the disk, a GPU that is not there or a sink that is not installed.
    """
    # ---- 1. settings: no auto is left
    features, split, held = dataset.features, dataset.split("train"), dataset.split("validation")
    check_target(split.target, name=product.data.target)
    classes = len(features.target.classes) if isinstance(features.target, ClassTarget) else None
    facts = Facts.of(features.layout, rows=split.rows, validation_rows=held.rows, classes=classes)
    device = choose_device(product.train.device)
    precision = choose_precision(product.train.precision, device)
    product = resolve(product, facts)
    settings = product.train.model_copy(update={"device": device.type, "precision": precision})
    product = product.model_copy(update={"train": settings})
    fairness = Fairness.of(product, dataset)

    # ---- 2. made before?
    made_of = identity(product, dataset)
    found = workspace.find("run", digest_json(made_of))
    if found is not None:
        return Run(found)

    # ---- 3. made now, or gone on with
    with workspace.making("run", made_of, parents={"dataset": dataset.artifact.digest}, resume=True) as folder:
        write_json(folder / "product.json", product.resolved())
        threads = _threads(folder, product, device, small=not features.layout.tensors)
        fitting = _Fitting(product, dataset, folder, device, precision, threads, progress)
        with Meter() as meter:
            model, fitted = fitting.first() if fairness is None else fitting.fairest(fairness)
            refitted = None
            if settings.refit and held.rows:
                _write_held_out(folder, model, features, held)
                model, refitted = fitting.again(fitted.best_epoch)
        # ---- 4. what it leaves behind
        save_model(model, folder / "best.safetensors", metadata={"fingerprint": features.fingerprint})
        raw, golden = golden_rows(model, features, split, held)
        report = export(model, features, folder, golden=golden)
        _write_golden(folder, model.cpu(), features, raw, golden)
        spent = None if fitting.private is None else fitting.private.end(fitted.steps)
        fair = {} if fitting.frontier is None else {"fairness": fitting.frontier}
        summary = _summary(fitted, refitted, report, model, split.rows)
        write_json(folder / "summary.json", summary | meter.to_json() | {"privacy": spent} | fair)
    made = workspace.find("run", digest_json(made_of))
    assert made is not None
    return Run(made)


def identity(product: Product, dataset: Dataset) -> dict[str, Any]:
    """What a run is made of: everything that its weights depend on, and nothing else."""
    settings = product.resolved()
    # A fair model is chosen by what its decisions would be.
    decided = (
        {}
        if product.train.fairness == "none"
        else {"decided": {name: settings["evaluate"][name] for name in _DECIDING}}
    )
    return {
        **decided,
        "format": FORMAT,
        "dataset": dataset.artifact.digest,
        "task": product.task,
        "model": settings["model"],
        "train": {name: value for name, value in settings["train"].items() if name not in _NOT_IN_DIGEST},
        "augment": settings["data"]["augment"],
    }


def objective_for(product: Product, features: FeatureSet, target: NDArray[Any]) -> Objective:
    """The loss that resolved settings ask for. Raises ModelError for a class weight that no class has."""
    settings = product.train
    assert settings.loss != "auto"
    assert settings.loss != "sampled_softmax"
    assert settings.loss != "gbce"
    weights: tuple[float, ...] | None = None
    if isinstance(features.target, ClassTarget) and settings.class_weights != "none":
        names = features.target.classes
        if settings.class_weights == "balanced":
            weights = balanced_weights(torch.from_numpy(np.bincount(target[target >= 0], minlength=len(names))))
        else:
            given: Mapping[str, float] = settings.class_weights
            for name in given:
                if name not in names:
                    raise ModelError(
                        f"There is no class {name}. Classes: {', '.join(names)}.", code="class_unknown",
                        where="train.class_weights", hint=nearest(name, names) or None,
                    )  # fmt: skip
            weights = tuple(float(given.get(name, 1.0)) for name in names)
    kept = kept_of(product, features, target)
    smoothing = settings.label_smoothing if isinstance(settings.label_smoothing, float) else 0.0
    return Objective(
        settings.loss, label_smoothing=smoothing, focal_gamma=settings.focal_gamma, huber_delta=settings.huber_delta,
        class_weights=weights, offsets=None if kept is None else logit_offsets(kept),
    )  # fmt: skip


class _Fitting:
    """A model and what it learns from, made the same way for the first training and for the one on all rows."""

    def __init__(
        self, product: Product, dataset: Dataset, folder: Path, device: torch.device, precision: Precision,
        threads: int, progress: Callable[[Progress], None] | None,
    ) -> None:  # fmt: skip
        self.product, self.features, self.folder = product, dataset.features, folder
        self.split, self.held = dataset.split("train"), dataset.split("validation")
        self.device, self.precision, self.progress = device, precision, progress
        self.settings = product.train.model_copy(update={"threads": threads})
        self.private = Private.of(product.train, rows=self.split.rows, folder=folder)
        self.strength = 0.0  # of fairness
        self.fairness: Fairness | None = None
        self.frontier: dict[str, Any] | None = None

    def first(self) -> tuple[TradewindModel, Fitted]:
        """On the training split; validation chooses the weights."""
        return self._fit(self.split, self.held, self.folder)

    def fairest(self, fairness: Fairness) -> tuple[TradewindModel, Fitted]:
        """One training for each strength of fairness until one is enough; the chosen one's model, and `again` goes on with that
        strength.

        Each keeps its own checkpoints, so an interrupted ladder goes on where it stood; they are dropped at the end.
        """
        self.fairness, points, kept = fairness, list[Point](), list[tuple[dict[str, Tensor], Fitted, Path]]()
        rungs, progress = fairness.rungs, self.progress
        for rung, self.strength in enumerate(rungs):
            folder = self.folder if len(rungs) == 1 else self.folder / "fairness" / f"{self.strength:g}"
            folder.mkdir(parents=True, exist_ok=True)
            self.progress = _of_ladder(progress, rung, len(rungs))
            model, fitted = self._fit(self.split, self.held, folder)
            points += fairness.points(
                self.strength, *(_outputs(model, self.features, one) for one in (self.split, self.held))
            )
            kept.append(
                ({name: tensor.detach().clone() for name, tensor in model.state_dict().items()}, fitted, folder)
            )
            if fairness.enough(points):
                break
        self.frontier, self.progress = fairness.summary(points), progress
        at = 0 if len(rungs) == 1 else fairness.chosen(points)
        self.strength = rungs[at]
        state, fitted, folder = kept[at]
        model.load_state_dict(state)
        if folder != self.folder:
            write_bytes(self.folder / "steps.jsonl", (folder / "steps.jsonl").read_bytes())
            for _, _, tried in kept:
                shutil.rmtree(tried / "checkpoints", ignore_errors=True)
        return model, fitted

    def again(self, epochs: int) -> tuple[TradewindModel, Fitted]:
        """On training and validation rows from the same start, for as many epochs as were best without the latter."""
        folder = self.folder / "refit"
        folder.mkdir(exist_ok=True)
        return self._fit(self.split.joined(self.held), None, folder, epochs=epochs)

    def _fit(
        self, split: Split, held: Split | None, folder: Path, *, epochs: int | None = None
    ) -> tuple[TradewindModel, Fitted]:
        model = assemble(self.product, self.features, seed=self.settings.seed).to(self.device)
        if self.fairness is not None:
            split = self.fairness.weighted(split, self.strength)
        _remember(model, [split, held] if held is not None else [split], self.device)
        task = self._task(model, split, held)
        fitted = fit(
            model, task if self.private is None else self.private.task(task, rows=split.rows), self._batches(split), settings=self.settings, folder=folder,
            fingerprint=self.features.fingerprint, device=self.device, precision=self.precision,
            overrides=model.parameter_groups(), progress=self.progress, stop_after=epochs,
            sinks=open_sinks(self.settings.sinks, folder, product=self.product.product),
        )  # fmt: skip
        _forget(model)
        return model, fitted

    def _task(self, model: TradewindModel, split: Split, held: Split | None) -> SupervisedTask:
        target = self.features.target
        unit = (target.mean, target.scale) if isinstance(target, NumberTarget) else None
        task = SupervisedTask(
            model=model, objective=objective_for(self.product, self.features, split.target), device=self.device,
            validation=_in_order(held, self.features) if held is not None and held.rows else None,
            monitor=self.settings.monitor, unit=unit,
        )  # fmt: skip
        task = withstanding(task, self.product, self.features, split)
        return task if self.fairness is None else self.fairness.task(task, split, self.strength)

    def _batches(self, split: Split) -> Batches:
        assert isinstance(self.settings.batch, int)
        seed = self.settings.seed
        augment = build_augment(self.product.data.augment, self.features, seed, raw=split.raw_column)
        lots = None if self.private is None else self.private.secret
        kept = kept_of(self.product, self.features, split.target)
        return Batches(split, size=self.settings.batch, seed=seed, shuffle=True, augment=augment, lots=lots, kept=kept)


def _in_order(split: Split, features: FeatureSet) -> Batches:
    size = _VALIDATION_ROWS_TENSORS if features.layout.tensors else _VALIDATION_ROWS
    return Batches(split, size=size, seed=0, shuffle=False)


def _write_held_out(folder: Path, model: TradewindModel, features: FeatureSet, held: Split) -> None:
    """What the first model says of the validation rows, before a second one learns from them: they are still unseen."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, outputs=_outputs(model, features, held))
    write_bytes(folder / "held_out.npz", buffer.getvalue())


def _outputs(model: TradewindModel, features: FeatureSet, split: Split) -> NDArray[Any]:
    """Probabilities [R, K], or values [R] in the target's own unit."""
    parts = [predict(model, features, batch.inputs) for batch in _in_order(split, features).epoch(0)]
    if not parts:
        return np.zeros((0, model.outputs) if isinstance(features.target, ClassTarget) else 0, dtype=np.float32)
    return np.concatenate(parts)


def _of_ladder(progress: Callable[[Progress], None] | None, rung: int, rungs: int) -> Callable[[Progress], None] | None:
    """The progress of all trainings, from that of number `rung`."""
    if progress is None or rungs == 1:
        return progress

    def tell(at: Progress) -> None:
        whole_s = at.seconds_left * at.steps / max(1, at.steps - at.step)
        left_s = at.seconds_left + whole_s * (rungs - rung - 1)
        progress(replace(at, step=at.step + rung * at.steps, steps=rungs * at.steps, seconds_left=left_s))

    return tell


def _remember(model: TradewindModel, splits: list[Split], device: torch.device) -> None:
    """Lets frozen text encoders see every text once: their vectors never change, so epochs need not make them again.

    Always in the same batches, of texts of like length, so that a resumed run remembers the same bits.
    """
    for body, name in _frozen_bodies(model):
        for split in splits:
            batches = Batches(split, size=_VALIDATION_ROWS_TENSORS, seed=0, shuffle=True).epoch(0)
            body.remember(to_tensor(batch.inputs[name], device) for batch in batches)


def _forget(model: TradewindModel) -> None:
    for body, _ in _frozen_bodies(model):
        body.forget()


def _frozen_bodies(model: TradewindModel) -> list[tuple[Any, str]]:
    """Bodies that can remember, with the name of their tokens; known by that, so that transformers is not imported."""
    encoders = [encoder for encoder in model.encoders.values() if isinstance(encoder, TextEncoder)]
    return [(encoder.body, encoder.tokens) for encoder in encoders if hasattr(encoder.body, "remember")]


def _threads(folder: Path, product: Product, device: torch.device, *, small: bool) -> int:
    """How many threads compute: as asked, or as the interrupted attempt had, since sums depend on it.

    `small`: the matrices of a table's network gain nothing from a second thread and lose much on a busy machine (LAB.md).
    """
    path = folder / "environment.json"
    fitting = 1 if small else min(torch.get_num_threads(), _MOST_THREADS)
    earlier = read_json(path)["threads"] if path.exists() else fitting
    wanted = product.train.threads if isinstance(product.train.threads, int) else int(earlier)
    write_json(path, {**environment(device), "threads": wanted})
    return wanted


def _write_golden(
    folder: Path, model: TradewindModel, features: FeatureSet, raw: dict[str, Values], golden: dict[str, NDArray[Any]]
) -> None:
    outputs = predict(model, features, golden)
    scale = features.target.scale if isinstance(features.target, NumberTarget) else 1.0
    write_golden(folder / "golden.json", Golden(raw, outputs.astype(np.float64), TOLERANCE * scale))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, outputs=outputs, **golden)
    write_bytes(folder / "golden.npz", buffer.getvalue())


def _summary(
    fitted: Fitted, refitted: Fitted | None, report: ExportReport, model: TradewindModel, rows: int
) -> dict[str, Any]:
    exported = {key: value for key, value in asdict(report).items() if key != "path"}
    figures = {name: value for name, value in fitted.figures.items() if name != "loss"}
    summary = {
        "seconds": fitted.seconds, "steps": fitted.steps, "epochs": fitted.epochs, "best_epoch": fitted.best_epoch,
        "monitor": fitted.monitor, "validation": figures, "loss": fitted.figures.get("loss"), "stopped": fitted.stopped,
        "resumed": fitted.resumed, "rows": rows,
        "refit": None if refitted is None else {"epochs": refitted.epochs, "seconds": refitted.seconds, "loss": refitted.figures["loss"]}, "parameters": parameters(model), "export": exported,
    }  # fmt: skip
    found: dict[str, Any] = json.loads(json.dumps(summary))
    return found
