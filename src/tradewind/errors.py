"""The error tree of the whole house, with stable codes.

Not here: exit codes (one table in `cli/app.py`) and HTTP statuses (one table in the server).

    TradewindError
    ├── InputError               the user's input is wrong
    │   ├── ProductFileError     product.*    the product file or a --set
    │   ├── DataError            data.*       a source, a row, a column, a target
    │   ├── ModelError           model.*      a pretrained folder, a setting that cannot be trained
    │   └── ArtifactError        artifact.*   a dataset, run, report or release that is not what it says
    ├── CheckFailed              a check that was asked for says no
    │   ├── GateFailed           gate.*       a figure missed its gate
    │   └── VerificationFailed   verify.*     a figure, digest or signature does not hold
    └── EnvironmentFailure       environment.* disk, permission, network, package that is not installed
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any


class TradewindError(Exception):
    """What every room raises for a user: what was found, what was expected, where, and the next step.

    `code` is stable and machine-readable ("data.target_missing"); `where` is a file with line and column, or a
    dotted place in the product file; `hint` is the next step, a whole sentence.
    """

    family = "error"

    def __init__(self, message: str, *, code: str, where: str | None = None, hint: str | None = None) -> None:
        self.code = f"{self.family}.{code}"
        self.message = message
        self.where = where
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        step = f" {self.hint}" if self.hint else ""
        return f"{place}{self.message}{step}"


class InputError(TradewindError):
    family = "input"


class ProductFileError(InputError):
    family = "product"


class DataError(InputError):
    family = "data"


class ModelError(InputError):
    family = "model"


class ArtifactError(InputError):
    family = "artifact"


class CheckFailed(TradewindError):
    family = "check"


class GateFailed(CheckFailed):
    """`outcome` is what was measured all the same: with --json it stands in the one object beside the error."""

    family = "gate"
    outcome: Mapping[str, Any] = MappingProxyType({})


class VerificationFailed(CheckFailed):
    family = "verify"


class EnvironmentFailure(TradewindError):
    family = "environment"


def nearest(word: str, words: Iterable[str]) -> str:
    """'Did you mean X?' for the known word nearest to `word`, or an empty string."""
    match = get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"Did you mean {match[0]}?" if match else ""


_IO_REASONS = {
    errno.ENOSPC: (
        "disk_full",
        "No space is left on the disk.",
        "Free some space, or set TRADEWIND_HOME to another disk.",
    ),
    errno.EDQUOT: (
        "disk_full",
        "The disk quota is used up.",
        "Free some space, or set TRADEWIND_HOME to another disk.",
    ),
    errno.EROFS: (
        "read_only",
        "The folder is on a read-only file system.",
        "Set TRADEWIND_HOME to a folder you may write to.",
    ),
    errno.EACCES: ("permission", "Permission was denied.", "Check the owner and mode, or set TRADEWIND_HOME."),
    errno.EPERM: ("permission", "The operation is not permitted.", "Check the owner and mode, or set TRADEWIND_HOME."),
    errno.EMFILE: ("too_many_files", "Too many files are open.", "Raise the limit (ulimit -n)."),
}


@contextmanager
def writing(place: str) -> Iterator[None]:
    """Turns the operating system's refusal to write at `place` into an EnvironmentFailure that says what to do."""
    try:
        yield
    except OSError as error:
        reason = _IO_REASONS.get(error.errno or 0)
        if reason is None:
            raise
        code, message, hint = reason
        raise EnvironmentFailure(message, code=code, where=place, hint=hint) from error
