"""What `auto` becomes for a language model: sizes and rates by parameters, length by tokens.

Not here: what a setting means (`product.py`), the other tasks' recipes (`defaults.py`). Figures behind the choices are in
`LAB.md`; rates follow GPT-3's table (Brown et al. 2020), longer training on little text Muennighoff et al. 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tradewind.errors import ModelError
from tradewind.product import Model, Product, Train

Objective: TypeAlias = Literal["pretrain", "sft", "dpo", "mlm"]

_TOKENS_PER_PARAMETER = 20  # Hoffmann et al., Chinchilla, 2022
# Muennighoff et al., Scaling Data-Constrained Language Models, 2023: four passes are worth almost as much as new text, and
# beyond 16 nothing is left to gain. A tiny corpus costs so little that more are taken, with dropout.
_PASSES, _MOST_PASSES = 4, 16
_TINY_TOKENS = 10_000_000
_DROPOUT_FROM = 6.0  # passes over the corpus
_LEAST_STEPS, _FINE_STEPS = 200, 100
_FINE_PASSES, _MOST_FINE_PASSES = 3, 20
_EVALUATIONS = 10
_LEAST_WINDOWS = 32  # of a context that the training split must fill
_MOST_BATCH_TOKENS = 1 << 17  # in one forward pass; more come by accumulate

# Parameters → learning rate from scratch, tokens a step. In between, powers of the parameters.
_BY_SIZE: tuple[tuple[float, float, int], ...] = (
    (1e6, 3e-3, 1024),
    (1e7, 2e-3, 8192),
    (5e7, 1e-3, 32_768),
    (1.1e8, 6e-4, 131_072),
    (3.5e8, 3e-4, 262_144),
    (1e9, 2.5e-4, 524_288),
    (7e9, 1.5e-4, 2_097_152),
)
# Fine-tuning moves weights that are good already; an adapter takes ten times the rate of the whole (Biderman et al., LoRA
# Learns Less and Forgets Less, 2024); preferences a tenth again (Rafailov et al. 2023).
_FINE_RATE, _LORA_RATE, _PREFERENCE_RATE = 0.2, 5.0, 0.1


@dataclass(frozen=True)
class LanguageFacts:
    """What the recipe depends on. `tokens` and `rows` (documents or pairs) are those of the training split."""

    kind: Literal["text", "chat", "preferences"]
    tokens: int
    rows: int
    longest: int
    held_tokens: int
    parameters: int = 0
    context: int = 0  # most that the model takes


def objective_of(product: Product, *, kind: str) -> Objective:
    """What is trained. Raises ModelError when the corpus cannot serve it."""
    natural: dict[str, Objective] = {"text": "pretrain", "chat": "sft", "preferences": "dpo"}
    wanted = product.train.objective
    if wanted == "auto":
        return natural[kind]
    suited = {"pretrain": ("text", "chat"), "mlm": ("text",), "sft": ("chat",), "dpo": ("preferences",)}[wanted]
    if kind not in suited:
        raise ModelError(
            f"The objective {wanted} needs {' or '.join(suited)}, but the corpus holds {kind}.",
            code="objective_unsuited", where="train.objective",
            hint=f"Leave it out for {natural[kind]}, or set data.format.",
        )  # fmt: skip
    if wanted == "dpo" and product.model.pretrained is None:
        raise _without_base()
    return wanted


def check_base(product: Product, objective: Objective) -> None:
    """Raises ModelError where what is asked for needs weights that nobody named."""
    if product.model.pretrained is not None:
        if product.model.adapt == "frozen" and "adapt" in product.model.model_fields_set:
            raise ModelError("A frozen model learns nothing.", code="nothing_learns", where="model.adapt",
                             hint="Set adapt: full, or lora.")  # fmt: skip
        return
    if objective == "dpo":
        raise _without_base()
    if product.model.adapt == "lora":
        raise ModelError("An adapter needs a model that it adapts.", code="adapt_without_base", where="model.adapt",
                         hint="Name its folder as model.pretrained, or leave adapt out.")  # fmt: skip


def _without_base() -> ModelError:
    return ModelError(
        "Preferences are learnt from a model that can already answer, but model.pretrained names none.",
        code="pretrained_needed", where="train.objective", hint="Name the folder of a fine-tuned model.",
    )  # fmt: skip


def sized(model: Model, *, tokens: int) -> Model:
    """The model with a preset that suits `tokens` of training text, where the product file leaves its size open."""
    update: dict[str, object] = {}
    if model.pretrained is None and model.preset is None and "auto" == model.width == model.depth:
        update["preset"] = "1m" if tokens < 2e6 else "10m" if tokens < 1e8 else "50m" if tokens < 1e9 else "110m"
    return model.model_copy(update=update)


def context_of(model: Model, facts: LanguageFacts, objective: Objective) -> int:
    """The length trained on. Raises ModelError when more is asked for than the model takes."""
    if isinstance(model.context, int):
        if model.context > facts.context:
            raise ModelError(
                f"model.context is {model.context:,}, but the pretrained model takes {facts.context:,} tokens.",
                code="context_too_long", where="model.context", hint=f"Set at most {facts.context}, or leave it out.",
            )  # fmt: skip
        return model.context
    if objective in ("sft", "dpo"):
        return min(facts.context, max(16, 1 << math.ceil(math.log2(max(1, facts.longest)))))
    fitting = 1 << max(3, int(math.log2(max(8, facts.tokens // _LEAST_WINDOWS))))
    return min(facts.context, fitting)


def resolve(product: Product, facts: LanguageFacts, *, objective: Objective, context: int) -> Product:
    """No `auto` is left but those that are measured on the machine: precision, threads, compile."""
    train, model = product.train, product.model
    scratch = model.pretrained is None
    rate, tokens_per_step = _by_size(facts.parameters)
    batch = _batch(train, facts, objective, context, tokens_per_step)
    steps, epochs = _length(train, facts, objective, context, batch)
    rate *= _rate_share(objective, scratch=scratch, adapt=model.adapt)
    passes = steps * batch * train.accumulate * context / max(1, facts.tokens)
    few = objective in ("sft", "dpo")
    values: dict[str, object] = {
        "optimizer": "adamw",
        "learning_rate": float(f"{rate:.2g}"),
        "schedule": "cosine",
        "warmup": round(min(0.1, max(0.02, 100 / steps)), 4),
        "loss": "cross_entropy",
        "label_smoothing": 0.0,
        "l2": 0.1 if scratch else 0.01 if not few else 0.0,
        "clip": 1.0,
        "stop_early": "never",
        "keep": "best",
        "refit": False,
        "beta2": 0.99 if batch * train.accumulate * context < 16_384 else 0.95,
        "average": "none",
        "average_decay": 0.995,
        "monitor": "validation_loss" if objective in ("dpo", "mlm") else "bits_per_byte",
    }
    update = {name: value for name, value in values.items() if getattr(train, name) == "auto"}
    update |= {"objective": objective, "steps": steps, "epochs": epochs, "batch": batch}
    if train.monitor == "loss":
        update["monitor"] = "validation_loss"
    _check_monitor(str(update.get("monitor", train.monitor)), objective)
    dropout = 0.1 if scratch and not few and passes >= _DROPOUT_FROM else 0.0
    shape: dict[str, object] = {"context": context, "dropout": model.dropout if model.dropout != "auto" else dropout}
    if not scratch and model.adapt == "frozen":
        shape["adapt"] = "full"
    return product.model_copy(
        update={"train": train.model_copy(update=update), "model": model.model_copy(update=shape)}
    )


def evaluations(steps: int) -> int:
    """How often a run that goes through its text window by window looks at the validation split."""
    return max(1, min(_EVALUATIONS, steps // 20))


def _by_size(parameters: int) -> tuple[float, int]:
    smaller = _BY_SIZE[0]
    if parameters <= smaller[0]:
        return smaller[1], smaller[2]
    for larger in _BY_SIZE[1:]:
        if parameters <= larger[0]:
            share = math.log(parameters / smaller[0]) / math.log(larger[0] / smaller[0])
            rate = smaller[1] * (larger[1] / smaller[1]) ** share
            return rate, 1 << round(math.log2(smaller[2] * (larger[2] / smaller[2]) ** share))
        smaller = larger
    return smaller[1], smaller[2]


def _batch(train: Train, facts: LanguageFacts, objective: Objective, context: int, tokens_per_step: int) -> int:
    """Rows of one forward pass."""
    if train.batch == "full":
        raise ModelError("A language model is not trained with one batch of everything.", code="batch",
                         where="train.batch", hint="Give a number, or leave it out.")  # fmt: skip
    rows = facts.rows if objective in ("sft", "dpo") else max(1, facts.tokens // context)
    if isinstance(train.batch, int):
        return min(train.batch, rows) if objective in ("sft", "dpo") else train.batch
    if objective in ("sft", "dpo"):
        return max(1, min(16, rows // 8, _MOST_BATCH_TOKENS // context))
    wanted = tokens_per_step // context // train.accumulate
    return max(1, min(wanted, _MOST_BATCH_TOKENS // context, max(1, rows // 4)))


def _length(train: Train, facts: LanguageFacts, objective: Objective, context: int, batch: int) -> tuple[int, int]:
    """Steps of the optimizer, and passes over the rows (conversations) or evaluations (windows)."""
    if objective in ("sft", "dpo"):
        per_pass = math.ceil(math.ceil(facts.rows / batch) / train.accumulate)
        if isinstance(train.steps, int):
            return train.steps, math.ceil(train.steps / per_pass)
        passes = train.epochs if isinstance(train.epochs, int) else None
        if passes is None:
            passes = min(_MOST_FINE_PASSES, max(_FINE_PASSES, math.ceil(_FINE_STEPS / per_pass)))
        return passes * per_pass, passes
    tokens_per_step = batch * context * train.accumulate
    if isinstance(train.steps, int):
        steps = train.steps
    elif isinstance(train.epochs, int):
        steps = max(1, math.ceil(train.epochs * facts.tokens / tokens_per_step))
    else:
        most = _MOST_PASSES if facts.tokens < _TINY_TOKENS else _PASSES
        tokens = min(_TOKENS_PER_PARAMETER * facts.parameters, most * facts.tokens)
        steps = max(_LEAST_STEPS, math.ceil(tokens / tokens_per_step))
    return steps, evaluations(steps)


def _rate_share(objective: Objective, *, scratch: bool, adapt: str) -> float:
    """Of the rate from scratch."""
    if scratch:
        return 1.0
    share = _FINE_RATE * (_LORA_RATE if adapt == "lora" else 1.0)
    return share * (_PREFERENCE_RATE if objective == "dpo" else 1.0)


def _check_monitor(name: str, objective: Objective) -> None:
    known = {
        "dpo": ("validation_loss", "margin", "accuracy"),
        "mlm": ("validation_loss", "perplexity"),
    }.get(objective, ("validation_loss", "bits_per_byte", "perplexity"))
    if name not in known:
        raise ModelError(f"{name} is no figure that can be monitored here. Figures: {', '.join(known)}.",
                         code="monitor", where="train.monitor")  # fmt: skip
