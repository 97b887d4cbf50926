"""An examined predictor of every sort for the rooms of trust, made from a seed. No test stands here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tradewind.evaluate.trust import Context, Examined, Outputs, Part
from tradewind.product import Evaluate, Explain


def context(kinds: int, **settings: Any) -> Context:
    return Context(
        task="classification" if kinds else "regression",
        classes=tuple(f"class {at}" for at in range(kinds)),
        positive=1 if kinds == 2 else None,
        threshold=0.5 if kinds == 2 else None,
        primary="accuracy" if kinds else "rmse",
        settings=Evaluate(**settings),
        explain=Explain(),
        sensitive=("sex", "age"),
    )


def outputs_of(target: np.ndarray, kinds: int, random: np.random.Generator, *, signal: float = 1.5) -> Outputs:
    """Probabilities that are calibrated by construction (softmax of logits about the truth), or values with errors that
    grow with the value."""
    if not kinds:
        return Outputs(values=target + random.normal(size=len(target)) * (0.2 + np.abs(target)))
    logits = signal * np.eye(kinds)[target] + random.normal(size=(len(target), kinds))
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return Outputs(shares, shares.argmax(axis=1))


def part(rows: int, kinds: int, seed: int, **options: Any) -> Part:
    random = np.random.default_rng(seed)
    target = random.integers(0, kinds, rows) if kinds else random.normal(size=rows)
    raw = {
        "sex": np.array(["m", "f", None], dtype=object)[random.integers(0, 3, rows)],
        "age": random.normal(size=rows),
    }
    return Part(raw, target, None, outputs_of(target, kinds, random, **options))


def refuse(_: Mapping[str, Any]) -> Any:
    raise AssertionError("this room asks the predictor nothing")


def examined(
    kinds: int, *, rows: int = 400, train: Part | None = None, training: Mapping[str, Any] | None = None,
    ask: Callable[[Any], Any] = refuse, settings: Mapping[str, Any] | None = None,
) -> Examined:  # fmt: skip
    return Examined(
        context=context(kinds, **(settings or {})),
        kinds={},
        train=part(rows, kinds, 1) if train is None else train,
        validation=part(rows, kinds, 2),
        test=part(rows, kinds, 3),
        ask=ask,
        encode=ask,
        ask_encoded=ask,
        training=training or {},
    )
