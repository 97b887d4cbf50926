"""What comes next, from the release of a recommender: a history becomes a state, the items that fit it best are the answer.

Torch-free. Not here: all items and the best of them (`shelf.py`, `top.py`), rules of a shop (`shelf_rules.py`), who met what (`events.py`), HTTP.

Legend: B histories, L items met, D width, F factors, W = D + F, I items, K items recommended.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tradewind.engines.shelf import OwnItems, Released, Shelf
from tradewind.engines.shelf_rules import Attribute, Rules, diversified
from tradewind.engines.top import Top
from tradewind.errors import DataError, EnvironmentFailure, VerificationFailed
from tradewind.features.category import category_key
from tradewind.features.feature_set import FeatureSet
from tradewind.features.number import parse_number
from tradewind.release.recommender import ENCODER, ITEM_CONTENT, TOLERANCE, USER_CONTENT, Held, read_parts

Floats: TypeAlias = NDArray[np.float32]
Items: TypeAlias = NDArray[np.int64]

_log = logging.getLogger(__name__)

_WHY_MOST = 50  # of the latest items, each left out once
_OVERSAMPLE = 4  # candidates for each place where rules choose among them
_LEAST_CANDIDATES = 100
APPROXIMATE_FROM = 100_000  # items; as many of 128 numbers are scored in 5 ms
_LEFT_OFF = 4  # of a golden history's latest items, one after the other: each gives a query


@dataclass(frozen=True)
class Reason:
    """An item of the history, and how much the score falls without it."""

    item: str
    lift: float


@dataclass(frozen=True)
class Recommended:
    item: str
    score: float
    because: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The items in order, and which items of the history are not known to the release."""

    items: tuple[Recommended, ...]
    unknown: tuple[str, ...] = ()


class RecommendationEngine:
    """Answers for histories of items. Safe to call from several threads."""

    def __init__(self, held: Held, *, threads: int = 1, approximate_from: int | None = APPROXIMATE_FROM) -> None:
        """From `approximate_from` items on, only those are scored that are first by their codes; never where it is None. Raises
        VerificationFailed where the graph does not give the trainer's scores."""
        self._held, self._width = held, held.vectors_ID.shape[1]
        self._approximate_from = approximate_from
        self._encoder = _session(held.folder / ENCODER, threads)
        self._item_content = _session(held.folder / ITEM_CONTENT, threads) if held.items is not None else None
        self._user_content = _session(held.folder / USER_CONTENT, threads) if held.users is not None else None
        matrix = (
            held.vectors_ID if held.factors is None else np.concatenate([held.vectors_ID, held.factors.items_IF], 1)
        )
        matrix = np.ascontiguousarray(matrix)
        self._released = Released(
            held.names, {name: place for place, name in enumerate(held.names)}, matrix, held.bias_I, held.counts,
            {name: Attribute.of(values) for name, values in held.attributes.items()}, Top(matrix, held.bias_I),
        )  # fmt: skip
        self._own = OwnItems(self._released)
        if approximate_from is not None and len(held.names) >= approximate_from:
            self._released = replace(self._released, top=self._near(threads))
            self._own = OwnItems(self._released)

    @classmethod
    def open(
        cls, folder: Path, *, threads: int = 1, approximate_from: int | None = APPROXIMATE_FROM
    ) -> RecommendationEngine:  # fmt: skip
        """From the `model/` of a release or run. Raises ArtifactError, VerificationFailed."""
        engine = cls(read_parts(folder), threads=threads, approximate_from=approximate_from)
        engine.check_golden()
        return engine

    # ---------------------------------------------------------------- what it knows

    @property
    def names(self) -> Sequence[str]:
        """The items of the release."""
        return self._released.names

    @property
    def again(self) -> bool:
        """Whether items may come again to somebody who met them, by default."""
        return self._held.again

    @property
    def context(self) -> int:
        """The latest items of a history that are seen, and one."""
        return self._held.context

    @property
    def counts(self) -> NDArray[np.int64]:
        """Events of training [I]."""
        return self._released.counts_I

    @property
    def item_columns(self) -> FeatureSet | None:
        return self._held.items

    @property
    def user_columns(self) -> FeatureSet | None:
        return self._held.users

    def place(self, item: object) -> int | None:
        """The number of an item of the release; None for one that is not known."""
        key = category_key(item)
        return None if key is None else self._released.places.get(key)

    def check_golden(self) -> float:
        """The largest difference from the trainer's scores. Raises VerificationFailed beyond tolerance."""
        golden = self._held.golden
        found = self.scores(golden.histories)[:, golden.items]
        difference = float(np.abs(found - golden.scores).max(initial=0.0))
        if not difference <= TOLERANCE * max(1.0, float(np.abs(golden.scores).max(initial=0.0)) / 10):
            raise VerificationFailed(
                f"The graph is {difference:.2g} away from the trainer's scores; at most {TOLERANCE:.2g} is allowed.",
                code="golden", where=str(self._held.folder), hint="Train again, or report it with this processor's name.",
            )  # fmt: skip
        return difference

    # ---------------------------------------------------------------- answering

    def scores(self, histories: Sequence[Items], users: Floats | None = None) -> Floats:
        """Scores [B, I] of all items after each history of item numbers: for measuring."""
        shelf = self._own.shelf()
        return shelf.scores(self._queries(shelf, histories, users))

    def queries(self, histories: Sequence[Items], users: Floats | None = None) -> Floats:
        """What items are multiplied with, [B, W]: states, and folded factors times their weight beside them."""
        return self._queries(self._own.shelf(), histories, users)

    def _queries(self, shelf: Shelf, histories: Sequence[Items], users: Floats | None = None) -> Floats:
        D = self._width
        recent = [np.asarray(one[-(self.context - 1) :], np.int64) for one in histories]
        lengths = np.array([len(one) for one in recent], np.int64)
        vectors = np.zeros((len(recent), max(1, int(lengths.max(initial=0))), D), np.float32)
        for row, history in enumerate(recent):
            vectors[row, : len(history)] = shelf.rows(history)[:, :D]
        users = np.zeros((len(recent), D), np.float32) if users is None else users
        states: Floats = self._encoder.run(None, {"vectors": vectors, "lengths": lengths, "users": users})[0]
        factors = self._held.factors
        if factors is None:
            return states
        # Items that came at run time have no factors: they are not folded in, and get none of the linear score.
        met = [one[one < len(factors.items_IF)] for one in (np.asarray(history, np.int64) for history in histories)]
        starts = np.concatenate([[0], np.cumsum([len(one) for one in met])])
        folded = factors.fold(starts, np.concatenate(met) if met else np.empty(0, np.int64))
        return np.concatenate([states, np.float32(self._held.weight) * folded], 1)

    def user(self, columns: Mapping[str, object] | None) -> Floats | None:
        """What a user's columns add, [1, D]; None without any. Raises DataError for a column that is none."""
        if not columns:
            return None
        if self._held.users is None or self._user_content is None:
            raise DataError("This recommender knows no columns of users.", code="column_unknown", where="user_columns",
                            hint="Name a table under data.users and train again.")  # fmt: skip
        self._held.users.check_row(columns)
        return self.users([columns])

    def users(self, rows: Sequence[Mapping[str, object]]) -> Floats:
        """What users' columns add, [B, D]."""
        assert self._held.users is not None
        assert self._user_content is not None
        return _run(self._user_content, self._held.users, rows)

    def recommend(
        self, history: Sequence[object], k: int = 10, *, rules: Rules | None = None, columns: Mapping[str, object] | None = None,
        why: int = 0, own: OwnItems | None = None,
    ) -> Answer:  # fmt: skip
        """The `k` best items after a history of names, oldest first; `columns` are those of the user, `why` is how many items
        of the history are named as reasons for each; `own` has items of the customer's beside those of the release.

        Items that are not known are left out of the history and told. Raises DataError for wrong columns, an attribute that
        is none, or k below 1.
        """
        if k < 1:
            raise DataError(f"k is {k}, but at least one item is recommended.", code="k", where="k")
        rules = rules or Rules()
        shelf = (self._own if own is None else own).shelf()
        places = [shelf.place(category_key(one)) for one in history]
        unknown = tuple(str(one) for one, place in zip(history, places, strict=True) if place is None)
        met = np.array([place for place in places if place is not None], np.int64)
        query = self._queries(shelf, [met], self.user(columns))[0]
        barred = met if (rules.seen == "leave_out" or (rules.seen == "default" and not self.again)) else met[:0]
        chosen, scores = self._chosen(shelf, query, k, rules, barred)
        reasons = self._why(shelf, met, chosen, why, columns) if why and len(met) else [()] * len(chosen)
        items = tuple(
            Recommended(shelf.name(place), float(score), because)
            for place, score, because in zip(chosen.tolist(), scores.tolist(), reasons, strict=True)
        )
        return Answer(items, unknown)

    def _chosen(
        self, shelf: Shelf, query: Floats, k: int, rules: Rules, barred: Items
    ) -> tuple[Items, Floats]:  # fmt: skip
        """Places and scores of the best under the rules, so that k are found where there are k."""
        wanted = k if not rules.diversity else max(_LEAST_CANDIDATES, _OVERSAMPLE * k)
        factor, lifts = rules.sums(shelf.attributes, shelf.place, shelf.items)
        allowed = rules.allowed(shelf.attributes, shelf.place, shelf.items)
        chosen, scores = shelf.best(query, wanted, without=barred, allowed=allowed, factor=factor, lifts=lifts)
        if rules.diversity and len(chosen):
            order = diversified(shelf.rows(chosen)[:, : self._width], scores, k, rules.diversity)
            chosen, scores = chosen[order], scores[order]
        return chosen, scores

    def _why(
        self, shelf: Shelf, met: Items, chosen: Items, most: int, columns: Mapping[str, object] | None
    ) -> list[tuple[Reason, ...]]:  # fmt: skip
        """For each chosen item the items of the history without which its score would fall most, each left out alone."""
        latest = met[-_WHY_MOST:]
        different = list(dict.fromkeys(latest.tolist()))
        histories = [met, *(met[met != one] for one in different)]
        user = self.user(columns)
        users = None if user is None else np.repeat(user, len(histories), 0)
        queries = self._queries(shelf, histories, users)
        scores = queries @ shelf.rows(chosen).T
        # What leaving one out changes for all items alike says nothing of this one.
        common = (queries[:1] - queries[1:]) @ self._mean
        lifts = (scores[:1] - scores[1:]) - common[:, None]
        reasons: list[tuple[Reason, ...]] = []
        for at in range(len(chosen)):
            order = np.argsort(-lifts[:, at], kind="stable")[:most]
            reasons.append(
                tuple(Reason(shelf.name(different[one]), float(lifts[one, at])) for one in order if lifts[one, at] > 0)
            )
        return reasons

    @cached_property
    def _mean(self) -> Floats:
        """The mean item [W] of the release."""
        found: Floats = self._released.matrix_IW.mean(0)
        return found

    def _near(self, threads: int) -> Top:
        """The items with codes, made for what users of the release asked: golden histories, and these without their latest items."""
        golden = self._held.golden.histories
        histories = [one[: len(one) - left] for one in golden for left in range(min(_LEFT_OFF, len(one)))]
        like = self.queries(histories or [np.empty(0, np.int64)])
        try:
            return Top.near(self._released.matrix_IW, self._released.bias_I, like_QW=like, threads=threads)
        except EnvironmentFailure as missing:
            _log.error("Each answer scores all %d items: %s", len(self.names), missing)
            return self._released.top

    # ---------------------------------------------------------------- items that come at run time

    def own(self) -> OwnItems:
        """A place for one customer's items beside those of the release."""
        return OwnItems(self._released)

    def add_items(
        self, rows: Sequence[Mapping[str, object]], names: Sequence[object], *, own: OwnItems | None = None
    ) -> int:
        """New items by their columns; they can be recommended, and be part of a history, from the next call on. Gives how many.

        They are for everybody, or for whom `own` is given. One that was added before takes its former's place, one of the
        release is left as it is. Raises DataError where the release knows no columns of items, a column is none, or a name is
        empty.
        """
        keys = self.check_items(rows, names)
        if not keys:
            return 0
        assert self._held.items is not None
        assert self._item_content is not None
        content = _run(self._item_content, self._held.items, rows)
        vectors = np.zeros((len(rows), self._released.matrix_IW.shape[1]), np.float32)
        vectors[:, : self._width] = content[:, :-1]
        bias = (content[:, -1] + self._held.fresh_bias).astype(np.float32)
        kinds = {column.name: column.kind for column in self._held.items.columns}
        attributes = {
            name: [_raw(row.get(name), kinds.get(name)) for row in rows] for name in self._released.attributes
        }
        return (self._own if own is None else own).add(keys, vectors, bias, attributes)

    def add_known(
        self, rows: Sequence[Mapping[str, object]], names: Sequence[object], *, own: OwnItems
    ) -> int:  # fmt: skip
        """`add_items` for items that another release took: columns that this one does not know are left out, and so is an item
        that this one refuses; it goes where it was there."""
        if self._held.items is None:
            return 0
        known = {column.name for column in self._held.items.columns}
        kept: list[tuple[Mapping[str, object], object]] = []
        refused: list[str] = []
        for row, name in zip(rows, names, strict=True):
            left = {column: value for column, value in row.items() if column in known}
            try:
                self.check_items([left], [name])
            except DataError:
                refused.append(str(name))
                continue
            kept.append((left, name))
        own.remove(refused)
        return self.add_items([row for row, _ in kept], [name for _, name in kept], own=own)

    def check_items(self, rows: Sequence[Mapping[str, object]], names: Sequence[object]) -> list[str]:
        """The keys of new items, without adding them. Raises DataError as `add_items`."""
        if self._held.items is None:
            raise DataError("This recommender knows no columns of items, so that nothing is known of new ones.",
                            code="items_undescribed", where="items", hint="Name a table under data.items and train again.")  # fmt: skip
        keys = []
        for name, row in zip(names, rows, strict=True):
            key = category_key(name)
            if key is None:
                raise DataError("An item has no name.", code="item_unnamed", where="item")
            self._held.items.check_row(row)
            keys.append(key)
        return keys


def _raw(value: object, kind: str | None) -> object:
    """As rules compare it: of a column of numbers a number, None where it is missing."""
    if kind != "number" or value is None:
        return value
    number = parse_number(value) if isinstance(value, str) else float(cast(Any, value))
    return None if number != number else number


def _session(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(session: ort.InferenceSession, features: FeatureSet, rows: Sequence[Mapping[str, object]]) -> Floats:
    encoded = features.encode_rows(rows)
    names = features.input_names
    found: Floats = session.run(None, {names[name]: array for name, array in encoded.items()})[0]
    return found
