"""What stands beside an answer where it is asked for, as JSON: reasons, counterfactuals, sets, domain, heat maps.

One place for the API and for `tradewind predict`. Not here: how each is found (the files it names), what was asked for in
whose words (`server/predict.py`, `cli/predict_rows.py`).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from tradewind.engines.aim import Aim
from tradewind.engines.conformal import answer_set
from tradewind.engines.counterfactual import Counterfactuals
from tradewind.engines.domain import Domain
from tradewind.engines.engine import Predictions
from tradewind.engines.loading import LoadedRelease
from tradewind.engines.reasons import Reasons
from tradewind.engines.shapley import Attribution, Score
from tradewind.errors import InputError
from tradewind.features.coalitions import Arrays
from tradewind.product import Explain

if TYPE_CHECKING:
    from tradewind.features.audio import AudioColumn

# Loaded where a product has text, pictures or recordings: the decoders that they stand on are large.
_OCCLUSION, _OVERLAY = "tradewind.engines.occlusion", "tradewind.features.overlay"

Row = Mapping[str, object]


@dataclass(frozen=True)
class Wanted:
    """What was asked for; `reasons` and `counterfactuals` say at most how many, None: not at all, 0: as many as usual."""

    reasons: int | None = None
    counterfactuals: int | None = None
    sets: bool = False
    domain: bool = False
    heatmap: bool = False

    def __bool__(self) -> bool:
        return self.slow or self.sets or self.domain

    @property
    def slow(self) -> bool:
        """Whether each row costs many predictions."""
        return self.reasons is not None or self.counterfactuals is not None or self.heatmap


class Beside:
    """Everything that one release can say beside an answer. Safe from several threads; nothing is computed before it is
    asked for."""

    def __init__(self, loaded: LoadedRelease) -> None:
        explain = Explain.model_validate(loaded.trust.get("explain", {}))
        self.predictor = loaded.predictor
        self._trust = loaded.trust
        self._attribution = Attribution(loaded.predictor, loaded.background)
        self._reasons = Reasons(self._attribution, explain)
        self._counterfactuals = Counterfactuals(self._attribution, explain)
        self._texts = [column.name for column in loaded.predictor.features.columns if column.kind == "text"]
        self._sounds = {one.column: one for one in loaded.predictor.features.layout.tensors if one.role == "audio"}
        self._images = {one.column: one.name for one in loaded.predictor.features.layout.tensors if one.role == "image"}

    def check(self, wanted: Wanted) -> None:
        """Raises InputError (sets_missing, domain_missing, heatmap_missing) for what this release cannot give."""
        hint = "Leave it out, or ask a release that has it."
        if wanted.sets and not self._trust.get("uncertainty"):
            raise InputError(
                "This release gives no sets: its uncertainty was not measured.", code="sets_missing", where="sets", hint=hint
            )  # fmt: skip
        if wanted.domain and self._domain is None:
            raise InputError(
                "This release does not know its domain: it was not measured.", code="domain_missing", where="domain", hint=hint
            )  # fmt: skip
        if wanted.heatmap and not self._texts and not self._images and not self._sounds:
            raise InputError(
                "This release draws no heat map: it reads neither text nor pictures nor recordings.", code="heatmap_missing", where="heatmap", hint=hint
            )  # fmt: skip

    def of(self, rows: Sequence[Row], wanted: Wanted) -> list[dict[str, Any]]:
        """For each checked row one object with a field for each thing wanted. Raises InputError as `check` does."""
        self.check(wanted)
        found: list[dict[str, Any]] = [{} for _ in rows]
        if wanted.reasons is not None:
            for beside, reasons in zip(found, self._reasons.of(rows, most=wanted.reasons or None), strict=True):
                beside["reasons"] = [one.to_json() for one in reasons]
        if wanted.counterfactuals is not None:
            for beside, row in zip(found, rows, strict=True):
                turned = self._counterfactuals.of(row, most=wanted.counterfactuals or COUNTERFACTUALS)
                beside["counterfactuals"] = [one.to_json() for one in turned]
        if wanted.sets:
            for beside, one in zip(found, answer_set(self._trust["uncertainty"], self._predictions(rows)), strict=True):
                beside["set"] = one.to_json()
        if wanted.domain:
            assert self._domain is not None
            scores, unusual = self._domain.score(rows), self._domain.foreign(rows)
            for beside, score, columns in zip(found, scores, unusual, strict=True):
                beside["domain"] = {"score": float(f"{score:.6g}"), "unusual": columns}
        if wanted.heatmap:
            for beside, row in zip(found, rows, strict=True):
                beside["heatmap"] = self._heat(row)
        return found

    @cached_property
    def _domain(self) -> Domain | None:
        return Domain.of_release(self._trust)

    def _predictions(self, rows: Sequence[Row]) -> Predictions:
        return self.predictor.predict_rows(rows)

    def _heat(self, row: Row) -> dict[str, Any]:
        (arrays,) = self._attribution.encode([row])
        score = self._score(arrays)
        found: dict[str, Any] = {}
        occlusion = import_module(_OCCLUSION)
        for column in self._texts:
            stretches = occlusion.text_stretches(self._attribution, row, column, score)
            found[column] = {"spans": [one.to_json() for one in stretches]}
        for column, tensor in self._images.items():
            grid = occlusion.image_grid(self._attribution, arrays, tensor, score)
            png: bytes = import_module(_OVERLAY).heat_png(arrays[tensor][0], grid)
            cells = [[float(f"{effect:.4g}") for effect in line] for line in grid]
            found[column] = {"grid": cells, "png": base64.b64encode(png).decode()}
        for column, sound in self._sounds.items():
            effects = occlusion.audio_stretches(self._attribution, arrays, sound.name, score)
            found[column] = {"stretches": self._seconds(row, column, float(sound.meta["hop_s"]), effects)}
        return found

    def _seconds(
        self, row: Row, column: str, hop_s: float, effects: Sequence[tuple[tuple[int, int], float]]
    ) -> list[dict[str, float]]:
        """Stretches of frames as seconds of the recording that was sent."""
        (fitted,) = (one for one in self.predictor.features.columns if one.name == column)
        heard = cast("AudioColumn", fitted).stretch(row.get(column))
        if heard is None:
            return []
        begin_s, length_s = heard
        found = []
        for (first, behind), effect in effects:
            start, end = (min(max(begin_s + frame * hop_s, 0.0), length_s) for frame in (first, behind))
            if end > start:
                found.append({"start": round(start, 3), "end": round(end, 3), "effect": float(f"{effect:.6g}")})
        return found

    def _score(self, arrays: Arrays) -> Score:
        """Log-odds of the label that the row got, or the value."""
        aim = Aim(self.predictor.decision, None)
        code = int(aim.codes(self._attribution.ask(arrays))[0]) if aim.decision.classes else None
        return lambda outputs: aim.score(outputs, code)


COUNTERFACTUALS = 3
