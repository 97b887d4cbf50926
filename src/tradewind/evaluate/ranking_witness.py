"""What every figure of a recommender is computed from, as it lies beside report.json: the witness.

    ranks.parquet   for each user asked about: number of the user, of what came next, how many came before, and of each predictor
                    the place of what came next among all items and among drawn ones, from 0
    lists.npz       the items that each predictor put first, int32 [Q, K], and `counts` int64 [I], how often training met them

Not here: any figure (`ranking.py`). Legend: Q users asked about, I items, K length of the lists.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tradewind.errors import ArtifactError, writing
from tradewind.evaluate.ranking import Lists
from tradewind.files import write_bytes

RANKS, LISTS = "ranks.parquet", "lists.npz"
MODEL = "model"
_FULL, _SAMPLED = "full:", "sampled:"


@dataclass(frozen=True)
class RankingWitness:
    """`said` are the model and each baseline by name; `before_Q` is how many items came before; `counts_I` of training."""

    user_Q: NDArray[np.int64]
    target_Q: NDArray[np.int64]
    before_Q: NDArray[np.int64]
    counts_I: NDArray[np.int64]
    said: Mapping[str, Lists]

    def digest(self) -> str:
        """Of the content itself, whatever the version of the file format."""
        sha = hashlib.sha256()
        for array in (self.user_Q, self.target_Q, self.before_Q, self.counts_I):
            sha.update(np.ascontiguousarray(array, "<i8").tobytes())
        for name in sorted(self.said):
            lists = self.said[name]
            sha.update(name.encode())
            sha.update(np.ascontiguousarray(lists.full_Q, "<f8").tobytes())
            sha.update(np.ascontiguousarray(lists.sampled_Q, "<f8").tobytes())
            sha.update(np.ascontiguousarray(lists.top_QK, "<i4").tobytes())
        return "sha256:" + sha.hexdigest()


def write_ranking_witness(witness: RankingWitness, folder: Path) -> None:
    """Raises EnvironmentFailure when the disk refuses."""
    columns: dict[str, NDArray[Any]] = {"user": witness.user_Q, "target": witness.target_Q, "before": witness.before_Q}
    for name, lists in witness.said.items():
        columns |= {f"{_FULL}{name}": lists.full_Q, f"{_SAMPLED}{name}": lists.sampled_Q}
    with writing(str(folder)):
        pq.write_table(
            pa.table({name: pa.array(values) for name, values in columns.items()}), folder / RANKS, compression="zstd"
        )
    buffer = io.BytesIO()
    arrays = {f"top:{name}": lists.top_QK for name, lists in witness.said.items()}
    np.savez_compressed(buffer, allow_pickle=False, counts=witness.counts_I, **arrays)
    write_bytes(folder / LISTS, buffer.getvalue())


def read_ranking_witness(folder: Path) -> RankingWitness:
    """Raises ArtifactError when a file is missing or broken."""
    try:
        table = pq.read_table(folder / RANKS)
        column = {name: table[name].to_numpy() for name in table.column_names}
        with np.load(folder / LISTS, allow_pickle=False) as stored:
            said = {
                name.removeprefix(_FULL): Lists(
                    column[name], column[_SAMPLED + name.removeprefix(_FULL)], stored[f"top:{name.removeprefix(_FULL)}"]
                )
                for name in column
                if name.startswith(_FULL)
            }
            return RankingWitness(column["user"], column["target"], column["before"], stored["counts"], said)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise ArtifactError(f"The ranks cannot be read ({error!r}).", code="witness_broken", where=str(folder),
                            hint="Run `tradewind evaluate` again.") from error  # fmt: skip
