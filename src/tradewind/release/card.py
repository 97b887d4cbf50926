"""The model card, in Markdown with Hugging Face front matter. What nobody filled in is listed as missing, never invented.

Method: Mitchell et al., Model Cards for Model Reporting (2019).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Facts:
    """Where a card's sentences come from: manifest, report.json, data profile, resolved product, summary of the run."""

    manifest: Mapping[str, Any]
    report: Mapping[str, Any]
    profile: Mapping[str, Any]
    product: Mapping[str, Any]
    training: Mapping[str, Any]


def render(facts: Facts) -> str:
    """The card. Every number is copied from the report or the manifest."""
    manifest, product, training = facts.manifest, facts.product, facts.training
    release = product["release"]
    licence = product["data"]["source"]["licence"]
    missing: list[str] = []

    def filled(value: str | None, name: str) -> str:
        if value:
            return value
        missing.append(name)
        return "Not stated."

    lines = [
        "---",
        f"library_name: {json.dumps('tradewind')}",
        f"pipeline_tag: tabular-{manifest['task']}",
        f"language: {product['language']}",
        "model-index:",
        f"- name: {json.dumps(manifest['product'])}",
        "  results:",
        "  - task: {type: " + f"tabular-{manifest['task']}" + "}",
        "    dataset: {name: " + json.dumps(manifest["product"]) + ", type: private}",
        "    metrics:",
        *[
            f"    - {{type: {name}, value: {one['value']:.6g}}}"
            for name, one in facts.report["figures"]["test"].items()
            if one["value"] is not None
        ],
        "---",
        "",
        f"# {manifest['product']}",
        "",
        filled(release["description"], "release.description"),
        "",
        f"Predicts `{manifest['target']}`"
        + (f" among {len(manifest['classes'])} classes." if manifest["classes"] else ", a number."),
        "",
        "## Intended use",
        "",
        filled(release["intended_use"], "release.intended_use"),
        "",
        "## Training data",
        "",
        f"- Source: {product['data']['source']['path']}",
        f"- Licence: {filled(licence, 'data.source.licence')}",
        f"- Rows by split: {_counts(facts.report.get('splits', {}))}",
        "",
        "## Training",
        "",
        f"{training['model']}, {training['parameters']['total']:,} parameters, {training['seconds']:.0f} s of training, "
        f"best epoch {training['best_epoch']:g}"
        + (", then trained again with the validation rows." if training.get("refit") else "."),
        "",
        "## Figures on the test split",
        "",
        "| figure | value | 95 % interval |",
        "|---|---|---|",
    ]
    for name, one in facts.report["figures"]["test"].items():
        if one["value"] is not None:
            interval = "" if one.get("low") is None else f"{one['low']:.4f} to {one['high']:.4f}"
            lines.append(f"| {name} | {one['value']:.4f} | {interval} |")
    lines += ["", "## Contact", "", filled(release["contact"], "release.contact"), ""]
    if missing:
        lines += ["## Missing from this card", "", *[f"- `{name}` in the product file" for name in missing], ""]
    return "\n".join(lines)


def _counts(splits: Mapping[str, Any]) -> str:
    found = [f"{name} {one['rows']:,}" for name, one in splits.items() if isinstance(one, Mapping) and "rows" in one]
    return ", ".join(found) or "see the report"
