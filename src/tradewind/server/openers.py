"""From a release folder to what is served, by the task that its manifest names. Not which one is live (`serving.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from tradewind.engines.loading import load_generator
from tradewind.release import encoder, language
from tradewind.release.bundle import task_of
from tradewind.release.registry import Version
from tradewind.server.served import Served, open_release
from tradewind.server.served_encoder import ServedEncoder, open_encoder
from tradewind.server.served_language import LoadEngine, ServedLanguage, Writing, open_language
from tradewind.server.served_rows import ServedRows

Item: TypeAlias = Served | ServedRows | ServedLanguage | ServedEncoder


@dataclass(frozen=True)
class Opening:
    """What a release is opened with: the key that signed it, what its product file says under `serve`, and threads."""

    executor: Executor
    public_key: Path | None = None
    abstain_below: float | None = None
    writing: Writing = field(default_factory=Writing)
    threads: int = 1
    load_engine: LoadEngine = load_generator


def open_item(folder: Path, version: Version, opening: Opening) -> Item:
    """Loads and checks a release of any kind. Raises ArtifactError, VerificationFailed."""
    return _OPENERS.get(task_of(folder), _predictor)(folder, version, opening)


def _predictor(folder: Path, version: Version, opening: Opening) -> Item:
    return open_release(
        folder, version, executor=opening.executor, public_key=opening.public_key, threads=opening.threads,
        abstain_below=opening.abstain_below,
    )  # fmt: skip


def _language(folder: Path, version: Version, opening: Opening) -> Item:
    return open_language(
        folder, version, writing=opening.writing, public_key=opening.public_key, load_engine=opening.load_engine
    )


def _encoder(folder: Path, version: Version, opening: Opening) -> Item:
    return open_encoder(folder, version, public_key=opening.public_key, threads=opening.threads)


_OPENERS: Mapping[str | None, Callable[[Path, Version, Opening], Item]] = {
    language.TASK: _language,
    encoder.TASK: _encoder,
}
