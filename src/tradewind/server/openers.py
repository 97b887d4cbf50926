"""From a release folder to what is served, by the task that its manifest names. Not which one is live (`serving.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from tradewind.engines.loading import load_generator
from tradewind.engines.retrieval import Knowledge
from tradewind.features.knowledge_files import FOLDER, MANIFEST
from tradewind.release import encoder, language, recommender, translation
from tradewind.release.bundle import task_of
from tradewind.release.registry import Version
from tradewind.server.answer_texts import AnswerTexts
from tradewind.server.drift_watch import Bounds
from tradewind.server.served import Served, open_release
from tradewind.server.served_encoder import ServedEncoder, open_encoder
from tradewind.server.served_language import LoadEngine, ServedLanguage, Writing, open_language
from tradewind.server.served_recommendation import open_recommender
from tradewind.server.served_rows import ServedRows
from tradewind.server.served_translation import open_translator

Item: TypeAlias = Served | ServedRows | ServedLanguage | ServedEncoder


@dataclass(frozen=True)
class Opening:
    """What a release is opened with: the key that signed it, what its product file says under `serve`, and threads."""

    executor: Executor
    home: Path  # the workspace that the release lies in
    public_key: Path | None = None
    abstain_below: float | None = None
    texts: AnswerTexts | None = None
    outside: str | None = None  # the label of what belongs to no class
    accept: float = 0.95
    drift: Bounds = field(default_factory=Bounds)
    writing: Writing = field(default_factory=Writing)
    threads: int = 1
    load_engine: LoadEngine = load_generator


def open_item(folder: Path, version: Version, opening: Opening) -> Item:
    """Loads and checks a release of any kind. Raises ArtifactError, VerificationFailed."""
    return _OPENERS.get(task_of(folder), _predictor)(folder, version, opening)


def _predictor(folder: Path, version: Version, opening: Opening) -> Item:
    served = open_release(
        folder, version, executor=opening.executor, public_key=opening.public_key, threads=opening.threads,
        abstain_below=opening.abstain_below, texts=opening.texts, outside=opening.outside, accept=opening.accept, drift=opening.drift,
    )  # fmt: skip
    return replace(served, knowledge=_knowledge(folder, opening))


def _language(folder: Path, version: Version, opening: Opening) -> Item:
    served = open_language(
        folder, version, writing=opening.writing, public_key=opening.public_key, load_engine=opening.load_engine
    )
    served.knowledge = _knowledge(folder, opening)
    return served


def _encoder(folder: Path, version: Version, opening: Opening) -> Item:
    return open_encoder(folder, version, public_key=opening.public_key, threads=opening.threads)


def _knowledge(folder: Path, opening: Opening) -> Knowledge | None:
    """What the release brings along to be searched."""
    inner = folder / FOLDER
    return Knowledge(inner, threads=opening.threads) if (inner / MANIFEST).is_file() else None


def _recommender(folder: Path, version: Version, opening: Opening) -> Item:
    return open_recommender(folder, version, home=opening.home, public_key=opening.public_key, threads=opening.threads)


def _translator(folder: Path, version: Version, opening: Opening) -> Item:
    return open_translator(
        folder, version, executor=opening.executor, public_key=opening.public_key, threads=opening.threads
    )


_OPENERS: Mapping[str | None, Callable[[Path, Version, Opening], Item]] = {
    language.TASK: _language,
    encoder.TASK: _encoder,
    recommender.TASK: _recommender,
    translation.TASK: _translator,
}
