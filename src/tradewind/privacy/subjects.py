"""A person by a name that says nothing: the keyed hash under which rows and records about one are found again.
Not here: who holds what (`erasure.py`), nor sealed values (`vault.py`).

HMAC-SHA-256 (RFC 2104) under a key of the workspace's own: without the key, names and numbers cannot be tried one after
another until a hash fits. Hashes of two workspaces have nothing in common.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tradewind.errors import EnvironmentFailure, InputError
from tradewind.files import write_bytes

FOLDER = "privacy"
KEY = "subject.key"
_PREFIX = "sub_"
_DIGITS = 40
_MOST = 500
_KEY_TEXT = re.compile(r"^[0-9a-f]{64}\n?$")
_WORD = re.compile(r"[0-9A-Za-z_À-ɏͰ-ӿ]")


def normalised(name: str) -> str:
    """One spelling for what people type in several: compatibility forms, case and outer spaces make no difference."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def named(name: str, *, where: str | None) -> str:
    """The name without outer spaces. Raises InputError `subject` for an empty or endless one, or control characters."""
    if not name.strip() or len(name) > _MOST or not name.isprintable():
        raise InputError(
            f"A subject is named by 1 to {_MOST} characters on one line.", code="subject", where=where,
            hint="Write it as it stands in the column data.subject: an address, a number, a name.",
        )  # fmt: skip
    return name.strip()


class SubjectKey:
    """Turns names into hashes. Threads may share it."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == 32
        self._key = key

    @classmethod
    def open(cls, home: Path) -> SubjectKey:
        """The key of the workspace at `home`, made where there is none.

        Raises EnvironmentFailure where the file cannot be written, is open to others or is no key.
        """
        path = home / FOLDER / KEY
        if not path.exists():
            fresh = path.with_name(f".{KEY}.{secrets.token_hex(4)}")
            write_bytes(fresh, secrets.token_bytes(32).hex().encode() + b"\n", mode=0o600)
            try:
                os.link(fresh, path)  # of two that begin at once, one key stays
            except FileExistsError:
                pass
            finally:
                fresh.unlink(missing_ok=True)
        if path.stat().st_mode & 0o077:
            raise EnvironmentFailure(
                "Others may read this key.", code="key_mode", where=str(path), hint=f"Write: chmod 600 {path}"
            )
        text = path.read_text(encoding="ascii", errors="replace")
        if not _KEY_TEXT.match(text):
            raise EnvironmentFailure(
                "This is no key.", code="key_broken", where=str(path), hint="Restore it from the backup."
            )
        return cls(bytes.fromhex(text.strip()))

    def sealed(self, word: str) -> str:
        """32 hexadecimal digits that stand for a word as it is spelled: equal words only have equal ones. Fast."""
        return hashlib.blake2b(word.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).hexdigest()

    def digest(self, name: str) -> str:
        """`sub_` and 40 hexadecimal digits (160 bits): equal for all spellings of one name."""
        made = hmac.new(self._key, normalised(name).encode("utf-8", "surrogatepass"), hashlib.sha256)
        return _PREFIX + made.hexdigest()[:_DIGITS]


@dataclass(frozen=True)
class Subject:
    """Whom a request is about. `name` is as it was given and never leaves the process; `digest` stands for it."""

    name: str
    digest: str

    @classmethod
    def of(cls, name: str, key: SubjectKey) -> Subject:
        """Raises InputError `subject` for an empty or endless name, or one with control characters."""
        return cls(named(name, where=None), key.digest(name))

    def named_by(self, value: object) -> bool:
        """Whether a single value is this name, in whatever spelling."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return isinstance(value, (str, int)) and normalised(str(value)) == self._normal

    def appears_in(self, text: str) -> bool:
        """Whether the name stands in a text as a word of its own; in Chinese, where words are not parted, anywhere."""
        return self._pattern.search(unicodedata.normalize("NFKC", text).casefold()) is not None

    def struck_from(self, text: str, mark: str) -> str:
        """The text with `mark` in place of the name. Where it stands in another form of Unicode, the text is taken in
        its compatible form."""
        if not self.appears_in(text):
            return text
        struck = self._loose.sub(mark, text)
        return self._loose.sub(mark, unicodedata.normalize("NFKC", text)) if self.appears_in(struck) else struck

    @cached_property
    def _normal(self) -> str:
        return normalised(self.name)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(_bounded(self._normal))

    @cached_property
    def _loose(self) -> re.Pattern[str]:
        return re.compile(_bounded(unicodedata.normalize("NFKC", self.name)), re.IGNORECASE)


def _bounded(name: str) -> str:
    """The name as a pattern: no letter of its own script may stand right before or behind it."""
    before = rf"(?<!{_WORD.pattern})" if _WORD.match(name[:1]) else ""
    behind = rf"(?!{_WORD.pattern})" if _WORD.match(name[-1:]) else ""
    return before + re.escape(name) + behind
