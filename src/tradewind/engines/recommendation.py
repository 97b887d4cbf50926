"""What comes next, from the release of a recommender: a history becomes a state, the items that fit it best are the answer.

Torch-free. Not here: finding the best of many items (`top.py`), rules of a shop (`shelf_rules.py`), who met what (`events.py`), HTTP.

Legend: B histories, L items met, D width, F factors, W = D + F, I items, K items recommended.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tradewind.engines.shelf_rules import Attribute, Rules, diversified
from tradewind.engines.top import Top
from tradewind.errors import DataError, VerificationFailed
from tradewind.features.category import category_key
from tradewind.features.feature_set import FeatureSet
from tradewind.release.recommender import ENCODER, ITEM_CONTENT, TOLERANCE, USER_CONTENT, Held, read_parts

Floats: TypeAlias = NDArray[np.float32]
Items: TypeAlias = NDArray[np.int64]

_WHY_MOST = 50  # of the latest items, each left out once
_OVERSAMPLE = 4  # candidates for each place where rules choose among them
_LEAST_CANDIDATES = 100


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


@dataclass(frozen=True)
class _Shelf:
    """All items at one moment; replaced whole when one is added, so that a running request sees the old or the new."""

    names: list[str]
    places: dict[str, int]
    matrix_IW: Floats
    bias_I: Floats
    counts_I: NDArray[np.int64]
    attributes: dict[str, Attribute]
    top: Top


class RecommendationEngine:
    """Answers for histories of items. Safe to call from several threads."""

    def __init__(self, held: Held, *, threads: int = 1, approximate_from: int | None = None) -> None:
        """`approximate_from` items on, the best are found by an index of neighbours where the package is installed; never by
        default. Raises VerificationFailed where the graph does not give the trainer's scores."""
        self._held, self._width = held, held.vectors_ID.shape[1]
        self._approximate_from = approximate_from
        self._encoder = _session(held.folder / ENCODER, threads)
        self._item_content = _session(held.folder / ITEM_CONTENT, threads) if held.items is not None else None
        self._user_content = _session(held.folder / USER_CONTENT, threads) if held.users is not None else None
        self._adding = threading.Lock()
        matrix = (
            held.vectors_ID if held.factors is None else np.concatenate([held.vectors_ID, held.factors.items_IF], 1)
        )
        names = list(held.names)
        attributes = {name: Attribute(_objects(values)) for name, values in held.attributes.items()}
        self._shelf = self._shelved(names, np.ascontiguousarray(matrix), held.bias_I, held.counts, attributes)

    @classmethod
    def open(cls, folder: Path, *, threads: int = 1, approximate_from: int | None = None) -> RecommendationEngine:
        """From the `model/` of a release or run. Raises ArtifactError, VerificationFailed."""
        engine = cls(read_parts(folder), threads=threads, approximate_from=approximate_from)
        engine.check_golden()
        return engine

    # ---------------------------------------------------------------- what it knows

    @property
    def names(self) -> Sequence[str]:
        return self._shelf.names

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
        return self._shelf.counts_I

    @property
    def item_columns(self) -> FeatureSet | None:
        return self._held.items

    @property
    def user_columns(self) -> FeatureSet | None:
        return self._held.users

    def place(self, item: object) -> int | None:
        """The number of an item; None for one that is not known."""
        key = category_key(item)
        return None if key is None else self._shelf.places.get(key)

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
        shelf = self._shelf
        found: Floats = self.queries(histories, users) @ shelf.matrix_IW.T + shelf.bias_I
        return found

    def queries(self, histories: Sequence[Items], users: Floats | None = None) -> Floats:
        """What items are multiplied with, [B, W]: states, and folded factors times their weight beside them."""
        shelf, D = self._shelf, self._width
        recent = [np.asarray(one[-(self.context - 1) :], np.int64) for one in histories]
        lengths = np.array([len(one) for one in recent], np.int64)
        vectors = np.zeros((len(recent), max(1, int(lengths.max(initial=0))), D), np.float32)
        for row, history in enumerate(recent):
            vectors[row, : len(history)] = shelf.matrix_IW[history, :D]
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
        why: int = 0,
    ) -> Answer:  # fmt: skip
        """The `k` best items after a history of names, oldest first; `columns` are those of the user, `why` is how many items
        of the history are named as reasons for each.

        Items that are not known are left out of the history and told. Raises DataError for wrong columns, an attribute that
        is none, or k below 1.
        """
        if k < 1:
            raise DataError(f"k is {k}, but at least one item is recommended.", code="k", where="k")
        rules = rules or Rules()
        shelf = self._shelf
        places = [shelf.places.get(category_key(one) or "", -1) for one in history]
        unknown = tuple(str(one) for one, place in zip(history, places, strict=True) if place < 0)
        met = np.array([place for place in places if place >= 0], np.int64)
        query = self.queries([met], self.user(columns))[0]
        barred = met if (rules.seen == "leave_out" or (rules.seen == "default" and not self.again)) else met[:0]
        chosen, scores = self._chosen(shelf, query, k, rules, barred)
        reasons = self._why(shelf, met, chosen, why, columns) if why and len(met) else [()] * len(chosen)
        items = tuple(
            Recommended(shelf.names[place], float(score), because)
            for place, score, because in zip(chosen.tolist(), scores.tolist(), reasons, strict=True)
        )
        return Answer(items, unknown)

    def _chosen(
        self, shelf: _Shelf, query: Floats, k: int, rules: Rules, barred: Items
    ) -> tuple[Items, Floats]:  # fmt: skip
        """Places and scores of the best: all rules hold before anything is left out, so that k are found where there are k."""
        wanted = k if not rules.diversity else max(_LEAST_CANDIDATES, _OVERSAMPLE * k)
        allowed = rules.allowed(shelf.attributes, shelf.places, len(shelf.names))
        factor, addend = rules.sums(shelf.attributes, shelf.places, len(shelf.names))
        plain = allowed is None and factor is None and addend is None
        if plain:
            chosen, scores = shelf.top.best(query, wanted, without=barred)
        else:
            every = shelf.matrix_IW @ query + shelf.bias_I
            if factor is not None:
                # Scores may be negative: a factor acts on the distance from the least likely item.
                least = float(every.min())
                every = least + (every - least) * factor
            if addend is not None:
                every = every + addend
            chosen, scores = shelf.top.best_of(every, wanted, without=barred, allowed=allowed)
        if rules.diversity and len(chosen):
            order = diversified(shelf.matrix_IW[chosen, : self._width], scores, k, rules.diversity)
            chosen, scores = chosen[order], scores[order]
        return chosen, scores

    def _why(
        self, shelf: _Shelf, met: Items, chosen: Items, most: int, columns: Mapping[str, object] | None
    ) -> list[tuple[Reason, ...]]:  # fmt: skip
        """For each chosen item the items of the history without which its score would fall most, each left out alone."""
        latest = met[-_WHY_MOST:]
        different = list(dict.fromkeys(latest.tolist()))
        histories = [met, *(met[met != one] for one in different)]
        user = self.user(columns)
        users = None if user is None else np.repeat(user, len(histories), 0)
        queries = self.queries(histories, users)
        scores = queries @ shelf.matrix_IW[chosen].T
        # What leaving one out changes for all items alike says nothing of this one.
        common = (queries[:1] - queries[1:]) @ shelf.top.mean
        lifts = (scores[:1] - scores[1:]) - common[:, None]
        reasons: list[tuple[Reason, ...]] = []
        for at in range(len(chosen)):
            order = np.argsort(-lifts[:, at], kind="stable")[:most]
            reasons.append(
                tuple(Reason(shelf.names[different[one]], float(lifts[one, at])) for one in order if lifts[one, at] > 0)
            )
        return reasons

    # ---------------------------------------------------------------- items that come at run time

    def add_items(self, rows: Sequence[Mapping[str, object]], names: Sequence[object]) -> int:
        """New items by their columns; they can be recommended, and be part of a history, from the next call on. Gives how many.

        An item that is known already is left as it is. Raises DataError where the release knows no columns of items, a
        column is none, or a name is empty.
        """
        if self._held.items is None or self._item_content is None:
            raise DataError("This recommender knows no columns of items, so that nothing is known of new ones.",
                            code="items_undescribed", where="items", hint="Name a table under data.items and train again.")  # fmt: skip
        keys = [category_key(name) for name in names]
        for key, row in zip(keys, rows, strict=True):
            if key is None:
                raise DataError("An item has no name.", code="item_unnamed", where="item")
            self._held.items.check_row(row)
        with self._adding:
            shelf = self._shelf
            fresh: dict[str, Mapping[str, object]] = {}
            for key, row in zip(keys, rows, strict=True):
                if key is not None and key not in shelf.places:
                    fresh.setdefault(key, row)
            if fresh:
                self._shelf = self._with(shelf, fresh)
            return len(fresh)

    def _with(self, shelf: _Shelf, fresh: Mapping[str, Mapping[str, object]]) -> _Shelf:
        assert self._held.items is not None
        assert self._item_content is not None
        content = _run(self._item_content, self._held.items, list(fresh.values()))
        vectors = np.zeros((len(fresh), shelf.matrix_IW.shape[1]), np.float32)
        vectors[:, : self._width] = content[:, :-1]
        bias = (content[:, -1] + self._held.fresh_bias).astype(np.float32)
        attributes = {
            name: values.joined([row.get(name) for row in fresh.values()]) for name, values in shelf.attributes.items()
        }
        return self._shelved(
            [*shelf.names, *fresh], np.concatenate([shelf.matrix_IW, vectors]), np.concatenate([shelf.bias_I, bias]),
            np.concatenate([shelf.counts_I, np.zeros(len(fresh), np.int64)]), attributes,
        )  # fmt: skip

    def _shelved(
        self, names: list[str], matrix: Floats, bias: Floats, counts: NDArray[np.int64], attributes: dict[str, Attribute]
    ) -> _Shelf:  # fmt: skip
        top = Top(matrix, bias, approximate=self._approximate_from is not None and len(names) >= self._approximate_from)
        return _Shelf(names, {name: place for place, name in enumerate(names)}, matrix, bias, counts, attributes, top)


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    found = np.empty(len(values), dtype=object)
    found[:] = list(values)
    return found


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
