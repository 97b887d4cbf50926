"""The run of a translator: from pairs to a folder that `from_pretrained` opens. One story, read from the top.

Not here: the loop (`loop.py`), what a step computes (`translation_task.py`), defaults (`translation_defaults.py`), the search
for translations, which needs no torch (`engines/translation.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from tradewind.artifacts import Artifact, Workspace, open_artifact
from tradewind.data.pair_batches import PairBatches
from tradewind.data.parallel import Parallel
from tradewind.errors import ModelError
from tradewind.files import digest_file, digest_json, read_json, write_json
from tradewind.model.seq2seq import Seq2Seq
from tradewind.model.seq2seq_config import Seq2SeqConfig
from tradewind.model.seq2seq_folder import open_seq2seq, save_seq2seq
from tradewind.model.weights import parameters
from tradewind.product import Product
from tradewind.train.device import choose_device, environment
from tradewind.train.loop import Fitted, Progress, fit
from tradewind.train.power import Meter
from tradewind.train.steplog import open_sinks
from tradewind.train.translation_defaults import TranslationFacts, dropout_of, precision_of, resolve
from tradewind.train.translation_golden import write_golden
from tradewind.train.translation_task import TranslationTask

FORMAT = 2
_NOT_IN_DIGEST = {"checkpoint", "sinks", "threads", "max_minutes"}  # how a run is made, not what comes out of it
_HELD_TOKENS = 8192
_MOST_THREADS = 16


@dataclass(frozen=True)
class TranslationRun:
    """A finished run: `product.json` resolved, `steps.jsonl`, `checkpoints/`, `hf/` with the tokeniser, `golden.npz`,
    `environment.json`, `summary.json`."""

    artifact: Artifact

    @cached_property
    def product(self) -> Product:
        return Product.model_validate(read_json(self.artifact.folder / "product.json"))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Seconds, steps, epochs, tokens, tokens_per_s, parameters, best_epoch, validation, loss, stopped."""
        summary: dict[str, Any] = read_json(self.artifact.folder / "summary.json")
        return summary

    @property
    def hf(self) -> Path:
        return self.artifact.folder / "hf"

    @property
    def golden(self) -> Path:
        return self.artifact.folder / "golden.npz"


def load_translation_run(folder: Path) -> TranslationRun:
    """Opens a finished run. Raises ArtifactError when the folder is none."""
    return TranslationRun(open_artifact(folder, kind="run"))


def train_translation(
    product: Product, parallel: Parallel, *, workspace: Workspace, base: Path = Path(),
    progress: Callable[[Progress], None] | None = None,
) -> TranslationRun:  # fmt: skip
    """Makes the run of a product over its pairs, or returns the finished one at once.

    An interrupted run goes on from its last checkpoint and ends with the same weights, bit for bit. `base` is the folder that
    model.pretrained is relative to. Raises ModelError when settings contradict each other or weights cannot be opened,
    EnvironmentFailure for the disk, a GPU that is not there or a missing sink.
    """
    # ---- 1. settings: no auto is left but precision and threads
    device = choose_device(product.train.device)
    pretrained = None if product.model.pretrained is None else base / Path(product.model.pretrained).expanduser()
    model, product = _begin(product, parallel, pretrained)
    precision = precision_of(product.train.precision, device, width=model.config.width)
    settings = product.train.model_copy(update={"precision": precision, "device": device.type})
    product = product.model_copy(update={"train": settings})

    # ---- 2. made before?
    resolved = product.resolved()
    made_of = {
        "format": FORMAT, "dataset": parallel.artifact.digest, "task": product.task,
        "model": {name: value for name, value in resolved["model"].items() if name != "pretrained"},
        "pretrained": None if pretrained is None else _digests(pretrained),
        "train": {name: value for name, value in resolved["train"].items() if name not in _NOT_IN_DIGEST},
    }  # fmt: skip
    found = workspace.find("run", digest_json(made_of))
    if found is not None:
        return TranslationRun(found)

    # ---- 3. made now, or gone on with
    with workspace.making("run", made_of, parents={"dataset": parallel.artifact.digest}, resume=True) as folder:
        threads = _threads(folder, product, device)
        product = product.model_copy(update={"train": settings.model_copy(update={"threads": threads})})
        write_json(folder / "product.json", product.resolved())
        model = model.to(device)
        task = _task(product, parallel, model, device)
        batches = _batches(product, parallel)
        assert isinstance(settings.epochs, int)
        with Meter() as meter:
            fitted = fit(
                model, task, batches, settings=product.train, folder=folder,
                fingerprint=parallel.tokenizer.fingerprint, device=device, precision=precision, progress=progress,
                sinks=open_sinks(settings.sinks, folder, product=product.product),
                steps=settings.steps if isinstance(settings.steps, int) else None,
            )  # fmt: skip
        # ---- 4. what it leaves behind
        model = model.cpu().eval()
        save_seq2seq(model, folder / "hf")
        parallel.tokenizer.save(folder / "hf")
        write_golden(folder / "golden.npz", model, *parallel.split("validation"), frame=parallel.tokenizer.frame)
        write_json(folder / "summary.json", _summary(fitted, task, model, parallel) | meter.to_json())
    made = workspace.find("run", digest_json(made_of))
    assert made is not None
    return TranslationRun(made)


# ---------------------------------------------------------------- its parts


def _begin(product: Product, parallel: Parallel, pretrained: Path | None) -> tuple[Seq2Seq, Product]:
    """The module as training begins, and the product without auto."""
    tokenizer, split = parallel.tokenizer, parallel.profile["splits"]["train"]
    tokens = int(split["target_tokens"])
    dropout = dropout_of(product, tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(product.train.seed)
        if pretrained is not None:
            model = _opened(product, pretrained, tokenizer.vocabulary)
            model.masks.share = dropout
        else:
            frame = tokenizer.frame
            model = Seq2Seq(
                Seq2SeqConfig.from_product(
                    product.model,
                    vocabulary=tokenizer.vocabulary,
                    tokens=tokens,
                    start=frame.start[0],
                    eos=frame.eos,
                    pad=frame.pad,
                    dropout=dropout,
                )
            )
    facts = TranslationFacts(int(split["pairs"]), tokens, model.config.width, pretrained is not None)
    return model, resolve(product, facts)


def _opened(product: Product, folder: Path, vocabulary: int) -> Seq2Seq:
    if product.model.adapt == "lora":
        raise ModelError(
            "Translators are fine-tuned whole; adapters are for language models.", code="adapt_unsuited",
            where="model.adapt", hint="Leave it out, or set full.",
        )  # fmt: skip
    model = open_seq2seq(folder)
    if vocabulary > model.config.vocabulary:
        raise ModelError(
            f"The pairs were encoded with {vocabulary:,} tokens, but the weights know {model.config.vocabulary:,}.",
            code="vocabulary_mismatch", where=str(folder), hint="Leave tokenizer out: that of model.pretrained is taken.",
        )  # fmt: skip
    model.requires_grad_(True)
    return model


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(one for one in folder.iterdir() if one.suffix == ".safetensors" or one.name == "config.json")
    return {file.name: digest_file(file) for file in files}


def _batches(product: Product, parallel: Parallel) -> PairBatches:
    settings = product.train
    assert isinstance(settings.batch, int)
    given = len(parallel.tokenizer.frame.start)
    return PairBatches(*parallel.split("train"), tokens=settings.batch, given=given, seed=settings.seed, shuffle=True)


def _task(product: Product, parallel: Parallel, model: Seq2Seq, device: torch.device) -> TranslationTask:
    settings = product.train
    given = len(parallel.tokenizer.frame.start)
    return TranslationTask(
        model=model, device=device, precision=precision_of(settings.precision, device, width=model.config.width), monitor=settings.monitor,
        held=PairBatches(*parallel.split("validation"), tokens=_HELD_TOKENS, given=given, shuffle=False),
        smoothing=settings.label_smoothing if isinstance(settings.label_smoothing, float) else 0.0,
    )  # fmt: skip


def _threads(folder: Path, product: Product, device: torch.device) -> int:
    """How many threads compute: as asked, or as the interrupted attempt had, since sums depend on it."""
    path = folder / "environment.json"
    earlier = read_json(path)["threads"] if path.exists() else min(torch.get_num_threads(), _MOST_THREADS)
    wanted = product.train.threads if isinstance(product.train.threads, int) else int(earlier)
    write_json(path, {**environment(device), "threads": wanted})
    return wanted


def _summary(fitted: Fitted, task: TranslationTask, model: Seq2Seq, parallel: Parallel) -> dict[str, Any]:
    figures = {name: value for name, value in fitted.figures.items() if name != "loss"}
    return {
        "seconds": fitted.seconds, "steps": fitted.steps, "epochs": fitted.epochs, "best_epoch": fitted.best_epoch,
        "tokens": task.tokens, "tokens_per_s": round(task.tokens / max(fitted.seconds, 1e-9), 1),
        "parameters": parameters(model), "monitor": fitted.monitor, "validation": figures,
        "loss": fitted.figures.get("loss"), "stopped": fitted.stopped, "resumed": fitted.resumed,
        "pairs": parallel.profile["splits"]["train"]["pairs"], "context": model.config.context,
    }  # fmt: skip
