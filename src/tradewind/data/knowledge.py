"""Documents of a knowledge base from files: Markdown, HTML, plain text, and tables of questions and answers.
Not here: cutting (`features/passages.py`), the index (`knowledge_index.py`), vectors (`cli/knowledge.py`).

A folder is walked as a whole; folders inside it become tags. What cannot be read is rejected with its reason, and the rest goes
on. A table is CSV, TSV or JSONL with `question` and `answer`, or `text`; further columns are `tags`, `title`, `source`,
`language`, `id`, in English or in Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tradewind.data.sources import open_source
from tradewind.data.sources.detect import SAMPLE_BYTES, encoding_of
from tradewind.data.sources.location import File, reading
from tradewind.errors import DataError, InputError, nearest
from tradewind.features.passages import Document, Form, Passage, cut, language_of, pair
from tradewind.files import digest_file, digest_json
from tradewind.product import KnowledgeBase, Source

_FORMS: Mapping[str, Form] = {
    ".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html", ".xhtml": "html", ".txt": "text",
}  # fmt: skip
_TABLES = frozenset([".csv", ".tsv", ".jsonl", ".ndjson"])
_NAMES: Mapping[str, tuple[str, ...]] = {
    "question": ("question", "questions", "q", "query", "问题", "问", "标准问", "提问"),
    "answer": ("answer", "answers", "a", "reply", "response", "答案", "回答", "答", "回复"),
    "text": ("text", "content", "body", "passage", "正文", "内容", "文本"),
    "tags": ("tags", "tag", "category", "topic", "标签", "分类", "类别"),
    "title": ("title", "heading", "标题"),
    "source": ("source", "url", "link", "来源", "链接"),
    "language": ("language", "lang", "语言"),
    "id": ("id", "编号"),
}
_TAG_MARKS = re.compile(r"\s*[,;|，；、]\s*")
_SPACE = re.compile(r"\s+")
_MOST_BYTES = 64 << 20
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Rejected:
    """A file, or a row of one, that is not in the knowledge base."""

    file: str
    line: int
    code: str
    reason: str


@dataclass(frozen=True)
class Gathered:
    """All documents in the order of their files. A document of a pair has one passage whose `question` is set."""

    documents: tuple[Document, ...]
    rejected: tuple[Rejected, ...]
    files: Mapping[str, str]  # digests of the files, by name

    @property
    def passages(self) -> list[tuple[Document, Passage]]:
        return [(document, passage) for document in self.documents for passage in document.passages]

    @property
    def fingerprint(self) -> str:
        return digest_json(dict(self.files))


def fingerprint(settings: KnowledgeBase, *, base: Path) -> str:
    """Of the files as they are: another one, and the knowledge base is built again. Raises DataError."""
    return digest_json({file.name: digest_file(file.path) for file in _files(settings.source, base)})


def gather(settings: KnowledgeBase, *, base: Path) -> Gathered:
    """Reads every file. Raises DataError (`missing`, `knowledge_format`, `knowledge_empty`), its `where` the file."""
    documents: list[Document] = []
    rejected: list[Rejected] = []
    files = _files(settings.source, base)
    for file in files:
        try:
            found = list(_read(file, settings, rejected))
        except DataError as error:
            rejected.append(Rejected(file.name, 1, error.code, error.message))
            continue
        if not any(document.passages for document in found):
            rejected.append(Rejected(file.name, 1, "data.document_empty", "There is no text in it."))
        documents += [document for document in found if document.passages]
    if not documents:
        first = f" The first that was not taken: {rejected[0].file}: {rejected[0].reason}" if rejected else ""
        raise DataError(
            f"The knowledge base has no passage.{first}", code="knowledge_empty", where="knowledge.source",
            hint="Give Markdown, HTML or text files, or a table with the columns question and answer.",
        )  # fmt: skip
    return Gathered(_named_once(documents), tuple(rejected), {file.name: digest_file(file.path) for file in files})


# ---------------------------------------------------------------- files


def _files(sources: Sequence[str], base: Path) -> list[File]:
    found: list[File] = []
    for source in sources:
        path = (base / source).expanduser()
        if path.is_dir():
            inner = sorted(one for one in path.rglob("*") if one.is_file() and _wanted(one.relative_to(path)))
            found += [File(one, f"{source.rstrip('/')}/{one.relative_to(path).as_posix()}") for one in inner]
        elif not path.exists():
            beside = sorted(one.name for one in path.parent.iterdir()) if path.parent.is_dir() else []
            raise DataError(
                "There is no such file or folder.", code="missing", where=f"knowledge.source: {source}",
                hint=nearest(path.name, beside) or None,
            )  # fmt: skip
        elif not _known(path):
            raise DataError(
                f"A knowledge base is not read from {path.suffix or 'files without a suffix'}.",
                code="knowledge_format", where=source,
                hint=f"Give {', '.join(sorted([*_FORMS, *_TABLES]))}, or a folder of these.",
            )  # fmt: skip
        else:
            found.append(File(path, source))
    return found


def _known(path: Path) -> bool:
    return path.suffix.lower() in _FORMS or path.suffix.lower() in _TABLES


def _wanted(path: Path) -> bool:
    return _known(path) and not any(part.startswith((".", "_")) for part in path.parts)


def _read(file: File, settings: KnowledgeBase, rejected: list[Rejected]) -> Iterator[Document]:
    suffix = file.path.suffix.lower()
    if suffix in _TABLES:
        yield from _table(file, settings, rejected)
        return
    text = _text(file)
    form = _FORMS[suffix]
    try:
        passages = cut(text, form, size=settings.size, overlap=settings.overlap)
    except InputError as error:
        raise DataError(error.message, code="binary", where=file.name) from error
    title = _TITLE.search(text) if form == "html" else None
    heading = next((one.heading.partition(" › ")[0] for one in passages if one.heading), "")
    yield Document(
        name=file.name, source=file.name, passages=passages, language=language_of(" ".join(one.text for one in passages[:20])),
        tags=_folders(file.name, settings.source), title=_SPACE.sub(" ", title[1]).strip() if title else heading,
    )  # fmt: skip


def _text(file: File) -> str:
    """Raises DataError (binary, too_large, encoding_unknown)."""
    if file.bytes > _MOST_BYTES:
        raise DataError(f"It is larger than {_MOST_BYTES >> 20} MB.", code="too_large", where=file.name, hint="Cut it.")
    with reading(file.name):
        content = file.path.read_bytes()
    encoding = encoding_of(content[:SAMPLE_BYTES], "auto", whole=len(content) <= SAMPLE_BYTES, where=file.name)
    text = content.decode(encoding, "replace").removeprefix("﻿")
    controls = sum(text.count(chr(code)) for code in range(32) if code not in (8, 9, 10, 12, 13, 27))
    if "\x00" in text or controls > len(text) / 50:
        raise DataError("It is a binary file, not text.", code="binary", where=file.name)
    return text


def _folders(name: str, sources: Sequence[str]) -> tuple[str, ...]:
    """Names of the folders between the source and the file."""
    for source in sources:
        prefix = f"{source.rstrip('/')}/"
        if name.startswith(prefix):
            return PurePosixPath(name.removeprefix(prefix)).parts[:-1]
    return ()


# ---------------------------------------------------------------- tables


def _table(file: File, settings: KnowledgeBase, rejected: list[Rejected]) -> Iterator[Document]:
    opened = open_source(Source(path=str(file.path.absolute())), base=file.path.parent, memory=1 << 28)
    columns = {role: name for role, names in _NAMES.items() if (name := _column(opened.names, names)) is not None}
    if not ({"question", "answer"} <= columns.keys() or "text" in columns):
        raise DataError(
            f"It has neither question and answer nor text. Columns: {', '.join(opened.names)}.",
            code="knowledge_columns", where=file.name, hint="Name the columns question and answer in the first row.",
        )  # fmt: skip
    for chunk in opened.chunks():
        rows = (
            chunk.frame.select(list(columns.values())).rename({name: role for role, name in columns.items()}).to_dicts()
        )
        for line, row in zip(chunk.lines.tolist(), rows, strict=True):
            document = _of_row(file, line, {role: str(value or "").strip() for role, value in row.items()}, settings)
            if document is None:
                rejected.append(Rejected(file.name, line, "data.document_empty", "Its answer or text is empty."))
            else:
                yield document
    rejected += [Rejected(file.name, one.line, one.code, one.reason) for one in opened.rejects]


def _of_row(file: File, line: int, row: Mapping[str, str], settings: KnowledgeBase) -> Document | None:
    passages: Sequence[Passage]
    if row.get("question") and row.get("answer"):
        passages = [pair(row["question"], row["answer"], line=line)]
    elif row.get("text"):
        pieces = cut(row["text"], "text", size=settings.size, overlap=settings.overlap)
        passages = [Passage(one.text, row.get("title", ""), line, line) for one in pieces]
    else:
        return None
    return Document(
        name=row.get("id") or f"{file.name}#{line}", source=row.get("source") or file.name, passages=tuple(passages),
        language=row.get("language") or language_of(passages[0].found_by), title=row.get("title", ""),
        tags=tuple(tag for tag in _TAG_MARKS.split(row.get("tags", "")) if tag),
    )  # fmt: skip


def _column(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    by_key = {name.strip().casefold(): name for name in names}
    return next((by_key[one] for one in wanted if one in by_key), None)


def _named_once(documents: Sequence[Document]) -> tuple[Document, ...]:
    """Two of one name, from tables with an id, say: the later ones get a number."""
    seen: dict[str, int] = {}
    found: list[Document] = []
    for one in documents:
        seen[one.name] = times = seen.get(one.name, 0) + 1
        name = one.name if times == 1 else f"{one.name} ({times})"
        found.append(replace(one, name=name))
    return tuple(found)
