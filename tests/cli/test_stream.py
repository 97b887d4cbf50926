"""`tradewind stream`: a decision for each row, in files that say how far it came; killed at any moment, none is lost or made twice."""

import json
import signal
import subprocess
import sys
import time

import pytest

from tests.server.releases import make_release
from tests.server.test_decisions import TRUST
from tradewind.artifacts import Workspace
from tradewind.business import accounts, reviews
from tradewind.business.database import Database, default_url
from tradewind.cli.app import main
from tradewind.cli.stream_books import Books
from tradewind.cli.stream_source import Taken
from tradewind.clock import SystemClock
from tradewind.errors import DataError, InputError
from tradewind.privacy.vault import Vault

PRODUCT = "product: cards\ntask: classification\ndata: {source: rows.csv, target: fraud}\n"


def payment(number, **values):
    """One each second on one card: its window counts all that came before within an hour. No id of its own."""
    return {"at": 1_700_000_000 + number, "card": "c1", "amount": 100.0, "x0": 0.1, "plan": "plus"} | values


def append(path, rows):
    with path.open("a") as file:
        file.writelines(json.dumps(one) + "\n" for one in rows)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def stream(folder, *words):
    return main(["stream", str(folder / "payments.jsonl"), "--once", "-C", str(folder), *words])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    (folder / "tradewind.yaml").write_text(PRODUCT)
    make_release(Workspace.of(folder), product="cards", trust=TRUST)
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """The product with a workspace that shares the release and nothing else."""
    monkeypatch.delenv("TRADEWIND_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tradewind.yaml").write_text(PRODUCT)
    home = tmp_path / ".tradewind"
    home.mkdir()
    for path in Workspace.of(made).home.iterdir():
        (home / path.name).symlink_to(path)
    return tmp_path


def test_each_row_is_decided_with_the_windows_before_it(folder, capsys):
    append(folder / "payments.jsonl", map(payment, range(5)))
    assert stream(folder) == 0
    decisions = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["windows"]["x1"] for one in decisions] == [0, 1, 2, 3, 4]
    assert [one["at"]["line"] for one in decisions] == [1, 2, 3, 4, 5]
    assert decisions[0].keys() >= {"id", "model", "release", "decision", "score"}


def test_a_second_run_goes_on_behind_the_first(folder):
    out = folder / "out.jsonl"
    append(folder / "payments.jsonl", map(payment, range(3)))
    assert stream(folder, "-o", str(out)) == 0
    append(folder / "payments.jsonl", map(payment, range(3, 5)))
    assert stream(folder, "-o", str(out)) == 0
    assert [one["windows"]["x1"] for one in lines(out)] == [0, 1, 2, 3, 4]


def test_wrong_rows_are_kept_whole_with_their_lines_and_the_others_go_on(folder, capsys):
    path, out = folder / "payments.jsonl", folder / "out.jsonl"
    path.write_bytes(b'{bad\n{"at": 1700000000, "x1": 3}\n{"card": "c1"}\n\xff\n[1]\n{"at": 1.7e9, "x0": "much"}\n')
    append(path, [payment(0)])
    assert stream(folder, "-o", str(out), "--json") == 0
    told = capsys.readouterr()
    (decided,) = lines(out)
    counts = json.loads(told.out)
    assert (counts["rejected"], counts[decided["decision"]]) == (6, 1)
    found = lines(folder / "out.rejects.jsonl")
    assert [(one["where"], one["code"]) for one in found] == [
        ("payments.jsonl:1", "input.json"), ("payments.jsonl:2", "input.window_given"), ("payments.jsonl:3", "data.time_missing"),
        ("payments.jsonl:4", "input.json"), ("payments.jsonl:5", "input.field"), ("payments.jsonl:6", "data.value_type"),
    ]  # fmt: skip
    assert (found[0]["text"], found[3]["base64"]) == ("{bad", "/w==")
    assert "payments.jsonl:1: The line is no JSON" in told.err
    assert decided["windows"] == {"x1": 0}  # none of the wrong ones became an event


def test_what_must_be_looked_at_waits_once_in_the_name_of_a_customer(folder):
    database = Database.open(default_url(Workspace.of(folder).home), clock=SystemClock())
    account = accounts.add(database, "Ann", actor="test")
    append(folder / "payments.jsonl", [payment(n, amount=float(n), card=f"c{n % 30}") for n in range(5, 60)])
    for out in ("one.jsonl", "two.jsonl"):  # another output is another stream over the same rows
        assert stream(folder, "-o", str(folder / out), "--account", "Ann") == 0
    waiting = [one for one in lines(folder / "one.jsonl") if one["decision"] == "review"]
    assert waiting
    vault = Vault.open(Workspace.of(folder).home / "vault")
    found = reviews.listed(database, vault, limit=1000)
    assert {one.id for one in found} == {one["review"] for one in waiting}
    assert {one.account_id for one in found} == {account.id}
    again = [one["windows"] for one in lines(folder / "two.jsonl")]
    assert again == [
        one["windows"] for one in lines(folder / "one.jsonl")
    ]  # a row counts once, however often it is decided
    database.close()


def test_a_stream_has_its_books_alone(folder):
    out, place = folder / "out.jsonl", folder / "place.json"
    books = Books(out=out, rejects=folder / "r.jsonl", place=place)
    with pytest.raises(InputError) as caught:
        Books(out=out, rejects=folder / "r.jsonl", place=place)
    assert caught.value.code == "input.stream_running"
    books.close()


def test_books_that_were_cut_anywhere_say_what_is_in_them(tmp_path):
    out, rejects, place = tmp_path / "out.jsonl", tmp_path / "rejects.jsonl", tmp_path / "place.json"
    books = Books(out=out, rejects=rejects, place=place)
    assert books.recover() == (None, [])
    for number in range(6):
        if number == 2:
            books.keep({"end": number})
        if number == 4:
            books.rejected(Taken(b"{", "f:4", {"end": 5}), DataError("No.", code="no"))
        else:
            books.decided({"at": {"end": number + 1}})
    books.close()
    whole, kept = out.read_bytes(), json.loads(place.read_text())["out_bytes"]
    for cut in range(kept, len(whole) + 1):
        out.write_bytes(whole[:cut])
        books = Books(out=out, rejects=rejects, place=place)
        position, found = books.recover()
        books.close()
        assert position == {"end": 2}
        assert found == [json.loads(line)["at"] for line in out.read_text().splitlines()[2:]] + [{"end": 5}]
        assert out.read_bytes() == whole[: whole.rfind(b"\n", 0, cut) + 1]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["none.jsonl", "--once"], "input.stream_missing"),
        (["kafka://host", "-o", "o"], "input.stream_url"),
        (["payments.jsonl", "--json"], "input.stream_output"),
        (["payments.jsonl", "--account", "nobody"], "input.account_unknown"),
    ],
)
def test_what_cannot_be_streamed_is_refused(folder, capsys, words, code):
    append(folder / "payments.jsonl", [])
    assert main(["stream", *words, "-C", str(folder)]) == 2
    assert capsys.readouterr().err


def test_killed_at_any_moment_it_decides_each_row_once(folder):
    """Rows without ids, written while it runs, over a rotation; kill -9 again and again."""
    path, out = folder / "payments.jsonl", folder / "out.jsonl"
    command = [sys.executable, "-m", "tradewind.cli", "stream", str(path), "-o", str(out), "-C", str(folder)]
    written = 0

    def grow(count):
        nonlocal written
        append(path, (payment(written + number) for number in range(count)))
        written += count

    for start in range(2):
        grow(2000)
        seen, deadline = out.read_bytes().count(b"\n") if out.exists() else 0, time.monotonic() + 60
        with subprocess.Popen(command, stderr=subprocess.PIPE) as running:
            while not out.exists() or out.read_bytes().count(b"\n") <= seen:
                grow(10)
                assert time.monotonic() < deadline
                time.sleep(0.1)
            running.send_signal(signal.SIGKILL)
        if start == 0:
            path.rename(folder / "payments.jsonl.1")
            grow(1)
    assert main(["stream", str(path), "--once", "-o", str(out), "-C", str(folder)]) == 0
    decided = lines(out)
    assert [one["windows"]["x1"] for one in decided] == [min(number, 3600) for number in range(written)]
    assert len({one["id"] for one in decided}) == written
