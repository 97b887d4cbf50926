"""The section `explain` of a product file beside the columns that the data really have. Explains nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tradewind.cli.session import Session
from tradewind.engines.counterfactual import CHANGEABLE
from tradewind.errors import ProductFileError, nearest
from tradewind.features.category import category_key
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import ClassTarget
from tradewind.product import Product


def check_explain(session: Session, features: FeatureSet) -> None:
    """Raises ProductFileError with file, line and column for a reason text, a changeable column or a direction of no input
    column, or a favourable class that is none of the classes."""
    explain = session.product.explain
    kinds = {column.name: column.kind for column in features.columns}
    for name in explain.reasons:
        _known(session, ("explain", "reasons", name), name, kinds)
    moving = [] if explain.may_change == "auto" else explain.may_change
    for at, name in enumerate(moving):
        _known(session, ("explain", "may_change", at), name, kinds)
        _changeable(session, ("explain", "may_change", at), name, kinds[name], CHANGEABLE)
    for name in explain.only:
        _known(session, ("explain", "only", name), name, kinds)
        _changeable(session, ("explain", "only", name), name, kinds[name], ("number",))
    target = features.target
    if explain.favourable is not None and isinstance(target, ClassTarget):
        word = category_key(explain.favourable)
        if word not in target.classes:
            raise ProductFileError(
                f"explain.favourable: there is no class {word}. Classes: {', '.join(target.classes)}.",
                code="favourable", where=session.place(("explain", "favourable")), hint=nearest(str(word), target.classes) or None,
            )  # fmt: skip


def spelled_out(product: Product, features: FeatureSet) -> dict[str, Any]:
    """The section as a release keeps it: who serves knows no sensitive columns, so `may_change` names what may."""
    content = product.explain.model_dump(mode="json")
    if product.explain.may_change == "auto":
        sensitive = product.data.sensitive
        content["may_change"] = [
            one.name for one in features.columns if one.kind in CHANGEABLE and one.name not in sensitive
        ]
    return content


def _known(session: Session, setting: Sequence[int | str], name: str, kinds: dict[str, str]) -> None:
    if name not in kinds:
        raise ProductFileError(
            f"{'.'.join(map(str, setting[:2]))}: {name} is no input column. Columns: {', '.join(kinds)}.",
            code="explain_column", where=session.place(setting, key=True), hint=nearest(name, kinds) or None,
        )  # fmt: skip


def _changeable(session: Session, setting: Sequence[int | str], name: str, kind: str, allowed: Sequence[str]) -> None:
    if kind not in allowed:
        raise ProductFileError(
            f"{'.'.join(map(str, setting[:2]))}: {name} is a column of kind {kind}, but {' or '.join(allowed)} was expected.",
            code="explain_kind", where=session.place(setting, key=True), hint="Take it out.",
        )  # fmt: skip
