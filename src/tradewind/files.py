"""Writing files whole or not at all, canonical JSON, and digests that name their algorithm.

Not here: what an artifact is (`artifacts.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tradewind.errors import writing

_BLOCK_BYTES = 1 << 20


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: equal values give equal bytes. NaN and infinity are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_bytes(data: bytes) -> str:
    """`sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_json(value: Any) -> str:
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> str:
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            sha.update(block)
    return "sha256:" + sha.hexdigest()


def digest_folder(folder: Path, *, leave_out: Sequence[str] = ()) -> dict[str, str]:
    """Digest of each file below `folder`, by its POSIX path relative to it, sorted."""
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    names = [name for name in paths if name not in leave_out]
    # Hashing lets go of the interpreter's lock: several files at once use several cores.
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(names, pool.map(lambda name: digest_file(paths[name]), names), strict=True))


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Writes `data` to `path` so that a reader sees the old file or the new one, never a part; survives a power cut.

    Raises EnvironmentFailure when the disk is full, the folder read-only or the permission missing.
    """
    with writing(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Readable JSON (two spaces, sorted keys, final newline); NaN and infinity are refused."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
