"""An invoice to read, print and file: HTML, PDF and CSV, in English or Chinese, from one sheet of words and numbers.

Not here: any computing; everything on the page stands in the invoice.
"""

from __future__ import annotations

import csv as csv_module
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from tradewind import typeface
from tradewind.business.accounts import Account
from tradewind.business.invoices import Invoice
from tradewind.business.seller import Seller
from tradewind.business.words import Language, Words
from tradewind.money import CURRENCY_DIGITS

_HEADS = ("description", "quantity", "unit_price", "amount")
# https://owasp.org/www-community/attacks/CSV_Injection: a spreadsheet runs a cell that begins so.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class _Party:
    label: str
    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    text: str
    quantity: str
    unit_price: str
    amount: str


@dataclass(frozen=True)
class _Sheet:
    """All that any of the three pages shows, as text."""

    title: str
    number: str
    mark: str
    parties: tuple[_Party, ...]
    facts: tuple[tuple[str, str], ...]
    lines: tuple[_Row, ...]
    sums: tuple[tuple[str, str], ...]
    rules: tuple[tuple[str, str], ...]
    digest: str


def html(invoice: Invoice, *, account: Account, seller: Seller, language: Language | None = None) -> str:
    """A page that asks for nothing from outside, for a screen of any width, light or dark, and for paper.

    `language` is the account's unless given; so too below.
    """
    words = _words(account, language)
    return _template().render(s=_sheet(invoice, account, seller, words), w=words)


def pdf(invoice: Invoice, *, account: Account, seller: Seller, language: Language | None = None) -> bytes:
    """The same on A4. The same invoice and the same font give the same bytes.

    Raises EnvironmentFailure where TRADEWIND_FONT names no font that may be embedded.
    """
    words = _words(account, language)
    sheet = _sheet(invoice, account, seller, words)
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=18 * mm, rightMargin=18 * mm, topMargin=18 * mm, bottomMargin=18 * mm,
        title=f"{sheet.title} {sheet.number}", author=seller.name, lang=words.language, invariant=1,
    )  # fmt: skip
    with typeface.chinese("".join(_texts(sheet, words))):
        document.build(_story(sheet, words), onFirstPage=_footer(sheet), onLaterPages=_footer(sheet))
    return out.getvalue()


def csv(invoice: Invoice, *, account: Account, seller: Seller, language: Language | None = None) -> str:
    """Facts, lines and sums as RFC 4180; write it as `utf-8-sig`, so that Excel reads the Chinese."""
    words = _words(account, language)
    sheet = _sheet(invoice, account, seller, words)
    out = io.StringIO()
    writer = csv_module.writer(out)
    writer.writerow([sheet.title, _cell(sheet.number), _cell(sheet.mark)])
    for party in sheet.parties:
        writer.writerow([_cell(party.label), _cell(party.name), *map(_cell, party.lines)])
    writer.writerows([label, _cell(value)] for label, value in sheet.facts)
    writer.writerow([])
    writer.writerow([words("description"), words("quantity"), words("unit_price"), words("amount"), ""])
    for text, line in zip((line.text for line in sheet.lines), _shown(invoice), strict=True):
        price = line.unit_price.split()[0]
        amount = _decimal(line.amount_minor, invoice.currency)
        writer.writerow([_cell(text), line.quantity, price, amount, invoice.currency])
    for label, value in sheet.sums:
        writer.writerow([label, "", "", *value.replace(",", "").split()])
    writer.writerow([])
    writer.writerows(list(rule) for rule in sheet.rules)
    if sheet.digest:
        writer.writerow([words("digest"), sheet.digest])
    return out.getvalue()


# ---------------------------------------------------------------- the sheet


def _words(account: Account, language: Language | None) -> Words:
    return Words(language or ("zh" if account.language == "zh" else "en"))


def _shown(invoice: Invoice) -> list[Any]:
    """Lines of the table; credit stands with the sums."""
    return [line for line in invoice.lines if line.kind != "credit"]


def _sheet(invoice: Invoice, account: Account, seller: Seller, words: Words) -> _Sheet:
    note = invoice.kind == "credit_note"
    issued = ("issued", invoice.finalized_ms) if invoice.finalized_ms is not None else ("created", invoice.created_ms)
    span = f"{_minute(invoice.period.start_ms)} – {_minute(invoice.period.end_ms)} UTC"
    facts = [(words("number"), invoice.number or words("no_number")), (words(issued[0]), _day(issued[1]))]
    facts += [(words("period"), span), (words("account"), invoice.account_id), (words("status"), words(invoice.status))]
    if note:
        facts.append((words("corrects"), str(invoice.lines[0].evidence["of_invoice"])))
    if invoice.voided_ms is not None:
        facts.append((words("voided"), _day(invoice.voided_ms)))
    own = [*seller.address.splitlines(), f"{words('tax_id')}{words('colon')}{seller.tax_id}" if seller.tax_id else ""]
    parties = (
        _Party(words("seller"), seller.name, tuple(line for line in own if line)),
        _Party(words("customer"), account.name, (account.email,) if account.email else ()),
    )
    sums = [] if note else [(words("subtotal"), _money(invoice.subtotal_minor, invoice.currency))]
    if invoice.credit_minor:
        sums.append((words("credit"), _money(-invoice.credit_minor, invoice.currency)))
    sums.append((words("total_note" if note else "total"), _money(invoice.total_minor, invoice.currency)))
    lines = [
        _Row(
            words.line(line), f"{line.quantity:,}", _price(line.unit_price), _money(line.amount_minor, invoice.currency)
        )
        for line in _shown(invoice)
    ]
    rules = tuple((words(rule), words(f"{rule}_text")) for rule in ("rounding", "policy"))
    mark = words(invoice.status) if invoice.status != "final" else ""
    title = words(invoice.kind)
    return _Sheet(
        title, invoice.number or "", mark, parties, tuple(facts), tuple(lines), tuple(sums), rules, invoice.digest or ""
    )


def _money(amount_minor: int, currency: str) -> str:
    return f"{_decimal(amount_minor, currency):,} {currency}"


def _decimal(amount_minor: int, currency: str) -> Decimal:
    return Decimal(amount_minor).scaleb(-CURRENCY_DIGITS[currency])


def _price(text: str) -> str:
    amount, currency = text.split()
    return f"{Decimal(amount):,f} {currency}"


def _minute(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _day(moment_ms: int) -> str:
    return _minute(moment_ms)[:10]


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string((Path(__file__).with_name("invoice.html")).read_text(encoding="utf-8"))


# ---------------------------------------------------------------- PDF


def _texts(sheet: _Sheet, words: Words) -> Iterator[str]:
    """All that is drawn."""
    yield from (
        sheet.title,
        sheet.number,
        sheet.mark,
        sheet.digest,
        words("colon"),
        words("digest"),
        *map(words, _HEADS),
    )
    for party in sheet.parties:
        yield from (party.label, party.name, *party.lines)
    for row in sheet.lines:
        yield from (row.text, row.quantity, row.unit_price, row.amount)
    for pair in (*sheet.facts, *sheet.sums, *sheet.rules):
        yield from pair


def _paragraph(
    text: str, *, size: float = 9.5, soft: bool = False, right: bool = False, bold: bool = False
) -> Paragraph:
    face = typeface.face(text, bold=bold)
    style = ParagraphStyle(
        "text",
        fontName=face,
        fontSize=size,
        leading=size * 1.4,
        textColor=colors.HexColor("#5b6675" if soft else "#000000"),
        alignment=TA_RIGHT if right else 0,
        wordWrap="CJK" if face == typeface.CHINESE else None,
    )
    return Paragraph(typeface.marked(text), style)


def _story(sheet: _Sheet, words: Words) -> list[Flowable]:
    story: list[Flowable] = [_paragraph(f"{sheet.title} {sheet.number}", size=20, bold=True), Spacer(0, 4 * mm)]
    if sheet.mark:
        story += [_paragraph(sheet.mark, size=12, bold=True), Spacer(0, 3 * mm)]
    width = A4[0] - 36 * mm
    parties = [
        [_paragraph(party.label, size=8, soft=True), _paragraph(party.name, bold=True), *map(_paragraph, party.lines)]
        for party in sheet.parties
    ]
    facts = [[_paragraph(label, size=8, soft=True), _paragraph(value)] for label, value in sheet.facts]
    top = TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)])
    thirds = [facts[place : place + 3] for place in range(0, len(facts), 3)]
    thirds[-1] += [[_paragraph("")]] * (3 - len(thirds[-1]))
    story += [Table([parties], colWidths=[width / 2] * 2, style=top), Spacer(0, 4 * mm)]
    story += [Table(thirds, colWidths=[width * 0.26, width * 0.26, width * 0.48], style=top), Spacer(0, 6 * mm)]
    rows = [[_paragraph(words(head), size=8, soft=True, right=place > 0) for place, head in enumerate(_HEADS)]]
    rows += [
        [_paragraph(row.text), *(_paragraph(text, right=True) for text in (row.quantity, row.unit_price, row.amount))]
        for row in sheet.lines
    ]
    count = len(rows)
    for place, (label, value) in enumerate(sheet.sums, 1):
        last = place == len(sheet.sums)
        size = 11.5 if last else 9.5
        rows.append(["", "", *(_paragraph(text, size=size, bold=last, right=True) for text in (label, value))])
    grey = colors.HexColor("#bbbbbb")
    ruled = TableStyle(
        [
            ("LINEBELOW", (0, 0), (-1, count - 1), 0.5, grey),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
        ]
    )
    columns = [width * part for part in (0.43, 0.13, 0.2, 0.24)]
    story += [Table(rows, colWidths=columns, style=ruled, repeatRows=1), Spacer(0, 10 * mm)]
    story += [_paragraph(f"{label}{words('colon')}{value}", size=8, soft=True) for label, value in sheet.rules]
    if sheet.digest:
        story.append(_paragraph(f"{words('digest')}{words('colon')}{sheet.digest}", size=7, soft=True))
    return story


def _footer(sheet: _Sheet) -> Any:
    """Number and page at the foot of each page, so that a loose sheet finds its invoice."""

    def draw(canvas: Any, document: Any) -> None:
        text = f"{sheet.title} {sheet.number} · {document.page}"
        canvas.setFont(typeface.face(text), 8)
        canvas.drawRightString(A4[0] - 18 * mm, 10 * mm, text)

    return draw
