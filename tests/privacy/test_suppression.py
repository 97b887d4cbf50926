"""Who was erased stays out, by a hash; a name is kept, sealed, only where texts are to be freed of it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tradewind.errors import ArtifactError
from tradewind.privacy.subjects import FOLDER, Subject, SubjectKey
from tradewind.privacy.suppression import FILE, Suppression, readmit, strike, suppress


def subject(home, name="ann@example.org"):
    return Subject.of(name, SubjectKey.open(home))


def put(home, name="ann@example.org", **changes):
    given = {"receipt": "rcp_1", "at": "2026-01-01", "in_data": True, "redact": False, **changes}
    suppress(home, subject(home, name), **given)


def test_the_list_holds_no_name(tmp_path):
    put(tmp_path)
    put(tmp_path, "王小明", redact=True)
    content = (tmp_path / FOLDER / FILE).read_bytes()
    assert not any(name.encode() in content for name in ("ann@example.org", "王小明", "\\u738b"))
    assert len(Suppression.open(tmp_path).digests) == 2


def test_names_that_are_struck_come_back_from_the_vault(tmp_path):
    put(tmp_path, "王小明", redact=True)
    words = Suppression.open(tmp_path).words()
    assert strike("请王小明回电", words) == "请[ERASED]回电"


def test_what_is_known_of_one_only_grows(tmp_path):
    put(tmp_path, redact=True)
    put(tmp_path, in_data=False, redact=False, receipt="rcp_2")
    (one,) = Suppression.open(tmp_path).subjects.values()
    assert (one.in_data, one.word is not None, one.receipt) == (True, True, "rcp_2")


def test_the_state_changes_with_who_was_in_the_data_alone(tmp_path):
    assert Suppression.open(tmp_path).state() is None
    put(tmp_path, in_data=False)
    assert Suppression.open(tmp_path).state() is None
    put(tmp_path, "bo")
    first = Suppression.open(tmp_path).state()
    put(tmp_path, "bo", receipt="rcp_9", at="later")
    assert Suppression.open(tmp_path).state() == first is not None


def test_one_who_agrees_anew_is_let_in(tmp_path):
    put(tmp_path)
    assert readmit(tmp_path, subject(tmp_path))
    assert not readmit(tmp_path, subject(tmp_path))
    assert Suppression.open(tmp_path).digests == frozenset()


def test_a_list_that_cannot_be_read_lets_nobody_in(tmp_path):
    put(tmp_path)
    (tmp_path / FOLDER / FILE).write_text("{")
    with pytest.raises(ArtifactError, match="would come back"):
        Suppression.open(tmp_path)


def test_many_at_once_are_all_on_it(tmp_path):
    SubjectKey.open(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: put(tmp_path, f"person-{number}"), range(24)))
    assert len(Suppression.open(tmp_path).digests) == 24
