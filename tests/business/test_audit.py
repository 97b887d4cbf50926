"""The log has no gap, follows the commits, and says when a line was touched."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from tradewind.business import audit as log
from tradewind.business.database import Database
from tradewind.business.tables import audit, state
from tradewind.files import digest_json


def written(database, count, **detail):
    for number in range(count):
        with database.writing() as connection:
            log.append(connection, actor="operator", action="account.add", subject=f"acc_{number}", detail=detail)


def tampered(database, statement):
    with database.writing() as connection:
        connection.execute(statement)
    return log.verify(database)


def test_an_untouched_log_holds(database):
    assert log.verify(database) == []
    written(database, 5, name="云帆")
    assert log.verify(database) == []


def test_lines_are_numbered_and_read_back_in_order(database, clock):
    written(database, 3, name="云帆")
    found = log.entries(database)
    assert [entry.sequence for entry in found] == [1, 2, 3]
    assert found[0].detail == {"name": "云帆"}
    assert found[0].at_ms == int(clock.now().timestamp() * 1000)
    assert log.entries(database, after=1, limit=1) == found[1:2]


def test_a_transaction_that_fails_leaves_no_line_and_no_gap(database):
    written(database, 1)
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        log.append(connection, actor="operator", action="a", subject="s", detail={})
        raise ZeroDivisionError
    written(database, 1)
    assert [entry.sequence for entry in log.entries(database)] == [1, 2]
    assert log.verify(database) == []


def test_twenty_threads_write_one_chain(database):
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: written(database, 2), range(20)))
    assert log.verify(database) == []
    assert log.head(database).sequence == 40


@pytest.mark.parametrize(
    "values",
    [
        {"at_ms": 1},
        {"actor": "somebody"},
        {"action": "other"},
        {"subject": "acc_9"},
        {"detail": "{}"},
        {"detail": "no json"},
        {"hash": "sha256:" + "a" * 64},
        {"previous": "sha256:" + "a" * 64},
    ],
)
def test_a_changed_line_is_found(database, values):
    written(database, 4, name="x")
    problems = tampered(database, update(audit).where(audit.c.sequence == 2).values(**values))
    assert any(problem.startswith("Audit line 2:") for problem in problems)


def test_a_missing_line_is_found(database):
    written(database, 5)
    assert tampered(database, delete(audit).where(audit.c.sequence.in_([2, 3]))) == ["Audit lines 2 to 3: missing."]


def test_lines_that_changed_places_are_found(database):
    written(database, 4)
    with database.writing() as connection:
        for old, new in ((2, 99), (3, 2), (99, 3)):
            connection.execute(update(audit).where(audit.c.sequence == old).values(sequence=new))
    problems = log.verify(database)
    assert {"Audit line 2: changed after it was written.", "Audit line 3: changed after it was written."} <= set(
        problems
    )


def test_a_cut_off_end_is_found_by_the_count(database):
    written(database, 4)
    problems = tampered(database, delete(audit).where(audit.c.sequence > 2))
    assert problems == ["Audit log: it ends with line 2 of 4 that were written."]


def test_after_a_cut_off_end_writing_goes_on_and_the_gap_stays_visible(database):
    written(database, 4)
    tampered(database, delete(audit).where(audit.c.sequence > 2))
    written(database, 1)
    assert log.verify(database) == ["Audit lines 3 to 4: missing."]


def test_a_last_line_that_was_written_anew_with_its_hash_is_found(database):
    written(database, 2)
    with database.writing() as connection:
        line = dict(connection.execute(select(audit).where(audit.c.sequence == 2)).mappings().one())
        line["subject"] = "acc_9"
        line["hash"] = digest_json({name: value for name, value in line.items() if name != "hash"})
        connection.execute(update(audit).where(audit.c.sequence == 2).values(**line))
    assert log.verify(database) == ["Audit line 2: not the last line that was written."]


def test_a_whole_chain_that_was_forged_is_found_by_a_noted_head_alone(database):
    written(database, 3)
    noted = log.head(database)
    with database.writing() as connection:
        connection.execute(delete(audit))
        connection.execute(update(state).where(state.c.name.startswith("audit_")).values(value=0))
    written(database, 2)
    assert log.verify(database) == []
    assert log.verify(database, noted=noted) == ["Audit log: it ends with line 2, but line 3 was noted."]
    written(database, 1, forged=True)
    assert log.verify(database, noted=noted) == ["Audit line 3: not the line that was noted."]


def test_a_noted_head_holds_while_the_log_grows(database):
    assert log.verify(database, noted=log.head(database)) == []
    written(database, 2)
    noted = log.head(database)
    written(database, 2)
    assert log.verify(database, noted=noted) == []


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_set_of_lines_taken_out_is_found(tmp_path, clock, data):
    database = Database.open(f"sqlite:///{tmp_path / 'b.sqlite'}", clock=clock)
    with database.writing() as connection:
        connection.execute(delete(audit))
        connection.execute(update(state).where(state.c.name.startswith("audit_")).values(value=0))
    written(database, 6)
    gone = data.draw(st.sets(st.integers(1, 6), min_size=1))
    problems = tampered(database, delete(audit).where(audit.c.sequence.in_(gone)))
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(audit)).scalar_one() == 6 - len(gone)
    database.close()
    assert problems
