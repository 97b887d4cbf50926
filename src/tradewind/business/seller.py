"""Who writes invoices. Not here: how one looks (`pages.py`), nor where the seller is named (the product file)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Seller:
    """As it stands on invoices. `address` may have several lines."""

    name: str
    address: str = ""
    tax_id: str = ""
