"""What answers rows and is no table's predictor: a recommender, a translator. Each kind is a file of its own beside this.

`/v1/predict` asks it as it asks any other product: rows in, an object for each out. Not here: routes, who pays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tradewind.server.event_feed import EventFeed
from tradewind.server.wire import Row


@dataclass(frozen=True)
class ServedRows(ABC):
    """A loaded release. `row_schema` and `output_schema` are JSON Schemas of one row and of its answer."""

    task: ClassVar[str]

    product: str
    version: int
    digest: str
    created_s: int
    row_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]

    @property
    def release(self) -> str:
        return f"v{self.version}"

    @abstractmethod
    def answer(self, rows: Sequence[Row], account: str) -> list[dict[str, Any]]:
        """An object for each row, for a customer. It is called in a thread, by several requests at once. One that holds
        `abstained` is not charged.

        Raises DataError for a wrong row; its `where` is the column.
        """

    def feed(self, account: str) -> EventFeed | None:
        """Where the events of a customer go that come to `/v1/events`; None where the product takes none."""
        return None

    def facts(self) -> Mapping[str, Any]:
        """What `/v1/models` tells beside the common fields."""
        return {}

    def retire(self) -> None:  # noqa: B027  most hold nothing that must be closed
        """Another release has taken its place."""
