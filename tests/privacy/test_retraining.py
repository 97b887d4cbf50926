"""What is due to be trained again stays due until another release was made."""

import pytest

from tradewind.errors import ArtifactError
from tradewind.privacy.retraining import FILE, Due, due, fulfil, schedule
from tradewind.privacy.subjects import FOLDER


def one(number, receipt="rcp_1"):
    return Due(f"sha256:{number}", number, receipt, "2026-01-01T00:00:00Z")


def test_nothing_is_due_at_first(tmp_path):
    assert due(tmp_path) == ()
    assert fulfil(tmp_path, "sha256:9", at="now") == 0


def test_a_release_is_due_once_and_another_release_ends_it(tmp_path):
    schedule(tmp_path, [one(1), one(2)])
    schedule(tmp_path, [one(2, "rcp_2"), one(3, "rcp_2")])
    assert due(tmp_path) == (one(1), one(2), one(3, "rcp_2"))
    assert fulfil(tmp_path, "sha256:4", at="now") == 3
    assert due(tmp_path) == ()


def test_a_release_does_not_end_its_own_turn(tmp_path):
    schedule(tmp_path, [one(1)])
    assert fulfil(tmp_path, "sha256:1", at="now") == 0
    assert due(tmp_path) == (one(1),)


def test_a_broken_schedule_is_told(tmp_path):
    schedule(tmp_path, [one(1)])
    (tmp_path / FOLDER / FILE).write_text('{"due": [{}], "done": []}')
    with pytest.raises(ArtifactError, match="schedule"):
        due(tmp_path)
