"""Windows over events: a stream and a table give the same figures, bit for bit, and both are what the words say."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import DataError
from tradewind.features.window_table import of_table
from tradewind.features.windows import MEASURES, Window, Windows, WindowState, streamed

HOUR_MS = 3_600_000


def _all_measures(by=("card",), over_ms=HOUR_MS):
    def of(measure):
        return None if measure in ("count", "since") else "shop" if measure == "distinct" else "amount"

    return tuple(Window(f"{'_'.join(by)}_{m}_{over_ms}", by, over_ms, m, of(m)) for m in MEASURES)


ALL = Windows("at", (*_all_measures(), *_all_measures(("card", "shop"), 60_000), *_all_measures(("shop",), 86_400_000)))


def _columns(rows):
    found = {}
    for name in ("at", "card", "shop", "amount"):
        found[name] = np.array([row.get(name) for row in rows], dtype=object)
    return found


def _table(windows, rows):
    return dict(of_table(windows, _columns(rows)))


def _same(one: float, other: float) -> bool:
    return (one != one and other != other) or (one == other and math.copysign(1, one) == math.copysign(1, other))


_amount = st.one_of(
    st.floats(-1e9, 1e9, allow_nan=False), st.integers(-(10**6), 10**6).map(lambda n: n / 100), st.none(),
    st.sampled_from(["1,200.50", "¥12.5", "no number", 1e300, 0.1, 0.00005]),
)  # fmt: skip
_rows = st.lists(
    st.fixed_dictionaries({
        "at": st.integers(0, 3000).map(lambda s: 1_700_000_000 + s * 7),
        "card": st.sampled_from(["a", "b", 7, "7.0", None]),
        "shop": st.sampled_from(["x", "y", "z", None]),
        "amount": _amount,
    }),
    max_size=40,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(_rows)
def test_a_stream_and_a_table_agree_bit_for_bit(rows):
    rows = sorted(rows, key=lambda row: row["at"])
    table = _table(ALL, rows)
    for place, windows in enumerate(streamed(ALL, iter(rows))):
        for name, value in windows.items():
            assert _same(value, float(table[name][place])), (name, place, value, table[name][place])


@settings(max_examples=50, deadline=None)
@given(_rows, st.randoms(use_true_random=False))
def test_the_order_of_arrival_of_earlier_events_has_no_say(rows, random):
    """All figures but `last` of events in one millisecond, which goes by arrival."""
    shuffled = list(rows)
    random.shuffle(shuffled)
    states = []
    for arrived in (rows, shuffled):
        state = WindowState(Windows("at", ALL.windows, late_ms=10**9))
        for row in arrived:
            assert state.take(ALL.event(row))
        states.append(state)
    asked = ALL.event({"at": 1_700_030_000, "card": "a", "shop": "x", "amount": 5.0})
    first, second = states[0].of(asked), states[1].of(asked)
    assert all(_same(first[name], second[name]) for name in first if "last" not in name)


@settings(max_examples=60, deadline=None)
@given(_rows)
def test_asking_in_any_order_and_in_between_changes_no_figure(rows):
    windows = Windows("at", ALL.windows, late_ms=10**9)
    asked, taken = WindowState(windows), []
    for event in map(windows.event, rows):
        fresh = WindowState(windows)
        for earlier in taken:
            fresh.take(earlier)
        first, second = asked.of(event), fresh.of(event)
        assert all(_same(first[name], second[name]) for name in first)
        asked.take(event)
        taken.append(event)


@settings(max_examples=40, deadline=None)
@given(_rows)
def test_a_table_is_what_a_plain_loop_finds(rows):
    """The reference: every pair of rows is looked at, with fractions in place of floats."""
    table = _table(ALL, rows)
    events = [ALL.event(row) for row in rows]
    for place, now in enumerate(events):
        for window in _all_measures():
            key = now.keys[0]
            seen = [
                (other.moment_ms, at) for at, other in enumerate(events)
                if key is not None and other.keys[0] == key and now.moment_ms - window.over_ms <= other.moment_ms < now.moment_ms
            ]  # fmt: skip
            amounts = [events[at].amounts[0] for _, at in sorted(seen)]
            there = [amount / 10_000 for amount in amounts if amount is not None]
            found = float(table[window.name][place])
            if key is None:
                assert math.isnan(found)
            elif window.measure == "count":
                assert found == len(seen)
            elif window.measure == "distinct":
                assert found == len({events[at].words[0] for _, at in seen} - {None})
            elif window.measure == "since":
                assert _same(found, (now.moment_ms - max(seen)[0]) / 1000 if seen else math.nan)
            elif window.measure == "last":
                assert _same(found, amounts[-1] / 10_000 if seen and amounts[-1] is not None else math.nan)
            elif window.measure == "sum":
                assert found == pytest.approx(math.fsum(there), abs=1e-6)
            elif not there:
                assert math.isnan(found)
            elif window.measure in ("min", "max"):
                assert found == (min if window.measure == "min" else max)(there)
            elif window.measure == "mean":
                assert found == pytest.approx(np.mean(there), rel=1e-9, abs=1e-9)
            elif window.measure == "std":
                assert found == pytest.approx(np.std(there), rel=1e-6, abs=1e-3)


def test_a_row_sees_neither_itself_nor_its_own_millisecond():
    rows = [{"at": 1_700_000_000, "card": "a", "shop": "x", "amount": 1}] * 3
    assert all(value == 0 for value in _table(ALL, rows)["card_count_3600000"])


def test_the_far_end_of_a_window_belongs_to_it():
    windows = Windows("at", (Window("n", ("card",), HOUR_MS, "count"),))
    rows = [{"at": 1_700_000_000 + s, "card": "a"} for s in (0, 3600, 3601)]
    assert [found["n"] for found in streamed(windows, iter(rows))] == [0, 1, 1]


def test_sums_are_exact_where_floats_are_not():
    rows = [{"at": 1_700_000_000 + s, "card": "a", "shop": "x", "amount": 0.1} for s in range(11)]
    assert _table(ALL, rows)["card_sum_3600000"][10] == 1.0


def test_sums_beyond_64_bits_stay_exact():
    rows = [{"at": 1_700_000_000 + s, "card": "a", "shop": "x", "amount": 9e11} for s in range(3000)]
    *_, last = streamed(ALL, iter(rows))
    assert last["card_sum_3600000"] == 2999 * 9e11
    assert _table(ALL, rows)["card_sum_3600000"][-1] == 2999 * 9e11


def test_an_event_takes_its_place_by_its_own_moment():
    state = WindowState(Windows("at", (Window("last", ("card",), HOUR_MS, "last", "amount"),)))
    for at, amount in ((100, 1), (300, 3), (200, 2)):
        assert state.take(state.windows.event({"at": 1_700_000_000 + at, "card": "a", "amount": amount}))
    assert state.of(state.windows.event({"at": 1_700_000_250, "card": "a"}))["last"] == 2


def test_an_event_that_comes_too_late_or_twice_is_not_taken():
    windows = Windows("at", (Window("n", ("card",), HOUR_MS, "count"),), late_ms=1000, id="id")
    state = WindowState(windows)
    assert state.take(windows.event({"at": 1_700_000_010, "card": "a", "id": 1}))
    assert not state.take(windows.event({"at": 1_700_000_011, "card": "a", "id": "1"}))
    assert not state.take(windows.event({"at": 1_700_000_008, "card": "a", "id": 2}))
    assert state.events == 1


def test_what_no_window_reaches_is_forgotten_and_changes_no_figure():
    windows = Windows("at", _all_measures(over_ms=10_000), late_ms=1000)
    rows = [{"at": 1_700_000_000 + s, "card": "a", "shop": s % 5, "amount": s / 7} for s in range(2000)]
    table, state = _table(windows, rows), WindowState(windows)
    for place, event in enumerate(map(windows.event, rows)):
        assert all(_same(value, float(table[name][place])) for name, value in state.of(event).items())
        state.take(event)
    assert len(state._trails[0]["a"].moments) < 100
    state.take(windows.event({"at": 1_800_000_000, "card": "b"}))
    state.forget()
    assert len(state) == 1


def test_moments_are_dates_or_plain_numbers_of_a_unit():
    windows = Windows("step", (Window("n", ("card",), HOUR_MS, "count"),), unit_ms=HOUR_MS)
    rows = [{"step": step, "card": "a"} for step in (1, 2, 2000, 2001)]
    assert [found["n"] for found in streamed(windows, iter(rows))] == [0, 1, 0, 1]
    columns = {name: np.array([row[name] for row in rows], dtype=object) for name in ("step", "card")}
    assert dict(of_table(windows, columns))["n"].tolist() == [0, 1, 0, 1]
    dated = Windows("step", windows.windows)
    assert dated.event({"step": "2026-01-05 14:30", "card": 1}).moment_ms == 1000 * int(
        datetime(2026, 1, 5, 14, 30, tzinfo=UTC).timestamp()
    )


def test_a_row_without_a_moment_is_refused_online_and_sees_nothing_in_a_table():
    with pytest.raises(DataError) as refused:
        ALL.event({"at": "soon", "card": "a"})
    assert refused.value.code == "data.time_missing"
    rows = [{"at": None, "card": "a", "shop": "x", "amount": 1}, {"at": 1_700_000_000, "card": "a", "shop": "x"}]
    assert np.isnan(_table(ALL, rows)["card_count_3600000"][0])
    assert _table(ALL, rows)["card_count_3600000"][1] == 0


def test_the_state_of_windows_comes_back_as_it_was():
    assert Windows.from_state(ALL.state()) == ALL
