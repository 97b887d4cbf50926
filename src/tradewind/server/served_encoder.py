"""One release of a text encoder, ready to give vectors. Not which release is live (`serving.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.loading import load_embedder
from tradewind.files import read_json
from tradewind.release.registry import Version


class Encoder(Protocol):
    """What an engine of text vectors promises; safe for threads."""

    @property
    def width(self) -> int: ...
    @property
    def context(self) -> int:
        """Most tokens of one text."""
        ...

    @property
    def vocabulary(self) -> int: ...
    def encode(self, text: str) -> list[int]:
        """A text in tokens, those around it included."""
        ...

    def embed(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """[B, width], each of length 1."""
        ...


@dataclass(frozen=True, eq=False)
class ServedEncoder:
    product: str
    version: int
    digest: str
    created_s: int
    engine: Encoder

    @property
    def release(self) -> str:
        return f"v{self.version}"


def open_encoder(folder: Path, version: Version, *, public_key: Path | None = None, threads: int = 1) -> ServedEncoder:
    """Loads and checks a release. Raises ArtifactError, VerificationFailed (`engines.loading.load_embedder`)."""
    engine = load_embedder(folder, public_key=public_key, threads=threads)
    return ServedEncoder(
        product=read_json(folder / "manifest.json")["product"],
        version=version.version,
        digest=version.digest,
        created_s=int(datetime.fromisoformat(version.created).timestamp()),
        engine=engine,
    )
