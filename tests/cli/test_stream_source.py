"""Rows of a file that others write: rotated, copied, cut short, written half; and no row lost or read twice over a restart."""

import json
import os

import pytest

from tradewind.cli.stream_file import FollowedFile
from tradewind.cli.stream_source import MOST_BYTES, Lines, StandardInput
from tradewind.errors import InputError


def row(number):
    return json.dumps({"n": number, "text": "好" * (number % 3)}, ensure_ascii=False) + "\n"


def write(path, text):
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def append(path, numbers):
    write(path, "".join(map(row, numbers)))


def read(path, *, position=None, decided=(), said=None):
    """What is there for somebody who comes from `position`: numbers, and the position behind them."""
    source = FollowedFile(path, follow=False, pause=lambda s: True, say=(said if said is not None else []).append)
    source.resume(position, decided)
    found = [json.loads(taken.text)["n"] for taken in source.rows() if taken is not None and taken.flaw is None]
    source.close()
    return found, source.position


class Follower:
    """Follows a file; `act` changes it at each moment when nothing is there to be read."""

    def __init__(self, path, acts):
        self.acts, self.said, self.taken = list(acts), [], []
        source = FollowedFile(path, follow=True, pause=self._pause, say=self.said.append, poll_s=0)
        for taken in source.rows():
            if taken is not None:
                self.taken.append(taken)
        source.close()

    def _pause(self, seconds):
        if not self.acts:
            return False
        act = self.acts.pop(0)
        if act is not None:
            act()
        return True

    @property
    def numbers(self):
        return [json.loads(taken.text)["n"] for taken in self.taken if taken.flaw is None]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "payments.jsonl"
    append(path, range(5))
    return path


def test_every_line_is_read_once_with_its_number(path):
    follower = Follower(path, [lambda: append(path, range(5, 9))])
    assert follower.numbers == list(range(9))
    assert [taken.where for taken in follower.taken][-1] == "payments.jsonl:9"
    assert len({taken.name for taken in follower.taken}) == 9


def test_reading_goes_on_where_it_ended(path):
    _, position = read(path)
    append(path, range(5, 8))
    assert read(path, position=position)[0] == [5, 6, 7]


def test_rows_that_were_decided_after_the_kept_position_are_not_read_again(path):
    source = FollowedFile(path, follow=False, pause=lambda s: True, say=print)
    rows = source.rows()
    next(rows)
    position, taken = source.position, [next(rows) for _ in range(3)]
    source.close()
    assert read(path, position=position, decided=[one.at for one in taken])[0] == [3, 4]


def test_a_line_without_its_end_waits_for_it(path):
    whole = row(5)

    begin, end = (lambda: write(path, whole[:4])), (lambda: write(path, whole[4:]))
    assert Follower(path, [begin, None, end]).numbers == [0, 1, 2, 3, 4, 5]
    assert Follower(path, [begin]).numbers == [0, 1, 2, 3, 4, 5]


def test_a_last_object_without_a_line_end_is_a_row_and_half_a_one_is_left(path):
    write(path, '{"n": 5}')
    found, position = read(path)
    assert found[-1] == 5
    write(path, '\n{"n": 6}\n{"n"')
    said = []
    assert read(path, position=position, said=said)[0] == [6]
    assert "payments.jsonl:8" in said[0]


def test_a_rotated_file_is_read_to_its_end_before_the_new_one(path, tmp_path):
    old = tmp_path / "payments.jsonl.1"

    def rotate():
        path.rename(old)
        append(old, [5])

    follower = Follower(path, [rotate, lambda: append(path, [7]), lambda: append(old, [6]), None, None, None])
    assert follower.numbers == [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    "names", [("payments.jsonl.2", "payments.jsonl.1"), ("payments-20261127.jsonl", "payments-20261128.jsonl")]
)
def test_what_was_rotated_twice_while_nobody_looked_is_read_in_its_order(path, tmp_path, names):
    older, newer = (tmp_path / name for name in names)
    _, position = read(path)
    (tmp_path / "payments.jsonl.bak").write_text(row(99))
    append(path, [5])
    path.rename(older)
    append(newer, [6])
    append(path, [7])
    found, position = read(path, position=position)
    assert found == [5, 6, 7]
    assert read(path, position=position)[0] == []


def test_a_file_that_was_copied_and_cut_to_nothing_is_read_on_in_its_copy(path, tmp_path):
    def copy():
        append(path, [5])
        (tmp_path / "payments.jsonl.1").write_bytes(path.read_bytes())
        os.truncate(path, 0)
        append(path, [6])

    follower = Follower(path, [copy, None, None, None])
    assert follower.numbers == [0, 1, 2, 3, 4, 5, 6]
    assert len({taken.name for taken in follower.taken}) == 7
    _, position = read(tmp_path / "payments.jsonl.1")
    assert position["line"] == 6


def test_the_same_while_nobody_looked(path, tmp_path):
    _, position = read(path)
    append(path, [5])
    (tmp_path / "payments.jsonl.1").write_bytes(path.read_bytes())
    os.truncate(path, 0)
    append(path, [6])
    assert read(path, position=position)[0] == [5, 6]


def test_a_file_that_was_cut_short_is_told_of_and_read_from_its_start(path):
    def cut():
        os.truncate(path, 0)
        append(path, [8])

    follower = Follower(path, [lambda: write(path, '{"n"'), None, cut, None])
    assert follower.numbers == [0, 1, 2, 3, 4, 8]
    assert [taken.flaw for taken in follower.taken if taken.flaw] == ["cut_off"]
    assert "cut short" in follower.said[0]
    assert len({taken.name for taken in follower.taken}) == 7


def test_half_a_line_that_its_writer_took_back_is_no_loss(path):
    whole = path.stat().st_size

    def mend():
        os.truncate(path, whole)
        append(path, [5])

    follower = Follower(path, [lambda: write(path, '{"n": 1'), None, lambda: os.truncate(path, whole), None, mend])
    assert (follower.numbers, follower.said) == ([0, 1, 2, 3, 4, 5], [])


def test_a_file_that_is_nowhere_any_more_is_told_of(path):
    _, position = read(path)
    path.unlink()
    append(path, [9])
    said = []
    # An inode may come again: the first line tells the files apart.
    assert read(path, position=position, said=said)[0] == [9]
    assert "was not seen" in said[0]


def test_a_file_that_does_not_exist_yet_is_waited_for(tmp_path):
    path = tmp_path / "later.jsonl"
    follower = Follower(path, [None, lambda: append(path, [1]), None])
    assert follower.numbers == [1]
    assert "Waiting" in follower.said[0]


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, code in (("pipe", "input.stream_kind"), ("none.jsonl", "input.stream_missing")):
        with pytest.raises(InputError) as caught:
            FollowedFile(tmp_path / name, follow=False, pause=lambda s: True, say=print)
        assert caught.value.code == code


def test_a_line_too_long_comes_in_pieces_that_are_no_rows():
    lines = Lines()
    block = b"x" * (MOST_BYTES // 2 + 1)
    found = [one for piece in (block, block, b"yz\n", b"{}\n") for one in lines.feed(piece)]
    assert [(len(text), long) for text, _, long in found] == [(2 * len(block), True), (2, True), (2, False)]
    assert (lines.line, lines.offset) == (2, 2 * len(block) + 6)


def test_a_pipe_is_read_to_its_end():
    reader, writer = os.pipe()
    os.write(writer, b'{"n": 1}\n\n{"n": 2}')
    os.close(writer)
    taken = [one for one in StandardInput(reader, pause=lambda s: True).rows() if one is not None]
    os.close(reader)
    assert [(one.where, one.name) for one in taken] == [("stdin:1", None), ("stdin:3", None)]
