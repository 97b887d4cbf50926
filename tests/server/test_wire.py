"""Bodies are decoded fast, and equal names in one object are found all the same."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import InputError
from tradewind.server.wire import decode_predict, new_request_id

NAMES = st.text(alphabet='ab":\\ ,{}', max_size=4)
VALUES = st.none() | st.booleans() | st.integers(-5, 5) | NAMES


@settings(max_examples=50)
@given(
    rows=st.lists(st.lists(st.tuples(NAMES, VALUES), max_size=5), max_size=3),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (",", " :"), (",\n", "\t:\r\n")]),
    ascii_only=st.booleans(),
)
def test_a_double_name_is_refused_and_nothing_else_is(rows, separators, ascii_only):
    comma, colon = separators

    def text(value):
        return json.dumps(value, ensure_ascii=ascii_only)

    inputs = comma.join(
        "{" + comma.join(f"{text(name)}{colon}{text(value)}" for name, value in row) + "}" for row in rows
    )
    body = f'{{"model"{colon}"m"{comma}"inputs"{colon}[{inputs}]}}'.encode()
    double = any(len({name for name, _ in row}) != len(row) for row in rows)
    if double:
        with pytest.raises(InputError, match="twice"):
            decode_predict(body)
    else:
        assert decode_predict(body).inputs == [dict(row) for row in rows]


def test_a_wrong_type_names_its_place():
    with pytest.raises(InputError) as caught:
        decode_predict(b'{"model": "m", "inputs": [{}, 3]}')
    assert (caught.value.where, caught.value.code) == ("inputs[1]", "input.field")
    assert caught.value.message == "Expected `object`, got `int`."


def test_request_ids_differ_and_sort_by_time():
    made = [new_request_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert made == sorted(made)
