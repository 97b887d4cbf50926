import os
import resource
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.business.events import an_event
from tradewind.business.journal import Journal, JournalDamaged, abandoned, discard, replay
from tradewind.errors import EnvironmentFailure


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "wrk_1")
    yield opened
    opened.close()


def read(folder, offset=0):
    return [event.request_id for record in replay(folder, offset) for event in record.events]


def only_segment(folder) -> Path:
    (path,) = folder.glob("*.journal")
    return path


def test_what_was_written_is_read_again_whole(journal):
    event = an_event("req_1", units=7, outcome="disconnected")
    journal.append([event])
    assert [record.events for record in replay(journal.folder)] == [(event,)]


def test_the_events_of_one_request_are_one_record(journal):
    journal.append([an_event("req_1", meter="prompt_tokens"), an_event("req_1", meter="output_tokens")])
    (record,) = replay(journal.folder)
    assert [event.meter for event in record.events] == ["prompt_tokens", "output_tokens"]


def test_reading_goes_on_from_the_offset_behind_a_record(journal):
    first = journal.append([an_event("req_1")])
    journal.append([an_event("req_2")])
    assert read(journal.folder, first) == ["req_2"]


def test_nothing_is_read_at_the_end(journal):
    journal.append([an_event()])
    assert read(journal.folder, journal.end) == []


@given(cut=st.integers(min_value=1, max_value=400))
@settings(max_examples=30)
def test_a_tail_torn_anywhere_loses_that_record_alone(tmp_path_factory, cut):
    journal = Journal(tmp_path_factory.mktemp("journal"))
    kept = journal.append([an_event("req_1")])
    end = journal.append([an_event("req_2")])
    journal.close()
    os.truncate(only_segment(journal.folder), max(kept, end - cut))
    assert read(journal.folder) == ["req_1"]


def test_a_tail_of_zeros_is_torn_too(journal):
    journal.append([an_event("req_1")])
    with only_segment(journal.folder).open("ab") as file:
        file.write(bytes(5000))
    assert read(journal.folder) == ["req_1"]


def test_a_writer_that_comes_back_cuts_the_torn_tail_off(journal):
    journal.append([an_event("req_1")])
    journal.close()
    with only_segment(journal.folder).open("ab") as file:
        file.write(struct.pack("<II", 90, 1) + b"half")
    again = Journal(journal.folder)
    again.append([an_event("req_2")])
    again.close()
    assert read(journal.folder) == ["req_1", "req_2"]


@given(at=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
@settings(max_examples=50)
def test_a_changed_byte_before_a_whole_record_is_told_with_its_place(tmp_path_factory, at, flip):
    journal = Journal(tmp_path_factory.mktemp("journal"))
    ends = [journal.append([an_event(f"req_{number}")]) for number in range(3)]
    journal.close()
    path = only_segment(journal.folder)
    data = bytearray(path.read_bytes())
    place = ends[0] + at % (ends[1] - ends[0])
    data[place] ^= flip
    path.write_bytes(data)
    with pytest.raises(JournalDamaged) as caught:
        read(journal.folder)
    assert (caught.value.where, caught.value.resume_at) == (f"{journal.folder}:{ends[0]}", ends[1])


def test_segments_follow_each_other_and_settled_ones_are_deleted(tmp_path):
    journal = Journal(tmp_path / "wrk_1", segment_bytes=300)
    ends = [journal.append([an_event(f"req_{number}")]) for number in range(10)]
    before = read(journal.folder)
    journal.trim(ends[5])
    journal.close()
    assert before == [f"req_{number}" for number in range(10)]
    assert read(journal.folder, ends[5]) == [f"req_{number}" for number in range(6, 10)]
    assert len(list(journal.folder.glob("*.journal"))) < 5


def test_a_missing_segment_is_told(tmp_path):
    journal = Journal(tmp_path / "wrk_1", segment_bytes=300)
    for number in range(10):
        journal.append([an_event(f"req_{number}")])
    journal.close()
    sorted(journal.folder.glob("*.journal"))[1].unlink()
    with pytest.raises(JournalDamaged):
        read(journal.folder)


def test_a_journal_that_is_not_there_is_no_empty_journal(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")


def test_a_closed_journal_takes_no_record(journal):
    journal.close()
    with pytest.raises(EnvironmentFailure) as caught:
        journal.append([an_event()])
    assert caught.value.code == "environment.journal_failed"


def test_a_second_writer_is_refused(journal):
    with pytest.raises(EnvironmentFailure) as caught:
        Journal(journal.folder)
    assert caught.value.code == "environment.journal_in_use"


def test_a_journal_is_abandoned_when_its_writer_is_gone(journal):
    alive = abandoned(journal.folder)
    journal.close()
    assert (alive, abandoned(journal.folder)) == (False, True)


def test_a_discarded_journal_is_not_abandoned_but_gone(journal):
    journal.close()
    discard(journal.folder)
    assert not abandoned(journal.folder)


def test_threads_write_whole_records(journal):
    def write(thread):
        for number in range(100):
            journal.sync(journal.append([an_event(f"req_{thread}_{number}")]))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read(journal.folder)) == sorted(f"req_{one}_{two}" for one in range(8) for two in range(100))


FILLING = """
import resource, signal, sys
from pathlib import Path
from tests.business.events import an_event
from tradewind.business.journal import Journal
from tradewind.errors import EnvironmentFailure

journal = Journal(Path(sys.argv[1]))
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
served = 0
try:
    for number in range(10_000):
        journal.append([an_event(f"req_{number}")])
        served += 1
except EnvironmentFailure as refusal:
    length = sum(path.stat().st_size for path in Path(sys.argv[1]).glob("*.journal"))
    print(served, refusal.code, journal.end == length)
    if sys.argv[2] == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        Path(sys.argv[1], "..", "ballast").unlink()
    journal.append([an_event("req_after")])
"""


def fill(folder, way):
    ran = subprocess.run([sys.executable, "-c", FILLING, str(folder), way], capture_output=True, text=True, check=True)
    served, code, whole = ran.stdout.split()
    return int(served), code, whole


def test_a_full_disk_is_refused_with_the_journal_at_its_former_length(tmp_path):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    served, code, whole = fill(tmp_path / "wrk_1", "limit")
    assert (code, whole) == ("environment.disk_full", "True")
    assert read(tmp_path / "wrk_1") == [*(f"req_{number}" for number in range(served)), "req_after"]


def test_a_disk_that_is_really_full_is_refused_too(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk can be mounted by root alone")
    try:
        (disk / "ballast").write_bytes(bytes(16_384))
        served, code, whole = fill(disk / "wrk_1", "disk")
        assert (code, whole) == ("environment.disk_full", "True")
        assert read(disk / "wrk_1") == [*(f"req_{number}" for number in range(served)), "req_after"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
