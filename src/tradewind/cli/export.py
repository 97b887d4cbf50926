"""`tradewind export`: everything that is held about a person, as an archive to hand out (GDPR articles 15 and 20, PIPL 45).

The archive holds `export.json` (by store: where, and what), files such as pictures under `files/`, and the privacy notice in
both languages, which says what the data are used for, how long they are kept and whom to ask.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tradewind.cli.erase_stored import business_database
from tradewind.cli.erasing import unknown
from tradewind.cli.holders import Case, holders_of, look
from tradewind.cli.notice import notice_of
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, emit
from tradewind.clock import stamp
from tradewind.errors import InputError, writing
from tradewind.files import write_bytes
from tradewind.privacy import erasure, notice
from tradewind.privacy.erasure import Item
from tradewind.privacy.subjects import Subject, SubjectKey

_DATED = (1980, 1, 1, 0, 0, 0)  # the same content is the same archive


def command(
    subject: Annotated[str, typer.Argument(help="The person, as named in data.subject or in requests.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The archive, or a .json file.", show_default=False)
    ] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Collect everything that is held about a person into an archive."""
    session = Session.open(directory)
    person = Subject.of(subject, SubjectKey.open(session.workspace.home))
    path = output or Path(f"export-{person.digest[4:16]}.zip")
    if path.suffix not in (".zip", ".json"):
        raise InputError("The file ends in .zip or .json.", code="export_format", where=str(path))
    case = Case(session.workspace, person, "", "", redact=False)
    with business_database(session.workspace) as database:
        found = erasure.find(holders_of(case, database), person)
    source = look(session, person)
    if not found and not source.count:
        raise unknown()
    files: dict[str, bytes] = {}
    content: dict[str, Any] = {
        "subject": subject, "product": session.product.product, "at": stamp(session.workspace.clock.now()),
        "stores": {name: [_plain(item, files) for item in items] for name, items in found.items()},
        "source": {"rows": source.rows, "lines": [asdict(one) for one in source.places], "count": source.count,
                   "unread": source.unread},
    }  # fmt: skip
    if files and path.suffix == ".json":
        raise InputError("It holds pictures.", code="export_format", where=str(path), hint="Write a .zip.")
    text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True, default=str)
    with writing(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, text.encode() if path.suffix == ".json" else _archive(text, files, session), mode=0o600)
    counts = {name: len(items) for name, items in found.items()}
    if as_json:
        emit({"export": str(path), "found": counts, "source": source.count, "files": len(files)})
        return
    for name, count in counts.items():
        typer.echo(f"{count:6,}  {name}")
    typer.echo(f"{source.count:6,}  lines of your own source")
    typer.echo(f"{path}")


def _plain(item: Item, files: dict[str, bytes]) -> dict[str, Any]:
    """The item as JSON; its files are numbered into `files`."""
    named = {}
    for name, data in item.files.items():
        named[name] = f"files/{len(files) + 1:04d}{_ending(data)}"
        files[named[name]] = data
    return {"place": item.place, "content": item.content, **({"files": named} if named else {})}


def _archive(text: str, files: Mapping[str, bytes], session: Session) -> bytes:
    held = notice_of(session.product)
    pages = {f"notice.{language}.html": notice.render(held, language).encode() for language in notice.LANGUAGES}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"export.json": text.encode(), **pages, **files}.items():
            archive.writestr(zipfile.ZipInfo(name, _DATED), data, zipfile.ZIP_DEFLATED)
    return content.getvalue()


_MAGIC: Sequence[tuple[bytes, str]] = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8", ".jpg"),
    (b"RIFF", ".webp"),
    (b"GIF8", ".gif"),
)


def _ending(data: bytes) -> str:
    return next((ending for magic, ending in _MAGIC if data.startswith(magic)), ".bin")
