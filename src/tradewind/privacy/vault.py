"""Sealed values: AES-256-GCM under keys that rotate, each bound to the place it was sealed for.
Not here: what is sealed and for how long (`business/requests.py`, `retention.py`).

    sealed = version (1 byte) · key id (8) · nonce (12) · ciphertext · tag (16)
    folder = KEYID.key (the key in hexadecimal, mode 0600) · KEYID.count (seals promised so far) · .lock

A key id is a number that counts up (4 bytes) and 4 random bytes, so that the newest key is the last by name. Whoever
reads the folder reads everything: keep its backup apart from the database's.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradewind.errors import EnvironmentFailure, InputError, VerificationFailed, writing
from tradewind.files import canonical_json, write_bytes

# NIST SP 800-38D, 8.3: at most 2^32 values under one key when nonces of 96 bits are drawn at random.
MESSAGE_LIMIT = 1 << 32
# So many seals are written off at once: one write to the disk for each block, at most a block lost when a process ends.
_BLOCK = 1 << 16

_VERSION = b"\x01"
_ID_BYTES, _NONCE_BYTES, _TAG_BYTES, _KEY_BYTES = 8, 12, 16, 32
_HEAD_BYTES = len(_VERSION) + _ID_BYTES
_BODY_AT = _HEAD_BYTES + _NONCE_BYTES
_KEY_FILE = re.compile(r"^([0-9a-f]{16})\.key$")
_KEY_TEXT = re.compile(rb"^[0-9a-f]{64}\n?$")


def encrypt(key: bytes, nonce: bytes, data: bytes, *, associated: bytes) -> bytes:
    """Ciphertext and tag by AES-256-GCM (NIST SP 800-38D). The same nonce never twice under one key."""
    assert len(key) == _KEY_BYTES
    assert len(nonce) == _NONCE_BYTES
    return AESGCM(key).encrypt(nonce, data, associated)


@dataclass(frozen=True)
class KeyFacts:
    """A key without itself. `promised` counts the seals written off for it, None where the count was lost."""

    key_id: str
    promised: int | None
    newest: bool


class Vault:
    """The keys in one folder. Threads and processes may share it; a key made by one is seen by all."""

    def __init__(
        self, folder: Path, *, limit: int = MESSAGE_LIMIT, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        assert 0 < limit <= MESSAGE_LIMIT
        self.folder = folder
        self._limit = limit
        self._random = random
        self._ciphers: dict[bytes, AESGCM] = {}
        self._newest = b""
        self._left = 0  # seals that may still be made from the block at hand
        self._process = os.getpid()  # a fork must not count from its parent's block
        self._seen_ns = -1  # when the folder changed last, as it was read
        self._guard = threading.Lock()

    @classmethod
    def open(cls, folder: Path, *, limit: int = MESSAGE_LIMIT) -> Vault:
        """The vault in `folder`, made with a first key where there is none.

        Raises EnvironmentFailure when the folder cannot be written, or a key file is open to others or broken.
        """
        vault = cls(folder, limit=limit)
        with vault._locked():
            vault._read()
            if not vault._ciphers:
                vault._make_key()
        return vault

    def seal(self, data: bytes, context: Sequence[str]) -> bytes:
        """`data` sealed under the newest key. It opens only with the same `context`, as in (table, id, field).

        Takes a new key when the present one has sealed as many values as it may. Raises EnvironmentFailure.
        """
        with self._guard:
            if self._changed():
                self._read()
            if self._left == 0 or self._process != os.getpid():
                self._take_block()
            self._left -= 1
            key_id, cipher = self._newest, self._ciphers[self._newest]
        nonce = self._random(_NONCE_BYTES)
        head = _VERSION + key_id
        return head + nonce + cipher.encrypt(nonce, data, _associated(head, context))

    def open_sealed(self, sealed: bytes, context: Sequence[str]) -> bytes:
        """What was sealed. Raises VerificationFailed, always with the same words, for a changed byte, another context,
        another vault's value or a key that is gone: the reason would tell a forger how far he came.
        """
        head, nonce, body = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:_BODY_AT], sealed[_BODY_AT:]
        cipher = self._cipher(head[len(_VERSION) :]) if head[: len(_VERSION)] == _VERSION else None
        if cipher is None or len(body) < _TAG_BYTES:
            raise _does_not_open()
        try:
            return cipher.decrypt(nonce, body, _associated(head, context))
        except InvalidTag:
            raise _does_not_open() from None

    def reseal(self, sealed: bytes, context: Sequence[str]) -> bytes:
        """The value under the newest key; the same bytes where it is that already. Raises as `open_sealed`."""
        data = self.open_sealed(sealed, context)
        return sealed if self.is_newest(sealed) else self.seal(data, context)

    def is_newest(self, sealed: bytes) -> bool:
        """Whether `sealed` names the newest key, so that resealing would change nothing."""
        with self._guard:
            if self._changed():
                self._read()
            return sealed[:_HEAD_BYTES] == _VERSION + self._newest

    def rotate(self) -> str:
        """Makes a new key, used from now on by every process; gives its id. Old values still open."""
        with self._guard, self._locked():
            self._read()
            return self._make_key().hex()

    def drop(self, key_id: str) -> None:
        """Destroys an old key: what it sealed can never be read again. Reseal first what is to be kept.

        Raises InputError for an unknown key and for the newest one.
        """
        with self._guard, self._locked():
            self._read()
            if key_id not in {known.hex() for known in self._ciphers}:
                raise InputError(f"There is no vault key {key_id}.", code="vault_key_unknown")
            if key_id == self._newest.hex():
                raise InputError(
                    "The newest key seals new values and stays.", code="vault_key_in_use", hint="Rotate first."
                )
            with writing(str(self.folder)):
                for suffix in ("key", "count"):
                    (self.folder / f"{key_id}.{suffix}").unlink(missing_ok=True)
            self._read()

    def all_keys(self) -> tuple[KeyFacts, ...]:
        """Every key, oldest first, without the keys themselves."""
        with self._guard, self._locked():
            self._read()
            return tuple(KeyFacts(one.hex(), self._promised(one), one == self._newest) for one in sorted(self._ciphers))

    # ------------------------------------------------------------ the folder

    def _cipher(self, key_id: bytes) -> AESGCM | None:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            with self._guard:
                self._read()
                cipher = self._ciphers.get(key_id)
        return cipher

    def _changed(self) -> bool:
        """A key of another process moves the folder's time; one made in the same tick of its clock is seen with the
        next change, and until then the key before it goes on sealing."""
        with _reading(self.folder):
            return os.stat(self.folder).st_mtime_ns != self._seen_ns

    def _read(self) -> None:
        with _reading(self.folder):
            seen_ns = os.stat(self.folder).st_mtime_ns
            found = {bytes.fromhex(match[1]) for name in os.listdir(self.folder) if (match := _KEY_FILE.match(name))}
            ciphers = {one: self._ciphers.get(one) or AESGCM(self._key(one)) for one in found}
        newest = max(ciphers, default=b"")
        if newest != self._newest:
            self._newest, self._left = newest, 0
        self._ciphers, self._seen_ns = ciphers, seen_ns

    def _key(self, key_id: bytes) -> bytes:
        path = self.folder / f"{key_id.hex()}.key"
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise EnvironmentFailure(
                    "Others may read this key.", code="key_mode", where=str(path), hint=f"Write: chmod 600 {path}"
                )
            text = file.read(100)
        if not _KEY_TEXT.match(text):
            raise EnvironmentFailure(
                "This is no vault key.", code="key_broken", where=str(path), hint="Restore it from the backup."
            )
        return bytes.fromhex(text.decode())

    def _make_key(self) -> bytes:
        """A new key, under the lock. Its count is written first: a key without a count is never sealed with."""
        number = int.from_bytes(self._newest[:4], "big") + 1
        key_id = number.to_bytes(4, "big") + self._random(4)
        write_bytes(self.folder / f"{key_id.hex()}.count", b"0\n", mode=0o600)
        write_bytes(self.folder / f"{key_id.hex()}.key", self._random(_KEY_BYTES).hex().encode() + b"\n", mode=0o600)
        self._read()
        assert self._newest == key_id
        return key_id

    def _take_block(self) -> None:
        """Writes off the next block of seals before any is made, so that a killed process never makes one uncounted."""
        with self._locked():
            self._read()
            promised = self._promised(self._newest) if self._newest else None
            if promised is None or promised >= self._limit:
                self._make_key()
                promised = 0
            block = min(_BLOCK, self._limit - promised)
            write_bytes(self.folder / f"{self._newest.hex()}.count", f"{promised + block}\n".encode(), mode=0o600)
            self._left, self._process = block, os.getpid()
            self._seen_ns = os.stat(self.folder).st_mtime_ns

    def _promised(self, key_id: bytes) -> int | None:
        try:
            return int((self.folder / f"{key_id.hex()}.count").read_text())
        except (FileNotFoundError, ValueError):
            return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with writing(str(self.folder)):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _associated(head: bytes, context: Sequence[str]) -> bytes:
    # JSON keeps ("a", "bc") apart from ("ab", "c").
    return head + canonical_json(list(context))


def _does_not_open() -> VerificationFailed:
    return VerificationFailed(
        "A sealed value does not open.",
        code="sealed",
        hint="It was changed, or its key is not in this vault: restore the key folder from its backup.",
    )


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise EnvironmentFailure(
            "A vault key is gone.", code="vault_missing", where=str(folder), hint="Restore it from the backup."
        ) from error
    except PermissionError as error:
        raise EnvironmentFailure("The vault's keys may not be read.", code="permission", where=str(folder)) from error
