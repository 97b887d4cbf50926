"""What is sealed opens again, at its own place alone; keys rotate, and no key seals more than it may."""

import multiprocessing
import os
import stat
import threading

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import EnvironmentFailure, InputError, VerificationFailed
from tradewind.privacy.vault import Vault, encrypt

PLACE = ("request_records", "req_1", "inputs")


@pytest.fixture
def vault(tmp_path):
    return Vault.open(tmp_path / "vault")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return Vault.open(tmp_path_factory.mktemp("vault"))


def test_the_cipher_gives_the_published_answer():
    """McGrew and Viega, The Galois/Counter Mode of Operation, appendix B, test case 16 (AES-256 with associated data)."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    data = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    answer = encrypt(key, bytes.fromhex("cafebabefacedbaddecaf888"), data, associated=associated)
    assert answer.hex() == (
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )


def test_the_format_stays_readable(tmp_path):
    """A value written by hand from the layout: version 1, key id, nonce, then AES-GCM over head and context."""
    key_id, key, nonce = bytes.fromhex("00000001aabbccdd"), bytes(range(32)), bytes(range(12))
    path = tmp_path / f"{key_id.hex()}.key"
    path.write_text(key.hex() + "\n")
    path.chmod(0o600)
    head = b"\x01" + key_id
    sealed = head + nonce + AESGCM(key).encrypt(nonce, b"old words", head + b'["table","id"]')
    assert Vault.open(tmp_path).open_sealed(sealed, ("table", "id")) == b"old words"


@settings(max_examples=50)
@given(data=st.binary(max_size=2000), context=st.lists(st.text(max_size=8), max_size=3))
def test_what_was_sealed_opens(shared, data, context):
    assert shared.open_sealed(shared.seal(data, context), context) == data


@settings(max_examples=50)
@given(data=st.binary(max_size=200), draw=st.data())
def test_any_changed_byte_is_refused(shared, data, draw):
    sealed = bytearray(shared.seal(data, PLACE))
    sealed[draw.draw(st.integers(0, len(sealed) - 1))] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(VerificationFailed):
        shared.open_sealed(bytes(sealed), PLACE)


@settings(max_examples=30)
@given(cut=st.integers(0, 60))
def test_a_value_cut_short_is_refused(shared, cut):
    sealed = shared.seal(b"x" * 24, PLACE)
    with pytest.raises(VerificationFailed):
        shared.open_sealed(sealed[: min(cut, len(sealed) - 1)], PLACE)


@settings(max_examples=50)
@given(
    mine=st.lists(st.text(max_size=4), max_size=3),
    other=st.lists(st.text(max_size=4), max_size=3),
)
def test_a_value_opens_at_its_own_place_alone(shared, mine, other):
    sealed = shared.seal(b"secret", mine)
    if mine == other:
        assert shared.open_sealed(sealed, other) == b"secret"
    else:
        with pytest.raises(VerificationFailed):
            shared.open_sealed(sealed, other)


def test_every_refusal_has_the_same_words(vault, tmp_path):
    sealed = vault.seal(b"my secret words", PLACE)
    stranger = Vault.open(tmp_path / "other").seal(b"my secret words", PLACE)
    said = set()
    for value, place in ((sealed[:-1], PLACE), (stranger, PLACE), (sealed, ("elsewhere",)), (b"", PLACE)):
        with pytest.raises(VerificationFailed) as caught:
            vault.open_sealed(value, place)
        said.add((str(caught.value), caught.value.code, caught.value.__cause__))
    assert len(said) == 1
    assert "secret" not in str(said)


def test_equal_values_are_sealed_differently(vault):
    assert len({vault.seal(b"same", PLACE) for _ in range(100)}) == 100


def test_after_a_rotation_old_values_open_and_new_ones_use_the_newest_key(vault):
    old = vault.seal(b"words", PLACE)
    newest = vault.rotate()
    assert vault.open_sealed(old, PLACE) == b"words"
    assert not vault.is_newest(old)
    again = vault.reseal(old, PLACE)
    assert again[1:9].hex() == newest
    assert vault.open_sealed(again, PLACE) == b"words"
    assert vault.reseal(again, PLACE) is again


def test_a_rotation_in_one_process_is_followed_by_another(tmp_path):
    first, second = Vault.open(tmp_path), Vault.open(tmp_path)
    second.seal(b"x", PLACE)
    first.rotate()
    os.utime(tmp_path)  # the tick of a coarse file system's clock
    sealed = second.seal(b"words", PLACE)
    assert second.is_newest(sealed)
    assert first.open_sealed(sealed, PLACE) == b"words"


def test_a_key_at_its_limit_is_replaced(tmp_path):
    vault = Vault.open(tmp_path, limit=3)
    sealed = [vault.seal(b"x", PLACE) for _ in range(7)]
    by_key = [one[1:9] for one in sealed]
    assert [by_key.count(one) for one in dict.fromkeys(by_key)] == [3, 3, 1]
    assert all(vault.open_sealed(one, PLACE) == b"x" for one in sealed)


def test_the_limit_holds_over_vaults_that_share_a_folder(tmp_path):
    sealed = []
    for _ in range(3):
        vault = Vault.open(tmp_path, limit=70_000)  # more than a block: what a vault has not used up is lost, not lent
        sealed += [vault.seal(b"x", PLACE) for _ in range(2)]
    by_key = [one[1:9] for one in sealed]
    assert [by_key.count(one) for one in dict.fromkeys(by_key)] == [4, 2]


def test_a_key_whose_count_is_lost_seals_nothing_more(tmp_path):
    first = Vault.open(tmp_path).seal(b"x", PLACE)
    (tmp_path / f"{first[1:9].hex()}.count").unlink()
    vault = Vault.open(tmp_path)
    assert vault.seal(b"x", PLACE)[1:9] != first[1:9]
    assert vault.open_sealed(first, PLACE) == b"x"


def test_key_files_are_for_their_owner_alone(vault):
    vault.seal(b"x", PLACE)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in vault.folder.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(vault.folder.stat().st_mode) == 0o700


def test_a_key_that_others_may_read_is_refused(vault):
    (path,) = vault.folder.glob("*.key")
    path.chmod(0o640)
    with pytest.raises(EnvironmentFailure, match="chmod 600") as caught:
        Vault.open(vault.folder)
    assert path.read_text().strip() not in str(caught.value)


def test_a_broken_key_file_is_named_and_not_shown(vault):
    (path,) = vault.folder.glob("*.key")
    path.write_text("0123 not a key")
    with pytest.raises(EnvironmentFailure, match="no vault key") as caught:
        Vault.open(vault.folder)
    assert "0123" not in str(caught.value).replace(str(path), "")


def test_a_dropped_key_takes_its_values_with_it(vault):
    sealed = vault.seal(b"x", PLACE)
    (old,) = vault.all_keys()
    with pytest.raises(InputError, match="newest"):
        vault.drop(old.key_id)
    vault.rotate()
    vault.drop(old.key_id)
    with pytest.raises(VerificationFailed):
        vault.open_sealed(sealed, PLACE)
    assert [one.newest for one in vault.all_keys()] == [True]


def test_threads_seal_while_keys_rotate(vault):
    sealed = []

    def seal():
        sealed.extend(vault.seal(b"x", PLACE) for _ in range(200))

    threads = [threading.Thread(target=seal) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        vault.rotate()
    for thread in threads:
        thread.join()
    assert len(sealed) == 800
    assert all(vault.open_sealed(one, PLACE) == b"x" for one in sealed)


def _opened(folder, queue):
    vault = Vault.open(folder)
    queue.put(vault.seal(b"from a child", PLACE))


def test_processes_that_open_an_empty_folder_at_once_agree_on_one_key(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.Queue()
    children = [spawn.Process(target=_opened, args=(tmp_path / "vault", queue)) for _ in range(3)]
    for child in children:
        child.start()
    sealed = [queue.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    vault = Vault.open(tmp_path / "vault")
    assert len(vault.all_keys()) == 1
    assert all(vault.open_sealed(one, PLACE) == b"from a child" for one in sealed)
