"""A rendering as Markdown; the model card has Hugging Face front matter before it, so that it loads there as README.md.

Method: Mitchell et al., Model Cards for Model Reporting (2019). Not here: what stands in it (`frames.py`).
"""

from __future__ import annotations

import json
import re
from typing import Any

from tradewind.release.transparency.document import Document
from tradewind.release.transparency.page import Block, Bullets, Cell, Page, Table

# Names of licences that Hugging Face knows (hub-docs, model cards); any other is `other` with a name of its own.
_LICENCES = (
    "apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0 "
    "artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 "
    "cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 "
    "cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 "
    "etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc mpl-2.0 ms-pl odc-by odbl openrail++ "
    "osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl unknown"
)
# The Hub's tasks (huggingface.co/tasks) for a model of one kind of column; what has none there, as recommendation, gets no tag.
_TASKS = {"image": "image-classification", "audio": "audio-classification", "text": "text-classification"}
_TABULAR = {"number", "category", "date"}


def render(page: Page, front_matter: str = "") -> str:
    """The page as Markdown, a line for each paragraph and each row."""
    return "\n".join([*([front_matter] if front_matter else []), *(text for text, _ in lines_of(page))]) + "\n"


def lines_of(page: Page) -> list[tuple[str, tuple[Cell, ...]]]:
    """Each line after the front matter with the cells that it shows, so that a changed one can be named."""
    lines: list[tuple[str, tuple[Cell, ...]]] = [(f"# {page.product}", ()), ("", ()), (f"*{page.title}*", ())]
    if page.note:
        lines += [("", ()), (page.note, ())]
    for section in page.sections:
        lines += [("", ()), (f"{'#' * section.level} {section.title}", ())]
        for block in section.blocks:
            lines += [("", ()), *_block(block)]
    return [(part, cells) for text, cells in lines for part in text.split("\n")]


def _block(block: Block) -> list[tuple[str, tuple[Cell, ...]]]:
    if isinstance(block, Table):
        rule = "|".join(["", *("---" for _ in block.heads), ""])
        heads = f"| {' | '.join(block.heads)} |"
        return [(heads, ()), (rule, ()), *((f"| {' | '.join(map(_cell, row))} |", row) for row in block.rows)]
    if isinstance(block, Bullets):
        return [(f"- {_cell(item)}", (item,)) for item in block.items]
    return [(block.cell.text, (block.cell,))]


def _cell(cell: Cell) -> str:
    text = " ".join(cell.text.split()).replace("|", "\\|")
    return f"`{text}`" if cell.code and text and "`" not in text else text


# ---------------------------------------------------------------- Hugging Face


def front_matter(document: Document) -> str:
    """The block between two lines of dashes: YAML, of which JSON is a part. Only what is known stands in it."""
    content = {key: value for key, value in metadata(document).items() if value}
    index = content.pop("model-index", None)
    lines = [f"{key}: {_json(value)}" for key, value in content.items()]
    if index is not None:  # one figure a line
        (one,) = index
        (result,) = one["results"]
        metrics = result.pop("metrics")
        lines.append(f'model-index: [{{"name": {_json(one["name"])}, "results": [{_json(result)[:-1]}, "metrics": [')
        lines += [f"  {_json(metric)}{',' if at + 1 < len(metrics) else ''}" for at, metric in enumerate(metrics)]
        lines.append("  ]}]}]")
    return "\n".join(["---", *lines, "---", ""])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def metadata(document: Document) -> dict[str, Any]:
    """What Hugging Face reads: language, licence, task, tags, and figures as a `model-index`."""
    values, tag = document.values, _pipeline(document)
    figures = {
        one.key.removeprefix("figures.test."): one.value
        for one in document.statements
        if one.key.startswith("figures.test.") and one.is_figure and isinstance(one.value, (int, float))
    }
    dataset = {"name": document.product, "type": "private", "split": "test"}
    metrics = [{"type": name, "name": name, "value": value} for name, value in figures.items()]
    task = {"type": tag or str(values.get("task"))}
    index = [{"name": document.product, "results": [{"task": task, "dataset": dataset, "metrics": metrics}]}]
    return {
        "language": _languages(document),
        "library_name": "tradewind" if document.kind == "predictor" else "transformers",
        **_licence(values.get("stated.licence")),
        "pipeline_tag": tag,
        "base_model": values.get("release.trained_from"),
        "tags": ["tradewind", *([str(values["training.model"])] if values.get("training.model") else [])],
        "metrics": list(figures),
        "model-index": index if figures else None,
    }


def _pipeline(document: Document) -> str | None:
    """One of Hugging Face's tasks, where it has one for this model."""
    if document.kind == "language":
        return "text-generation"
    if document.kind == "encoder":
        return "feature-extraction"
    task = str(document.values.get("task"))
    if task == "translation":
        return task
    kinds = {key.rpartition(".")[2] for key in document.values if key.startswith("data.columns.input.")}
    if task in ("classification", "regression") and (kinds & _TABULAR or not kinds):
        return f"tabular-{task}"
    return _TASKS.get(kinds.pop()) if task == "classification" and len(kinds) == 1 else None


def _languages(document: Document) -> list[str]:
    """Of the texts that a language model learnt from; of the report for a table."""
    found = [key.removeprefix("data.languages.") for key in document.values if key.startswith("data.languages.")]
    return [name for name in found if name != "other"] or [document.language]


def _licence(stated: str | None) -> dict[str, str]:
    if not stated:
        return {}
    name = re.sub(r"\s+", "-", stated.strip().lower())
    return {"license": name} if name in _LICENCES.split() else {"license": "other", "license_name": name[:80]}
