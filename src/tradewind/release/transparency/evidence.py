"""What a release keeps as evidence for its transparency report: small JSON files, below `report/evidence/`.

    data.json      counts of preparation, sources, cleaning; from the dataset's profile. No value of any row
    training.json  resolved settings, seconds, machine, power; from the run
    stated.json    what only people can say; from the product file
    release.json   what the manifest says but for digests of files
    previous.json  the statements of the release before this one, where there is one

A number is found by a reference, `FILE#/a/b`: a file of the release and a JSON pointer (RFC 6901) into it. Not here: which
statements are made (`facts.py`), or whether they hold (`check.py`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeAlias

from tradewind.product import Product, Source

Json: TypeAlias = Any

FOLDER = "report/evidence"
DATA, TRAINING, STATED = f"{FOLDER}/data.json", f"{FOLDER}/training.json", f"{FOLDER}/stated.json"
RELEASE, PREVIOUS, REPORT = f"{FOLDER}/release.json", f"{FOLDER}/previous.json", "report/report.json"

# Neither graphs nor columns: what the manifest says of the model itself.
_MANIFEST = (
    "product", "task", "target", "classes", "positive", "threshold", "temperature", "made_with", "parents", "parity", "int8",
    "graph", "graph_int8", "family", "parameters", "context", "vocabulary", "width", "precisions", "meters", "cost",
    "trained_from", "missing_words",
)  # fmt: skip
_PROFILE = (
    "rows", "classes", "split", "split_by", "target", "task", "kind", "languages", "personal_data", "splits", "bytes_per_token",
    "consent", "subjects", "purpose",
)  # fmt: skip


def data_of(profile: Mapping[str, Any]) -> dict[str, Any]:
    """What may be told of a dataset. Examples, frequent values and histograms are left out: they are people's data."""
    cleaning = profile["cleaning"]
    columns = profile.get("columns", ())
    kinds: dict[str, Counter[str]] = {}
    for column in columns:
        kinds.setdefault(column["part"], Counter())[column["kind"]] += 1
    texts = _texts_of_pairs(profile) if profile.get("kind") == "pairs" else {}
    return {name: profile[name] for name in _PROFILE if name in profile} | texts | {
        "sources": [_source(one) for one in profile["sources"]],
        "cleaning": {
            "rules": [{key: rule.get(key, "") for key in ("rule", "column", "action", "count")} for rule in cleaning["rules"]],
            "rejected": dict(cleaning["rejected"]),
            "findings": [{key: one.get(key, "") for key in ("code", "column", "action")} for one in cleaning["findings"]],
        },
        "columns": {part: dict(found) for part, found in kinds.items()},
        "dropped": {one["name"]: one["dropped"] for one in columns if one.get("dropped")},
    }  # fmt: skip


def _texts_of_pairs(profile: Mapping[str, Any]) -> dict[str, Any]:
    """A translator's pairs, as documents of two languages; those that are seen once more with terms are no further ones."""
    splits = profile["splits"]
    pairs = {name: one["pairs"] - one["term_pairs"] for name, one in splits.items()}
    return {
        "languages": dict.fromkeys(profile["languages"].values(), sum(pairs.values())),
        "splits": {
            name: {"documents": 2 * pairs[name], **{part: one[f"source_{part}"] + one[f"target_{part}"] for part in ("tokens", "bytes")}}
            for name, one in splits.items()
        },
    }  # fmt: skip


def _source(one: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: one[key] for key in ("uri", "licence", "bytes", "digest", "format", "split") if key in one}
    files = one.get("files")
    return kept | ({"files": len(files) if isinstance(files, list) else files} if files is not None else {})


def training_of(
    summary: Mapping[str, Any], environment: Mapping[str, Any], resolved: Mapping[str, Any]
) -> dict[str, Any]:
    """`resolved` is the product file as the run keeps it. A folder of weights is known by its name: where it stood on the
    machine that trained is nobody's business."""
    model = dict(resolved["model"])
    if model.get("pretrained"):
        model["pretrained"] = str(model["pretrained"]).rstrip("/").rpartition("/")[2]
    settings = {key: value for key, value in resolved["train"].items() if key not in ("checkpoint", "sinks")}
    return {
        "summary": {key: value for key, value in summary.items() if key != "validation"},
        "environment": {key: value for key, value in environment.items() if key != "speed"},
        "model": model,
        "train": settings,
        "augment": resolved["data"]["augment"],
    }


def stated_of(product: Product) -> dict[str, Any]:
    """What the product file states, in its own nesting, so that a reference reads like the field's name."""
    data, serve = product.data, product.serve
    test = data.split.test
    return {
        "product": product.product,
        "task": product.task,
        "language": product.language,
        **({} if product.domain == "general" else {"domain": product.domain}),
        "release": {
            key: value
            for key, value in product.release.model_dump(mode="json").items()
            if key not in ("int8", "precisions", "quantization_loss", "adapter")
        },
        "data": {
            "source": {"licence": data.source.licence, "collection": data.source.collection},
            "split": {"test": {"collection": test.collection, "licence": test.licence} if isinstance(test, Source) else None},
            "target": data.target,
            "sensitive": list(data.sensitive),
            "sensitive_as_input": data.sensitive_as_input,
            "subject": data.subject,
            "consent": data.consent,
            "purpose": data.purpose,
            "clean": {"pii": data.clean.pii, "duplicates": data.clean.duplicates},
        },
        "evaluate": {"gates": {name: str(gate) for name, gate in product.evaluate.gates.items()}},
        "serve": {
            "mark": serve.mark,
            "mark_at": serve.mark_at,
            "abstain_below": serve.abstain_below,
            "store": serve.store.model_dump(mode="json"),
        },
    }  # fmt: skip


def released_of(manifest: Mapping[str, Any], *, made: Mapping[str, str]) -> dict[str, Any]:
    """`made` says when each parent was finished."""
    return {key: manifest[key] for key in _MANIFEST if manifest.get(key) is not None} | {"made": dict(made)}


def text_of(content: Json) -> str:
    """As a file of the release: readable JSON, the same for the same content."""
    return json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


# ---------------------------------------------------------------- references


def reference(file: str, *path: str | int) -> str:
    """`FILE#/a/b`."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return f"{file}#" + "".join(f"/{part}" for part in parts)


def resolve(files: Mapping[str, Json], where: str) -> Json:
    """The value that a reference names. Raises KeyError when there is none."""
    file, _, pointer = where.partition("#")
    found = files[file]
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(key)] if isinstance(found, list) else found[key]
        except (IndexError, ValueError, TypeError) as error:
            raise KeyError(where) from error
    return found
