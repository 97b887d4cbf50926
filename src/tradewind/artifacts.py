"""Artifacts: folders written once, atomically, named by the digest of what they were made from.

Not here: what is inside each kind (`data/dataset.py`, `train/run.py`, `evaluate/report.py`, `release/bundle.py`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tradewind.clock import Clock, SystemClock, stamp
from tradewind.errors import ArtifactError, writing
from tradewind.files import digest_file, digest_folder, digest_json, read_json, write_json

Kind: TypeAlias = Literal["dataset", "run", "report", "release", "knowledge", "translator"]

RECORD = "artifact.json"
TOMBSTONE = "erased.json"  # stands in place of an artifact that held what may be held no longer
_NAME_DIGITS = 16
_NEW, _OLD = ".amended", ".old"  # of a folder that is being changed on purpose, and of what it replaces


@dataclass(frozen=True)
class Artifact:
    """A finished artifact on disk.

    `digest` is the digest of `made_of`; `parents` are digests by kind; `files` are content digests by relative path.
    """

    folder: Path
    kind: Kind
    digest: str
    made_of: Mapping[str, Any]
    parents: Mapping[str, str]
    files: Mapping[str, str]
    created: str


@dataclass(frozen=True)
class Workspace:
    """The `.tradewind` folder of a product: artifacts by kind, signing keys, the registry."""

    home: Path
    clock: Clock = field(default_factory=SystemClock, compare=False)

    @classmethod
    def of(cls, product_folder: Path) -> Workspace:
        """`TRADEWIND_HOME` where set, else `.tradewind` in the product's folder."""
        home = os.environ.get("TRADEWIND_HOME")
        return cls(Path(home).expanduser().resolve() if home else product_folder.resolve() / ".tradewind")

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    def folder(self, kind: Kind, digest: str) -> Path:
        return self.home / f"{kind}s" / digest.removeprefix("sha256:")[:_NAME_DIGITS]

    def partial(self, kind: Kind, digest: str) -> Path:
        """Where an unfinished artifact is being made; a later call with the same digest finds it and may resume."""
        final = self.folder(kind, digest)
        return final.with_name(f".{final.name}.partial")

    def find(self, kind: Kind, digest: str) -> Artifact | None:
        """The finished artifact made from `digest`, or None when it has to be made."""
        folder = self.folder(kind, digest)
        if not (folder / RECORD).exists():
            return None
        artifact = open_artifact(folder, kind=kind)
        return artifact if artifact.digest == digest else None

    @contextmanager
    def making(
        self, kind: Kind, made_of: Mapping[str, Any], *, parents: Mapping[str, str] | None = None, resume: bool = False
    ) -> Iterator[Path]:
        """Yields an empty folder to fill; on a clean exit it becomes the artifact at once, otherwise nothing is seen.

        With `resume` the unfinished folder of an earlier, interrupted call is handed out as it was left.
        Raises EnvironmentFailure when the disk is full or the folder cannot be written.
        """
        digest = digest_json(made_of)
        final, partial = self.folder(kind, digest), self.partial(kind, digest)
        with writing(str(self.home)):
            if not resume and partial.exists():
                shutil.rmtree(partial)
            partial.mkdir(parents=True, exist_ok=True)
            try:
                yield partial
            except BaseException:
                if not resume:
                    shutil.rmtree(partial, ignore_errors=True)
                raise
            write_json(
                partial / RECORD,
                {
                    "kind": kind,
                    "digest": digest,
                    "made_of": made_of,
                    "parents": dict(parents or {}),
                    "files": digest_folder(partial, leave_out=[RECORD]),
                    "created": stamp(self.clock.now()),
                },
            )
            if final.exists():
                # A folder without a valid record is a leftover, not an artifact: nothing finished is overwritten.
                shutil.rmtree(final)
            os.replace(partial, final)


def open_artifact(folder: Path, *, kind: Kind | None = None) -> Artifact:
    """Reads an artifact's record. Raises ArtifactError when there is none or it is of another kind."""
    record = folder / RECORD
    if not folder.is_dir():
        raise ArtifactError("There is no such folder.", code="missing", where=str(folder))
    if not record.is_file():
        raise ArtifactError(
            f"It holds no {RECORD}, so it is no artifact.",
            code="not_an_artifact",
            where=str(folder),
            hint="Give the folder that `tradewind run --json` names under artifacts.",
        )
    try:
        content = read_json(record)
        artifact = Artifact(
            folder=folder,
            kind=content["kind"],
            digest=content["digest"],
            made_of=content["made_of"],
            parents=content["parents"],
            files=content["files"],
            created=content["created"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"The record cannot be read ({error}).", code="record_broken", where=str(record)) from error
    if kind is not None and artifact.kind != kind:
        raise ArtifactError(
            f"It is a {artifact.kind}, but a {kind} was expected.", code="wrong_kind", where=str(folder)
        )
    return artifact


def all_artifacts(workspace: Workspace, kind: Kind) -> list[Artifact]:
    """Every finished artifact of a kind, by name."""
    return [
        open_artifact(record.parent, kind=kind)
        for record in sorted((workspace.home / f"{kind}s").glob(f"[!.]*/{RECORD}"))
    ]


def bury(
    artifact: Artifact, *, why: str, at: str, receipt: str | None = None, further: Mapping[str, Any] | None = None
) -> None:
    """Removes an artifact for good. A tombstone keeps its digest and parents, why it went, the receipt's id and `further`.

    Raises EnvironmentFailure. What is made again from the same inputs takes the tombstone's place; what is left of a burial
    that was interrupted goes with `tidy`.
    """
    stone = {"kind": artifact.kind, "digest": artifact.digest, "parents": dict(artifact.parents), "why": why, "at": at}
    stone |= {**(further or {}), **({} if receipt is None else {"receipt": receipt})}
    grave = _beside(artifact.folder, _OLD)
    with writing(str(artifact.folder)):
        os.replace(artifact.folder, grave)  # from here on nobody takes it for an artifact
        write_json(artifact.folder / TOMBSTONE, stone)
        shutil.rmtree(grave)


def tombstones(workspace: Workspace, kind: Kind) -> Iterator[dict[str, Any]]:
    """What is kept of each artifact of a kind that was buried."""
    for path in sorted((workspace.home / f"{kind}s").glob(f"[!.]*/{TOMBSTONE}")):
        yield read_json(path)


@contextmanager
def amending(artifact: Artifact, *, why: str, at: str, receipt: str) -> Iterator[Path]:
    """Yields a copy of an artifact to change on purpose; on a clean exit it takes the artifact's place, else nothing happens.

    Files of the copy may share their bytes with the original: write them whole (`files.write_bytes`), never into. The
    record is written anew and says when and by which receipt; digest and parents stay. Raises EnvironmentFailure.
    """
    folder = artifact.folder
    fresh, old = _beside(folder, _NEW), _beside(folder, _OLD)
    with writing(str(folder)):
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(folder, fresh, copy_function=os.link)
        try:
            yield fresh
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        record = read_json(folder / RECORD)
        record["files"] = digest_folder(fresh, leave_out=[RECORD])
        record["amended"] = [*record.get("amended", []), {"why": why, "at": at, "receipt": receipt}]
        write_json(fresh / RECORD, record)
        os.replace(folder, old)
        os.replace(fresh, folder)
        shutil.rmtree(old)


def expire(workspace: Workspace, kind: Kind, *, before: datetime) -> int:
    """Buries what was made before a moment; gives how many. `prepare` and `run` make it again where it is wanted."""
    due = [one for one in all_artifacts(workspace, kind) if datetime.fromisoformat(one.created) < before]
    for artifact in due:
        bury(artifact, why="retention", at=stamp(workspace.clock.now()))
    return len(due)


def tidy(workspace: Workspace, kind: Kind) -> int:
    """Ends burials and amendments that were interrupted, and removes what was never finished; gives how many folders.

    Not while another process makes an artifact of this kind: its unfinished folder goes too.
    """
    gone = 0
    place = workspace.home / f"{kind}s"
    with writing(str(place)):
        for old in sorted(place.glob(f".*{_OLD}")):
            final = place / old.name[1:].removesuffix(_OLD)
            if not final.exists():
                fresh = _beside(final, _NEW)  # written whole, with its record, before the old one was moved
                os.replace(fresh if fresh.exists() else old, final)
        for left in sorted(path for path in place.glob(".*") if path.is_dir()):
            shutil.rmtree(left)
            gone += 1
        for folder in sorted(place.glob("[!.]*")):
            if folder.is_dir() and not (folder / RECORD).exists() and not (folder / TOMBSTONE).exists():
                shutil.rmtree(folder)
                gone += 1
    return gone


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(f".{folder.name}{ending}")


def check_files(artifact: Artifact) -> list[str]:
    """What differs from the record, one sentence a file; an empty list when every byte is as it was written."""
    faults = []
    for name, expected in artifact.files.items():
        path = artifact.folder / name
        if not path.is_file():
            faults.append(f"{name}: the file is missing.")
        elif digest_file(path) != expected:
            faults.append(f"{name}: its bytes changed since it was written.")
    return faults
