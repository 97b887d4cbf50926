"""Personal data in text: found with checksums and numbering plans, counted, and blacked out.

Not here: what is done about it (`data/clean.py`), stored personal data (`vault.py`, `erasure.py`), names and addresses,
which no rule finds.

Precision comes before recall: an order number, a date, a price or a version is no finding. Where a shape alone could be
either (bare digits), the words just before it decide.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Literal, TypeAlias

import phonenumbers
from phonenumbers import PhoneNumberType
from stdnum import iban, luhn
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

Kind: TypeAlias = Literal["email", "phone", "identity_card", "bank_card", "iban", "ip"]
Region: TypeAlias = Literal["CN", "US", "GB", "DE"]

REGIONS: tuple[Region, ...] = ("CN", "US", "GB", "DE")


@dataclass(frozen=True)
class Finding:
    """Personal data at text[start:end]."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True)
class Counts:
    """What a scan saw: texts in all, texts with a finding, and findings by kind."""

    texts: int = 0
    affected: int = 0
    findings: Mapping[Kind, int] = field(default_factory=dict)


# One pass that most texts do not survive: an @, seven digits close together, four numbers with dots, hex with colons. All
# begin with one small class of characters, which the regex engine skips to; four alternatives would be tried everywhere.
_HINT = re.compile(
    r"[@＠0-9０-９:](?:(?<=[@＠])|(?<=\d)(?:(?:\D{0,3}\d){6}|\d{0,2}\.\d{1,3}\.\d{1,3}\.\d)|(?<=:)[0-9A-Fa-f]{0,4}:)"
)
# One character for one, so that offsets stay: full-width forms, hyphens, wide and unbreakable spaces.
_PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | dict.fromkeys(range(0x2010, 0x2014), ord("-"))
_PLAIN |= {0x3000: ord(" "), 0xA0: ord(" ")}
_CLAIMED = "\0"
# A finder runs only where its own hint is seen; most digits in a text are no seven in a row.
_SEVEN_DIGITS = re.compile(r"\d(?:[ ()./\-]{0,3}\d){6}")
_AT, _DOTS_OR_COLONS = re.compile("@"), re.compile(r"\.\d{1,3}\.|[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:")


def find(text: str, *, regions: Sequence[Region] = REGIONS) -> list[Finding]:
    """Findings in order, none overlapping; offsets count characters of `text`.

    Telephone numbers with a country code are found for every country, others as they are written in `regions`.
    """
    if not _HINT.search(text):
        return []
    plain = text if text.isascii() else text.translate(_PLAIN)
    found: list[Finding] = []
    for kind, hint, finder in _FINDERS:
        if not hint.search(plain):
            continue
        for start, end in finder(plain, regions):
            found.append(Finding(kind, start, end))
            # What one finder claims, the next ones do not see.
            plain = plain[:start] + _CLAIMED * (end - start) + plain[end:]
    return sorted(found, key=lambda finding: finding.start)


def redact(text: str, *, regions: Sequence[Region] = REGIONS) -> tuple[str, list[Finding]]:
    """The text with [EMAIL], [PHONE] … in place of what was found, and the findings (offsets in the given text)."""
    found = find(text, regions=regions)
    parts, at = [], 0
    for finding in found:
        parts += [text[at : finding.start], f"[{finding.kind.upper()}]"]
        at = finding.end
    return "".join([*parts, text[at:]]), found


def scan(texts: Iterable[str], *, regions: Sequence[Region] = REGIONS) -> Counts:
    """Counts findings over many texts."""
    seen = affected = 0
    kinds: Counter[Kind] = Counter()
    for text in texts:
        seen += 1
        if found := find(text, regions=regions):
            affected += 1
            kinds.update(finding.kind for finding in found)
    return Counts(seen, affected, dict(sorted(kinds.items())))


# ---------------------------------------------------------------- words before a number

_BEFORE = 24
_OF_OTHERS = re.compile(
    r"(?:订单|单|编|流水|运单|快递|物流|货|条码|条形码|批次|序列|金额|价格|总价|合计|商品|产品|发票|合同|案件"
    r"|isbn|sku|upc|ean|asin|order|invoice|tracking|shipment|serial|ref|reference|item|product|batch|part|model|build"
    r"|version|amount|total|price|timestamp|ticket|case|\bid|\bno)"
    r"(?:[ :.#=\-_'\"]|号码|号|码|是|为|id|no|number|num){0,4}$",
    re.IGNORECASE,
)
_OF_PHONES = re.compile(
    r"(?:电话|手机|联系|座机|固话|传真|热线|拨打|致电|来电|微信|短信|whatsapp|\btel|phone|mobile|\bmob\b|\bcell|\bfax|\bcall"
    r"|telefon|\bhandy|\bsms\b|\btext\b|\bdial)[^\d\n]{0,12}$",
    re.IGNORECASE,
)
_OF_CARDS = re.compile(
    r"(?:卡|账号|账户|帐号|银联|card|visa|mastercard|amex|unionpay|debit|credit)[^\d\n]{0,12}$", re.IGNORECASE
)
_OF_VERSIONS = re.compile(
    r"(?:\bv|ver|version|版本|版|section|chapter|章|节|第|release|firmware|固件)[ .:]{0,2}$", re.IGNORECASE
)


def _said(text: str, start: int, words: re.Pattern[str]) -> bool | None:
    """True where the words before `start` announce such a number, False where they announce another, else None."""
    before = text[max(0, start - _BEFORE) : start]
    yes, no = words.search(before), _OF_OTHERS.search(before)
    if yes and no:
        return yes.start() > no.start()
    return True if yes else False if no else None


# ---------------------------------------------------------------- one finder for each kind

_Spans: TypeAlias = Iterator[tuple[int, int]]

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9][A-Za-z0-9._%+\-']{0,63}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.){1,8}([A-Za-z]{2,24})(?![A-Za-z0-9@])"
)
_FILE_ENDINGS = (
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "webp",
    "css",
    "js",
    "json",
    "html",
    "xml",
    "txt",
    "md",
    "pdf",
    "zip",
)


def _emails(text: str, regions: Sequence[Region]) -> _Spans:
    for match in _EMAIL.finditer(text):
        # logo@2x.png is a picture, git@github.com:team/code an address of a repository.
        is_repository = match[0].startswith("git@") and text[match.end() : match.end() + 1] == ":"
        if match[1].lower() not in _FILE_ENDINGS and not is_repository:
            yield match.span()


_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}")


def _ibans(text: str, regions: Sequence[Region]) -> _Spans:
    for match in _IBAN.finditer(text):
        # Blanks may belong to it or to what follows: the longest beginning that is valid and ends at a word's end.
        for end in range(match.end(), match.start() + 14, -1):
            outside = end == len(text) or not (text[end].isascii() and text[end].isalnum())
            if outside and text[end - 1] != " " and iban.is_valid(text[match.start() : end]):
                yield match.start(), end
                break


_IDENTITY_CARD = re.compile(
    r"(?<![0-9])(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])\d{4}[ -]?(?:18|19|20)\d{6}[ -]?\d{3}[0-9Xx]"
    r"(?![0-9A-Za-z])"
)


def _identity_cards(text: str, regions: Sequence[Region]) -> _Spans:
    """Resident identity cards by GB 11643-1999: province, a date of birth in the past, check digit."""
    for match in _IDENTITY_CARD.finditer(text):
        number = re.sub(r"[ -]", "", match[0]).upper()
        try:
            born = ric.get_birth_date(number)
        except ValidationError:
            continue
        if number[-1] == ric.calc_check_digit(number) and born <= date.today():
            yield match.span()


_CARD = re.compile(r"(?<![0-9A-Za-z.])\d{4}(?:[ -]?\d){9,15}(?![0-9A-Za-z]|\.\d)")
_CARD_GROUPS = re.compile(
    r"\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?|\d{4}([ -])\d{6}\2\d{4,5}|\d{6}[ -]\d{10,13}"
)


def _bank_cards(text: str, regions: Sequence[Region]) -> _Spans:
    for match in _CARD.finditer(text):
        number = re.sub(r"[ -]", "", match[0])
        said = _said(text, match.start(), _OF_CARDS)
        if said is False or not _CARD_GROUPS.fullmatch(match[0]) or not luhn.is_valid(number):
            continue
        if _is_issued(number) or (said and number[0] in "3456"):
            yield match.span()


def _is_issued(number: str) -> bool:
    """Whether a network issues cards that begin and are as long as this (ISO/IEC 7812, networks' public ranges).

    Visa's 13 and 19 digits and Maestro's are left to the words before them: bar codes and order numbers look like that.
    """
    length, two, three, four = len(number), int(number[:2]), int(number[:3]), int(number[:4])
    if length == 16:
        mastercard = 51 <= two <= 55 or 2221 <= four <= 2720
        discover = four == 6011 or two == 65 or 644 <= three <= 649
        return number[0] == "4" or mastercard or discover or two in (62, 81) or 3528 <= four <= 3589
    if length == 15:
        return two in (34, 37)
    if length == 14:
        return two in (36, 38, 39) or 300 <= three <= 305
    return (two == 62 and length >= 17) or (four in (9558, 9559) and length == 19)


_IPV4 = re.compile(r"(?<![0-9A-Za-z.])(?:\d{1,3}\.){3}\d{1,3}(?![0-9A-Za-z]|\.\d)")
_IPV6 = re.compile(
    r"(?<![0-9A-Za-z:.])[0-9A-Fa-f]{1,4}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:]|\.\d)"
)


def _ips(text: str, regions: Sequence[Region]) -> _Spans:
    for match in _IPV4.finditer(text):
        if not _OF_VERSIONS.search(text[max(0, match.start() - 12) : match.start()]) and _is_address(
            match[0], IPv4Address
        ):
            yield match.span()
    for match in _IPV6.finditer(text):
        # a::b and Foo::Bar are code: an address in use begins with three or four digits and holds a decimal one.
        if len(match[0].split(":")[0]) >= 3 and any(map(str.isdigit, match[0])) and _is_address(match[0], IPv6Address):
            yield match.span()


def _is_address(text: str, family: type[IPv4Address] | type[IPv6Address]) -> bool:
    try:
        family(text)
    except AddressValueError:
        return False
    return True


# ---------------------------------------------------------------- telephones


@dataclass(frozen=True)
class _Shape:
    """A way to write a number in a region; `sure` ones need no word before them. No region: with a country code."""

    pattern: re.Pattern[str]
    region: Region | None
    sure: bool


def _shape(pattern: str, region: Region | None, *, sure: bool) -> _Shape:
    # Not inside a word, a decimal, a path or a longer number; not before a unit.
    return _Shape(
        re.compile(
            rf"(?<![0-9A-Za-z_])(?<!\d[.,:/\-])(?<![A-Za-z][/=\-])(?:{pattern})(?![0-9A-Za-z_%]|[.,:/\-]\d| ?[元万亿美円])"
        ),
        region,
        sure,
    )


_SHAPES = (
    _shape(r"\(?(?:\+|00)?86\)?[ -]?1[3-9]\d(?:[ -]?\d{4}){2}", None, sure=True),
    _shape(r"1[3-9]\d(?:[ -]?\d{4}){2}", "CN", sure=True),
    _shape(r"\+[1-9]\d{0,2}(?:[ .\-/]?\(?\d{1,5}\)?){2,7}", None, sure=True),
    _shape(r"00[1-9]\d{0,2}(?:[ \-/]\(?\d{1,8}\)?){2,6}", None, sure=True),
    _shape(r"00[1-9]\d{8,13}", None, sure=False),
    _shape(
        r"(?:\(0\d{2,3}\) ?|0\d{2,3}[ -])[2-8]\d{2,3}[ -]?\d{4}(?P<extension>(?:-| ?转 ?)\d{1,6})?", "CN", sure=True
    ),
    _shape(r"0\d{2,3}[2-8]\d{6,7}", "CN", sure=False),
    _shape(r"[48]00[ -](?:\d{3}[ -]\d{4}|\d{4}[ -]\d{3})", "CN", sure=True),
    _shape(r"(?:1[ .-])?(?:\(\d{3}\) ?\d{3}[.\- ]\d{4}|\d{3}([.-])\d{3}\1\d{4})", "US", sure=True),
    _shape(r"(?:1 ?)?\d{3} ?\d{3} ?\d{4}", "US", sure=False),
    _shape(r"(?:\(0\d{2,4}\) ?|0\d{2,4} )\d{3,4}(?: \d{3,4})?|0\d{4} \d{5,6}", "GB", sure=True),
    _shape(r"0\d{9,10}", "GB", sure=False),
    _shape(r"(?:\(0\d{2,4}\) ?|0\d{2,4}[ /])\d{3,8}(?:[ -]\d{2,8}){0,3}", "DE", sure=True),
    _shape(r"0\d{2,4}[ /-]?\d{5,9}", "DE", sure=False),
)
_LOCAL_CN = _shape(r"(?!20\d\d-?[01]\d[0-3]\d(?!\d))[2-8]\d{2,3}[ -]?\d{4}", "CN", sure=False)
_FEWEST_UNANNOUNCED_DIGITS = 9
_NOT_OF_PEOPLE = (PhoneNumberType.PREMIUM_RATE, PhoneNumberType.UNKNOWN)


def _phones(text: str, regions: Sequence[Region]) -> _Spans:
    for shape in _SHAPES:
        if shape.region is not None and shape.region not in regions:
            continue
        for match in shape.pattern.finditer(text):
            said = _said(text, match.start(), _OF_PHONES)
            if said is False or (said is None and not shape.sure):
                continue
            number = match[0].removesuffix(match.groupdict().get("extension") or "")
            if said is None and sum(map(str.isdigit, number)) < _FEWEST_UNANNOUNCED_DIGITS:
                continue
            if _is_assigned(number, shape.region):
                yield match.span()
                text = text[: match.start()] + _CLAIMED * len(match[0]) + text[match.end() :]
    if "CN" in regions:
        # Without an area code no numbering plan can tell: only where 电话 or the like stands before it.
        for match in _LOCAL_CN.pattern.finditer(text):
            if _said(text, match.start(), _OF_PHONES):
                yield match.span()


def _is_assigned(number: str, region: Region | None) -> bool:
    """Whether the numbering plan has such a number. Without a region it starts with + or 00 or 86."""
    if region is None:
        number = "+" + re.sub(r"\D", "", number).removeprefix("00")
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(parsed) and phonenumbers.number_type(parsed) not in _NOT_OF_PEOPLE


_FINDERS: tuple[tuple[Kind, re.Pattern[str], Callable[[str, Sequence[Region]], _Spans]], ...] = (
    ("email", _AT, _emails),
    ("iban", _IBAN, _ibans),
    ("identity_card", _IDENTITY_CARD, _identity_cards),
    ("bank_card", _CARD, _bank_cards),
    ("ip", _DOTS_OR_COLONS, _ips),
    ("phone", _SEVEN_DIGITS, _phones),
)
