"""Evidence of small releases of each kind, made up but of the shape that stages write. No model behind it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from tradewind import __version__
from tradewind.product import Product
from tradewind.release.transparency.document import Kind
from tradewind.release.transparency.evidence import data_of, released_of, stated_of, training_of
from tradewind.release.transparency.files import Sources, paper_of

CHINESE = {
    "description": "判断申请人是否会违约。", "intended_use": "供信贷员参考。", "excluded_use": "不得用于招聘。", "limitations": "仅覆盖 2024 年的申请。",
    "risks": "误拒。", "oversight": "由信贷员复核。", "provider": "某某科技", "contact": "help@example.com", "licence": "apache-2.0",
}  # fmt: skip
PRODUCT: dict[str, Any] = {
    "product": "credit",
    "task": "classification",
    "data": {"source": "rows.csv", "target": "default", "sensitive": ["sex"]},
    "release": {"description": "Says who may default.", "licence": "Apache 2.0", "watts": 40},
}
PROFILE: dict[str, Any] = {
    "rows": {"read": 1200, "rejected": 7, "train": 800, "validation": 93, "test": 300},
    "classes": {"train": {"no": 600, "yes": 200}, "validation": {"no": 70, "yes": 23}, "test": {"no": 225, "yes": 75}},
    "split": {"by": "random", "test": 0.2},
    "sources": [{"uri": "rows.csv", "bytes": 45123, "digest": "sha256:ab12", "format": "csv", "split": "train", "files": ["rows.csv"]}],
    "cleaning": {
        "rules": [
            {"rule": "units", "column": "income", "action": "read", "count": 31, "examples": ["1,200 of Ann"]},
            {"rule": "pii_email", "column": "note", "action": "redacted", "count": 4},
        ],
        "rejected": {"duplicate": 5, "target_missing": 2},
        "findings": [{"code": "sensitive", "column": "age", "action": "told", "text": "Ann is 41"}],
    },
    "columns": [
        {"name": "income", "part": "input", "kind": "number", "mean": 4123.5},
        {"name": "note", "part": "input", "kind": "text", "top": [{"value": "Ann", "count": 3}]},
        {"name": "sex", "part": "sensitive", "kind": "category", "dropped": "sensitive, kept for fairness only"},
    ],
}  # fmt: skip
SUMMARY: dict[str, Any] = {
    "seconds": 12.5, "steps": 340, "epochs": 9, "best_epoch": 7, "stopped": "early", "parameters": {"total": 51234, "learn": 51234},
    "refit": {"epochs": 7, "seconds": 10.25}, "cpu_s": 21.5, "power": None, "validation": {"roc_auc": 0.7},
}  # fmt: skip
ENVIRONMENT = {
    "device": "cpu",
    "machine": "x86_64",
    "processors": 2,
    "threads": 1,
    "python": "3.11.7",
    "torch": "2.13.0",
}
REPORT: dict[str, Any] = {
    "primary": "roc_auc",
    "model": {"name": "tabm"},
    "splits": {"test": {"rows": 300}},
    "figures": {"test": {"roc_auc": {"value": 0.7731, "low": 0.7412, "high": 0.8049}, "accuracy": {"value": 0.8135, "low": 0.79, "high": 0.84}}},
    "further": {"equalized_odds_difference": {"value": 0.0412, "low": 0.01, "high": 0.09}},
    "baselines": [{"name": "lightgbm", "figures": {"test": {"roc_auc": {"value": 0.7689, "low": 0.73, "high": 0.8}}}, "verdict": "unclear"}],
    "lead": {"value": 0.0042, "low": -0.01, "high": 0.02},
    "calibration": {"temperature": 1.21, "before": {"test": {"ece": 0.05}}, "after": {"test": {"ece": 0.02}}},
    "gates": [{"name": "roc_auc", "rule": ">= 0.77", "value": 0.7731, "passed": True}],
    "slices": {"worst": [{"column": "region", "value": "north", "rows": 41, "gap": -0.061, "clear": True}]},
    "cost": {"request": {"alone_seconds": 0.000104, "bulk_seconds": 0.00001, "processor": "Example CPU",
                         "how": "processor seconds of one thread, from a row as a client sends it to its answer: the median over 300 calls of "
                                "one row each, and 48 rows in bulk divided by their number; HTTP, keys and metering come on top"}},
    "trust": {"fairness": {"columns": [{"column": "sex", "verdicts": [
        {"figure": "equalized_odds_difference", "value": 0.0412, "bound": 0.1, "verdict": "holds",
         "reason": "fewer than 10 rows behind a rate of Other (0), Amer-Indian-Eskimo (1), North (2) and 3 more"}]}],
        "training": {"goal": "equalized_odds", "by": "penalty", "gap_goal": 0.05, "columns": ["sex"], "chosen": 1, "reached": True, "frontier": [
            {"strength": strength, "split": "train and validation", "quality": quality, "quality_name": "roc_auc", "gap": gap, "gap_seen": gap,
             "column": "sex", "of": "true positives",
             "how": "roc_auc on validation; largest difference of true positives between groups of sex on train and validation, rates of few rows "
                    "drawn towards that of all"}
            for strength, quality, gap in ((0.0, 0.91, 0.0712), (0.5, 0.90, 0.0401))]}},
        "membership": {"verdict": "quiet", "worst": "compared", "attacks": {"compared": {"verdict": "quiet"}}},
        "uncertainty": {"verdict": "above", "promise": 0.9}},
}  # fmt: skip
LANGUAGE_REPORT: dict[str, Any] = {
    "primary": "bits_per_byte",
    "figures": {"test": {"loss": {"value": 2.31, "low": 2.2, "high": 2.4}, "bits_per_byte": {"value": 1.0123, "low": 0.99, "high": 1.03}}},
    "repetition": {"verbatim": 12, "longest": 31, "affected": 1, "samples": 16},
    "pii": {"samples": 16, "affected": 0},
    "gates": [],
    "trust": {},
}  # fmt: skip
LANGUAGE_PROFILE: dict[str, Any] = {
    "task": "generation", "kind": "text", "split_by": "random", "languages": {"en": 240, "zh": 60},
    "splits": {"train": {"documents": 270, "tokens": 91234, "bytes": 300123}, "test": {"documents": 30, "tokens": 9876, "bytes": 31234}},
    "personal_data": {"documents": 3, "findings": {"email": 5}},
    "sources": [{"uri": "verse.txt", "bytes": 331357, "digest": "sha256:cd34", "format": "text", "files": 1}],
    "cleaning": {"rules": [], "rejected": {"near_duplicate": 4}, "findings": []},
}  # fmt: skip
_MANIFEST = {
    "product": "credit",
    "made_with": __version__,
    "parents": {"dataset": "sha256:1", "run": "sha256:2", "report": "sha256:3"},
}


def sources(
    kind: Kind = "predictor",
    *,
    product: dict[str, Any] | None = None,
    report: dict[str, Any] | None = None,
    previous: dict[str, Any] | None = None,
    summary: dict[str, Any] | None = None,
) -> Sources:
    """Parts that are given take the place of the usual ones."""
    content = copy.deepcopy(PRODUCT) | (product or {})
    task: dict[str, Any] = {
        "task": "classification",
        "target": "default",
        "classes": ["no", "yes"],
        "positive": "yes",
        "threshold": 0.4251,
    }
    if kind != "predictor":
        content |= {"task": "generation", "data": {"source": "verse.txt", "format": "text"}}
        task = {
            "task": "embedding" if kind == "encoder" else "generation",
            "context": 256,
            "vocabulary": 8000,
            "width": 64,
        }
    if kind == "language":
        task |= {
            "precisions": {"int8": {"bytes": 31000, "bits_per_byte": 1.0141, "loss": 0.0018, "golden_difference": 0.01}}
        }
    checked = Product.model_validate(content)
    usual = REPORT if kind == "predictor" else LANGUAGE_REPORT
    held = None if kind == "encoder" else report or usual
    losses = {"loss": 2.5, "bits_per_byte": 1.1} if kind == "encoder" else {}
    return Sources(
        kind=kind,
        data=data_of(PROFILE if kind == "predictor" else LANGUAGE_PROFILE),
        training=training_of(summary or SUMMARY | losses, ENVIRONMENT, checked.resolved()),
        stated=stated_of(checked),
        released=released_of(_MANIFEST | task, made={"dataset": "2026-03-10T12:00:00Z"}),
        previous=previous,
        report=None if held is None else json.dumps(held, ensure_ascii=False).encode(),
    )


def write(folder: Path, made_from: Sources) -> Path:
    """The report in a folder, as a release holds it."""
    files = paper_of(made_from)
    if made_from.report is not None:
        files["report/report.json"] = made_from.report
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
