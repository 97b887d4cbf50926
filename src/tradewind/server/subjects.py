"""Whom a request is about: said in the header `tradewind-subject`, or by the row in `subject` of `POST /v1/predict`.
Not here: where the keyed hashes are kept (`business/requests.py`); the names themselves are kept nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from tradewind.errors import InputError
from tradewind.privacy.subjects import SubjectKey, named

HEADER = "tradewind-subject"


class Subjects:
    """Hashes names under the key of the workspace."""

    def __init__(self, key: SubjectKey) -> None:
        self._key = key

    def digests(self, names: Sequence[str | None]) -> tuple[str, ...]:
        """One for each name, and "" for nobody."""
        return tuple("" if name is None else self._key.digest(name) for name in names)


def from_header(value: bytes) -> str:
    """The one whom all of a request is about. Raises InputError `subject`."""
    return named(value.decode("utf-8", "replace"), where=HEADER)


def from_field(value: str | Sequence[str | None], *, rows: int) -> tuple[str | None, ...]:
    """One for all rows, or one for each row, null for nobody. Raises InputError `subject`, `subject_rows`."""
    if isinstance(value, str):
        return (named(value, where="subject"),)
    if len(value) != rows:
        raise InputError(
            f"{len(value)} subjects stand beside {rows} rows.", code="subject_rows", where="subject",
            hint="Give one for each row, null where a row is about nobody, or one text for all.",
        )  # fmt: skip
    return tuple(None if name is None else named(name, where=f"subject.{place}") for place, name in enumerate(value))
