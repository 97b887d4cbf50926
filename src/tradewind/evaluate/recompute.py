"""Promise 3: every figure of a written report is computed again from its stored predictions and compared.

Not here: digests and signatures of files (`artifacts.py`, `release/`), or failing: the verb `verify` raises.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from tradewind.errors import ArtifactError, InputError
from tradewind.evaluate import (
    cost,
    generation,
    generation_page,
    recommendation,
    recommendation_page,
    translation,
    translation_page,
)
from tradewind.evaluate.analysis import Analysis, Basis, analyse, checked_gates
from tradewind.evaluate.examination import STATE_FILE
from tradewind.evaluate.examination import again as examined_again
from tradewind.evaluate.figures import DIGITS
from tradewind.evaluate.page import language_of, render, without_pictures
from tradewind.evaluate.predictions import FILE, read_predictions
from tradewind.evaluate.report import (
    CALIBRATION_FILE,
    JSON_FILE,
    PAGE_FILE,
    calibration_content,
    digest_predictions,
    plain,
)
from tradewind.evaluate.trust import Context
from tradewind.files import canonical_json, read_json
from tradewind.product import Evaluate, Explain

# What preparation, training, other rooms and the clock said: shown in the report, witnessed by their own artifacts.
NOT_RECOMPUTED = (
    "data",
    "model",
    "timings",
    "baseline_notes",
    "unlabelled",
    "parents",
    "sensitive",
    "explain",
    "shifts",
)


@dataclass(frozen=True)
class Difference:
    """One place of the report that does not hold: `where` is a dotted path, such as figures.test.roc_auc.low."""

    where: str
    stored: Any
    computed: Any

    def __str__(self) -> str:
        return f"{self.where}: the report says {self.stored!r}, its predictions give {self.computed!r}."


@dataclass(frozen=True)
class Recomputed:
    """`checked` values were compared; `differences` is empty when each holds."""

    checked: int
    differences: tuple[Difference, ...]

    @property
    def holds(self) -> bool:
        return not self.differences


def recompute(folder: Path) -> Recomputed:
    """Computes every figure of the report in `folder` again and compares report.json, calibration.json and the page.

    Raises ArtifactError when report.json or the predictions are missing or cannot be read as such.
    """
    stored = _read(folder / JSON_FILE)
    room = _ROOMS.get(str(stored.get("task")))
    if room is not None:
        return _of_room(stored, folder, *room)
    predictions = read_predictions(folder / FILE)
    try:
        basis = _basis(stored)
        analysis = analyse(predictions, basis)
        examination = examined_again(folder, tuple(stored["trust"]), _context(stored, basis, analysis))
        basis = replace(basis, further=examination.figures)
        computed = {
            **plain(replace(analysis, gates=checked_gates(analysis, basis))),
            "further": plain(examination.figures),
            "trust": plain(examination.sections),
            "predictions": {"file": FILE, "digest": digest_predictions(predictions)},
        }
        if stored.get("cost") is not None:  # all of it but the seconds, which only a clock can say
            computed["cost"] = cost.again(stored["cost"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, InputError) as error:
        raise _broken(folder / JSON_FILE, error) from error
    compared = {key: value for key, value in stored.items() if key in computed}
    differences = list(_compare("", compared, computed))
    calibration = _read(folder / CALIBRATION_FILE)
    expected = calibration_content({**stored, **computed})
    differences += _compare(CALIBRATION_FILE, calibration, expected)
    state = _read(folder / STATE_FILE)
    differences += _compare(STATE_FILE, state, plain(examination.state))
    try:
        differences += _page(folder / PAGE_FILE, {**stored, **computed})
    except (KeyError, TypeError, ValueError, AttributeError, TemplateError) as error:
        raise _broken(folder / JSON_FILE, error) from error
    return Recomputed(_leaves(compared) + _leaves(calibration) + _leaves(state) + 1, tuple(differences))


# Tasks whose report has a witness of its own: how it is computed again, and how its page is drawn.
_ROOMS: Mapping[str, tuple[Callable[[Mapping[str, Any], Path], dict[str, Any]], Callable[..., str]]] = {
    "generation": (generation.again, generation_page.render),
    "recommendation": (recommendation.again, recommendation_page.render),
    "translation": (translation.again, translation_page.render),
}


def _of_room(
    stored: Mapping[str, Any], folder: Path, again: Callable[[Mapping[str, Any], Path], dict[str, Any]], draw: Callable[..., str]
) -> Recomputed:  # fmt: skip
    """The report of another task than a table's, from its own witness."""
    try:
        computed = json.loads(canonical_json(again(stored, folder)))
        compared = {key: value for key, value in stored.items() if key in computed}
        differences = list(_compare("", compared, computed))
        differences += _page(folder / PAGE_FILE, {**stored, **computed}, draw)
    except ArtifactError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, InputError, TemplateError) as error:
        raise _broken(folder / JSON_FILE, error) from error
    return Recomputed(_leaves(compared) + 1, tuple(differences))


def _read(path: Path) -> Any:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise _broken(path, error) from error
    if not isinstance(content, dict):
        raise _broken(path, TypeError("no JSON object"))
    return content


def _broken(path: Path, error: Exception) -> ArtifactError:
    return ArtifactError(
        f"The report cannot be read ({error!r}).", code="report_broken", where=str(path),
        hint="Run `tradewind evaluate` again.",
    )  # fmt: skip


def _basis(stored: Mapping[str, Any]) -> Basis:
    classes = tuple(stored["classes"])
    return Basis(
        task=stored["task"],
        classes=classes,
        positive=None if stored["positive"] is None else classes.index(stored["positive"]),
        settings=Evaluate.model_validate(stored["settings"]),
        left_out=stored["slices"]["left_out"],
    )


def _context(stored: Mapping[str, Any], basis: Basis, analysis: Analysis) -> Context:
    return Context(
        task=basis.task,
        classes=basis.classes,
        positive=basis.positive,
        threshold=analysis.threshold.value if analysis.threshold else None,
        primary=analysis.primary,
        settings=basis.settings,
        explain=Explain.model_validate(stored["explain"]),
        sensitive=tuple(stored["sensitive"]),
    )


def _compare(where: str, stored: Any, computed: Any) -> Iterator[Difference]:
    """Leaf by leaf. Numbers are equal within half a unit of their last written digit, so that another machine's
    sixteenth digit is forgiven and any edited digit is not."""
    if isinstance(stored, dict) and isinstance(computed, dict):
        for key in sorted({*stored, *computed}):
            place = f"{where}.{key}" if where else key
            if key not in stored or key not in computed:
                yield Difference(place, stored.get(key, "nothing"), computed.get(key, "nothing"))
            else:
                yield from _compare(place, stored[key], computed[key])
    elif isinstance(stored, list) and isinstance(computed, list) and len(stored) == len(computed):
        for at, (one, other) in enumerate(zip(stored, computed, strict=True)):
            yield from _compare(f"{where}.{at}", one, other)
    elif not _equal(stored, computed):
        yield Difference(where, stored, computed)


def _equal(stored: Any, computed: Any) -> bool:
    if isinstance(stored, float) and isinstance(computed, (int, float)) and not isinstance(computed, bool):
        return abs(stored - computed) <= 0.5 * 10.0 ** (1 - DIGITS) * min(abs(stored), abs(computed)) / 10
    return type(stored) is type(computed) and bool(stored == computed)


def _leaves(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_leaves(one) for one in value.values())
    return sum(_leaves(one) for one in value) if isinstance(value, list) else 1


def _page(path: Path, report: Mapping[str, Any], draw: Callable[..., str] = render) -> Iterator[Difference]:
    """The page's words and numbers must be those of the report; its pictures are left out."""
    if not path.is_file():
        yield Difference(PAGE_FILE, "nothing", "a page")
        return
    html = path.read_text(encoding="utf-8")
    wanted = draw(report, language=language_of(html), with_pictures=False).splitlines()
    found = without_pictures(html).splitlines()
    for at, (one, other) in enumerate(zip(found, wanted, strict=False), start=1):
        if one != other:
            yield Difference(f"{PAGE_FILE}:{at}", one.strip()[:200], other.strip()[:200])
            return
    if len(found) != len(wanted):
        yield Difference(PAGE_FILE, f"{len(found)} lines", f"{len(wanted)} lines")
