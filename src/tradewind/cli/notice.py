"""The privacy notice of a product file. Not here: its headings and words (`privacy/notice.py`)."""

from __future__ import annotations

from collections.abc import Sequence

from tradewind.privacy.notice import Line, Notice
from tradewind.privacy.retention import NEVER
from tradewind.product import Product


def notice_of(product: Product) -> Notice:
    """What the product file says, and what follows from it; a heading that nothing fills stays empty."""
    said = product.privacy
    contact = said.contact or product.release.contact
    purposes = [product.data.purpose, *said.purposes]
    written: dict[str, Sequence[str | None]] = {
        "controller": [said.controller], "contact": [contact], "officer": [said.officer], "purposes": purposes,
        "legal_basis": [said.legal_basis], "categories": said.categories, "origin": [said.origin],
        "recipients": said.recipients, "transfers": [said.transfers], "authority": [said.authority],
        "required": [said.required], "decisions": [said.decisions],
    }  # fmt: skip
    lines = {name: [Line(text.strip()) for text in texts if text and text.strip()] for name, texts in written.items()}
    if lines["categories"] and product.data.sensitive:
        lines["categories"].append(Line(word="sensitive", inside=", ".join(product.data.sensitive)))
    lines["storage"] = _storage(product)
    lines["rights"] = [Line(word="rights_all"), Line(word="erasure")] if contact else []
    lines["consent"] = _consent(product)
    return Notice(product.product, lines)


def _storage(product: Product) -> list[Line]:
    store, keep = product.serve.store, product.privacy.keep
    kept = [(name, getattr(store, name)) for name in ("inputs", "outputs")]
    lines = [Line(word=name, inside=until) for name, until in kept if until != NEVER] or [Line(word="not_stored")]
    lines.append(Line(word="replies"))
    if product.data.subject is not None:
        lines.append(Line(word="rows"))
    ends = {name: getattr(keep, name) for name in ("datasets", "runs", "reports")}
    lines += [Line(word=f"kept_{name}", inside=until) for name, until in ends.items() if until is not None]
    if not any(ends.values()):
        lines.append(Line(word="kept_open"))
    if product.task == "recommendation":
        lines.append(_ended("events", keep.events))
        if product.data.items is not None:
            lines.append(_ended("items", keep.items))
    if product.serve.plans:
        lines.append(Line(word="invoices"))
    return lines


def _ended(what: str, until: str | None) -> Line:
    return Line(word=f"{what}_open") if until is None else Line(word=f"kept_{what}", inside=until)


def _consent(product: Product) -> list[Line]:
    lines = [Line(word="consent_rows")] if product.data.consent is not None else []
    stores = any(getattr(product.serve.store, name) != NEVER for name in ("inputs", "outputs"))
    words = {"required": "consent_required", "unless_withdrawn": "consent_unless"}
    if stores and product.serve.store.consent in words:
        lines.append(Line(word=words[product.serve.store.consent]))
    return lines
