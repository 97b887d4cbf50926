"""Events as they are read: which column plays which part, rows that cannot be used, users and items as numbers, in order of time.

Not here: the artifact and its splits (`interactions.py`), what is known of items and users beside (`entities.py`).

Legend: N events, U users, I items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data.inference import MISSING
from tradewind.data.ledger import Ledger, RejectedRow
from tradewind.data.sources import Chunk, OpenSource
from tradewind.data.subjects import spelled
from tradewind.errors import DataError, nearest
from tradewind.features.date import parse_date
from tradewind.product import Interactions, Source

_NAMES: dict[str, tuple[str, ...]] = {
    "user": ("user", "user_id", "userid", "customer", "customer_id", "session", "session_id", "visitor", "reviewer_id", "uid",
             "用户", "用户id", "客户", "会话"),
    "item": ("item", "item_id", "itemid", "product", "product_id", "article", "sku", "asin", "movie_id", "iid", "商品", "商品id", "物品"),
    "time": ("time", "timestamp", "date", "datetime", "at", "created", "created_at", "event_time", "unix_time", "时间", "日期"),
    "event": ("event", "event_type", "action", "behavior", "behaviour", "事件", "行为"),
}  # fmt: skip
_SHOWN = 200


@dataclass(frozen=True)
class Parts:
    """The columns of a source of events; `time` and `event` may be missing."""

    user: str
    item: str
    time: str | None
    event: str | None

    @property
    def columns(self) -> list[str]:
        return [name for name in (self.user, self.item, self.time, self.event) if name is not None]


@dataclass(frozen=True)
class Events:
    """Events sorted by user, then by time, then as they stood. `users` and `items` are names by number, items the frequent
    ones first. `starts_U` [U + 1] are where each user's events begin; `time_N` is seconds since 1970, or the place in the file.
    """

    users: list[str]
    items: list[str]
    starts_U: NDArray[np.int64]
    item_N: NDArray[np.int32]
    time_N: NDArray[np.float64]
    weight_N: NDArray[np.float32]
    read: int


def parts_of(settings: Interactions, names: Sequence[str], *, where: str) -> Parts:
    """Which column is which. Raises DataError where the user or the item is not clear, or a named column is missing."""
    found: dict[str, str | None] = {}
    lower = {name.lower().replace(" ", "_"): name for name in names}
    for part, usual in _NAMES.items():
        said = getattr(settings, part)
        if said is not None and said not in names:
            raise DataError(
                f"{said}: no such column in {where}. Columns: {', '.join(names[:20])}.", code="column_missing",
                where=f"data.recommendation.{part}", hint=nearest(said, names) or "Correct the name.",
            )  # fmt: skip
        found[part] = said or next((lower[name] for name in usual if name in lower), None)
    for part in ("user", "item"):
        if found[part] is None:
            raise DataError(
                f"No column of {where} is called as the {part} of an event usually is. Columns: {', '.join(names[:20])}.",
                code=f"{part}_unknown", where=f"data.recommendation.{part}", hint=f"Write recommendation: {{{part}: COLUMN}}.",
            )  # fmt: skip
    if settings.weights and found["event"] is None:
        raise DataError("weights weigh kinds of events, but no column says the kind.", code="event_unknown",
                        where="data.recommendation.weights", hint="Write recommendation: {event: COLUMN}.")  # fmt: skip
    user, item = found["user"], found["item"]
    assert user is not None
    assert item is not None
    return Parts(user, item, found["time"], found["event"] if settings.weights or settings.event else None)


def read_events(
    source: OpenSource, settings: Interactions, ledger: Ledger, *, described: Source, progress: Callable[[float], None]
) -> Events:
    """Reads, checks and sorts all events. Raises DataError where none is left, or an event's kind has no weight at all."""
    parts = parts_of(settings, source.names, where=described.path)
    missing = list(MISSING | {word.strip().lower() for word in described.missing})
    total = float(source.provenance().get("bytes") or 0)
    frames, done = [], 0
    for chunk in source.chunks():
        frames.append(_typed(chunk, parts, settings, missing, ledger))
        done += int(chunk.frame.estimated_size())
        progress(min(1.0, done / total) if total else 0.0)
    for bad in source.rejects:
        ledger.reject(RejectedRow(bad.file, bad.line, bad.code, bad.reason, bad.text))
    read = source.rows + len(source.rejects)
    frame = pl.concat(frames).with_row_index("order")
    if parts.time is None:
        frame = frame.with_columns(pl.col("order").cast(pl.Float64).alias("time"))
    frame = _thinned(frame.sort(["user", "time", "order"]), parts, settings, ledger)
    if frame.is_empty():
        raise DataError("No event is left.", code="no_events", where="data.source",
                        hint="See rejected.jsonl of an earlier dataset, or lower fewest_per_user and fewest_per_item.")  # fmt: skip
    return _coded(frame, read)


def _typed(
    chunk: Chunk, parts: Parts, settings: Interactions, missing: list[str], ledger: Ledger
) -> pl.DataFrame:  # fmt: skip
    """user, item, time, weight, line, file of the rows that can be used; the others are rejected."""
    frame = chunk.frame
    found = pl.DataFrame(
        {"user": _key(frame[parts.user], missing), "item": _key(frame[parts.item], missing),
         "line": pl.Series(chunk.lines, dtype=pl.Int64)}
    ).with_columns(file=pl.lit(chunk.file))  # fmt: skip
    weight = pl.Series("weight", np.ones(len(frame), np.float32))
    time = pl.Series("time", np.zeros(len(frame)))
    if parts.time is not None:
        time = _moments(frame[parts.time]).alias("time")
    if parts.event is not None and settings.weights:
        kinds = spelled(frame[parts.event]).str.strip_chars()
        known = pl.Series(list(settings.weights), dtype=pl.String)
        weight = kinds.replace_strict(
            known, pl.Series(list(settings.weights.values()), dtype=pl.Float32), default=0.0, return_dtype=pl.Float32
        ).alias("weight")
    found = found.with_columns(time, weight)
    left = pl.Series(np.ones(len(found), bool))
    for bad, code, reason in (
        (found["user"].is_null(), "event.no_user", f"{parts.user} says nobody."),
        (found["item"].is_null(), "event.no_item", f"{parts.item} says nothing."),
        (~found["time"].is_finite(), "event.no_time", f"{parts.time} is no moment."),
        (found["weight"] <= 0, "event.no_weight", f"{parts.event} is a kind of event that has no weight."),
    ):
        hit = bad.fill_null(True) & left
        if hit.any():
            _reject(frame, found, hit, code, reason, ledger)
            left = left & ~hit
    return found.filter(left)


def _key(series: pl.Series, missing: list[str]) -> pl.Series:
    """Users and items as people write them; None for a word that means nothing."""
    words = spelled(series).str.strip_chars()
    return pl.select(
        pl.when(words.str.to_lowercase().is_in(missing) | (words == "")).then(None).otherwise(words)
    ).to_series()


def _moments(series: pl.Series) -> pl.Series:
    """Seconds since 1970 [B]: numbers as they are or as milliseconds, dates in any spelling; NaN for what is none."""
    if series.dtype.is_temporal():
        return series.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64).fill_null(float("nan")) / 1e6
    texts = spelled(series).str.strip_chars()
    plain = texts.cast(pl.Float64, strict=False)
    numbers = plain.fill_null(float("nan")).to_numpy().copy()
    most = float(np.nanmax(np.abs(numbers), initial=0.0))
    numbers /= 1e6 if most > 1e14 else 1e3 if most > 1e11 else 1.0
    words = plain.is_null().to_numpy()
    if words.any():
        hard = texts.filter(pl.Series(words))
        distinct = hard.unique()
        read = pl.Series(
            [float("nan") if one is None else parse_date(one) for one in distinct.to_list()], dtype=pl.Float64
        )
        numbers[words] = hard.replace_strict(distinct, read, return_dtype=pl.Float64).to_numpy()
    return pl.Series(numbers)


def _reject(
    frame: pl.DataFrame, found: pl.DataFrame, hit: pl.Series, code: str, reason: str, ledger: Ledger
) -> None:  # fmt: skip
    rows = np.flatnonzero(hit.to_numpy())
    files, lines = found["file"][0], found["line"].to_numpy()[rows]
    texts = frame.filter(hit).rows()

    def written() -> Iterator[RejectedRow]:
        for line, text in zip(lines.tolist(), texts, strict=True):
            yield RejectedRow(files, line, code, reason, ", ".join(map(str, text))[:_SHOWN])

    ledger.reject_many(code, len(rows), written)


def _thinned(frame: pl.DataFrame, parts: Parts, settings: Interactions, ledger: Ledger) -> pl.DataFrame:
    """Without copies, reloads, and users and items of too few events. `frame` is in order."""
    if parts.time is not None:
        frame = _without(frame, frame.select(pl.struct("user", "item", "time").is_duplicated() & ~pl.struct("user", "item", "time").is_first_distinct()).to_series(),
                         "event.copy", "The same user, item and time stand in an earlier row.", ledger)  # fmt: skip
    if settings.repeats == "drop" and len(frame):
        same = frame.select((pl.col("user") == pl.col("user").shift()) & (pl.col("item") == pl.col("item").shift()))
        frame = _without(frame, same.to_series().fill_null(False), "event.repeat",
                         "The event before is of the same user and item.", ledger)  # fmt: skip
    while len(frame):  # a user less may leave an item with too few, and the other way round
        rare_item = frame.select(pl.len().over("item") < settings.fewest_per_item).to_series()
        rare_user = frame.select(pl.len().over("user") < settings.fewest_per_user).to_series()
        if not (rare_item | rare_user).any():
            break
        least = settings.fewest_per_item, settings.fewest_per_user
        kept = _without(frame, rare_item, "event.rare_item", f"Its item has fewer than {least[0]} events.", ledger)
        frame = _without(kept, rare_user.filter(~rare_item), "event.rare_user", f"Its user has fewer than {least[1]} events.", ledger)  # fmt: skip
    return frame


def _without(frame: pl.DataFrame, hit: pl.Series, code: str, reason: str, ledger: Ledger) -> pl.DataFrame:
    if not hit.any():
        return frame
    gone = frame.filter(hit).select("file", "line", "user", "item")

    def written() -> Iterator[RejectedRow]:
        for file, line, user, item in gone.iter_rows():
            yield RejectedRow(file, line, code, reason, f"{user}, {item}")

    ledger.reject_many(code, len(gone), written)
    return frame.filter(~hit)


def _coded(frame: pl.DataFrame, read: int) -> Events:
    items = frame["item"].value_counts().sort(["count", "item"], descending=[True, False])["item"]
    numbers = pl.Series(np.arange(len(items), dtype=np.int32))
    users = frame["user"].unique(maintain_order=True)
    lengths = frame["user"].rle().struct.field("len").to_numpy()
    return Events(
        users=users.to_list(),
        items=items.to_list(),
        starts_U=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
        item_N=frame["item"].replace_strict(items, numbers, return_dtype=pl.Int32).to_numpy(),
        time_N=frame["time"].to_numpy(),
        weight_N=frame["weight"].to_numpy(),
        read=read,
    )
