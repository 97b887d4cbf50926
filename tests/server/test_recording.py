"""What a product keeps of its requests ends up sealed in the database, without the reply waiting for it."""

import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert
from starlette.testclient import TestClient

from tradewind.business import consent, requests
from tradewind.business.database import Database
from tradewind.business.tables import accounts
from tradewind.clock import FixedClock, milliseconds
from tradewind.privacy.retention import Retention
from tradewind.privacy.vault import Vault
from tradewind.server.app import create_app
from tradewind.server.observe import Observer
from tradewind.server.recording import Recorder

CLOCK = FixedClock(datetime(2026, 3, 10, 12, tzinfo=UTC))
ROW = {"x0": 1.0, "plan": "专业"}


@contextmanager
def books(path, clock=CLOCK):
    """A database with the account of the key."""
    database = Database.open(f"sqlite:///{path}", clock=clock)
    with database.writing() as connection:
        connection.execute(insert(accounts).values(id="acc_1", name="one", created_ms=0))
    yield database
    database.close()


@pytest.fixture
def database(tmp_path):
    with books(tmp_path / "business.sqlite") as database:
        yield database


@pytest.fixture
def vault(tmp_path):
    return Vault.open(tmp_path / "vault")


def ask(shelf, gate, recorder, model="churn"):
    client = TestClient(create_app(shelf, gate, observer=Observer(out=None), recorder=recorder))
    reply = client.post(
        "/v1/predict", json={"model": model, "inputs": [ROW]}, headers={"authorization": "Bearer secret"}
    )
    assert reply.status_code == 200
    return reply.json()


def test_a_request_is_found_again_under_its_id(shelf, gate, database, vault):
    recorder = Recorder(database, vault, retentions={"churn": Retention.of({"inputs": "1d", "outputs": "1d"})})
    reply = ask(shelf, gate, recorder)
    assert requests.count(database) == 0  # not on the way of the reply
    recorder.stop()
    found = requests.get(database, vault, request_id=reply["id"], account_id="acc_1")
    assert (found.inputs, found.outputs, found.release) == ([ROW], reply["outputs"], "v1")


def test_a_product_that_keeps_nothing_is_not_remembered(shelf, gate, database, vault):
    recorder = Recorder(database, vault, retentions={"churn": Retention()})
    ask(shelf, gate, recorder)
    ask(shelf, gate, recorder, model="price")
    recorder.stop()
    assert requests.count(database) == 0


def test_bytes_of_a_picture_are_kept_in_base64(database, vault):
    recorder = Recorder(database, vault, retentions={"scan": Retention.of({"inputs": "1d"})})
    recorder.start()
    recorder.note("req_1", "acc_1", "scan", release="v1", inputs=[{"scan": b"\x89PNG"}], outputs=[])
    recorder.stop()
    assert requests.get(database, vault, request_id="req_1").inputs == [{"scan": "iVBORw=="}]


@pytest.mark.parametrize(
    ("rule", "kept"),
    [("not_needed", {"yes", "no", "silent"}), ("unless_withdrawn", {"yes", "silent"}), ("required", {"yes"})],
)
def test_what_an_account_agreed_to_decides_what_is_kept(database, vault, rule, kept):
    with database.writing() as connection:
        for name in ("yes", "no", "silent"):
            connection.execute(insert(accounts).values(id=f"acc_{name}", name=name, created_ms=0))
    consent.record(database, "acc_yes", purpose="store_inputs", given=True, actor="test")
    for given in (True, False):
        consent.record(database, "acc_no", purpose="store_inputs", given=given, actor="test")
    consent.record(database, "acc_silent", purpose="training", given=True, actor="test")  # another purpose
    retention = Retention.of({"inputs": "1d", "outputs": "1d"}, consent=rule)
    recorder = Recorder(database, vault, retentions={"churn": retention})
    for name in ("yes", "no", "silent"):
        recorder.note(f"req_{name}", f"acc_{name}", "churn", release="v1", inputs=[ROW], outputs=[])
    recorder.stop()
    assert {name for name in ("yes", "no", "silent") if requests.count(database, account_id=f"acc_{name}")} == kept


def test_what_is_due_is_ended_while_the_server_runs(tmp_path, vault):
    clock = FixedClock(CLOCK.now())
    database = Database.open(f"sqlite:///{tmp_path / 'due.sqlite'}", clock=clock)
    with database.writing() as connection:
        connection.execute(insert(accounts).values(id="acc_1", name="one", created_ms=0))
    retention = Retention.of({"inputs": "1h"})
    now = milliseconds(clock)
    records = [requests.RequestRecord(f"req_{at}", "acc_1", "churn", "v1", now, [ROW], []) for at in range(3)]
    requests.put(database, vault, records=records, retention=retention)
    recorder = Recorder(database, vault, retentions={"churn": retention}, sweep_s=0.01)
    recorder.start()
    clock.advance(3601)
    ends = time.monotonic() + 20
    while requests.count(database) and time.monotonic() < ends:
        time.sleep(0.02)
    recorder.stop()
    assert requests.count(database) == 0
    database.close()


def test_a_sweep_that_fails_is_told_and_stops_nothing(database, vault):
    told = []
    recorder = Recorder(database, vault, retentions={"churn": Retention.of({"inputs": "1d"})}, log=told.append)
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE request_records RENAME TO gone")
    recorder.sweep()
    assert told == [{"event": "records_not_swept", "code": "OperationalError"}]


def test_a_withdrawal_counts_for_what_waits_to_be_stored(database, vault):
    consent.record(database, "acc_1", purpose="store_inputs", given=True, actor="test")
    retention = Retention.of({"inputs": "1d"}, consent="unless_withdrawn")
    recorder = Recorder(database, vault, retentions={"churn": retention})
    recorder.note("req_1", "acc_1", "churn", release="v1", inputs=[ROW], outputs=[])
    consent.record(database, "acc_1", purpose="store_inputs", given=False, actor="test")
    recorder.stop()
    assert requests.count(database) == 0


def test_records_that_cannot_be_stored_are_counted_and_stop_nothing(database, vault):
    lost = []
    recorder = Recorder(database, vault, retentions={"churn": Retention.of({"inputs": "1d"})}, log=lost.append)
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE request_records RENAME TO gone")
    recorder.note("req_1", "acc_1", "churn", release="v1", inputs=[ROW], outputs=[])
    recorder.stop()
    assert recorder.dropped == 1
    assert lost == [{"event": "records_lost", "product": "churn", "count": 1, "code": "OperationalError"}]
