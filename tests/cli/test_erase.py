"""A person leaves every store: strings planted in all of them are found in no file, no database page and no log afterwards."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import zipfile
from pathlib import Path

import psycopg
import pytest
import typer
from sqlalchemy import insert, select

from tests.cli.conftest import write_product
from tradewind.artifacts import Workspace
from tradewind.business import idempotency, requests
from tradewind.business.accounts import add_member
from tradewind.business.database import Database, default_url
from tradewind.business.requests import RequestRecord
from tradewind.business.tables import accounts, request_records
from tradewind.cli import erase_stored, holders
from tradewind.cli.app import main
from tradewind.cli.erasing import alone
from tradewind.clock import SystemClock, milliseconds
from tradewind.data.people import Datasets
from tradewind.engines.loading import load
from tradewind.errors import EnvironmentFailure
from tradewind.privacy.retention import Retention
from tradewind.privacy.subjects import Subject, SubjectKey
from tradewind.privacy.vault import Vault

PRODUCT = """\
product: loans
task: classification
data:
  source: rows.csv
  target: good
  subject: who
  consent: agreed
  purpose: credit scoring
  columns: {note: text, job: category}
model: {tabular: mlp, text: cnn, width: 16, depth: 1}
train: {epochs: 1, threads: 1}
evaluate: {bootstrap: 20}
serve:
  store: {inputs: 30d, outputs: 30d}
"""
WHO = "zoe.quill@example.org"
PLANTED = ("Qxplantedjobtitle", "xqplantednoteword", "王大锤特制字符串")  # in a category, in a text, in Chinese
EVERYTHING = (WHO, *PLANTED)


def write_people(path: Path, count: int = 200) -> None:
    """Zoe stands in many rows, so that she is in every split and her words among those of golden examples."""
    draw = random.Random(3)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["who", "agreed", "income", "job", "note", "good"])
        for row in range(count):
            income = draw.gauss(50, 12)
            good = "yes" if income + draw.gauss(0, 8) > 50 else "no"
            mine = row % 8 == 0
            job = PLANTED[0] if mine else draw.choice(["clerk", "nurse", "smith"])
            words = " ".join(draw.choice(["pays", "late", "on time", "asked", "moved"]) for _ in range(4))
            note = f"{words} {PLANTED[1]} {PLANTED[2]}" if mine else words
            if row == 3:
                note += f" heard from {WHO}"
            who = WHO if mine else f"person-{row}@example.org"
            writer.writerow([who, "no" if row % 40 == 1 else "yes", f"{income:.3f}", job, note, good])


def write_loans(folder: Path) -> Path:
    write_product(folder, PRODUCT)
    write_people(folder / "rows.csv")
    return folder


@pytest.fixture(scope="session")
def _lent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_loans(tmp_path_factory.mktemp("lent") / "loans")
    assert main(["run", "-C", str(folder)]) == 0
    return folder


@pytest.fixture
def lent(_lent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A released product of which Zoe is part."""
    monkeypatch.delenv("TRADEWIND_HOME", raising=False)
    monkeypatch.delenv("TRADEWIND_DATABASE", raising=False)
    return Path(shutil.copytree(_lent, tmp_path / "loans"))


@pytest.fixture
def tell(lent, capsys):
    def run(*words, code=0):
        capsys.readouterr()
        got = main([*words, "-C", str(lent), "--json"])
        out = capsys.readouterr()
        assert got == code, out.err
        return json.loads(out.out)

    return run


def fill_database(folder: Path) -> None:
    """Stored requests about Zoe by hash and by name, replies, a member, and rows of others that must stay."""
    home = Workspace.of(folder).home
    database = Database.open(default_url(home), clock=SystemClock())
    zoe = Subject.of(WHO, SubjectKey.open(home))
    now = milliseconds(database.clock)
    with database.writing() as connection:
        connection.execute(insert(accounts).values(id="acc_1", name="Bank", created_ms=now))
    row, other = {"job": PLANTED[0], "note": PLANTED[2]}, {"job": "smith", "note": "kept"}
    batches = [([row], [zoe.digest]), ([other, row], ["", zoe.digest]), ([{"note": f"mail {WHO}"}], []), ([other], [])]
    records = [
        RequestRecord(
            f"req_{number}", "acc_1", "loans", "v1", now, rows, [{"label": "yes"} for _ in rows], tuple(people)
        )
        for number, (rows, people) in enumerate(batches)
    ]
    kept = Retention.of({"inputs": "30d", "outputs": "30d"})
    requests.put(database, Vault.open(home / "vault"), records=records, retention=kept)
    idempotency.begin(database, "acc_1", key="k", digest="sha256:a", request_id="req_0")
    body = json.dumps({"said": PLANTED[1], "who": WHO}).encode()
    idempotency.finish(database, "acc_1", key="k", request_id="req_0", status=200, headers=[], body=body)
    add_member(database, "acc_1", email="boss@example.org", role="owner", actor="test")
    add_member(database, "acc_1", email=WHO, role="member", actor="test")
    database.close()


def files_that_say(folder: Path, words: tuple[str, ...]) -> list[str]:
    """Every file below a folder that holds one of the words, as UTF-8, UTF-16 or JSON escapes, in any case of letters."""
    found = []
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        content = path.read_bytes().lower()
        for word in words:
            for spelled in {word.lower(), json.dumps(word)[1:-1].lower()}:
                if spelled.encode() in content or spelled.encode("utf-16-le") in content:
                    found.append(f"{path.relative_to(folder)}: {word}")
    return found


def test_planted_strings_are_in_no_file_afterwards(lent, tell):
    fill_database(lent)
    home = lent / ".tradewind"
    before = files_that_say(home, EVERYTHING)
    assert {name.split("/")[0].split(":")[0] for name in before} >= {
        "datasets",
        "releases",
        "runs",
        "business.sqlite",
    }, before
    result = tell("erase", WHO)
    assert files_that_say(home, EVERYTHING) == []
    assert result["removed"] > 0
    assert {one["holder"] for one in result["holders"]} >= {
        "releases", "datasets", "runs and reports", "stored requests", "accounts",
    }  # fmt: skip


def test_what_others_sent_stays(lent, tell):
    fill_database(lent)
    tell("erase", WHO)
    home = Workspace.of(lent).home
    database = Database.open(default_url(home), clock=SystemClock())
    left = {one.request_id: one.inputs for one in requests.every(database, Vault.open(home / "vault"))}
    database.close()
    assert left == {"req_1": [{"job": "smith", "note": "kept"}], "req_3": [{"job": "smith", "note": "kept"}]}


def test_planted_strings_are_in_no_row_of_postgresql_afterwards(lent, tell, empty_postgres, monkeypatch):
    monkeypatch.setenv("TRADEWIND_DATABASE", empty_postgres)
    fill_database(lent)
    assert WHO in dumped(empty_postgres)
    tell("erase", WHO)
    said = dumped(empty_postgres)
    assert not [word for word in EVERYTHING if word in said]
    assert "boss@example.org" in said


def dumped(url: str) -> str:
    """Every row of every table as text, bytes decoded."""
    said = []
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            for row in connection.execute(f'SELECT * FROM "{name}"').fetchall():
                said += [
                    bytes(cell).decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell) for cell in row
                ]
    return "\n".join(said)


def test_the_release_is_still_served_and_its_golden_examples_hold(lent, tell):
    result = tell("erase", WHO)
    (release,) = result["releases"]
    loaded = load(Path(release["folder"]))
    assert PLANTED[0] not in {str(one) for one in loaded.golden.columns["job"]}
    assert len(loaded.golden.outputs) > 0
    assert tell("verify")["verified"]
    answer = loaded.predictor.predict({name: column[:1] for name, column in loaded.golden.columns.items()})
    assert answer.rows == 1


def test_everybody_else_gets_the_same_answers_as_before(lent, tell):
    folder = Path(next((lent / ".tradewind" / "releases").glob("[!.]*")))
    golden = load(folder).golden
    before = load(folder).predictor.predict(golden.columns).probabilities
    said = zip(golden.columns["job"], golden.columns["note"], strict=True)
    others = [row for row, (job, note) in enumerate(said) if job != PLANTED[0] and PLANTED[1] not in note]
    tell("erase", WHO)
    after = load(folder).predictor.predict(golden.columns).probabilities
    assert len(others) > 0
    assert (before[others] == after[others]).all()


def test_the_receipt_is_signed_and_one_changed_figure_is_found(lent, tell, capsys):
    path = Path(tell("erase", WHO)["receipt"])
    assert tell("verify", str(path))["verified"][0].startswith("receipt rcp_")
    assert WHO not in path.read_text()
    content = json.loads(path.read_text())
    content["receipt"]["holders"][0]["removed"][0]["count"] += 1
    path.write_text(json.dumps(content))
    assert main(["verify", str(path), "-C", str(lent)]) == 1
    assert main(["verify", "-C", str(lent)]) == 1


@pytest.mark.slow
def test_releases_that_learnt_from_the_person_are_due_until_run_made_another(lent, tell):
    result = tell("erase", WHO)
    assert [one["version"] for one in result["releases"]] == [1]
    assert [one["version"] for one in result["retraining"]] == [1]
    assert any("v1 is due to be trained again" in one for one in tell("verify")["verified"])
    made = tell("run")
    assert files_that_say(lent / ".tradewind", PLANTED) == []
    assert json.loads((lent / ".tradewind/privacy/retraining.json").read_text())["due"] == []
    rejected = (Path(made["artifacts"]["dataset"]) / "rejected.jsonl").read_text()
    assert sum('"erased"' in line for line in rejected.splitlines()) == 25
    assert not any("due to be trained" in one for one in tell("verify")["verified"])


def test_the_second_of_two_is_found_in_the_release_though_the_dataset_is_gone(lent, tell):
    tell("erase", WHO)
    home = lent / ".tradewind"
    folder = next((home / "releases").glob("[!.]*"))
    second = "person-2@example.org"
    before = (folder / "golden.json").read_bytes()
    assert [one["version"] for one in tell("erase", second)["releases"]] == [1]
    assert (folder / "golden.json").read_bytes() == before  # no example is anybody's row
    assert tell("erase", second)["already"]


def test_no_golden_example_is_a_row_of_the_data(lent):
    with (lent / "rows.csv").open(encoding="utf-8", newline="") as file:
        data = list(csv.DictReader(file))
    texts, rows = {row["note"] for row in data}, {(row["income"], row["job"]) for row in data}
    golden = load(next((lent / ".tradewind/releases").glob("[!.]*"))).golden
    made = {(f"{income:.3f}", job) for income, job in zip(golden.columns["income"], golden.columns["job"], strict=True)}
    assert len(golden.outputs) > 10
    assert not made & rows
    assert not set(golden.columns["note"]) & texts


def test_erasing_twice_is_done_once(lent, tell):
    first, second = tell("erase", WHO), tell("erase", f" {WHO.upper()} ")
    assert (first["already"], second["already"]) == (False, True)
    assert second["receipt"] == first["receipt"]


@pytest.mark.parametrize("store", ["runs and reports", "releases", "datasets"])
def test_what_was_killed_half_way_goes_on_with_the_same_receipt(lent, tell, monkeypatch, store):
    fill_database(lent)

    class Killed(Exception):
        """The machine went off."""

    kinds = {"runs and reports": holders.Built, "releases": holders.Releases, "datasets": Datasets}
    whole = kinds[store].erase

    def broken(self, subject, *, redact):
        whole(self, subject, redact=redact)
        raise Killed

    monkeypatch.setattr(kinds[store], "erase", broken)
    tell("erase", WHO, code=3)
    monkeypatch.undo()
    pending = json.loads(next((lent / ".tradewind/privacy/erasing").glob("*.json")).read_text())
    result = tell("erase", WHO)
    assert result["id"] == pending["receipt"]
    assert [one["version"] for one in result["releases"]] == [1]
    assert files_that_say(lent / ".tradewind", EVERYTHING) == []
    assert list((lent / ".tradewind/privacy/erasing").glob("*.json")) == []


def test_a_dry_run_changes_nothing(lent, tell):
    fill_database(lent)
    home = lent / ".tradewind"
    SubjectKey.open(home)
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and "sqlite" not in path.name}
    result = tell("erase", WHO, "--dry-run")
    after = {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and "sqlite" not in path.name}
    assert {path for path in after if before.get(path) != after[path]} <= {home / "privacy" / ".erase.lock"}
    assert set(result["found"]) == {"runs and reports", "releases", "datasets", "stored requests", "accounts"}
    assert result["source"]["about"] == 25


@pytest.mark.slow
def test_a_name_in_texts_of_others_stays_with_the_reason_or_is_struck(lent, tell):
    (kept,) = [
        one for holder in tell("erase", WHO)["holders"] if holder["holder"] == "datasets" for one in holder["kept"]
    ]
    assert "--redact" in kept["until"]
    tell("run")
    assert any(name.startswith("datasets") for name in files_that_say(lent / ".tradewind", (WHO,)))
    tell("erase", WHO, "--redact")
    tell("run")
    assert files_that_say(lent / ".tradewind", EVERYTHING) == []


def test_lines_of_the_users_own_file_are_named_and_left_alone(lent, tell):
    before = (lent / "rows.csv").read_bytes()
    source = tell("erase", WHO)["source"]
    assert (source["about"], source["count"]) == (25, 26)
    assert {"file": "rows.csv", "line": 2, "about": True} in source["lines"]
    assert (lent / "rows.csv").read_bytes() == before


def test_a_source_that_is_gone_stops_nothing(lent, tell):
    os.remove(lent / "rows.csv")
    result = tell("erase", WHO)
    assert "rows.csv" in result["source"]["unread"]
    assert files_that_say(lent / ".tradewind", EVERYTHING) == []


def test_one_who_never_was_here_is_told(lent, tell):
    assert tell("erase", "nobody@example.org", code=2)["error"]["code"] == "input.subject_unknown"
    assert tell("export", "nobody@example.org", code=2)["error"]["code"] == "input.subject_unknown"
    assert tell("erase", " ", code=2)["error"]["code"] == "input.subject"


def test_a_product_that_names_no_subject_is_told_and_stored_requests_alone_can_be_erased(lent, tell):
    fill_database(lent)
    text = (lent / "tradewind.yaml").read_text().replace("  subject: who\n", "")
    (lent / "tradewind.yaml").write_text(text)
    assert tell("erase", WHO, code=2)["error"]["code"] == "input.subject_column"
    assert tell("erase", WHO, "--requests")["removed"] == 5


def test_a_machine_that_only_serves_erases_from_stored_requests(lent, capsys):
    fill_database(lent)
    for name in ("datasets", "runs", "reports"):
        shutil.rmtree(lent / ".tradewind" / name)
    os.remove(lent / "tradewind.yaml")
    light = typer.Typer()
    light.command()(erase_stored.command)
    run = typer.main.get_command(light).main
    with pytest.raises(EnvironmentFailure, match="not installed"):
        run([WHO, "-C", str(lent)], standalone_mode=False)
    run([WHO, "--requests", "-C", str(lent), "--json"], standalone_mode=False)
    result = json.loads(capsys.readouterr().out)
    assert result["removed"] == 5
    assert files_that_say(lent / ".tradewind", (WHO,)) == []
    assert main(["verify", result["receipt"], "-C", str(lent)]) == 0


def test_one_who_agrees_anew_is_read_again(lent, tell):
    assert tell("erase", WHO, "--readmit", code=2)["error"]["code"] == "input.subject_unknown"
    tell("erase", WHO)
    assert tell("erase", WHO, "--readmit") == {"readmitted": True}
    made = tell("prepare")
    assert '"erased"' not in (Path(made["artifacts"]["dataset"]) / "rejected.jsonl").read_text()


def test_a_second_erasure_at_once_and_a_held_database_are_told(lent, tell, monkeypatch):
    fill_database(lent)
    monkeypatch.setattr("tradewind.cli.erasing._TRIES", 1)
    home = Workspace.of(lent).home
    reader = Database.open(default_url(home), clock=SystemClock())
    with reader.reading() as connection:
        connection.execute(select(request_records)).all()
        error = tell("erase", WHO, code=3)["error"]
        assert error["code"] in ("environment.database_busy", "environment.database_locked")
    reader.close()
    assert tell("erase", WHO)["removed"] > 0
    with alone(home):
        assert tell("erase", WHO, code=3)["error"]["code"] == "environment.erasing"


def test_an_export_holds_everything_and_the_notice(lent, tell, tmp_path):
    fill_database(lent)
    path = tmp_path / "out.zip"
    result = tell("export", WHO, "-o", str(path))
    assert result["found"]["datasets"] >= 25
    assert path.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(path) as archive:
        assert set(archive.namelist()) == {"export.json", "notice.en.html", "notice.zh.html"}
        content = json.loads(archive.read("export.json"))
    assert {"datasets", "stored requests", "accounts", "releases", "runs and reports"} == set(content["stores"])
    said = json.dumps(content, ensure_ascii=False)
    assert all(word in said for word in EVERYTHING)
    assert len(content["source"]["rows"]) == 25
    assert "person-2@" not in said


def test_an_export_after_an_erasure_finds_the_source_alone(lent, tell, tmp_path):
    tell("erase", WHO)
    assert tell("export", WHO, "-o", str(tmp_path / "out.json"))["found"] == {}


def test_a_file_of_another_kind_is_refused(lent, tell, tmp_path):
    assert tell("export", WHO, "-o", str(tmp_path / "out.pdf"), code=2)["error"]["code"] == "input.export_format"
