"""An invoice as a file to send or to download: a page, a PDF, or its lines as CSV. Not here: how each looks (`pages.py`).

The libraries that draw pages are loaded with the first one: a worker that only predicts does not carry them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from tradewind.business import accounts
from tradewind.business.database import Database
from tradewind.business.invoices import Invoice

Form = Literal["html", "pdf", "csv"]

_MEDIA_TYPES: dict[Form, str] = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
}


class Issuer(Protocol):
    """Who writes invoices, as `serve.seller` of the product file says it."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def tax_id(self) -> str: ...


@dataclass(frozen=True)
class Document:
    name: str
    media_type: str
    data: bytes


def document(database: Database, invoice: Invoice, *, form: Form, issuer: Issuer) -> Document:
    """The file, in the language of the account. CSV begins with a byte order mark, so that Excel reads Chinese."""
    pages = importlib.import_module("tradewind.business.pages")
    draw: Callable[..., str | bytes] = getattr(pages, form)
    seller = pages.Seller(issuer.name, issuer.address, issuer.tax_id)
    drawn = draw(invoice, account=accounts.get(database, invoice.account_id), seller=seller)
    data = drawn if isinstance(drawn, bytes) else drawn.encode("utf-8-sig" if form == "csv" else "utf-8")
    return Document(f"{invoice.number or invoice.id}.{form}", _MEDIA_TYPES[form], data)
