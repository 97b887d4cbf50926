"""The dataset of a recommender: `prepare_interactions` makes it from a product file, `load_interactions` opens it.

Each user's last event is the test, the one before it validation (leave-one-out in order of time); users of fewer than three
events teach only. Not here: reading events (`events.py`) and tables (`entities.py`), batches (`sessions.py`).

Legend: N events, U users, I items, E users or items with columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tradewind.artifacts import Artifact, Workspace, open_artifact
from tradewind.data.arrays import open_array
from tradewind.data.entities import encode_entities, fit_entities, in_order, key_of, open_entities, read_entities
from tradewind.data.events import Events, parts_of, read_events
from tradewind.data.ledger import Ledger, write_rejected
from tradewind.data.sources import OpenSource, open_source
from tradewind.errors import ArtifactError, DataError
from tradewind.features.feature_set import FeatureSet
from tradewind.files import digest_json, read_json, write_json
from tradewind.product import Entities, Product

FORMAT = 1
Progress: TypeAlias = Callable[[str, float], None]
Side: TypeAlias = Literal["validation", "test"]
HELD = 2  # events of a user that training does not see
_READER_SHARE = 16


@dataclass(frozen=True)
class Described:
    """Fitted columns of users or items and their encoded arrays [E, …] by name."""

    features: FeatureSet
    arrays: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Asked:
    """Who is asked about in a split: `user` [Q] with what came before, items `before[starts[q] : starts[q + 1]]` in order,
    and `target` [Q], what came next."""

    user: NDArray[np.int64]
    before: NDArray[np.int32]
    starts: NDArray[np.int64]
    target: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.user)

    def history(self, row: int) -> NDArray[np.int32]:
        return self.before[self.starts[row] : self.starts[row + 1]]


@dataclass(frozen=True)
class Interactions:
    """A finished dataset of events. `items` are names by number; those without events stand last."""

    artifact: Artifact

    @property
    def folder(self) -> Path:
        return self.artifact.folder

    @cached_property
    def profile(self) -> dict[str, Any]:
        profile: dict[str, Any] = read_json(self.folder / "profile.json")
        return profile

    @cached_property
    def items(self) -> list[str]:
        return list(pq.read_table(self.folder / "items.parquet", columns=["item"])["item"].to_pylist())

    @cached_property
    def users(self) -> list[str]:
        return list(pq.read_table(self.folder / "users.parquet", columns=["user"])["user"].to_pylist())

    @cached_property
    def starts_U(self) -> NDArray[np.int64]:
        return open_array(self.folder / "starts.npy")

    @cached_property
    def item_N(self) -> NDArray[np.int32]:
        return open_array(self.folder / "item.npy")

    @cached_property
    def time_N(self) -> NDArray[np.float64]:
        return open_array(self.folder / "time.npy")

    @cached_property
    def weight_N(self) -> NDArray[np.float32]:
        return open_array(self.folder / "weight.npy")

    @cached_property
    def trained_U(self) -> NDArray[np.int64]:
        """How many events of each user training sees: the first ones."""
        return trained(self.starts_U)

    @cached_property
    def counts_I(self) -> NDArray[np.int64]:
        """Training events of each item."""
        return np.bincount(self.item_N[self.train_mask], minlength=len(self.items)).astype(np.int64)

    @cached_property
    def train_mask(self) -> NDArray[np.bool_]:
        """Which of the N events training sees."""
        return _train_mask(self.starts_U)

    def described(self, what: Literal["items", "users"]) -> Described | None:
        """Columns of items or users; None where the product file names no table."""
        place = self.folder / what
        if not place.is_dir():
            return None
        features = FeatureSet.from_state(read_json(place / "columns.json"))
        arrays = {name: open_array(place / f"{number}.npy") for number, name in enumerate(features.input_names)}
        return Described(features, arrays)

    def raw(self, what: Literal["items", "users"], column: str) -> list[Any]:
        """The raw values of one column, in the order of the names."""
        table = pq.read_table(self.folder / f"{what}.parquet", columns=[f"column:{column}"])
        values: list[Any] = table.column(0).to_pylist()
        return values

    def asked(self, side: Side, *, most: int | None = None) -> Asked:
        """Validation: what came before it is what training sees. Test: the validation event came before, too."""
        starts, trained_U = self.starts_U, self.trained_U
        lengths = np.diff(starts)
        user = np.flatnonzero(lengths >= HELD + 1)
        if most is not None and len(user) > most:
            user = user[np.unique(np.linspace(0, len(user) - 1, most).round().astype(np.int64))]
        upto = starts[user] + trained_U[user] + (1 if side == "test" else 0)
        counts = upto - starts[user]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(starts[user] - offsets[:-1], counts) + np.arange(offsets[-1])
        return Asked(user, np.asarray(self.item_N)[places], offsets, np.asarray(self.item_N)[upto])


def trained(starts_U: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many events of each user training sees: all but two where there are three at least."""
    lengths = np.diff(starts_U)
    return np.where(lengths >= HELD + 1, lengths - HELD, lengths)


def _train_mask(starts_U: NDArray[np.int64]) -> NDArray[np.bool_]:
    lengths = np.diff(starts_U)
    place = np.arange(starts_U[-1]) - np.repeat(starts_U[:-1], lengths)
    mask: NDArray[np.bool_] = place < np.repeat(trained(starts_U), lengths)
    return mask


# ---------------------------------------------------------------- making it


def prepare_interactions(
    product: Product, *, base: Path, workspace: Workspace, progress: Progress | None = None
) -> Interactions:
    """Makes the dataset of a product, or returns the finished one at once when its inputs are unchanged.

    `progress` is told a stage (read, fit) and the share of it that is done. Raises DataError for what is wrong with the
    data, EnvironmentFailure for the disk.
    """
    assert product.task == "recommendation"
    data, tell = product.data, progress or (lambda stage, share: None)
    source = open_source(data.source, base=base, memory=data.memory // _READER_SHARE)
    tables: dict[str, tuple[Entities, OpenSource]] = {
        what: (one, open_entities(one, base=base, memory=data.memory // _READER_SHARE))
        for what, one in (("item", data.items), ("user", data.users))
        if one is not None
    }
    made_of: dict[str, Any] = {
        "format": FORMAT,
        "task": product.task,
        "data": data.model_dump(mode="json"),
        "sources": [source.fingerprint(), *(opened.fingerprint() for _, opened in tables.values())],
    }
    found = workspace.find("dataset", digest_json(made_of))
    if found is None:
        with workspace.making("dataset", made_of) as folder:
            _make(product, source, tables, folder, tell)
        found = workspace.find("dataset", digest_json(made_of))
        assert found is not None
    return Interactions(found)


def _make(
    product: Product,
    source: OpenSource,
    tables: Mapping[str, tuple[Entities, OpenSource]],
    folder: Path,
    tell: Progress,
) -> None:
    data, ledger = product.data, Ledger()
    # ---- 1. events: read, checked, in order
    parts = parts_of(data.recommendation, source.names, where=data.source.path)
    events = read_events(
        source, data.recommendation, ledger, described=data.source, progress=lambda at: tell("read", at)
    )
    _refuse_small(events)
    # ---- 2. what is known of items and users, fitted on those that training events name
    tell("fit", 0.0)
    seen = np.zeros(len(events.items), dtype=np.bool_)
    seen[events.item_N[_train_mask(events.starts_U)]] = True
    names = {"item": events.items, "user": events.users}
    described: dict[str, dict[str, Any]] = {}
    columns: dict[str, dict[str, pa.Array]] = {"item": {}, "user": {}}
    for what, (settings, opened) in tables.items():
        key = key_of(settings, opened.names, what=what, events=getattr(parts, what))
        table = read_entities(settings, opened, key, ledger, data=data, what=what)
        if what == "item":  # items without events can be recommended by what is known of them
            known = set(events.items)
            names["item"] = [*events.items, *(name for name in table.names if name not in known)]
            seen = np.concatenate([seen, np.zeros(len(names["item"]) - len(seen), dtype=np.bool_)])
        values = in_order(table, names[what])
        fit_on = seen if what == "item" else np.ones(len(events.users), dtype=np.bool_)
        features = fit_entities(table, values, fit_on, settings=settings, data=data)
        place = folder / f"{what}s"
        place.mkdir()
        write_json(place / "columns.json", features.state())
        for number, array in enumerate(encode_entities(features, values).values()):
            np.save(place / f"{number}.npy", array)
        columns[what] = {f"column:{name}": pa.array(one.tolist(), from_pandas=True) for name, one in values.items()}
        absent = len(set(names[what]) - set(table.names))
        if absent:
            ledger.find(f"{what}_unknown", key, f"{absent:,} {what}s of the events are not in the table of {what}s: their columns are missing.")  # fmt: skip
        described[what] = {
            "columns": {column.name: column.kind for column in features.columns},
            "dropped": dict(table.dropped),
        }
    # ---- 3. on disk
    for what in ("item", "user"):
        pq.write_table(pa.table({what: pa.array(names[what], pa.string()), **columns[what]}),
                       folder / f"{what}s.parquet", compression="zstd")  # fmt: skip
    for name, array in (("starts", events.starts_U), ("item", events.item_N), ("time", events.time_N), ("weight", events.weight_N)):  # fmt: skip
        np.save(folder / f"{name}.npy", array)
    write_rejected(folder / "rejected.jsonl", ledger.all_rejected())
    write_json(folder / "profile.json", _profile(product, events, names["item"], ledger, described, parts.columns, [
        source, *(opened for _, opened in tables.values())]))  # fmt: skip


def _refuse_small(events: Events) -> None:
    judged = int((np.diff(events.starts_U) >= HELD + 1).sum())
    if judged == 0:
        raise DataError(
            "No user has three events: there is nothing to learn from and to judge by.", code="histories_short",
            where="data.source", hint="Is the column of users the right one? A session may stand for a user.",
        )  # fmt: skip
    if len(events.items) < 2:
        raise DataError("There is one item only.", code="one_item", where="data.recommendation.item")


def _profile(
    product: Product, events: Events, items: list[str], ledger: Ledger, described: Mapping[str, Any], columns: list[str],
    sources: list[OpenSource],
) -> dict[str, Any]:  # fmt: skip
    lengths, train = np.diff(events.starts_U), _train_mask(events.starts_U)
    judged = int((lengths >= HELD + 1).sum())
    return {
        "task": product.task,
        "parts": columns,
        "events": {"read": events.read, "kept": len(events.item_N), "train": int(train.sum()), "validation": judged, "test": judged},
        "users": len(events.users),
        "items": len(items),
        "items_without_events": len(items) - len(events.items),
        "items_unseen_in_training": int(len(items) - len(np.unique(events.item_N[train]))),
        "history": {name: float(np.percentile(lengths, at)) for name, at in (("median", 50), ("p90", 90), ("most", 100))}
        | {"mean": float(lengths.mean())},
        "described": dict(described),
        "cleaning": ledger.as_json(),
        "sources": [one.provenance() for one in sources],
    }  # fmt: skip


def load_interactions(folder: Path) -> Interactions:
    """Opens a finished dataset. Raises ArtifactError when the folder is none, or one of another task."""
    artifact = open_artifact(folder, kind="dataset")
    if artifact.made_of.get("task") != "recommendation":
        raise ArtifactError(f"The dataset was made for {artifact.made_of.get('task')}, not for recommendation.",
                            code="wrong_task", where=str(folder))  # fmt: skip
    if artifact.made_of.get("format") != FORMAT:
        raise ArtifactError(f"The dataset is in format {artifact.made_of.get('format')}, but this version reads {FORMAT}.",
                            code="dataset_format", where=str(folder), hint="Prepare it again.")  # fmt: skip
    return Interactions(artifact)
