"""The three pages say the same, in both languages, and nothing a customer is called can break out of them."""

import csv
import io
import re
from html.parser import HTMLParser

import pytest
from pypdf import PdfReader

from tradewind.business.accounts import Account
from tradewind.business.invoices import Invoice
from tradewind.business.lines import Line, Segment, bill
from tradewind.business.pages import Seller
from tradewind.business.pages import csv as csv_of
from tradewind.business.pages import html as html_of
from tradewind.business.pages import pdf as pdf_of
from tradewind.business.periods import Period
from tradewind.tariff import Plan

PERIOD = Period(1_773_144_000_000, 1_775_822_400_000)  # 2026-03-10 12:00 to 2026-04-10 12:00
SELLER = Seller("微风科技有限公司", "Pier 7\nHarbour City", "91310000X")
NAMES = {"en": "Harbour & Sons <Ltd>", "zh": "远洋贸易有限公司"}
POLICY = {"en": "a client that disconnects before then is not billed", "zh": "客户端在此之前断开连接的，不计费"}
ROUNDING = {"en": "half to even", "zh": "四舍六入五成双"}
TITLE = {"en": "Invoice", "zh": "账单"}


def account(language="en", name=None):
    return Account("acc_1", name or NAMES[language], "billing@example.com", language, 0, None)


def invoice(status="final", credit=10_000, **changes):
    terms = Plan(monthly="1299 CNY", included=1_000, overage="0.002 CNY")
    parts = [Segment("sub_1", "pro", terms, "v1", PERIOD.start_ms, PERIOD.end_ms, 51_000)]
    made = bill(parts, period=(PERIOD.start_ms, PERIOD.end_ms), credit_minor=credit)
    values = {
        "id": "inv_1", "number": "TW-2026-000042", "kind": "invoice", "status": status, "account_id": "acc_1",
        "subscription_id": "sub_1", "corrects": None, "period": PERIOD, "currency": "CNY", "terms": (),
        "total_minor": made.total_minor, "lines": made.lines, "created_ms": PERIOD.end_ms,
        "finalized_ms": PERIOD.end_ms + 86_400_000, "digest": "sha256:" + "a" * 64,
    }  # fmt: skip
    return Invoice(**values | changes)


def pdf_text(data):
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages)


def page_text(page):
    found = []
    parser = HTMLParser()
    parser.handle_data = found.append
    parser.feed(page)
    return "".join(found)


def squeezed(text):
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("form", ["html", "pdf", "csv"])
def test_every_page_shows_what_an_invoice_must(form, language):
    who = account(language)
    make = {
        "html": lambda *a, **k: page_text(html_of(*a, **k)),
        "pdf": lambda *a, **k: pdf_text(pdf_of(*a, **k)),
        "csv": csv_of,
    }
    text = squeezed(make[form](invoice(), account=who, seller=SELLER))
    amounts = ["1299.00", "100.00", "1399.00", "-100.00"]
    wanted = [SELLER.name, NAMES[language], "TW-2026-000042", "2026-04-11", "2026-03-10 12:00 – 2026-04-10 12:00 UTC"]
    wanted += [POLICY[language], ROUNDING[language], TITLE[language], "acc_1", "pro", "91310000X", "Pier 7"]
    for part in wanted:
        assert squeezed(part) in text, part
    for amount in amounts:
        assert amount in text.replace(",", ""), amount


def test_names_cannot_become_markup_or_formulas():
    who = account(name="<script>alert(1)</script>")
    page = html_of(invoice(), account=who, seller=SELLER)
    assert "<script>" not in page
    assert "<script>alert(1)</script>" in pdf_text(pdf_of(invoice(), account=who, seller=SELLER))
    who = account(name='=HYPERLINK("http://example.com")')
    cells = [cell for row in csv.reader(io.StringIO(csv_of(invoice(), account=who, seller=SELLER))) for cell in row]
    assert '\'=HYPERLINK("http://example.com")' in cells


def test_the_page_asks_for_nothing_from_outside_and_suits_phone_paper_and_dark():
    page = html_of(invoice(), account=account(), seller=SELLER)
    assert not re.search(r"https?://|<script|<link|@import|src=", page)
    for part in ("prefers-color-scheme: dark", "@media print", "max-width: 560px", 'name="viewport"'):
        assert part in page


def test_an_address_keeps_its_lines():
    assert "Pier 7<br>Harbour City<br>" in html_of(invoice(), account=account(), seller=SELLER)


def test_the_language_is_the_accounts_unless_asked_otherwise():
    assert '<html lang="zh">' in html_of(invoice(), account=account("zh"), seller=SELLER)
    assert '<html lang="en">' in html_of(invoice(), account=account("zh"), seller=SELLER, language="en")


def test_the_same_invoice_gives_the_same_pdf():
    one, two = (pdf_of(invoice(), account=account("zh"), seller=SELLER) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(("status", "says"), [("draft", "not an invoice yet"), ("void", "Void")])
def test_what_is_not_final_says_so_on_each_page(status, says):
    made = invoice(status=status, number=None if status == "draft" else "TW-2026-000042")
    for make in (html_of, lambda *a, **k: pdf_text(pdf_of(*a, **k)), csv_of):
        assert says in make(made, account=account(), seller=SELLER)


def test_a_credit_note_names_the_invoice_it_corrects():
    line = Line("correction", "Outage on 3 April", 1, "-5.00 CNY", -500, {"of_invoice": "TW-2026-000042"})
    note = invoice(kind="credit_note", corrects="inv_1", number="TW-2026-000043", lines=(line,), total_minor=-500)
    for make in (html_of, lambda *a, **k: pdf_text(pdf_of(*a, **k)), csv_of):
        text = make(note, account=account(), seller=SELLER)
        assert all(
            part in text for part in ("Credit note", "TW-2026-000042", "TW-2026-000043", "Outage on 3 April", "-5.00")
        )


@pytest.mark.parametrize("name", ["😀 & Söhne", "Ł" * 150, "x" * 200, "한국 주식회사", "a\x07b"])
def test_any_name_can_be_printed(name):
    assert pdf_of(invoice(), account=account(name=name), seller=SELLER).startswith(b"%PDF")
    assert "TW-2026-000042" in html_of(invoice(), account=account(name=name), seller=SELLER)


def test_numbers_in_csv_are_numbers():
    rows = list(csv.reader(io.StringIO(csv_of(invoice(), account=account(), seller=SELLER))))
    assert ["Plan pro: further units", "50000", "0.002", "100.00", "CNY"] in rows
    assert ["Total due", "", "", "1299.00", "CNY"] in rows


def test_a_hundred_lines_fill_several_pages_with_the_number_on_each():
    lines = tuple(Line("correction", f"Line {n}", 1, "1.00 CNY", 100) for n in range(100))
    made = invoice(lines=lines, total_minor=10_000)
    pages = PdfReader(io.BytesIO(pdf_of(made, account=account(), seller=SELLER))).pages
    assert len(pages) > 1
    assert all("TW-2026-000042" in page.extract_text() for page in pages)


@pytest.mark.parametrize(("currency", "shown"), [("JPY", "1,234 JPY"), ("KWD", "1.234 KWD")])
def test_each_currency_has_its_own_digits(currency, shown):
    line = Line("correction", "x", 1, f"1 {currency}", 1234)
    made = invoice(currency=currency, lines=(line,), total_minor=1234)
    assert shown in html_of(made, account=account(), seller=SELLER)
