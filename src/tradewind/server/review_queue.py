"""Where decisions wait for a person, as the routes see it, and the queue in the business database behind it.

Not here: claims and verdicts (`business/reviews.py`), who decides what goes there (`features/actions.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tradewind.business import reviews
from tradewind.business.database import Database
from tradewind.privacy.vault import Vault


class ReviewQueue(Protocol):
    """Where decisions wait for a person."""

    def add(
        self, account_id: str, *, product: str, release: str, request_id: str, score: float, content: Mapping[str, Any]
    ) -> str:
        """Durable when it returns the id. For a thread."""
        ...


@dataclass(frozen=True)
class StoredQueue:
    """In the business database, sealed."""

    database: Database
    vault: Vault

    def add(
        self, account_id: str, *, product: str, release: str, request_id: str, score: float, content: Mapping[str, Any]
    ) -> str:
        return reviews.add(
            self.database, self.vault, account_id, product=product, release=release, request_id=request_id, score=score,
            content=content,
        )  # fmt: skip
