"""Does the transparency report of a release hold? Every number is computed again from its evidence, the statements are made
again, and each rendered file is compared line by line: one changed digit is named by statement, file, found and expected.

Where the workspace that made the release is at hand, the evidence itself is held against dataset, run, report and the release
before. A release of another version of Tradewind is held to its own statements and digests: that version's words are not ours.
Not here: signature and digests of the manifest (`bundle.py`); figures against predictions (`evaluate/recompute.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tradewind import __version__
from tradewind.artifacts import Kind as ArtifactKind
from tradewind.artifacts import Workspace, open_artifact
from tradewind.errors import ArtifactError
from tradewind.files import digest_bytes, digest_file, read_json
from tradewind.release.registry import Registry
from tradewind.release.transparency.compare import Fault, decoded, differences, lines, nearest_rendering
from tradewind.release.transparency.document import FILE, Document, Kind, computed, document_from
from tradewind.release.transparency.evidence import (
    DATA,
    FOLDER,
    PREVIOUS,
    RELEASE,
    REPORT,
    TRAINING,
    Json,
    data_of,
    released_of,
    text_of,
    training_of,
)
from tradewind.release.transparency.files import (
    RENDERINGS,
    digests_of,
    document_of,
    read_document,
    render,
    renderings_of,
    said_by,
)

_KINDS: Mapping[str, Kind] = {"generation": "language", "embedding": "encoder"}
_PARENTS: tuple[tuple[ArtifactKind, str], ...] = (("dataset", DATA), ("run", TRAINING), ("report", REPORT))
_MOST = 20  # faults of one file: an edited page need not be told line for line


@dataclass(frozen=True)
class Checked:
    """`values` were computed again and `files` compared; `faults` is empty when all hold."""

    values: int
    files: int
    faults: tuple[Fault, ...]


def check(folder: Path, workspace: Workspace | None = None) -> Checked:
    """Raises ArtifactError when the release holds no transparency report at all."""
    if not (folder / FILE).is_file():
        raise ArtifactError(
            "The release holds no transparency report.", code="no_transparency", where=str(folder / FILE)
        )
    contents = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted((folder / FOLDER).glob("*.json"))
    }
    if (folder / REPORT).is_file():
        contents[REPORT] = (folder / REPORT).read_bytes()
    faults: list[Fault] = []
    files = _parsed(contents, faults)
    stored = _stored(folder, faults)
    if stored is not None:
        faults += _evidence(stored, contents)
        faults += _values(stored, files)
    # What evidence says that was edited itself is no measure for the files that were made from it before.
    sound = len(files) == len(contents) and (stored is None or stored.evidence == digests_of(contents))
    again = _again(files, contents) if sound else None
    if sound and again is None:
        faults.append(Fault(FOLDER, "", sorted(files), "the files that statements are made from"))
    if sound and again is not None and again[0].values.get("release.made_with") == __version__:
        faults += _renderings(folder, *again)
        faults += _document(folder, stored, again[0])
    if stored is not None and (not sound or not faults):
        faults += _digests(folder, stored)
    faults += _manifest(folder, files)
    if workspace is not None:
        faults += _parents(files, workspace)
    values = 0 if stored is None else len(stored.statements)
    return Checked(values, len(contents) + len(RENDERINGS) + 1, tuple(_few(faults)))


def check_rendering(folder: Path, file: Path) -> Checked:
    """A rendering that left the release, a card handed to somebody say, against what the release in `folder` says. Which
    frame and language it is, is found out.

    Raises ArtifactError when the release has no report, InputError for no rendering. Whether the release itself holds is
    `check`.
    """
    document = read_document(folder)
    content = file.read_bytes()
    frame, form, language = nearest_rendering(file.name, content, document)
    wanted = render(document, frame, form, language=language)
    found = differences(file.name, content, wanted, document=document, frame=frame, form=form, language=language)
    return Checked(len(document.statements), 1, tuple(_few(found)))


def kind_of(task: str) -> Kind:
    """Of a manifest's task."""
    return _KINDS.get(task, "predictor")


# ---------------------------------------------------------------- statements


def _parsed(contents: Mapping[str, bytes], faults: list[Fault]) -> dict[str, Json]:
    files: dict[str, Json] = {}
    for name, content in contents.items():
        try:
            files[name] = json.loads(content)
        except ValueError as error:
            faults.append(Fault(name, "", f"no JSON ({error})", "what the release was made with"))
    return files


def _stored(folder: Path, faults: list[Fault]) -> Document | None:
    try:
        return document_from(json.loads((folder / FILE).read_bytes()), where=str(folder / FILE))
    except ValueError as error:
        faults.append(Fault(FILE, "", f"no JSON ({error})", "the statements"))
    except ArtifactError as error:
        faults.append(Fault(FILE, "", error.message, "the statements"))
    return None


def _evidence(stored: Document, contents: Mapping[str, bytes]) -> Iterator[Fault]:
    for name, digest in stored.evidence.items():
        found = digest_bytes(contents[name]) if name in contents else "nothing"
        if found != digest:
            yield Fault(name, "evidence", found, digest)


def _values(stored: Document, files: Mapping[str, Json]) -> Iterator[Fault]:
    """What each statement's own references give, whichever version wrote them."""
    for statement in stored.statements:
        try:
            value = computed(statement, files)
        except (KeyError, TypeError, ValueError) as error:
            yield Fault(FILE, statement.key, statement.value, f"a value at {error}")
            continue
        if not _equal(statement.value, value) and not (statement.value is None and not value):
            yield Fault(FILE, statement.key, statement.value, value)


def _again(files: Mapping[str, Json], contents: Mapping[str, bytes]) -> tuple[Document, dict[str, bytes]] | None:
    """The document and its renderings as the evidence makes them; None where evidence is missing or makes none."""
    try:
        kind = kind_of(files[RELEASE].get("task", ""))
        expected = document_of(kind, files, digests=digests_of(contents))
        return expected, renderings_of(expected)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, AssertionError):
        return None


def _document(folder: Path, stored: Document | None, expected: Document) -> Iterator[Fault]:
    """All of the document; where its values agree and its text does not, the line."""
    if stored is not None:  # their digests are held against the files themselves
        expected = replace(expected, renderings=stored.renderings)
    wanted, found = text_of(expected.to_json()), decoded((folder / FILE).read_bytes())
    if wanted == found:
        return
    told = 0
    if stored is not None:
        before = {one.key: one.to_json() for one in stored.statements}
        now = {one.key: one.to_json() for one in expected.statements}
        for key in [*now, *(key for key in before if key not in now)]:
            if before.get(key) != now.get(key):
                told += 1
                yield Fault(FILE, key, before.get(key, "nothing"), now.get(key, "nothing"))
        parts, again = stored.to_json(), expected.to_json()
        for part in ("format", "product", "kind", "language", "evidence", "missing", "changes"):
            if parts[part] != again[part]:
                told += 1
                yield Fault(FILE, part, *_first_difference(parts[part], again[part]))
    if not told:
        yield from lines(FILE, found, wanted, lambda number: _statement_at(wanted, number))


def _first_difference(found: Json, expected: Json) -> tuple[Json, Json]:
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            if found.get(key) != expected.get(key):
                return {key: found.get(key, "nothing")}, {key: expected.get(key, "nothing")}
    if isinstance(found, list) and isinstance(expected, list):
        for one, other in zip(found, expected, strict=False):
            if one != other:
                return one, other
    return found, expected


def _statement_at(text: str, number: int) -> str:
    """The key of the statement that a line of transparency.json belongs to."""
    lines = text.splitlines()
    end = next((at for at in range(number, len(lines)) if lines[at].startswith("    }")), len(lines))
    start = next((at for at in range(min(number, len(lines)) - 1, -1, -1) if lines[at].startswith("    {")), 0)
    for line in lines[start:end]:
        if match := re.match(r'\s+"key": "(.*)"', line):
            return match.group(1)
    return ""


# ---------------------------------------------------------------- renderings


def _renderings(folder: Path, document: Document, wanted: Mapping[str, bytes]) -> Iterator[Fault]:
    for name, (frame, form) in RENDERINGS.items():
        path = folder / name
        if path.is_file():
            yield from differences(
                name,
                path.read_bytes(),
                wanted[name],
                document=document,
                frame=frame,
                form=form,
                language=document.language,
            )
        else:
            yield Fault(name, "", "nothing", "a file")


def _digests(folder: Path, stored: Document) -> Iterator[Fault]:
    """Where words cannot be compared: a release of another version; and what no words of a PDF show."""
    for name, digest in stored.renderings.items():
        path = folder / name
        found = digest_file(path) if path.is_file() else "nothing"
        if found != digest:
            yield Fault(name, "", found, digest)


# ---------------------------------------------------------------- where evidence comes from


def _manifest(folder: Path, files: Mapping[str, Json]) -> Iterator[Fault]:
    """release.json says what the manifest says."""
    released = files.get(RELEASE)
    try:
        manifest = read_json(folder / "manifest.json")
    except (OSError, ValueError):
        return  # the signature's check names it
    if isinstance(released, dict):
        yield from _differences(RELEASE, released, released_of(manifest, made=released.get("made", {})))


def _parents(files: Mapping[str, Json], workspace: Workspace) -> Iterator[Fault]:
    """Evidence against the artifacts it was taken from, of those that are still there."""
    released = files.get(RELEASE)
    parents = released.get("parents", {}) if isinstance(released, dict) else {}
    for kind, file in _PARENTS:
        if kind not in parents or file not in files:
            continue
        folder = workspace.folder(kind, parents[kind])
        try:
            artifact = open_artifact(folder, kind=kind)
            if kind == "dataset":
                expected = data_of(read_json(folder / "profile.json"))
            elif kind == "run":
                read = (read_json(folder / name) for name in ("summary.json", "environment.json", "product.json"))
                expected = training_of(*read)
            else:
                expected = read_json(folder / "report.json")
        except (ArtifactError, OSError, ValueError, KeyError, TypeError):
            continue  # gone, or no longer what it was: verifying it says so
        yield from _differences(file, files[file], json.loads(text_of(expected)))
        made = (released or {}).get("made", {}).get(kind)
        if made != artifact.created:
            yield Fault(RELEASE, f"parents.{kind}.made", made, artifact.created)
    said = files.get(PREVIOUS)
    if isinstance(said, dict):
        for version in Registry.open(workspace).versions:
            if version.digest == said.get("digest"):
                yield from _differences(PREVIOUS, said, json.loads(text_of(said_by(workspace, version))))


def _differences(file: str, found: Json, expected: Json, where: str = "") -> Iterator[Fault]:
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            place = f"{where}/{key}"
            if key not in found or key not in expected:
                yield Fault(file, place, found.get(key, "nothing"), expected.get(key, "nothing"))
            else:
                yield from _differences(file, found[key], expected[key], place)
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for at, (one, other) in enumerate(zip(found, expected, strict=True)):
            yield from _differences(file, one, other, f"{where}/{at}")
    elif not _equal(found, expected):
        yield Fault(file, where, found, expected)


def _equal(found: Json, expected: Json) -> bool:
    return type(found) is type(expected) and bool(found == expected)


def _few(faults: list[Fault]) -> Iterator[Fault]:
    """Each fault once, and not more of one file than help."""
    seen: dict[tuple[str, str], int] = {}
    counts: dict[str, int] = {}
    for fault in faults:
        same = fault.file, str(fault)
        if same in seen:
            continue
        seen[same] = 1
        counts[fault.file] = counts.get(fault.file, 0) + 1
        if counts[fault.file] <= _MOST:
            yield fault
