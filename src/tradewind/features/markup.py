"""Markdown, HTML and plain text as blocks under headings: paragraphs, lists, tables, code. Not passages (`passages.py`).

Only what a reader sees is text: no tags, styles or scripts, no link targets. A block knows its lines in the source.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-{2,})\s*$")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_RULE = re.compile(r"^ {0,3}([-*_])(\s*\1){2,}\s*$")
_IMAGE, _LINK = re.compile(r"!\[([^\]]*)\]\([^)]*\)"), re.compile(r"\[([^\]]*)\]\([^)]*\)")
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_CODE = re.compile(r"(`+)([^`\n](?:.*?[^`\n])?)\1(?!`)")
_SPACES = re.compile(r"[ \t\f\v\xa0]+")
# Within these nothing is read; around these a block ends.
_UNSEEN = frozenset(["script", "style", "template", "noscript", "svg", "math", "head"])
_BLOCKS = frozenset(
    [
        "address", "article", "aside", "blockquote", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption",
        "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol",
        "p", "pre", "section", "table", "tr", "ul", "body", "summary"
    ]
)  # fmt: skip
_LEVELS = {f"h{level}": level for level in range(1, 7)}


@dataclass(frozen=True)
class Block:
    """Text under `headings`, outermost first, from `line` to `last` of the source, 1-based."""

    text: str
    headings: tuple[str, ...]
    line: int
    last: int


@dataclass
class _Outline:
    """The headings that are open, by level."""

    open: dict[int, str] = field(default_factory=dict)

    def enter(self, level: int, text: str) -> None:
        self.open = {one: words for one, words in self.open.items() if one < level}
        if text:
            self.open[level] = text

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(self.open[level] for level in sorted(self.open))


def blocks_of_text(text: str) -> Iterator[Block]:
    """Paragraphs between empty lines."""
    waiting: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.strip():
            waiting.append(line.rstrip())
        elif waiting:
            yield Block("\n".join(waiting), (), number - len(waiting), number - 1)
            waiting = []


def blocks_of_markdown(text: str) -> Iterator[Block]:
    """As CommonMark has them, as far as a reader of answers needs it: headings, paragraphs, fences, front matter left out."""
    lines = _blanked(_COMMENT, text).split("\n")
    outline, waiting, fence, start = _Outline(), list[str](), "", _behind_front_matter(lines)
    for number in range(start, len(lines) + 1):
        line = lines[number] if number < len(lines) else ""
        opens = _FENCE.match(line)
        if fence:
            closes = opens is not None and opens[1].startswith(fence) and line.strip() == opens[1]
            fence = "" if closes else fence
            waiting.append(line)
            continue
        heading, under = _HEADING.match(line), _UNDERLINE.match(line)
        if (
            opens is None
            and line.strip()
            and not heading
            and not (under and len(waiting) == 1)
            and not _RULE.match(line)
        ):
            waiting.append(line)
            continue
        if under and len(waiting) == 1 and not waiting[0].lstrip().startswith(("-", "*", "+", ">", "|", "#")):
            outline.enter(1 if "=" in under[1] else 2, _inline(waiting[0]).strip())
            waiting = []
            continue
        yield from _block(waiting, outline, number)
        waiting = []
        if opens:
            fence = opens[1]
            waiting.append(line)
        elif heading:
            outline.enter(len(heading[1]), _inline(heading[2]).strip())
    yield from _block(waiting, outline, len(lines))


def _block(lines: list[str], outline: _Outline, end: int) -> Iterator[Block]:
    first = end - len(lines) + 1
    if lines and _FENCE.match(lines[0]):
        last = lines[1:-1] if len(lines) > 1 and _FENCE.match(lines[-1]) else lines[1:]
        text = "\n".join(last)
    else:
        text = "\n".join(_inline(line).rstrip() for line in lines).strip()
    if text.strip():
        yield Block(text, outline.path, first, end)


def _inline(line: str) -> str:
    """A line as it is read. What stands in backquotes is shown as it is written."""
    shown, at = [], 0
    for code in _CODE.finditer(line):
        shown += [_plain(line[at : code.start()]), code[2]]
        at = code.end()
    return "".join([*shown, _plain(line[at:])])


def _plain(part: str) -> str:
    part = _LINK.sub(r"\1", _IMAGE.sub(r"\1", part))
    return html.unescape(_TAG.sub("", _STRONG.sub(r"\2", part)))


def _behind_front_matter(lines: list[str]) -> int:
    if lines and lines[0].rstrip() == "---":
        for number, line in enumerate(lines[1:], 1):
            if line.rstrip() in ("---", "..."):
                return number + 1
    return 0


def _blanked(pattern: re.Pattern[str], text: str) -> str:
    """What matches gives way to its line breaks, so that lines keep their numbers."""
    return pattern.sub(lambda match: "\n" * match[0].count("\n"), text)


def blocks_of_html(text: str) -> Iterator[Block]:
    """What a browser shows, block by block; broken markup is read as far as it goes."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    reader.end_block()
    yield from reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Block] = []
        self._outline = _Outline()
        self._parts: list[str] = []
        self._line = self._last = 0
        self._unseen = 0
        self._level: int | None = None
        self._literal = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag in _BLOCKS:
            self.end_block()
            self._level = _LEVELS.get(tag)
            self._literal += tag == "pre"
        elif tag == "br":
            self._parts.append("\n")
        elif tag in ("td", "th"):
            self._parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in _BLOCKS:
            self.end_block()
            self._literal -= tag == "pre" and self._literal > 0

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if not self._parts or not "".join(self._parts).strip():
            self._line = self.getpos()[0] + len(data[: len(data) - len(data.lstrip())].split("\n")) - 1
        if data.strip():
            self._last = self.getpos()[0] + data.rstrip().count("\n")
        self._parts.append(data if self._literal else data.replace("\n", " "))

    def end_block(self) -> None:
        joined = "".join(self._parts)
        lines = joined.split("\n") if self._literal else [_SPACES.sub(" ", one).strip() for one in joined.split("\n")]
        text = "\n".join(lines).strip("\n").rstrip()
        if text.strip():
            if self._level is not None:
                self._outline.enter(self._level, text.replace("\n", " "))
            else:
                self.found.append(Block(text, self._outline.path, self._line, max(self._line, self._last)))
        self._parts, self._level = [], None
