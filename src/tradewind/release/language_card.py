"""The card of a language model, in Markdown with Hugging Face front matter. Not the one of a predictor (`card.py`).

What nobody filled in is listed as missing, never invented. Method: Mitchell et al., Model Cards for Model Reporting (2019).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def render_language(
    manifest: Mapping[str, Any], report: Mapping[str, Any], product: Mapping[str, Any], training: Mapping[str, Any]
) -> str:
    """Every number is copied from the report, the manifest or the summary of the run."""
    release, source = product["release"], product["data"]["source"]
    missing: list[str] = []

    def filled(value: str | None, name: str) -> str:
        if value:
            return value
        missing.append(name)
        return "Not stated."

    base = manifest.get("trained_from")
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        *([f"base_model: {json.dumps(base)}"] if base else []),
        f"language: {product['language']}",
        "---",
        "",
        f"# {manifest['product']}",
        "",
        filled(release["description"], "release.description"),
        "",
        f"A decoder of the {manifest['family']} family with {manifest['parameters']:,} parameters; it sees "
        f"{manifest['context']:,} tokens of a vocabulary of {manifest['vocabulary']:,}.",
        "",
        "## Intended use",
        "",
        filled(release["intended_use"], "release.intended_use"),
        "",
        "## Training data",
        "",
        f"- Source: {source['path']}",
        f"- Licence: {filled(source['licence'], 'data.source.licence')}",
        f"- Objective: {training['objective']}; {training['tokens']:,} tokens in {training['steps']:,} steps, "
        f"{training['seconds']:.0f} s",
        "",
        "## Figures on the test split",
        "",
        "| figure | value | 95 % interval |",
        "|---|---|---|",
    ]
    for name, one in report["figures"]["test"].items():
        if one.get("value") is not None:
            interval = "" if one.get("low") is None else f"{one['low']:.4f} to {one['high']:.4f}"
            lines.append(f"| {name} | {one['value']:.4f} | {interval} |")
    if manifest["precisions"]:
        lines += ["", "## Precisions", "", "| precision | megabytes | bits per byte | loss |", "|---|---|---|---|"]
    for name, one in manifest["precisions"].items():
        lines.append(f"| {name} | {one['bytes'] / 1e6:.1f} | {one['bits_per_byte']:.4f} | {one['loss']:+.2%} |")
    if cost := manifest.get("cost"):
        times = cost["request"]
        lines += ["", "## What a token costs", "", f"On {times['processor']}, {times['how']}:", ""]
        lines += ["| token | milliseconds | price |", "|---|---|---|"]
        lines += [
            f"| {name} | {1e3 * times[key]:.4g} | {(cost.get(price) if price else None) or ''} |"
            for name, key, price in (
                ("written alone", "alone_seconds", "alone"),
                ("written beside others", "bulk_seconds", "bulk"),
                ("read", "prompt_seconds", None),
            )
        ]
    lines += ["", "## Contact", "", filled(release["contact"], "release.contact"), ""]
    if missing:
        lines += ["## Missing from this card", "", *[f"- `{name}` in the product file" for name in missing], ""]
    return "\n".join(lines)
