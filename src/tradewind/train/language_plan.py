"""What a language run consists of, before it begins: settings without auto, the base, the splits, and the work in all.

Not here: doing it (`language.py`), what `auto` becomes (`language_defaults.py`), seconds and money (`costs.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from tradewind.data.corpus import Corpus
from tradewind.data.packed import Packed
from tradewind.errors import ModelError
from tradewind.product import Product
from tradewind.train import language_model
from tradewind.train.costs import Work, memory_of, operations
from tradewind.train.device import choose_precision
from tradewind.train.language_defaults import (
    LanguageFacts,
    Objective,
    check_base,
    context_of,
    evaluations,
    objective_of,
    resolve,
    sized,
)  # fmt: skip
from tradewind.train.language_model import Base, base_of, check_tokenizer

FORMAT = 1
HELD_SHARE, HELD_TOKENS = 0.01, 8192  # of the tokens trained on, looked at in each evaluation; at least so many

_NOT_IN_DIGEST = {"checkpoint", "sinks", "threads"}  # how a run is made, not what comes out of it


@dataclass(frozen=True)
class Plan:
    """A product without auto, and what its training consists of. `facts` are those of the corpus, or guessed from files."""

    product: Product
    objective: Objective
    base: Base
    context: int
    facts: LanguageFacts

    def identity(self, dataset: str, device: torch.device) -> dict[str, Any]:
        """What a run is made of: everything that its weights depend on, and nothing else."""
        settings = self.product.resolved()
        model = {name: value for name, value in settings["model"].items() if name != "pretrained"}
        train = {name: value for name, value in settings["train"].items() if name not in _NOT_IN_DIGEST}
        return {
            "format": FORMAT, "dataset": dataset, "task": self.product.task, "model": model,
            "pretrained": self.base.digest(), "train": train | {"device": device.type},
        }  # fmt: skip

    def work(self, device: torch.device, *, tokens_per_batch: int | None = None) -> Work:
        """Counts of the run. Without `tokens_per_batch` every row is as long as the context."""
        train, config = self.product.train, self.base.config
        assert isinstance(train.batch, int)
        assert isinstance(train.steps, int)
        sides = 2 if self.objective == "dpo" else 1
        tokens = sides * train.batch * self.context if tokens_per_batch is None else tokens_per_batch
        length = min(self.context, max(1, tokens // (sides * train.batch)))
        counts: dict[str, int] = {}

        def build() -> Any:
            module = language_model.shell(self.base, self.product)
            counts["total"] = sum(p.numel() for p in module.parameters())
            counts["learn"] = sum(p.numel() for p in module.parameters() if p.requires_grad)
            return module

        memory = memory_of(
            build, rows=sides * train.batch, length=length, precision=choose_precision(train.precision, device),
            optimizer=train.optimizer, vocabulary=config.vocabulary, depth=config.depth,
        )  # fmt: skip
        forward = config.operations_per_token(length)
        again = forward - 2.0 * config.vocabulary * config.width if train.recompute else 0.0
        per_token = operations(forward, again=again, learn=counts["learn"], total=counts["total"])
        trained = train.steps * train.accumulate * tokens
        held = min(self.facts.held_tokens, max(HELD_TOKENS, round(HELD_SHARE * trained)))
        return Work(counts, train.steps, train.accumulate, tokens, per_token, forward, held * self.evaluations, memory)

    @property
    def evaluations(self) -> int:
        """How often the run looks at the validation split."""
        train = self.product.train
        assert isinstance(train.steps, int)
        assert isinstance(train.batch, int)
        if self.objective not in ("sft", "dpo"):
            return evaluations(train.steps)
        per_pass = math.ceil(math.ceil(self.facts.rows / train.batch) / train.accumulate)
        return math.ceil(train.steps / per_pass)


def plan_of(product: Product, corpus: Corpus) -> Plan:
    """Raises ModelError or DataError when nothing would be learnt, or settings do not fit the corpus or each other."""
    objective = objective_of(product, kind=corpus.kind)
    facts = facts_of(corpus, objective)
    plan = planned(product, facts, objective=objective, vocabulary=corpus.tokenizer.vocabulary)
    if objective in ("pretrain", "mlm") and plan.facts.tokens < plan.context:
        raise ModelError(
            f"model.context is {plan.context:,}, but the training split holds {plan.facts.tokens:,} tokens.",
            code="context_too_long", where="model.context", hint=f"Set at most {plan.facts.tokens}, or leave it out.",
        )  # fmt: skip
    if plan.base.folder is not None:
        check_tokenizer(corpus.tokenizer, plan.base.config.vocabulary, plan.base.folder)
    return plan


def planned(product: Product, facts: LanguageFacts, *, objective: Objective, vocabulary: int) -> Plan:
    """The plan over a corpus of which only `facts` and the size of its vocabulary are known."""
    check_base(product, objective)
    product = product.model_copy(update={"model": sized(product.model, tokens=facts.tokens)})
    base = base_of(product, vocabulary=vocabulary, masked=objective == "mlm")
    most = base.config.context
    if base.folder is None and isinstance(product.model.context, int):
        most = product.model.context
    facts = replace(facts, parameters=base.config.parameters(), context=most)
    context = context_of(product.model, facts, objective)
    product = resolve(product, facts, objective=objective, context=context)
    return Plan(product, objective, base, context, facts)


def splits_of(corpus: Corpus, objective: Objective) -> tuple[Packed, Packed]:
    """What is learnt and what is held back; of preferences, the better answers."""
    if corpus.kind == "preferences":
        return corpus.pairs("train").chosen, corpus.pairs("validation").chosen
    split, held = corpus.split("train"), corpus.split("validation")
    if objective in ("pretrain", "mlm"):  # of conversations too every token is learnt
        return replace(split, mask=None), replace(held, mask=None)
    return split, held


def facts_of(corpus: Corpus, objective: Objective) -> LanguageFacts:
    """Raises ModelError nothing_supervised or validation_empty."""
    split, held = splits_of(corpus, objective)
    for part in (held, split):
        if len(part) < 2 or part.learnt == 0:
            raise _nothing(part)
    tokens, longest = len(split), longest_of(split)
    if corpus.kind == "preferences":
        rejected = corpus.pairs("train").rejected
        tokens, longest = tokens + len(rejected), max(longest, longest_of(rejected))
    return LanguageFacts(corpus.kind, tokens, split.documents, longest, held_tokens=len(held))


def longest_of(packed: Packed) -> int:
    """Tokens of the longest document."""
    return int(np.diff(packed.starts).max(initial=0))


def _nothing(packed: Packed) -> ModelError:
    if packed.name == "validation" and len(packed) < 2:
        return ModelError("The validation split holds no text, so nothing says when the model is good.",
                          code="validation_empty", where="data.split.validation",
                          hint="Give a larger share, or a file of its own.")  # fmt: skip
    return ModelError(
        f"In the {packed.name} split nothing is supervised: no token is learnt.", code="nothing_supervised",
        where="data.source", hint="Conversations need turns of the role assistant; texts need more than one token.",
    )  # fmt: skip
