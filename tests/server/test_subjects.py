"""What a request says of whom it is about is kept as a hash beside what is stored, so that erasing finds it."""

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from tests.server.test_recording import ROW, books
from tradewind.business import requests
from tradewind.business.people import StoredRequests
from tradewind.business.tables import request_subjects
from tradewind.privacy.retention import Retention
from tradewind.privacy.subjects import Subject, SubjectKey
from tradewind.privacy.vault import Vault
from tradewind.server.app import create_app
from tradewind.server.observe import Observer
from tradewind.server.recording import Recorder
from tradewind.server.subjects import HEADER, Subjects


@pytest.fixture
def database(tmp_path):
    with books(tmp_path / "business.sqlite") as database:
        yield database


@pytest.fixture
def key(tmp_path):
    return SubjectKey.open(tmp_path)


@pytest.fixture
def ask(shelf, gate, database, key, tmp_path):
    """Posts rows and gives status and reply; what is stored is in the database afterwards."""
    vault = Vault.open(tmp_path / "vault")

    def asked(rows=(ROW,), header=None, **fields):
        keep = Retention.of({"inputs": "1d", "outputs": "1d"})
        recorder = Recorder(database, vault, retentions={"churn": keep})
        app = create_app(shelf, gate, observer=Observer(out=None), recorder=recorder, subjects=Subjects(key))
        headers = {"authorization": "Bearer secret"} | ({} if header is None else {HEADER: header})
        body = {"model": "churn", "inputs": list(rows), **fields}
        reply = TestClient(app).post("/v1/predict", json=body, headers=headers)
        recorder.stop()
        return reply.status_code, reply.json()

    asked.vault = vault
    return asked


def stored_about(database, vault, key, name):
    return StoredRequests(database, vault).find(Subject.of(name, key))


def test_a_request_with_the_header_is_found_by_the_name(ask, database, key):
    assert ask(header="ann@example.org")[0] == 200
    (item,) = stored_about(database, ask.vault, key, "ANN@example.org")
    assert item.content["inputs"] == [ROW]


def test_a_name_in_chinese_is_read_from_the_header(ask, database, key):
    assert ask(header="王小明".encode())[0] == 200
    assert len(stored_about(database, ask.vault, key, "王小明")) == 1


def test_each_row_may_be_about_another(ask, database, key):
    rows = [ROW | {"x0": float(number)} for number in range(3)]
    assert ask(rows, subject=["ann", None, "bo"])[0] == 200
    (item,) = stored_about(database, ask.vault, key, "bo")
    assert item.content["inputs"] == [rows[2]]
    assert len(item.content["outputs"]) == 1


def test_the_name_itself_is_kept_nowhere(ask, database, tmp_path):
    ask(header="ann@example.org", subject="bo@example.org")
    database.rewrite()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"@example.org" not in path.read_bytes(), path


def test_the_field_goes_before_the_header_and_null_says_nothing(ask, database, key):
    ask(header="ann", subject="bo")
    ask(header="ann", subject=None)
    assert len(stored_about(database, ask.vault, key, "bo")) == 1
    assert len(stored_about(database, ask.vault, key, "ann")) == 1


@pytest.mark.parametrize(
    ("header", "subject", "code"),
    [
        (" ", None, "input.subject"),
        (None, "", "input.subject"),
        (None, ["a", "b"], "input.subject_rows"),
        (None, [""], "input.subject"),
    ],
)
def test_what_names_nobody_is_refused_before_any_work(ask, database, header, subject, code):
    status, reply = ask(header=header, subject=subject)
    assert (status, reply["error"]["code"]) == (400, code)
    with database.reading() as connection:
        assert connection.execute(select(request_subjects)).all() == []
    assert requests.count(database) == 0
