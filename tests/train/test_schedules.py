"""The learning rate at points known in advance."""

import pytest

from tradewind.train.schedules import Schedule


@pytest.mark.parametrize(
    ("name", "at", "factor"),
    [
        ("constant", 99, 1.0),
        ("step", 49, 1.0), ("step", 50, 0.1), ("step", 75, 0.01),
        ("exponential", 50, 0.1), ("exponential", 100, 0.01),
        ("cosine", 0, 1.0), ("cosine", 50, 0.505), ("cosine", 100, 0.01),
    ],
)  # fmt: skip
def test_a_course_passes_its_known_points(name, at, factor):
    assert Schedule(name, 100).factor(at) == pytest.approx(factor)


def test_warm_up_rises_evenly_and_ends_at_the_whole_rate():
    schedule = Schedule("constant", 100, warmup=0.04)
    assert [schedule.factor(step) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_cosine_begins_after_the_warm_up():
    assert Schedule("cosine", 100, warmup=0.2).factor(60) == pytest.approx(0.505)


def test_a_plateau_lowers_the_rate_after_its_patience():
    schedule = Schedule("plateau", 100, patience=2)
    factors = []
    for improved in (True, False, False, False, True, False):
        schedule.observe(improved=improved)
        factors.append(schedule.factor(0))
    assert factors == pytest.approx([1, 1, 0.4, 0.4, 0.4, 0.4])


def test_its_state_goes_on_where_it_was():
    first, second = Schedule("plateau", 100, patience=2), Schedule("plateau", 100, patience=2)
    first.observe(improved=False)
    second.restore(first.state())
    second.observe(improved=False)
    assert second.factor(0) == pytest.approx(0.4)
