"""Time limits: as asyncio.timeout's, whatever ends first."""

import asyncio

import pytest
import uvloop

from tradewind.server.deadlines import Deadlines


def run(work):
    return uvloop.run(work())


def test_what_takes_too_long_is_ended_and_what_does_not_is_left_alone():
    async def work():
        deadlines = Deadlines()

        async def one(seconds, limit):
            try:
                with deadlines.within(limit):
                    await asyncio.sleep(seconds)
            except TimeoutError:
                return "late"
            return "done"

        return await asyncio.gather(
            one(0, 0.05), one(30, 0.05), one(0.1, 5), one(30, 0.1), one(0.01, 0.05), one(30, 0.05)
        )

    assert run(work) == ["done", "late", "done", "late", "done", "late"]


def test_a_limit_counts_from_where_its_block_began():
    async def work():
        deadlines = Deadlines()
        loop = asyncio.get_running_loop()
        took = []
        for _ in range(3):
            started = loop.time()
            with pytest.raises(TimeoutError), deadlines.within(0.05):
                await asyncio.sleep(30)
            took.append(loop.time() - started)
            with deadlines.within(0.05):
                await asyncio.sleep(0.01)
        return took

    assert all(seconds >= 0.045 for seconds in run(work))


def test_a_cancellation_by_another_stays_one():
    async def work():
        deadlines = Deadlines()

        async def one():
            with deadlines.within(10):
                await asyncio.sleep(30)

        task = asyncio.create_task(one())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work)


def test_a_task_that_was_late_can_be_awaited_and_cancelled_afterwards():
    async def work():
        deadlines = Deadlines()
        with pytest.raises(TimeoutError), deadlines.within(0.01):
            await asyncio.sleep(30)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0.001)
        return "went on"

    assert run(work) == "went on"


def test_an_error_of_its_own_passes_through():
    async def work():
        with pytest.raises(ZeroDivisionError), Deadlines().within(10):
            raise ZeroDivisionError

    run(work)
