"""`tradewind estimate`: what a run will take, before any of it is done. Counts from the plan; seconds from a short measurement
of real training steps on this machine, or from the table of accelerators.

Not here: the counts (`costs.py`), the plan (`language_plan.py`), what a run says of its own estimate (`language.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tradewind.data.corpus import Corpus
from tradewind.errors import DataError, ModelError
from tradewind.model.flops import matmul_peak
from tradewind.money import Price
from tradewind.product import Product
from tradewind.train import language_model
from tradewind.train.accelerators import accelerator
from tradewind.train.costs import Estimate, Work, free_memory
from tradewind.train.device import Precision, choose_device
from tradewind.train.language_batches import learnt_batches, tokens_of_batch
from tradewind.train.language_defaults import LanguageFacts, objective_of
from tradewind.train.language_plan import Plan, plan_of, planned
from tradewind.train.measure import Speed, measure, ways_of

_MEASURED_S = 5.0  # of training steps; with warming up well under half a minute
_MOST_BATCH_S = 1.0  # a step that would take longer is measured on a part of it
_SHARE_OF_PEAK = 0.25  # what steps reach at least, to choose that part
_LEAST_TOKENS = 128
_MOST_BYTES = 2 << 30  # that a measurement may take; at most half of what is free

# Before a tokeniser is trained its tokens can only be guessed: bytes of text behind one of them.
_BYTES_PER_TOKEN = {"char": 1.0, "bpe": 3.6}
_VOCABULARY = {"char": 200, "bpe": 16_000}
_ROW_TOKENS = 300  # a conversation of a customer and an answer, about


@dataclass(frozen=True)
class Foreseen:
    """An estimate, and whether tokens were counted in a corpus or guessed from the size of its files."""

    estimate: Estimate
    plan: Plan
    is_guess: bool


def estimate(
    product: Product, *, corpus: Corpus | None, base: Path, machine: str | None = None, hour: Price | None = None,
    seconds: float = _MEASURED_S,
) -> Foreseen:  # fmt: skip
    """`machine` is a name in the table of accelerators, or None for this one, which is then measured for about `seconds`.

    `base` is the product's folder. Raises ModelError accelerator_unknown, or whatever makes the run itself impossible.
    """
    if product.task != "generation":
        raise ModelError(f"Estimates are made for generation, not for {product.task}.", code="estimate_task",
                         where="task", hint="Runs of this task tell the time left while they go.")  # fmt: skip
    tokens: int | None
    if corpus is not None:
        plan = plan_of(product, corpus)
        tokens = tokens_of_batch(learnt_batches(plan, corpus))
    else:
        plan = _guessed(product, base)
        tokens = _guessed_batch(plan)
    device = choose_device(product.train.device)
    work = plan.work(device, tokens_per_batch=tokens)
    if machine is not None:
        found = Estimate.on(work, accelerator(machine), hour=hour)
    else:
        found = Estimate.of(work, measured(plan, work, device, seconds=seconds), hour=hour)
    return Foreseen(found, plan, corpus is None)


def measured(plan: Plan, work: Work, device: torch.device, *, seconds: float = _MEASURED_S) -> Speed:
    """The speed of the plan's own steps. What is too large for a short look is measured in part, fewer rows, shorter
    ones or fewer layers, and scaled by operations."""
    train, config = plan.product.train, plan.base.config
    assert isinstance(train.batch, int)
    length = min(plan.context, work.tokens_per_batch)
    rows = max(1, work.tokens_per_batch // length)
    affordable = matmul_peak(0.2, device=device).float32 * _SHARE_OF_PEAK * _MOST_BATCH_S
    if work.operations_per_token * rows * length > affordable:
        tokens = max(_LEAST_TOKENS, int(affordable / work.operations_per_token))
        rows = max(1, tokens // length)
        length = min(length, max(_LEAST_TOKENS, tokens)) if rows == 1 else length
    depth = _depth(plan, work, affordable / (length * rows))
    part = replace(plan, base=replace(plan.base, config=replace(config, depth=depth), folder=None))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(train.seed)
        model = language_model.shell(part.base, part.product, adapted=plan.base.folder is not None).to(device)
    threads = train.threads if isinstance(train.threads, int) else None
    precision: Precision | None = None if train.precision == "auto" else train.precision
    assert train.optimizer != "auto"
    speed = measure(
        model, model.loss, rows=rows, length=length, vocabulary=config.vocabulary, device=device,
        ways=ways_of(threads=threads, precision=precision, device=device), optimizer=train.optimizer, seconds=seconds,
    )  # fmt: skip
    done = replace(config, depth=depth).operations_per_token(length) * rows * length
    scale = work.forward_per_token * work.tokens_per_batch / done
    learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return replace(
        speed, batch_s=speed.batch_s * scale, forward_s=speed.forward_s * scale,
        optimizer_s=speed.optimizer_s * work.parameters["learn"] / learnt,
    )  # fmt: skip


def _depth(plan: Plan, work: Work, operations_per_token: float) -> int:
    """Layers that can be measured: all, unless time or memory says otherwise."""
    depth = plan.base.config.depth
    share = min(1.0, operations_per_token / work.operations_per_token)
    needed = work.memory["weights"] + work.memory["gradients"] + work.memory["optimizer"]
    free = free_memory()
    share = min(share, (_MOST_BYTES if free is None else min(_MOST_BYTES, free // 2)) / needed)
    return max(1, min(depth, int(depth * share)))


def _guessed(product: Product, base: Path) -> Plan:
    """The plan over a corpus that was not prepared yet, its tokens guessed from bytes."""
    source = product.data.source
    path = base / source.path
    files = (
        [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else []
    )
    size = sum(one.stat().st_size for one in files)
    if size == 0:
        raise DataError(
            f"There is no text at {source.path} whose size could be looked at.", code="source_missing",
            where="data.source", hint="Correct the path; of a remote source, run `tradewind prepare` first.",
        )  # fmt: skip
    kind = {"chat": "chat", "instructions": "chat", "preferences": "preferences"}.get(product.data.format, "text")
    wanted = product.tokenizer.kind
    by = "char" if wanted == "char" else "bpe"
    vocabulary = product.tokenizer.vocabulary if isinstance(product.tokenizer.vocabulary, int) else _VOCABULARY[by]
    tokens = int(size / _BYTES_PER_TOKEN[by])
    held, test = (share if isinstance(share := part, float) else 0.0
                  for part in (product.data.split.validation, product.data.split.test))  # fmt: skip
    learnt = int(tokens * (1 - test) * (1 - held))
    rows = max(1, learnt // _ROW_TOKENS)
    facts = LanguageFacts(kind, learnt, rows, 512, held_tokens=max(1, int(tokens * (1 - test) * held)))  # type: ignore[arg-type]
    return planned(product, facts, objective=objective_of(product, kind=kind), vocabulary=vocabulary)


def _guessed_batch(plan: Plan) -> int | None:
    """Tokens of a batch of conversations; None for windows, which are all as long as the context."""
    if plan.objective not in ("sft", "dpo"):
        return None
    assert isinstance(plan.product.train.batch, int)
    return (2 if plan.objective == "dpo" else 1) * plan.product.train.batch * min(plan.context, _ROW_TOKENS)
