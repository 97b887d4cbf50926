"""A receipt is signed: one changed character is found, and so is another's key."""

import json

import pytest

from tradewind.errors import ArtifactError, EnvironmentFailure, InputError, VerificationFailed
from tradewind.privacy.receipts import check_receipt, is_receipt, write_receipt
from tradewind.release.signing import make_key_pair

CONTENT = {"id": "rcp_1", "subject": "sub_ab", "kept": [{"why": "税法"}], "count": 3}


@pytest.fixture
def pair(tmp_path):
    return make_key_pair(tmp_path / "keys")


@pytest.fixture
def path(tmp_path, pair):
    write_receipt(tmp_path / "receipt.json", CONTENT, private_key=pair.private)
    return tmp_path / "receipt.json"


def test_a_receipt_comes_back_as_it_was_signed(path, pair):
    assert check_receipt(path, public_key=pair.public) == CONTENT
    assert is_receipt(path)


@pytest.mark.parametrize(("old", "new"), [("rcp_1", "rcp_2"), ('"count":3', '"count":4'), ("税法", "税务")])
def test_a_changed_word_is_found(path, pair, old, new):
    text = json.dumps(json.loads(path.read_text()), ensure_ascii=False, separators=(",", ":"))
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(VerificationFailed, match="does not hold"):
        check_receipt(path, public_key=pair.public)


def test_another_key_did_not_sign_it(path, tmp_path):
    other = make_key_pair(tmp_path / "other")
    with pytest.raises(VerificationFailed):
        check_receipt(path, public_key=other.public)


def test_what_is_no_receipt_is_told(tmp_path, pair, path):
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    assert not is_receipt(broken)
    assert not is_receipt(tmp_path)
    with pytest.raises(ArtifactError, match="no receipt"):
        check_receipt(broken, public_key=pair.public)
    with pytest.raises(InputError, match="no such public key"):
        check_receipt(path, public_key=tmp_path / "none.pem")
    with pytest.raises(EnvironmentFailure, match="cannot be read"):
        write_receipt(tmp_path / "x.json", CONTENT, private_key=tmp_path / "none.pem")
