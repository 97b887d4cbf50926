import threading

import pytest

from tests.business.serving import Worker, add_account
from tradewind.business.idempotency import Conflict, Fresh, Replay, Running, abandon, begin, finish, forget
from tradewind.business.recovery import recover

HEADERS = (("content-type", "application/json"), ("x-request-id", "req_1"))


def ask(database, request_id="req_1", *, key="k", digest="sha256:a", account_id="acc_1", worker_id=None):
    return begin(database, account_id, key=key, digest=digest, request_id=request_id, worker_id=worker_id)


def reply(database, request_id="req_1", *, key="k", status=200, body=b"{}"):
    return finish(database, "acc_1", key=key, request_id=request_id, status=status, headers=HEADERS, body=body)


@pytest.fixture
def worker(database, tmp_path):
    add_account(database)
    made = Worker(database, tmp_path / "journals")
    yield made
    made.journal.close()


def test_a_new_key_is_fresh(database):
    assert ask(database) == Fresh("req_1")


def test_the_same_request_gets_the_same_reply(database):
    ask(database)
    reply(database, status=201, body='{"a": 1}\x00\xff'.encode("latin-1"))
    assert ask(database, "req_2") == Replay("req_1", 201, HEADERS, b'{"a": 1}\x00\xff')


def test_another_request_with_the_same_key_is_a_conflict_running_or_not(database):
    ask(database)
    running = ask(database, "req_2", digest="sha256:b")
    reply(database)
    assert [running, ask(database, "req_2", digest="sha256:b")] == [Conflict("req_1")] * 2


def test_while_the_first_runs_the_second_is_told(database):
    ask(database)
    assert ask(database, "req_2") == Running("req_1")


def test_keys_of_accounts_and_other_keys_are_apart(database):
    ask(database)
    assert ask(database, "req_2", account_id="acc_2") == Fresh("req_2")
    assert ask(database, "req_3", key="other") == Fresh("req_3")


def test_an_abandoned_key_is_free_again(database):
    ask(database)
    abandon(database, "acc_1", key="k", request_id="req_1")
    assert ask(database, "req_2", digest="sha256:b") == Fresh("req_2")


def test_a_reply_that_is_kept_cannot_be_abandoned_nor_replaced(database):
    ask(database)
    reply(database, body=b"first")
    later = abandon(database, "acc_1", key="k", request_id="req_1"), reply(database, body=b"second")
    assert (later, ask(database, "req_2").body) == ((False, False), b"first")


def test_a_reply_is_kept_for_24_hours_and_no_longer(database, clock):
    ask(database)
    reply(database)
    clock.advance(24 * 3600 - 1)
    before = ask(database, "req_2")
    clock.advance(1)
    assert isinstance(before, Replay)
    assert ask(database, "req_3", digest="sha256:b") == Fresh("req_3")


def test_forgetting_deletes_what_is_too_old_alone(database, clock):
    ask(database, key="old")
    clock.advance(12 * 3600)
    ask(database, key="new")
    clock.advance(12 * 3600)
    assert (forget(database), ask(database, "req_2", key="new", digest="sha256:b")) == (1, Conflict("req_1"))


def test_a_first_request_whose_worker_died_is_taken_over_under_its_own_id(database, clock, worker):
    ask(database, worker_id=worker.id)
    recover(database, worker.id, keep_journal=True)
    early = ask(database, "req_2")
    clock.advance(60)
    assert (early, ask(database, "req_2")) == (Running("req_1"), Fresh("req_1"))


def test_one_that_was_taken_over_runs_again(database, clock, worker):
    ask(database)
    clock.advance(60)
    ask(database, "req_2", worker_id=worker.id)
    assert ask(database, "req_3") == Running("req_1")


def test_a_long_request_of_a_living_worker_is_not_taken_over(database, clock, worker):
    ask(database, worker_id=worker.id)
    clock.advance(100)
    worker.ledger.heartbeat()
    assert ask(database, "req_2") == Running("req_1")


def test_a_worker_without_a_heartbeat_is_gone(database, clock, worker):
    ask(database, worker_id=worker.id)
    clock.advance(100)
    assert ask(database, "req_2") == Fresh("req_1")


@pytest.mark.parametrize("state", ["new", "dead"])
def test_of_many_at_once_exactly_one_is_fresh(database, clock, state):
    if state == "dead":
        ask(database, "req_first")
        clock.advance(60)
    begun, together = [], threading.Barrier(8)

    def one(number):
        together.wait()
        begun.append(ask(database, f"req_{number}"))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(one).__name__ for one in begun) == ["Fresh"] + ["Running"] * 7
