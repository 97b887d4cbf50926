"""Date columns: one moment however it is written, cycles where they vary, the same bits for one value and for many."""

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.features.column import ColumnSpec
from tradewind.features.date import DateColumn, parse_date, to_moment

DAY = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
WRITTEN = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.dates().map(lambda day: f"{day.year:04d}/{day.month}/{day.day}"),
    st.datetimes(),
    st.dates(),
    st.floats(),
    st.integers(),
    st.none(),
    st.text(max_size=12),
    st.sampled_from(["5/1/2026", "25/1/2026", "2026年1月5日", "", "soon"]),
)


def objects(values) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        array[at] = value
    return array


def fitted(values) -> DateColumn:
    return DateColumn.fit(ColumnSpec("d", "date"), objects(values), seed=0)


def one(column: DateColumn, value: object) -> list[float]:
    numbers: list[float] = []
    assert column.apply_one(value, numbers, []) == {}
    return np.array(numbers, dtype=np.float32).tolist()


def bits(rows) -> bytes:
    return np.array(rows, dtype=np.float32).tobytes()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-05", DAY), ("2026/1/5", DAY), ("2026.1.5", DAY), ("5.1.2026", DAY), ("2026年1月5日", DAY), ("２０２６年１月５日", DAY), ("20260105", DAY),
        ("2026年1月5日星期一", DAY), ("5 Jan 2026", DAY), ("January 5, 2026", DAY), ("Mon, 05 Jan 2026 00:00:00 GMT", DAY), (" 2026-01-05 ", DAY),
        ("2026-01-05T10:20:30Z", DAY + 37230), ("2026-01-05 10:20:30.5", DAY + 37230.5), ("2026/1/5 14:30", DAY + 52200),
        ("2026-01-05T08:00:00+08:00", DAY), ("2026/1/5 8:00 +0800", DAY), ("20260105T102030", DAY + 37230),
        ("2026年1月5日 下午2时30分", DAY + 52200), ("Jan 5, 2026 12:00 AM", DAY), ("2026年1月5日 10:20:30", DAY + 37230),
        ("1767571200", DAY), ("1767571200000", DAY), ("2026-01", DAY - 4 * 86400), ("2026年1月", DAY - 4 * 86400), ("2026", DAY - 4 * 86400),
        ("25/1/2026", DAY + 20 * 86400), ("1/25/2026", DAY + 20 * 86400), ("1970-01-01", 0), ("1969-12-31", -86400),
    ],
)  # fmt: skip
def test_written_dates_are_read(text, moment):
    assert parse_date(text) == moment


def test_a_slashed_date_is_american_unless_told_otherwise():
    assert parse_date("1/5/2026") == DAY
    assert parse_date("5/1/2026", day_first=True) == DAY
    assert parse_date("1/5/2026 3:04 PM") == DAY + 15 * 3600 + 240


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-13-01", "2026-02-30", "1.2.3", "10:20", "12", "2026-01-05 25:00", "--", "0000-00-00", "1e400"],
)
def test_what_is_no_date_is_nan(text):
    assert math.isnan(parse_date(text))


def test_dates_datetimes_and_numpy_dates_mean_the_same():
    aware = datetime(2026, 1, 5, 8, tzinfo=timezone(timedelta(hours=8)))
    for value in (
        date(2026, 1, 5),
        datetime(2026, 1, 5),
        aware,
        np.datetime64("2026-01-05"),
        DAY,
        DAY * 1000,
        20260105,
    ):
        assert to_moment(value) == DAY
    column = fitted(["2026-01-05", "2026-03-08"])
    values = np.array(["2026-01-05", "NaT", "2026-02-01"], dtype="datetime64[ns]")
    assert (
        column.apply(values).numbers_BN.tolist()
        == column.apply(objects(["2026-01-05", None, "2026-02-01"])).numbers_BN.tolist()
    )


@settings(max_examples=80)
@given(st.lists(WRITTEN, max_size=30), st.lists(WRITTEN, max_size=20))
def test_one_value_and_many_give_the_same_bits_and_the_state_survives_json(training, asked):
    column = fitted(training)
    again = DateColumn.from_state(json.loads(json.dumps(column.state(), allow_nan=False)))
    assert again == column
    values = [*training, *asked, None]
    numbers_BN = again.apply(objects(values)).numbers_BN
    assert np.isfinite(numbers_BN).all()
    assert bits(numbers_BN) == bits([one(column, value) for value in values])
    assert numbers_BN.shape[1] == len(column.layout.numbers)


@settings(max_examples=40)
@given(st.lists(WRITTEN, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_training_rows_does_not_matter(training, random):
    shuffled = list(training)
    random.shuffle(shuffled)
    assert fitted(shuffled) == fitted(training)


def test_only_the_cycles_that_vary_become_numbers():
    assert fitted(["2026-01-05", "2026-01-12"]).cycles == ()
    assert fitted(["2026-01-05", "2026-01-06"]).cycles == ("weekday",)
    assert fitted(["2026-01-05 10:00", "2026-02-06 11:00"]).cycles == ("month", "weekday", "hour")


def test_december_stands_beside_january_and_weekdays_are_right():
    column = fitted(["2026-01-05", "2026-06-06"])
    angles = [one(column, day)[1:3] for day in ("2026-12-31", "2026-01-01", "2026-07-01")]
    assert math.dist(angles[0], angles[1]) < math.dist(angles[0], angles[2])
    monday = one(column, "2026-01-05")[3:5]
    assert monday == [0.0, 1.0]


def test_training_values_with_one_reading_decide_the_others():
    assert fitted(["25/12/2025", "5/1/2026"]).day_first
    assert not fitted(["12/25/2025", "5/1/2026"]).day_first


def test_missing_training_values_bring_a_flag():
    column = fitted(["2026-01-05", "2026-01-12", None])
    assert [feature.name for feature in column.layout.numbers] == ["d", "d:missing"]
    assert one(column, "soon") == [0.0, 1.0]


@pytest.mark.parametrize("values", [[], [None], ["2026-01-05"]])
def test_a_column_with_little_to_learn_from_still_encodes(values):
    assert all(map(math.isfinite, one(fitted(values), "2027-01-01")))
