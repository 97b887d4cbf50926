"""A field is kept as long as was said and not a moment longer; what nobody asked to keep is not kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.errors import InputError, ProductFileError
from tradewind.privacy.retention import Retention, due, next_due_ms, parse_duration
from tradewind.product_file import load

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("30d", 30 * DAY_MS), ("12h", DAY_MS // 2), ("90 min", 5_400_000), ("2w", 14 * DAY_MS), ("1y", 365 * DAY_MS)],
)
def test_a_duration_is_read(text, milliseconds):
    assert parse_duration(text) == milliseconds


def test_never_keeps_nothing():
    assert parse_duration("never") is None
    assert not Retention.of({"inputs": "never"})
    assert Retention.of({"inputs": "never", "outputs": "1d"}).until_ms("inputs", 5) is None


@pytest.mark.parametrize("text", ["", "0d", "-1d", "30", "d", "30 days", "1.5d", "999999y", "٣d\n٣"])
def test_anything_else_is_refused_with_what_to_write(text):
    with pytest.raises(InputError, match="Write 30d"):
        parse_duration(text)


@given(at=st.integers(0, 1 << 44), keep=st.integers(1, 1 << 40))
def test_a_field_is_due_at_its_moment_and_not_before(at, keep):
    until = Retention({"inputs": keep}).until_ms("inputs", at)
    assert due({"inputs": until}, until - 1) == ()
    assert due({"inputs": until}, until) == ("inputs",)


@given(st.dictionaries(st.sampled_from(["inputs", "outputs", "note"]), st.integers(0, 100)))
def test_something_is_due_exactly_from_the_next_due_moment_on(until):
    first = next_due_ms(until)
    assert all(bool(due(until, now)) == (first is not None and now >= first) for now in range(101))


def _product(tmp_path, store):
    text = f"product: p-p\ntask: classification\ndata: {{source: a.csv, target: t}}\nserve:\n  store: {store}\n"
    (tmp_path / "tradewind.yaml").write_text(text)
    return load(tmp_path)


def test_the_product_file_sets_each_field(tmp_path):
    store = _product(tmp_path, "{inputs: 30d}").serve.store
    assert store.model_dump() == {"inputs": "30d", "outputs": "never", "consent": "not_needed"}


def test_a_wrong_duration_in_the_product_file_is_shown_at_its_line(tmp_path):
    with pytest.raises(ProductFileError, match=r"tradewind.yaml:5:\d+: serve.store.inputs: '30 days' is no time"):
        _product(tmp_path, "{inputs: 30 days}")
