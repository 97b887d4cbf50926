"""From a corpus and a run of a language model to plain facts for its report. Computes no figure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tradewind.data.corpus import Corpus
from tradewind.data.portions import NAMES
from tradewind.train.language import LanguageRun

_REJECTED_SHOWN = 20
_CURVE_POINTS, _FEW = 200, 5


def facts_of_corpus(corpus: Corpus) -> dict[str, Any]:
    """Documents, tokens and bytes by split, what was rejected and why, what cleaning did."""
    profile = corpus.profile
    cleaning = profile["cleaning"]
    rejected = list(_lines(corpus.folder / "rejected.jsonl", most=_REJECTED_SHOWN))
    return {
        "kind": profile["kind"],
        "splits": [
            {"name": name, **{key: one[key] for key in ("documents", "tokens", "learnt", "bytes")}}
            for name in NAMES
            for one in [profile["splits"][name]]
        ],
        "split_by": profile["split_by"],
        "languages": profile["languages"],
        "vocabulary": profile["tokenizer"]["vocabulary"],
        "rejected": sum(cleaning["rejected"].values()),
        "rejected_reasons": cleaning["rejected"],
        "rejected_rows": [
            {key: row.get(key, "") for key in ("file", "line", "reason", "text")} for row in rejected
        ],
        "cleaning": {f"{rule['rule']} {rule['column']}".strip(): rule["count"] for rule in cleaning["rules"]},
        "personal_data": profile["personal_data"],
    }  # fmt: skip


def facts_of_run(run: LanguageRun) -> dict[str, Any]:
    """What training did and took, with its curve."""
    summary, model = run.summary, run.product.model
    name = f"decoder {model.preset}" if model.preset else "decoder"
    if model.pretrained is not None:
        name = f"{Path(model.pretrained).name} · {model.adapt}"
    shown = ("seconds", "steps", "tokens", "tokens_per_s", "matmul_share", "best_step", "estimate", "objective")
    facts = {key: summary.get(key) for key in shown}
    return {"name": name, "parameters": summary["parameters"]["total"], **facts, "curve": _curve(run)}


def _curve(run: LanguageRun) -> list[dict[str, float | None]]:
    """Loss of training, and at each evaluation that of validation and its bits per byte. Where evaluations are few, the
    loss of single steps says more than the mean between two of them."""
    records = list(_lines(run.artifact.folder / "steps.jsonl"))
    evaluated = [one for one in records if "validation_loss" in one]
    steps = [one for one in records if "loss" in one and "validation_loss" not in one]
    few = len(evaluated) < _FEW
    points = [
        {
            "step": one["step"], "train": None if few else one.get("epoch_loss"), "validation": one["validation_loss"],
            "bits_per_byte": one.get("bits_per_byte"),
        }
        for one in evaluated
    ]  # fmt: skip
    if few:
        every = max(1, len(steps) // _CURVE_POINTS)
        points += [
            {"step": one["step"], "train": one["loss"], "validation": None, "bits_per_byte": None}
            for one in steps[::every]
        ]
    return sorted(points, key=lambda one: one["step"])


def _lines(path: Path, *, most: int | None = None) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for at, line in enumerate(file):
            if most is not None and at >= most:
                return
            yield json.loads(line)
