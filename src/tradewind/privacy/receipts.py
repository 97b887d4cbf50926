"""Signed receipts: what was done about a person, when and by whom, without naming the person.
Not here: the erasing (`erasure.py`), nor signatures over folders (`release/signing.py`), whose key pair signs these too.

    receipt_ID.json = {"receipt": {…}, "signature": {"algorithm", "public_key", "value"}}

The signature is ECDSA on P-256 with SHA-256 (FIPS 186-5) over the canonical JSON of `receipt`; anybody can check it with
the public key.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tradewind.errors import ArtifactError, EnvironmentFailure, InputError, VerificationFailed
from tradewind.files import canonical_json, read_json, write_json
from tradewind.privacy.subjects import FOLDER

ALGORITHM = "ecdsa-p256-sha256"


def receipt_path(home: Path, receipt_id: str) -> Path:
    """Where the receipt of a workspace lies."""
    return home / FOLDER / "receipts" / f"{receipt_id}.json"


def receipts(home: Path) -> list[Path]:
    """Every receipt of a workspace, the oldest first."""
    return sorted((home / FOLDER / "receipts").glob("*.json"))


def write_receipt(path: Path, content: Mapping[str, Any], *, private_key: Path) -> None:
    """Signs `content` and writes both. Raises EnvironmentFailure where the key cannot be read or the disk refuses."""
    try:
        key = serialization.load_pem_private_key(private_key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise EnvironmentFailure(
            f"The private key cannot be read ({error}).", code="key", where=str(private_key)
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise EnvironmentFailure("It is no key on P-256.", code="key", where=str(private_key))
    value = key.sign(canonical_json(content), ec.ECDSA(hashes.SHA256()))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signature = {
        "algorithm": ALGORITHM,
        "public_key": public.decode(),
        "value": base64.b64encode(value).decode(),
    }
    write_json(path, {"receipt": content, "signature": signature})


def is_receipt(path: Path) -> bool:
    """Whether a file claims to be one."""
    try:
        content = read_json(path) if path.is_file() and path.suffix == ".json" else None
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and set(content) == {"receipt", "signature"}


def check_receipt(path: Path, *, public_key: Path) -> dict[str, Any]:
    """The content of a receipt that the owner of `public_key` signed as it stands.

    Raises ArtifactError for no receipt, InputError for no key, VerificationFailed for a changed one.
    """
    try:
        whole = read_json(path)
        content: dict[str, Any] = whole["receipt"]
        value = base64.b64decode(whole["signature"]["value"], validate=True)
        algorithm = whole["signature"]["algorithm"]
        body = canonical_json(content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"It is no receipt ({error}).", code="receipt", where=str(path)) from error
    if not public_key.is_file():
        raise InputError("There is no such public key.", code="key_missing", where=str(public_key))
    try:
        key = serialization.load_pem_public_key(public_key.read_bytes())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"This is no public key in PEM ({error}).", code="key_broken", where=str(public_key)
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or algorithm != ALGORITHM:
        raise VerificationFailed(f"It is not signed by {ALGORITHM}.", code="signature", where=str(path))
    try:
        key.verify(value, body, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise VerificationFailed(
            "The signature of the receipt does not hold.", code="signature", where=str(path),
            hint="A word of it was changed, or another key signed it.",
        ) from None  # fmt: skip
    return content
