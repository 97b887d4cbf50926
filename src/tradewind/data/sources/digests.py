"""The digest of a source's files: of the bytes, not of where they lie, so that a moved file is the same file.

Not here: the digest of a database's rows (`sql.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tradewind.data.sources.location import File, reading
from tradewind.files import digest_file, digest_json


def digest_of(files: Sequence[File]) -> str:
    """The digest of one file's bytes, or of the digests of several in order."""
    digests = []
    for file in files:
        with reading(file.name):
            digests.append(digest_file(file.path))
    return digests[0] if len(digests) == 1 else digest_json(digests)
