"""A person is found in the database by hash and by name, goes from what may go, and stays where the law asks for it."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from tradewind.business import accounts, audit, consent, idempotency, requests
from tradewind.business.people import GONE_STATUS, People, StoredRequests, mark_erased
from tradewind.business.requests import RECORD, RequestRecord
from tradewind.business.tables import idempotency as replies
from tradewind.business.tables import keys, members, request_records, request_subjects
from tradewind.clock import milliseconds
from tradewind.privacy.retention import Retention
from tradewind.privacy.subjects import Subject, SubjectKey
from tradewind.privacy.vault import Vault

LONG = Retention.of({"inputs": "10d", "outputs": "10d"})
ANN, BO = "ann@example.org", "波先生"


@pytest.fixture
def key(tmp_path):
    return SubjectKey.open(tmp_path / "home")


@pytest.fixture
def ann(key):
    return Subject.of(ANN, key)


def stored(database, vault, clock, number, inputs, *, subjects=(), outputs=None):
    answers = [{"label": "yes"} for _ in inputs] if outputs is None else outputs
    one = RequestRecord(f"req_{number}", "acc_1", "churn", "v1", milliseconds(clock), inputs, answers, tuple(subjects))
    requests.put(database, vault, records=[one], retention=LONG)
    return one


def everything(database):
    with database.reading() as connection:
        return connection.execute(select(request_records.c.request_id)).scalars().all()


def test_a_request_about_somebody_is_found_by_the_hash_alone(filled, vault, clock, ann):
    stored(filled, vault, clock, 1, [{"tenure": 3}], subjects=[ann.digest])
    stored(filled, vault, clock, 2, [{"tenure": 4}])
    (item,) = StoredRequests(filled, vault).find(ann)
    assert item.content["inputs"] == [{"tenure": 3}]
    done = StoredRequests(filled, vault, actor="operator", receipt="rcp_1").erase(ann, redact=False)
    assert [one.count for one in done.removed] == [1]
    assert everything(filled) == ["req_2"]


def test_a_request_that_names_somebody_is_found_without_a_hash(filled, vault, clock, ann):
    stored(filled, vault, clock, 1, [{"note": f"write to {ANN}"}], subjects=())
    stored(filled, vault, clock, 2, [{"note": f"write to x{ANN}"}])
    StoredRequests(filled, vault).erase(ann, redact=False)
    assert everything(filled) == ["req_2"]


def test_of_a_request_about_many_only_the_rows_of_one_go(filled, vault, clock, ann, key):
    bo = Subject.of(BO, key)
    inputs, outputs = [{"n": 0}, {"n": 1}, {"n": 2}], [{"label": "a"}, {"label": "b"}, {"label": "c"}]
    stored(filled, vault, clock, 1, inputs, subjects=[bo.digest, ann.digest, bo.digest], outputs=outputs)
    StoredRequests(filled, vault).erase(ann, redact=False)
    left = requests.get(filled, vault, request_id="req_1")
    assert (left.inputs, left.outputs) == ([{"n": 0}, {"n": 2}], [{"label": "a"}, {"label": "c"}])
    assert len(StoredRequests(filled, vault).find(bo)[0].content["inputs"]) == 2
    StoredRequests(filled, vault).erase(bo, redact=False)
    assert everything(filled) == []


def test_a_record_that_no_vault_opens_any_more_goes_by_its_hash(filled, vault, clock, ann, tmp_path):
    stored(filled, vault, clock, 1, [{"n": 0}, {"n": 1}], subjects=[ann.digest, ""])
    other = Vault.open(tmp_path / "another")
    done = StoredRequests(filled, other).erase(ann, redact=False)
    assert [one.count for one in done.removed] == [1]
    assert everything(filled) == []


def test_without_a_vault_there_is_nothing_to_open(filled, ann):
    assert StoredRequests(filled, None).find(ann) == []


def test_erasing_twice_finds_nothing_the_second_time(filled, vault, clock, ann):
    stored(filled, vault, clock, 1, [{"tenure": 3}], subjects=[ann.digest])
    StoredRequests(filled, vault, receipt="rcp_1").erase(ann, redact=False)
    assert StoredRequests(filled, vault, receipt="rcp_2").erase(ann, redact=False).removed == []
    assert audit.verify(filled) == []


def test_what_a_worker_still_holds_of_the_erased_is_not_stored(filled, vault, clock, ann):
    late = RequestRecord("req_1", "acc_1", "churn", "v1", milliseconds(clock), [{"n": 1}], [{}], (ann.digest,))
    clock.advance(1)
    mark_erased(filled, ann, receipt="rcp_1")
    assert requests.put(filled, vault, records=[late], retention=LONG) == 0
    clock.advance(1)
    stored(filled, vault, clock, 2, [{"n": 1}], subjects=[ann.digest])  # a later request is a new one
    assert everything(filled) == ["req_2"]


def test_a_reply_kept_for_asking_twice_is_replaced(filled, vault, clock, ann):
    for number, body, subjects in ((1, b'{"label": "yes"}', [ann.digest]), (2, json.dumps({"for": ANN}).encode(), [])):
        idempotency.begin(filled, "acc_1", key=f"k{number}", digest="sha256:a", request_id=f"req_{number}")
        idempotency.finish(
            filled, "acc_1", key=f"k{number}", request_id=f"req_{number}", status=200, headers=[], body=body,
            subjects=subjects,
        )  # fmt: skip
    done = StoredRequests(filled, vault).erase(ann, redact=False)
    assert [one.count for one in done.removed] == [2]
    with filled.reading() as connection:
        assert set(connection.execute(select(replies.c.status)).scalars()) == {GONE_STATUS}
    again = idempotency.begin(filled, "acc_1", key="k1", digest="sha256:a", request_id="req_9")
    assert isinstance(again, idempotency.Replay)  # asked again it is not billed again


def test_labels_end_with_what_they_label(filled, vault, clock, ann):
    stored(filled, vault, clock, 1, [{"n": 1}], subjects=[ann.digest])
    clock.advance(11 * 86_400)
    requests.sweep(filled)
    with filled.reading() as connection:
        assert connection.execute(select(request_subjects)).all() == []


def test_a_member_goes_with_their_keys_and_their_notes(filled, ann):
    owner = accounts.add_member(filled, "acc_1", email="owner@example.org", role="owner", actor="test")
    accounts.add_member(filled, "acc_1", email=ANN, role="member", actor="test")
    consent.record(filled, "acc_1", purpose="training", given=True, note=f"said {ANN}", actor="test")
    done = People(filled, actor="operator").erase(ann, redact=False)
    assert {one.place for one in done.removed} == {"members", "keys, consents"}
    assert [one.id for one in accounts.members(filled, "acc_1")] == [owner.id]
    with filled.reading() as connection:
        texts = [
            *connection.execute(select(members.c.email)).scalars(),
            *connection.execute(select(keys.c.name)).scalars(),
        ]
    assert not any(ANN in (text or "") for text in texts)
    assert audit.verify(filled) == []
    assert done.kept == []


def test_the_last_owner_stays_and_the_receipt_says_why(filled, ann):
    accounts.add_member(filled, "acc_1", email=ANN, role="owner", actor="test")
    accounts.add_member(filled, "acc_1", email="bo@example.org", role="member", actor="test")
    kept = People(filled).erase(ann, redact=False).kept
    assert "last owner" in kept[0].things
    assert len(accounts.members(filled, "acc_1")) == 2


@pytest.mark.parametrize("name", [ANN, "Émile Zola", "王小明"])
def test_a_customer_who_is_named_stays_with_the_reason(filled, key, name):
    with filled.writing() as connection:
        connection.execute(insert(accounts.accounts).values(id="acc_9", name=f"Shop of {name.upper()}", created_ms=0))
    kept = People(filled).erase(Subject.of(name, key), redact=False).kept
    assert [(one.place, one.count) for one in kept] == [("accounts.name", 1)]
    assert "contract" in kept[0].why


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from(["", ANN, BO]), min_size=1, max_size=4), max_size=5))
def test_whatever_was_stored_nothing_of_one_is_left_and_everything_of_others(filled, vault, clock, key, batches):
    clock.advance(1)
    with filled.writing() as connection:
        connection.execute(request_records.delete())
        connection.execute(request_subjects.delete())
    digests = {"": "", **{name: Subject.of(name, key).digest for name in (ANN, BO)}}
    for number, names in enumerate(batches):
        rows = [{"whose": number, "row": row} for row in range(len(names))]
        stored(filled, vault, clock, number, rows, subjects=[digests[name] for name in names])
    StoredRequests(filled, vault).erase(Subject.of(ANN, key), redact=False)
    left = {(row["whose"], row["row"]) for one in requests.every(filled, vault, most=2) for row in one.inputs}
    wanted = {(n, row) for n, names in enumerate(batches) for row, name in enumerate(names) if name != ANN}
    assert left == wanted
    with filled.reading() as connection:
        labels = connection.execute(
            select(request_subjects.c.subject).where(request_subjects.c.kind == RECORD)
        ).scalars()
        assert set(labels) <= {digests[BO]}


def test_deleted_rows_leave_no_bytes_behind_in_a_file(tmp_path, clock):
    from_path = tmp_path / "business.sqlite"
    database = accounts.Database.open(f"sqlite:///{from_path}", clock=clock)
    with database.writing() as connection:
        connection.execute(insert(accounts.accounts).values(id="acc_1", name="PLANTED-IN-A-PAGE", created_ms=0))
    with database.writing() as connection:
        connection.execute(update(accounts.accounts).values(name="other"))
    assert database.rewrite()
    database.close()
    assert not any(b"PLANTED-IN-A-PAGE" in path.read_bytes() for path in Path(tmp_path).glob("business.sqlite*"))
