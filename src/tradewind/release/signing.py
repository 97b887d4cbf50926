"""Key pairs and signatures over a whole folder, in the OpenSSF model-signing format. Not what a folder must hold (`bundle.py`).

Others can check a release with the `model_signing` command line: `model_signing verify key --signature model.sig
--public_key signing.pub.pem --ignore-paths artifact.json FOLDER`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import hashing, signing, verifying

from tradewind.artifacts import RECORD
from tradewind.errors import ArtifactError, EnvironmentFailure, InputError, VerificationFailed
from tradewind.files import digest_bytes, write_bytes

SIGNATURE = "model.sig"
PRIVATE_KEY = "signing.pem"
PUBLIC_KEY = "signing.pub.pem"


@dataclass(frozen=True)
class KeyPair:
    private: Path
    public: Path


def key_pair(folder: Path) -> KeyPair | None:
    """The pair in `folder`, or None when there is none yet."""
    pair = KeyPair(folder / PRIVATE_KEY, folder / PUBLIC_KEY)
    return pair if pair.private.is_file() and pair.public.is_file() else None


def make_key_pair(folder: Path) -> KeyPair:
    """A new ECDSA key on P-256; the private part readable by its owner alone. Never overwrites.

    Raises InputError when a pair is there already, EnvironmentFailure when the folder cannot be written.
    """
    pair = KeyPair(folder / PRIVATE_KEY, folder / PUBLIC_KEY)
    if pair.private.exists() or pair.public.exists():
        raise InputError(
            "There is a signing key already; replacing it would orphan the releases it signed.",
            code="key_exists",
            where=str(folder),
            hint="Move it away first if you mean to start a new one.",
        )
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_bytes(pair.private, private, mode=0o600)
    write_bytes(pair.public, public)
    return pair


def fingerprint(public_key: Path) -> str:
    """Digest of the PEM file, to tell keys apart by eye."""
    return digest_bytes(public_key.read_bytes())[:23]


def sign(folder: Path, pair: KeyPair) -> None:
    """Signs every file below `folder` but its artifact record; the signature is written beside them."""
    try:
        signer = signing.Config().use_elliptic_key_signer(private_key=pair.private)
    except (OSError, ValueError) as error:
        raise EnvironmentFailure(
            f"The private key cannot be read ({error}).", code="key", where=str(pair.private)
        ) from error
    signer.set_hashing_config(_hashed(folder)).sign(folder, folder / SIGNATURE)


def check(folder: Path, public_key: Path) -> None:
    """Raises VerificationFailed unless the owner of `public_key` signed exactly these bytes."""
    signature = folder / SIGNATURE
    if not signature.is_file():
        raise ArtifactError("The release is not signed.", code="unsigned", where=str(folder))
    if not public_key.is_file():
        raise InputError("There is no such public key.", code="key_missing", where=str(public_key))
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"This is no public key in PEM ({error}).", code="key_broken", where=str(public_key)
        ) from error
    try:
        verifier.set_hashing_config(_hashed(folder)).verify(folder, signature)
    except Exception as error:  # the library raises its own and its parsers' errors for a bad signature
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise VerificationFailed(
            f"The signature does not hold for the key {fingerprint(public_key)}: {reason}",
            code="signature",
            where=str(folder),
            hint="A byte changed or another key signed it. Do not use this release.",
        ) from error


def _hashed(folder: Path) -> hashing.Config:
    ignored: list[os.PathLike[str]] = [folder / SIGNATURE, folder / RECORD]
    return hashing.Config().set_ignored_paths(paths=ignored)
