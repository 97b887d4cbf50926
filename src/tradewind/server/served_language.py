"""One release of a language model, ready to answer. Not which release is live (`serving.py`), nor how it writes (`engines/`).

Who answers with it holds it; a release that another one replaced is closed when the last answer is out.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from tradewind.engines.generation import GenerationEngine
from tradewind.engines.loading import load_generator
from tradewind.engines.retrieval import Knowledge
from tradewind.files import read_json
from tradewind.release.language import preferred
from tradewind.release.registry import Version
from tradewind.server.marks import Marking

_MANIFEST = "manifest.json"


class LoadEngine(Protocol):
    """From a release folder to its engine: `engines.loading.load_generator`, or a fake."""

    def __call__(
        self, folder: Path, *, precision: str, public_key: Path | None = None, adapters: Mapping[str, Path] | None = None,
        slots: int = 16, waiting: int = 256,
    ) -> GenerationEngine: ...  # fmt: skip


@dataclass(frozen=True)
class Writing:
    """How a language model answers: `slots` at once, `waiting` more in a queue, an answer of `max_tokens` where a request
    does not say; with `adapters` (releases of adapters alone, by name) beside its own weights."""

    precision: str = "auto"
    max_tokens: int = 1024
    marking: Marking = field(default_factory=Marking)
    slots: int = 16
    waiting: int = 256
    adapters: Mapping[str, Path] = field(default_factory=dict)


@dataclass(eq=False)
class ServedLanguage:
    """A loaded language model. `hold` before an answer, `let_go` after it; `retire` when another takes its place."""

    product: str
    version: int
    digest: str
    created_s: int
    engine: GenerationEngine
    precision: str = ""
    marking: Marking = field(default_factory=Marking)
    max_tokens: int = 1024  # of an answer, where a request does not say
    adapters: tuple[str, ...] = ()  # asked for as PRODUCT:NAME
    jobs: tuple[str, ...] = ()  # of writing, that it has learnt
    knowledge: Knowledge | None = None  # what it brings along to be searched
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _answers: int = 0
    _retired: bool = False

    @property
    def release(self) -> str:
        return f"v{self.version}"

    @property
    def chats(self) -> bool:
        return self.engine.tokenizer.template is not None

    @property
    def has_tools(self) -> bool:
        return "tools" in (self.engine.tokenizer.template or "")

    @property
    def repeats(self) -> str:
        """Whether temperature 0 gives the same answer again: under-load, alone (but not beside others), or not."""
        same = self.engine.deterministic
        return "under-load" if same.under_load else "alone" if same.alone else "not"

    @property
    def fingerprint(self) -> str:
        """`system_fingerprint`: what an answer depends on beside the request."""
        digest = self.digest.rpartition(":")[2][:8]
        return "_".join(("tw", self.release, digest, *([self.precision] if self.precision else []), self.repeats))

    def hold(self) -> bool:
        """False where it was closed meanwhile."""
        with self._lock:
            if self._retired and not self._answers:
                return False
            self._answers += 1
        return True

    def let_go(self) -> None:
        with self._lock:
            self._answers -= 1
            last = self._retired and not self._answers
        if last:
            self.engine.close()

    def retire(self) -> None:
        """No new answers; its memory is given back after the last one that runs."""
        with self._lock:
            idle = not self._retired and not self._answers
            self._retired = True
        if idle:
            self.engine.close()


def open_language(
    folder: Path, version: Version, *, writing: Writing, public_key: Path | None = None,
    load_engine: LoadEngine = load_generator,
) -> ServedLanguage:  # fmt: skip
    """Loads and checks a release. Raises ArtifactError, VerificationFailed (`engines.loading.load_generator`)."""
    manifest = read_json(folder / _MANIFEST)
    precision = writing.precision
    if precision == "auto":
        held = manifest.get("precisions") or ()
        precision = preferred(held)
    return ServedLanguage(
        product=manifest["product"],
        version=version.version,
        digest=version.digest,
        created_s=int(datetime.fromisoformat(version.created).timestamp()),
        engine=load_engine(
            folder,
            precision=precision,
            public_key=public_key,
            adapters=writing.adapters,
            slots=writing.slots,
            waiting=writing.waiting,
        ),
        precision=precision,
        marking=writing.marking,
        max_tokens=writing.max_tokens,
        jobs=tuple(manifest.get("writing", ())),
        adapters=tuple(writing.adapters),
    )
