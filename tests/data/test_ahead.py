from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tradewind.data.ahead import ahead


def test_items_keep_their_order() -> None:
    assert list(ahead(iter(range(100)))) == list(range(100))


def test_an_error_of_the_reader_reaches_the_consumer() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(ahead(broken()))


def test_a_consumer_that_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    items = ahead(iter(range(1000)))
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
