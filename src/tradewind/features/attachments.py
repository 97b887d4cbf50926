"""Files that come as values: text in base64 or a data: URL, bytes, a path; what begins like a recording; many at once.

Not here: what a file shows or says (`image.py`, `recording.py`). It loads no decoder: whoever checks a row needs none.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_THREADED_ROWS = 8
_THREADS = 4
# A frame of MPEG audio: eleven set bits, version 1, 2 or 2.5, layer III; then neither bit rate nor sampling rate "bad".
_MPEG_VERSIONS_LAYER_III = frozenset({0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2})


def unwrapped(text: str) -> bytes:
    """The bytes in a data: URL or in base64 text; never a path. Raises ValueError for text that is neither."""
    body = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except binascii.Error as error:
        raise ValueError("neither base64 nor a data: URL") from error


def is_audio(content: bytes) -> bool:
    """Whether bytes begin as WAV, FLAC, Ogg or MP3 do."""
    if content[:4] in (b"fLaC", b"OggS") or content[:3] == b"ID3":
        return True
    if content[:4] in (b"RIFF", b"RF64"):
        return content[8:12] == b"WAVE"
    if len(content) < 4 or content[0] != 0xFF or content[1] not in _MPEG_VERSIONS_LAYER_III:
        return False
    return content[2] >> 4 not in (0, 15) and content[2] >> 2 & 3 != 3


def audio_inside(text: str) -> bytes | None:
    """The recording that the text itself holds; None where it is anything else, a path among it."""
    try:
        content = unwrapped(text)
    except ValueError:
        return None
    return content if is_audio(content) or text.startswith("data:") else None


def content_of(value: object, inside: Callable[[str], bytes | None]) -> bytes:
    """The bytes of a file given as bytes, as text that holds it (as `inside` finds), or by its path.

    Raises ValueError with the reason, which names no file.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        if (found := inside(value)) is not None:
            return found
        value = Path(value)
    if not isinstance(value, os.PathLike):
        raise ValueError("there is none" if value is None or value != value else f"it is a {type(value).__name__}")
    try:
        return Path(value).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no such file"
        raise ValueError(f"its file cannot be opened ({reason})") from error


def each(values: list[Any], work: Any) -> list[Any]:
    """`work` of each value, in order; on several threads where it pays: decoders work outside Python's lock."""
    threads = min(_THREADS, os.cpu_count() or 1)
    if len(values) < _THREADED_ROWS or threads == 1:
        return [work(value) for value in values]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, values))
