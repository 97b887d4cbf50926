"""A lone request waits for nothing, a crowd goes together, and each gets the answers of its own rows."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.engines.batcher import Batcher, measure

FAST, SLOW = 1e-5, 0.5


class Doubling:
    """Doubles numbers, remembers the batches it saw, and can be held up."""

    def __init__(self):
        self.batches = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, rows):
        self.free.wait(5)
        self.batches.append(list(rows))
        if any(row < 0 for row in rows):
            raise ValueError("a negative row")
        return [row * 2 for row in rows]


def run(seconds_a_row, work, *, most_rows=1024):
    model = Doubling()
    with ThreadPoolExecutor(4) as pool:
        batcher = Batcher(model, seconds_a_row=seconds_a_row, executor=pool, most_rows=most_rows)
        return model, asyncio.run(work(batcher, model))


async def crowd(batcher, model):
    return await asyncio.gather(*(batcher.submit([i, i + 100]) for i in range(10)))


@pytest.mark.parametrize("seconds", [FAST, SLOW])
def test_each_gets_its_own_answers(seconds):
    _, answers = run(seconds, crowd)
    assert answers == [[2 * i, 2 * i + 200] for i in range(10)]


def test_a_fast_model_answers_those_of_one_moment_together():
    model, _ = run(FAST, crowd)
    assert len(model.batches) == 1


def test_a_lone_request_is_answered_in_the_next_turn_of_the_loop():
    async def alone(batcher, model):
        future = batcher.submit([1])
        await asyncio.sleep(0)
        return future.done()

    _, done = run(FAST, alone)
    assert done


def test_after_company_a_turn_waits_as_long_as_more_arrive():
    async def trickle(batcher, model):
        first = [batcher.submit([1]), batcher.submit([2])]
        await asyncio.sleep(0)
        waiting = []
        for at in range(6):  # one a turn of the loop
            waiting.append(batcher.submit([at]))
            await asyncio.sleep(0)
        await asyncio.gather(*first, *waiting)
        return [future.result() for future in waiting]

    model, answers = run(FAST, trickle)
    assert answers == [[2 * at] for at in range(6)]
    assert [len(batch) for batch in model.batches] == [2, 6]


def test_a_turn_is_not_put_off_for_ever():
    async def flood(batcher, model):
        await asyncio.gather(batcher.submit([1]), batcher.submit([2]))
        first = batcher.submit([3])
        others = []
        while not first.done():
            others.append(batcher.submit([4]))
            await asyncio.sleep(0)
        await asyncio.gather(*others)
        return len(others)

    _, turns = run(FAST, flood)
    assert turns < 20


def test_who_is_alone_after_a_crowd_waits_one_turn_more_and_the_next_not():
    async def work(batcher, model):
        await crowd(batcher, model)
        turns = []
        for _ in range(2):
            future = batcher.submit([1])
            count = 0
            while not future.done():
                await asyncio.sleep(0)
                count += 1
            turns.append(count)
        return turns

    _, turns = run(FAST, work)
    assert turns == [2, 1]


def test_what_waits_for_a_slow_model_goes_as_one_batch():
    async def work(batcher, model):
        model.free.clear()
        first = batcher.submit([1])
        await asyncio.sleep(0.05)
        rest = [batcher.submit([i]) for i in range(2, 9)]
        model.free.set()
        return [await first, *[await one for one in rest]]

    model, answers = run(SLOW, work)
    assert model.batches == [[1], [2, 3, 4, 5, 6, 7, 8]]
    assert answers == [[2 * i] for i in range(1, 9)]


def test_a_batch_is_bounded_but_no_request_is_split():
    async def work(batcher, model):
        model.free.clear()
        sent = [batcher.submit([0]), *[batcher.submit([i] * 4) for i in range(1, 6)], batcher.submit([9] * 20)]
        await asyncio.sleep(0.02)
        model.free.set()
        return [await one for one in sent]

    model, answers = run(SLOW, work, most_rows=10)
    assert [len(batch) for batch in model.batches] == [1, 8, 8, 4, 20]
    assert answers[-1] == [18] * 20


def test_the_event_loop_stays_free_while_a_slow_model_works():
    async def work(batcher, model):
        model.free.clear()
        future = batcher.submit([1])
        started = time.perf_counter()
        await asyncio.sleep(0.01)
        waited = time.perf_counter() - started
        model.free.set()
        await future
        return waited

    _, waited = run(SLOW, work)
    assert waited < 1


@pytest.mark.parametrize("seconds", [FAST, SLOW])
def test_a_row_that_breaks_the_model_fails_its_own_request_only(seconds):
    async def work(batcher, model):
        return await asyncio.gather(*(batcher.submit([i]) for i in (1, -2, 3)), return_exceptions=True)

    _, (first, broken, last) = run(seconds, work)
    assert (first, last) == ([2], [6])
    assert isinstance(broken, ValueError)


def test_nothing_is_computed_for_a_sender_that_has_gone():
    async def work(batcher, model):
        model.free.clear()
        first = batcher.submit([1])
        await asyncio.sleep(0.02)
        gone, stays = batcher.submit([2]), batcher.submit([3])
        gone.cancel()
        model.free.set()
        return await first, await stays

    model, answers = run(SLOW, work)
    assert answers == ([2], [6])
    assert model.batches == [[1], [3]]


def test_many_rows_of_a_fast_model_do_not_hold_the_loop():
    async def work(batcher, model):
        return batcher.inline_rows, await batcher.submit(list(range(2000)))

    _, (inline_rows, answers) = run(0.0009, work)
    assert inline_rows == 4
    assert answers == [2 * i for i in range(2000)]


def test_a_batcher_serves_one_loop_after_another():
    model = Doubling()
    batcher = Batcher(model, seconds_a_row=FAST)

    async def once():
        return await batcher.submit([4])

    assert asyncio.run(once()) == asyncio.run(once()) == [8]


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 10**6), min_size=1, max_size=9), st.integers(0, 3), st.booleans()),
        max_size=25,
    ),
    st.sampled_from([FAST, 0.0009, SLOW]),
    st.integers(1, 12),
)
def test_whatever_the_interleaving_answers_belong_to_their_rows(requests, seconds, most_rows):
    async def one(batcher, rows, turns, leaves):
        for _ in range(turns):
            await asyncio.sleep(0)
        future = batcher.submit(rows)
        if leaves:
            future.cancel()
            return None
        return await future

    async def work(batcher, model):
        return await asyncio.gather(*(one(batcher, *request) for request in requests))

    _, answers = run(seconds, work, most_rows=most_rows)
    assert answers == [None if leaves else [2 * row for row in rows] for rows, _, leaves in requests]


def test_the_measure_is_the_median_and_leaves_the_first_call_out():
    waits = iter([0.2, *[0.001] * 6, 0.1])

    def predict(rows):
        time.sleep(next(waits))

    assert 0.0009 < measure(predict, 1) < 0.05
