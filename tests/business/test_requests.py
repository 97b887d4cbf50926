"""A request is kept sealed, field by field, as long as was said; nothing is read by another account or after its time."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from tradewind.business import requests
from tradewind.business.requests import RequestRecord, Swept
from tradewind.business.tables import request_records
from tradewind.clock import milliseconds
from tradewind.errors import InputError, VerificationFailed
from tradewind.privacy.retention import Retention

DAY_S = 86_400
BOTH = Retention.of({"inputs": "1d", "outputs": "3d"})
INPUTS, OUTPUTS = [{"name": "王小明", "tenure": 3}], [{"label": "will stay"}]


def record(number, clock, account="acc_1"):
    return RequestRecord(f"req_{number}", account, "churn", "v1", milliseconds(clock), INPUTS, OUTPUTS)


def test_a_record_comes_back_as_it_was_put(filled, vault, clock):
    assert requests.put(filled, vault, records=[record(1, clock)], retention=BOTH) == 1
    assert requests.get(filled, vault, request_id="req_1", account_id="acc_1") == record(1, clock)


def test_nothing_readable_stands_in_the_database(filled, vault, clock):
    requests.put(filled, vault, records=[record(1, clock)], retention=BOTH)
    with filled.reading() as connection:
        (column,) = connection.execute(select(request_records.c.sealed)).scalars()
    for word in ("王小明", "tenure", "label", "will stay"):  # none is short enough to stand in base64 by chance
        assert word.encode() not in column


def test_what_nobody_asked_to_keep_is_not_stored(filled, vault, clock):
    assert requests.put(filled, vault, records=[record(1, clock)], retention=Retention()) == 0
    outputs_only = Retention.of({"inputs": "never", "outputs": "1d"})
    requests.put(filled, vault, records=[record(2, clock)], retention=outputs_only)
    assert requests.count(filled) == 1
    assert requests.get(filled, vault, request_id="req_2").inputs is None


def test_a_record_that_is_put_twice_stays_as_it_was(filled, vault, clock):
    requests.put(filled, vault, records=[record(1, clock)], retention=BOTH)
    other = RequestRecord("req_1", "acc_2", "churn", "v2", 5, ["other"], ["other"])
    assert requests.put(filled, vault, records=[other, record(2, clock)], retention=BOTH) == 1
    assert requests.get(filled, vault, request_id="req_1") == record(1, clock)


def test_another_account_sees_no_more_than_of_a_request_that_never_was(filled, vault, clock):
    requests.put(filled, vault, records=[record(1, clock)], retention=BOTH)
    said = []
    for request_id in ("req_1", "req_9"):
        with pytest.raises(InputError) as caught:
            requests.get(filled, vault, request_id=request_id, account_id="acc_2")
        said.append((caught.value.code, str(caught.value).replace(request_id, "X")))
    assert said[0] == said[1]


def test_each_field_ends_at_its_own_time(filled, vault, clock):
    requests.put(filled, vault, records=[record(1, clock)], retention=BOTH)
    clock.advance(DAY_S)
    assert requests.get(filled, vault, request_id="req_1").inputs is None  # not yet swept, already over
    assert requests.sweep(filled) == Swept(fields=1, records=0)
    assert requests.get(filled, vault, request_id="req_1").outputs == OUTPUTS
    clock.advance(2 * DAY_S)
    assert requests.sweep(filled) == Swept(fields=1, records=1)
    assert requests.count(filled) == 0


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ages=st.lists(st.integers(0, 4 * DAY_S), min_size=1, max_size=6))
def test_after_a_sweep_exactly_what_is_not_due_is_left(filled, vault, clock, ages):
    requests.erase(filled, "acc_1", actor="test")
    now = milliseconds(clock)
    put = [RequestRecord(f"req_{i}", "acc_1", "churn", "v1", now - age * 1000, [1], [2]) for i, age in enumerate(ages)]
    requests.put(filled, vault, records=put, retention=BOTH)
    while requests.sweep(filled, most=2).fields:
        pass
    assert requests.count(filled) == sum(age < 3 * DAY_S for age in ages)
    with filled.reading() as connection:
        columns = list(connection.execute(select(request_records.c.sealed)).scalars())
    assert sum(b'"inputs"' in column for column in columns) == sum(age < DAY_S for age in ages)


def test_a_sweep_needs_no_key(filled, vault, clock):
    requests.put(filled, vault, records=[record(1, clock)], retention=BOTH)
    for path in vault.folder.glob("*.key"):
        path.unlink()
    clock.advance(3 * DAY_S)
    assert requests.sweep(filled).records == 1


def test_a_time_that_somebody_lengthened_opens_nothing(filled, vault, clock):
    requests.put(filled, vault, records=[record(1, clock)], retention=BOTH)
    until = str(milliseconds(clock) + DAY_S * 1000).encode()
    _edit(filled, lambda column: column.replace(until, b"9999999999999"))
    with pytest.raises(VerificationFailed):
        requests.get(filled, vault, request_id="req_1")


def test_the_fields_cannot_be_exchanged(filled, vault, clock):
    requests.put(filled, vault, records=[record(1, clock)], retention=Retention.of({"inputs": "1d", "outputs": "1d"}))
    _edit(
        filled, lambda column: column.replace(b"inputs", b"X").replace(b"outputs", b"inputs").replace(b"X", b"outputs")
    )
    with pytest.raises(VerificationFailed):
        requests.get(filled, vault, request_id="req_1")


def test_a_broken_record_says_so_and_still_ends(filled, vault, clock):
    requests.put(filled, vault, records=[record(1, clock)], retention=BOTH)
    _edit(filled, lambda column: b"\xff" + column)
    with pytest.raises(VerificationFailed, match="changed"):
        requests.get(filled, vault, request_id="req_1")
    clock.advance(3 * DAY_S)
    assert requests.sweep(filled).records == 1


def test_an_account_is_erased_and_no_other(filled, vault, clock):
    put = [record(1, clock), record(2, clock), record(3, clock, account="acc_2")]
    requests.put(filled, vault, records=put, retention=BOTH)
    assert requests.erase(filled, "acc_1", actor="operator") == 2
    assert requests.count(filled, account_id="acc_1") == 0
    assert requests.count(filled, account_id="acc_2") == 1


def test_after_resealing_the_old_key_may_go(filled, vault, clock):
    requests.put(filled, vault, records=[record(number, clock) for number in range(5)], retention=BOTH)
    (old,) = vault.all_keys()
    vault.rotate()
    after, changed = "", 0
    while after is not None:
        step = requests.reseal(filled, vault, after=after, most=2)
        after, changed = step.after, changed + step.changed
    assert changed == 5
    assert requests.reseal(filled, vault).changed == 0
    vault.drop(old.key_id)
    for number in range(5):
        assert requests.get(filled, vault, request_id=f"req_{number}") == record(number, clock)


def _edit(database, change):
    with database.writing() as connection:
        column = connection.execute(select(request_records.c.sealed)).scalar_one()
        connection.execute(update(request_records).values(sealed=change(column)))
