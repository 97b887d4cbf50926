"""Signatures over a folder: one flipped bit, one more file or another key, and they do not hold."""

import stat

import pytest

from tradewind.errors import ArtifactError, InputError, VerificationFailed
from tradewind.release.signing import SIGNATURE, check, key_pair, make_key_pair, sign


@pytest.fixture
def signed(tmp_path):
    pair = make_key_pair(tmp_path / "keys")
    folder = tmp_path / "release"
    (folder / "report").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(bytes(range(256)))
    (folder / "report" / "card.md").write_text("# Card")
    sign(folder, pair)
    return folder, pair


def test_a_signature_holds_for_the_bytes_and_the_key_that_made_it(signed):
    folder, pair = signed
    check(folder, pair.public)


def test_a_flipped_bit_is_found(signed):
    folder, pair = signed
    data = bytearray((folder / "model.onnx").read_bytes())
    data[100] ^= 1
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(VerificationFailed, match="signature does not hold"):
        check(folder, pair.public)


def test_a_file_that_was_added_is_found(signed):
    folder, pair = signed
    (folder / "extra.txt").write_text("x")
    with pytest.raises(VerificationFailed):
        check(folder, pair.public)


def test_another_key_is_refused(signed, tmp_path):
    folder, _ = signed
    with pytest.raises(VerificationFailed, match="another key"):
        check(folder, make_key_pair(tmp_path / "other").public)


def test_a_broken_signature_is_refused(signed):
    folder, pair = signed
    (folder / SIGNATURE).write_text("{}")
    with pytest.raises(VerificationFailed):
        check(folder, pair.public)


def test_what_is_not_signed_and_what_is_no_key_are_told_apart(signed, tmp_path):
    folder, pair = signed
    (tmp_path / "no.pem").write_text("hello")
    with pytest.raises(InputError, match="no public key"):
        check(folder, tmp_path / "no.pem")
    with pytest.raises(InputError, match="no such public key"):
        check(folder, tmp_path / "none.pem")
    (folder / SIGNATURE).unlink()
    with pytest.raises(ArtifactError, match="not signed"):
        check(folder, pair.public)


def test_the_private_key_is_the_owners_alone_and_never_overwritten(tmp_path):
    pair = make_key_pair(tmp_path)
    assert stat.S_IMODE(pair.private.stat().st_mode) == 0o600
    assert key_pair(tmp_path) == pair
    with pytest.raises(InputError, match="already"):
        make_key_pair(tmp_path)
