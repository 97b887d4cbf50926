"""The second pass: encodes the typed chunks and writes each split as .npy arrays and as raw Parquet, chunk by chunk.

Not here: what a column encodes to (`features/`), which row goes where (`splits.py`).
Legend: B rows of a chunk, N numbers, C categories.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tradewind.data.ahead import ahead
from tradewind.data.arrays import NpyWriter, tensor_file
from tradewind.data.dictionary import Dictionary
from tradewind.data.plan import Plan
from tradewind.data.rows import SPLITS
from tradewind.errors import writing
from tradewind.features.column import Block, Column, TensorFeature, Values, stack
from tradewind.features.feature_set import FeatureSet

_TEXT_ROWS = 4096
_FILE_ROWS = 256
_THREADS = 2


class Encoder:
    """Encodes typed chunks exactly as `FeatureSet.encode` does, but each distinct category and date only once."""

    def __init__(self, features: FeatureSet, plan: Plan, dictionaries: Mapping[str, Dictionary]) -> None:
        self.features = features
        self.plan = plan
        self.dictionaries = dictionaries
        self._threads = ThreadPoolExecutor(_THREADS)
        self._tables = {
            column.name: column.apply(dictionaries[column.name].values())
            for column in features.columns
            if plan.reading(column.name) == "category"
        }
        if plan.target in dictionaries:
            self._targets = features.target.encode(dictionaries[plan.target].values())

    def close(self) -> None:
        self._threads.shutdown()

    def pieces(self, frame: pl.DataFrame) -> Iterator[tuple[slice, dict[str, NDArray[Any]]]]:
        """Parts of the chunk, in order, small enough for texts and images to be held encoded."""
        kinds = {self.plan.reading(column.name) for column in self.features.columns}
        size = _FILE_ROWS if kinds & {"image", "audio"} else _TEXT_ROWS if "text" in kinds else max(len(frame), 1)
        for start in range(0, len(frame), size):
            part = frame.slice(start, size)
            blocks = list(self._threads.map(partial(self._block, part), self.features.columns))
            yield slice(start, start + len(part)), stack(blocks, len(part))

    def _block(self, part: pl.DataFrame, column: Column) -> Block:
        series = part[column.name]
        reading = self.plan.reading(column.name)
        if reading == "category":
            return gather(self._tables[column.name], series.to_numpy())
        if reading == "date":
            distinct = series.unique(maintain_order=True)
            order = pl.Series(np.arange(len(distinct), dtype=np.uint32))
            places = series.replace_strict(distinct, order, return_dtype=pl.UInt32)
            return gather(column.apply(objects(distinct)), places.to_numpy())
        return column.apply(series.to_numpy() if reading == "number" else objects(series))

    def target(self, frame: pl.DataFrame) -> NDArray[Any]:
        """int64 [B] classes or float32 [B] normalised values."""
        series = frame[self.plan.target]
        if self.plan.target in self.dictionaries:
            classes: NDArray[Any] = self._targets[series.to_numpy()]
            return classes
        return self.features.target.encode(series.to_numpy())


def gather(block: Block, places: NDArray[np.integer[Any]]) -> Block:
    """The rows of an encoded table that `places` [B] name."""
    return Block(
        numbers_BN=None if block.numbers_BN is None else block.numbers_BN[places],
        categories_BC=None if block.categories_BC is None else block.categories_BC[places],
        tensors={name: tensor[places] for name, tensor in block.tensors.items()},
    )


def objects(series: pl.Series) -> NDArray[np.object_]:
    array = np.empty(len(series), dtype=np.object_)
    array[:] = series.to_list()
    return array


def raw_values(name: str, series: pl.Series, plan: Plan, dictionaries: Mapping[str, Dictionary]) -> Values:
    """Raw values [B] of a typed column as a predictor is fed: float64, or object with None for missing."""
    if plan.reading(name) == "number":
        return series.to_numpy()
    if plan.reading(name) == "category":
        values: Values = dictionaries[name].values()[series.to_numpy()]
        return values
    return objects(series)


class SplitWriter:
    """Writes one split: `splits/NAME/*.npy` and `raw/NAME.parquet`. `rows` is known beforehand."""

    def __init__(self, folder: Path, name: str, rows: int, encoder: Encoder) -> None:
        self.encoder = encoder
        self.rows = rows
        place = folder / "splits" / name
        place.mkdir(parents=True)
        (folder / "raw").mkdir(exist_ok=True)
        layout = encoder.features.layout
        self._arrays: dict[str, NpyWriter] = {}
        if layout.numbers:
            self._arrays["numbers"] = NpyWriter(place / "numbers.npy", np.float32, (len(layout.numbers),))
        if layout.categories:
            self._arrays["categories"] = NpyWriter(place / "categories.npy", np.int32, (len(layout.categories),))
        self._ragged: dict[str, tuple[NpyWriter, NpyWriter, list[int]]] = {}
        self._tensors: dict[str, TensorFeature] = {tensor.name: tensor for tensor in layout.tensors}
        for index, tensor in enumerate(layout.tensors):
            path = place / tensor_file(index, tensor)
            if None in tensor.shape:
                offsets = NpyWriter(path.with_suffix(".offsets.npy"), np.int64, ())
                offsets.write(np.zeros(1, dtype=np.int64))
                self._ragged[tensor.name] = (NpyWriter(path, _stored(tensor), ()), offsets, [0])
            else:
                shape = tuple(int(side) for side in tensor.shape if side is not None)
                self._arrays[tensor.name] = NpyWriter(path, np.dtype(tensor.dtype), shape)
        classes = encoder.plan.target in encoder.dictionaries
        self._arrays["target"] = NpyWriter(place / "target.npy", np.int64 if classes else np.float32, ())
        if encoder.plan.weight:
            self._arrays["weight"] = NpyWriter(place / "weight.npy", np.float32, ())
        self._raw_path = folder / "raw" / f"{name}.parquet"
        self._raw: pq.ParquetWriter | None = None

    def write(self, frame: pl.DataFrame, encoded: Mapping[str, NDArray[Any]], keep: NDArray[np.bool_] | slice) -> None:
        """Appends the rows of an encoded piece that `keep` names; `frame` holds just those rows, typed."""
        for name in ("numbers", "categories"):
            if name in self._arrays:
                self._arrays[name].write(encoded[name][keep])
        for name, tensor in self._tensors.items():
            if name in self._ragged:
                mask_name = f"ngrams:{tensor.column}" if tensor.role == "ngram_weights" else name
                self._write_ragged(name, encoded[name][keep], encoded[mask_name][keep] != 0)
            else:
                self._arrays[name].write(encoded[name][keep])
        plan = self.encoder.plan
        self._arrays["target"].write(self.encoder.target(frame))
        if plan.weight:
            self._arrays["weight"].write(frame[plan.weight].to_numpy())

    def _write_ragged(self, name: str, padded_BT: NDArray[Any], filled_BT: NDArray[np.bool_]) -> None:
        flat, offsets, end = self._ragged[name]
        ends = end[0] + np.cumsum(filled_BT.sum(axis=1, dtype=np.int64))
        flat.write(padded_BT[filled_BT])
        offsets.write(ends)
        if len(ends):
            end[0] = int(ends[-1])

    def write_raw(self, frame: pl.DataFrame) -> None:
        table = raw_table(frame, self.encoder.plan, self.encoder.dictionaries)
        if self._raw is None:
            words = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
            self._raw = pq.ParquetWriter(
                self._raw_path, table.schema, compression={name: "lz4" if name in words else "none" for name in table.column_names}, use_dictionary=words, write_statistics=False,
                store_schema=True,
            )  # fmt: skip
        self._raw.write_table(table)

    def close(self) -> None:
        """Completes the files. A split always holds `rows` rows by now."""
        for writer in self._arrays.values():
            writer.close()
            assert writer.rows == self.rows
        for flat, offsets, _ in self._ragged.values():
            flat.close()
            offsets.close()
        if self._raw is not None:
            self._raw.close()

    def abandon(self) -> None:
        """Lets go of all files after a failure. Without effect once they are complete."""
        for writer in [*self._arrays.values(), *(part for one in self._ragged.values() for part in one[:2])]:
            writer.abandon()
        if self._raw is not None:
            with suppress(OSError):
                self._raw.close()


def _stored(tensor: TensorFeature) -> type[np.generic]:
    """Integers are kept in 32 bits; `Batches` hands them out in 64."""
    return np.int32 if np.dtype(tensor.dtype).kind == "i" else np.float32


def raw_table(frame: pl.DataFrame, plan: Plan, dictionaries: Mapping[str, Dictionary]) -> pa.Table:
    """Typed rows as Arrow: float64, dictionaries of words, strings and bytes."""
    columns: list[pa.Array] = []
    for name in plan.kept:
        series = frame[name]
        if plan.reading(name) == "category":
            codes = series.to_numpy().astype(np.int32) - 1
            words = pa.array(dictionaries[name].words, type=pa.string())
            columns.append(pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), words))
        elif plan.reading(name) == "number":
            columns.append(pa.array(series.to_numpy()))
        else:
            kind = pa.large_binary() if series.dtype == pl.Binary else pa.large_string()
            columns.append(series.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(kind))
    return pa.table(columns, names=list(plan.kept))


def encode(
    frames: Iterator[pl.DataFrame], sides: NDArray[np.int8], encoder: Encoder, folder: Path
) -> Iterator[int]:  # fmt: skip
    """Writes all splits into `folder`; yields the number of rows done. `sides` [R] is in the order of the frames."""
    with writing(str(folder)), ExitStack() as stack:
        writers = [SplitWriter(folder, name, int((sides == side).sum()), encoder) for side, name in enumerate(SPLITS)]
        for writer in writers:
            stack.callback(writer.abandon)
        done = 0
        raw: list[Future[None]] = []  # raw rows are written while the next chunk is encoded
        with ThreadPoolExecutor(1) as thread:
            for frame in ahead(frames):
                side = sides[done : done + len(frame)]
                done += len(frame)
                kept = side >= 0
                if not kept.all():
                    frame, side = frame.filter(pl.Series(kept)), side[kept]
                for part, encoded in encoder.pieces(frame):
                    piece, piece_side = frame.slice(part.start, part.stop - part.start), side[part]
                    for number, writer in enumerate(writers):
                        _write(writer, piece, encoded, piece_side == number)
                for future in raw:
                    future.result()
                raw = [
                    thread.submit(_write_raw, writer, frame, side == number) for number, writer in enumerate(writers)
                ]
                yield done
            for future in raw:
                future.result()
        encoder.close()
        for writer in writers:
            writer.close()


def _write_raw(writer: SplitWriter, frame: pl.DataFrame, mask: NDArray[np.bool_]) -> None:
    if mask.any():
        writer.write_raw(frame if mask.all() else frame.filter(pl.Series(mask)))


def _write(
    writer: SplitWriter, piece: pl.DataFrame, encoded: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]
) -> None:  # fmt: skip
    if mask.all():
        writer.write(piece, encoded, slice(None))
    elif mask.any():
        writer.write(piece.filter(pl.Series(mask)), encoded, mask)


def sample(
    frames: Iterator[pl.DataFrame], chosen: NDArray[np.bool_], names: Sequence[str]
) -> pl.DataFrame:  # fmt: skip
    """The chosen rows [R] of all frames, in order."""
    parts, done = [], 0
    for frame in frames:
        mask = chosen[done : done + len(frame)]
        done += len(frame)
        if mask.any():
            parts.append(frame.select(names).filter(pl.Series(mask)))
    return pl.concat(parts)
