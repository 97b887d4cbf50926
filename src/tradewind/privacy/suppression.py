"""Who is to stay out when a source is read again: keyed hashes, and, sealed, words that are struck from texts.
Not here: the reading (`data/survey.py`), nor what an erasure does (`erasure.py`).

The list lies in the workspace, `privacy/suppressed.json`. To keep somebody out one must know him again: the hash is as
little as does that (GDPR recital 26, article 4(5); the list itself rests on article 17 and is named in every receipt).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tradewind.errors import ArtifactError, writing
from tradewind.files import digest_json, read_json, write_json
from tradewind.privacy.subjects import FOLDER, Subject, SubjectKey
from tradewind.privacy.vault import Vault

FILE = "suppressed.json"
MARK = "[ERASED]"
_VAULT = "vault"


@dataclass(frozen=True)
class Suppressed:
    """One subject. `in_data`: rows about him were in a dataset or source, so what is made of them must be made again.

    `word` is the sealed name, kept only where texts of others are to be freed of it.
    """

    receipt: str
    at: str
    in_data: bool
    word: str | None = None


@dataclass(frozen=True)
class Suppression:
    """The list as it stands."""

    home: Path
    subjects: dict[str, Suppressed] = field(default_factory=dict)

    @classmethod
    def open(cls, home: Path) -> Suppression:
        """Raises ArtifactError where the list cannot be read: without it nobody may be let in again."""
        path = home / FOLDER / FILE
        if not path.exists():
            return cls(home)
        try:
            entries = read_json(path)["subjects"]
            return cls(home, {digest: Suppressed(**entry) for digest, entry in entries.items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"The list of erased subjects cannot be read ({error}).", code="suppression", where=str(path),
                hint="Restore it from the backup: without it erased people would come back.",
            ) from error  # fmt: skip

    @property
    def digests(self) -> frozenset[str]:
        return frozenset(self.subjects)

    def state(self) -> str | None:
        """A digest of what a dataset is made without; None where that is nobody. Part of what a dataset is made of."""
        inside = sorted((name, one.word is not None) for name, one in self.subjects.items() if one.in_data)
        return digest_json(inside) if inside else None

    def words(self) -> tuple[Subject, ...]:
        """Whose names are struck from texts, opened. Raises VerificationFailed where the vault's key is gone."""
        sealed = [(digest, one.word) for digest, one in sorted(self.subjects.items()) if one.word is not None]
        if not sealed:
            return ()
        vault = Vault.open(self.home / _VAULT)
        return tuple(
            Subject(vault.open_sealed(bytes.fromhex(word), (FILE, digest)).decode(), digest) for digest, word in sealed
        )


def strike(text: str, words: Sequence[Subject]) -> str:
    """The text with a mark in place of each name."""
    for word in words:
        text = word.struck_from(text, MARK)
    return text


def suppress(home: Path, subject: Subject, *, receipt: str, at: str, in_data: bool, redact: bool) -> None:
    """Puts a subject on the list, or more about one who is on it. Raises EnvironmentFailure."""
    word = None
    if redact:
        word = Vault.open(home / _VAULT).seal(subject.name.encode(), (FILE, subject.digest)).hex()
    with locked(home):
        present = Suppression.open(home).subjects
        before = present.get(subject.digest)
        present[subject.digest] = Suppressed(
            receipt, at, in_data or (before is not None and before.in_data), word or (before.word if before else None)
        )
        _write(home, present)


def readmit(home: Path, subject: Subject) -> bool:
    """Takes one off the list who agreed anew. False where he was not on it."""
    with locked(home):
        present = Suppression.open(home).subjects
        if present.pop(subject.digest, None) is None:
            return False
        _write(home, present)
        return True


def _write(home: Path, subjects: dict[str, Suppressed]) -> None:
    write_json(home / FOLDER / FILE, {"format": 1, "subjects": {name: vars(one) for name, one in subjects.items()}})


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One writer at a time in the privacy folder of a workspace, over all processes. Raises EnvironmentFailure."""
    SubjectKey.open(home)
    with writing(str(home)), (home / FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
