"""The release on disk: which files it holds, how it is put together and how it is opened. Torch-free, onnx-free.

manifest.json   what it is: product, task, classes, threshold, fingerprints, parents
model.onnx      the graph that the report measured, byte for byte; model.int8.onnx where asked for
columns.json    the fitted columns
schema.json     JSON Schema of a row and of an answer
trust.json      what stands beside an answer: conformal quantiles, the domain, words of reasons
golden.json     raw rows and the outputs the trainer gave for them
knowledge/      passages that are searched and cited, where the product has a knowledge base
report/         report.json, report.html; card.md and the rest of the transparency report (`transparency/`)
model.sig       signature over all of these
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tradewind.artifacts import RECORD, Artifact, Workspace, check_files, open_artifact
from tradewind.errors import ArtifactError, VerificationFailed
from tradewind.features.knowledge_files import FOLDER as KNOWLEDGE
from tradewind.files import digest_file, digest_folder, digest_json, read_json, write_bytes, write_json
from tradewind.release.golden import Golden, write_golden
from tradewind.release.signing import PUBLIC_KEY, SIGNATURE, KeyPair, check, sign

FORMAT = 1
TRUST = "trust.json"
GRAPH, GRAPH_INT8 = "model.onnx", "model.int8.onnx"
_REQUIRED = ("manifest.json", GRAPH, "columns.json", "schema.json", "golden.json")


@dataclass(frozen=True)
class Bundle:
    folder: Path
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class Content:
    """What goes into a release. `manifest` lacks only format and file digests, which `build` adds. `paper` makes the
    files of the transparency report, by path, from the whole manifest; it is asked only where the release is made."""

    manifest: Mapping[str, Any]
    graph: Path
    columns: Mapping[str, Any]
    schema: Mapping[str, Any]
    golden: Golden
    report_files: Mapping[str, Path]
    paper: Callable[[Mapping[str, Any]], Mapping[str, bytes]]
    graph_int8: bytes | None = None
    trust: Mapping[str, Any] = field(default_factory=dict)
    knowledge: Path | None = None  # the folder of a knowledge base


def build(workspace: Workspace, content: Content, pair: KeyPair, *, parents: Mapping[str, str]) -> Artifact:
    """Writes and signs the bundle; the finished one is returned when it was made from the same before."""
    made_of = {
        "format": FORMAT,
        "manifest": dict(content.manifest),
        "graph": digest_file(content.graph),
        "trust": digest_json(dict(content.trust)),  # words of people stand in it, and a record is never struck
    }
    if content.knowledge is not None:
        made_of["knowledge"] = digest_json(digest_folder(content.knowledge))
    digest = digest_json(made_of)
    if found := workspace.find("release", digest):
        return found
    with workspace.making("release", made_of, parents=parents) as folder:
        shutil.copyfile(content.graph, folder / GRAPH)
        if content.graph_int8 is not None:
            (folder / GRAPH_INT8).write_bytes(content.graph_int8)
        write_json(folder / "columns.json", content.columns)
        write_json(folder / "schema.json", content.schema)
        write_json(folder / TRUST, content.trust)
        write_golden(folder / "golden.json", content.golden)
        (folder / "report").mkdir()
        if content.knowledge is not None:
            shutil.copytree(content.knowledge, folder / KNOWLEDGE)
        for name, path in content.report_files.items():
            shutil.copyfile(path, folder / "report" / name)
        manifest = {
            **content.manifest,
            "graph": GRAPH,
            "graph_int8": GRAPH_INT8 if content.graph_int8 is not None else None,
        }
        write_paper(folder, content.paper(manifest))
        seal(folder, manifest, pair)
    return open_artifact(workspace.folder("release", digest), kind="release")


def write_paper(folder: Path, files: Mapping[str, bytes]) -> None:
    """The files of the transparency report, by path."""
    for name, content in files.items():
        write_bytes(folder / name, content)


def seal(folder: Path, manifest: Mapping[str, Any], pair: KeyPair) -> None:
    """Writes manifest.json with the digest of every file in `folder`, and signs them all. Of every kind of release."""
    files = {
        path.relative_to(folder).as_posix(): digest_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    write_json(folder / "manifest.json", {**manifest, "format": FORMAT, "files": files})
    sign(folder, pair)


def open_bundle(folder: Path, *, public_key: Path | None = None) -> Bundle:
    """Opens and verifies a release. Without `public_key` the workspace's own key is used (../../keys/signing.pub.pem).

    Raises ArtifactError when a part is missing or of another format, VerificationFailed when bytes or signer differ.
    """
    return open_signed(folder, required=_REQUIRED, public_key=public_key)


def task_of(folder: Path) -> str | None:
    """The task that the release's manifest names, unchecked; None where the folder is no release."""
    try:
        task = read_json(folder / "manifest.json")["task"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return task if isinstance(task, str) else None


def open_signed(folder: Path, *, required: Sequence[str], public_key: Path | None) -> Bundle:
    """`open_bundle` for a release that holds the files `required`."""
    if not folder.is_dir():
        raise ArtifactError("There is no such release.", code="missing", where=str(folder))
    missing = [name for name in required if not (folder / name).is_file()]
    if missing:
        raise ArtifactError(
            f"It is no release: {', '.join(missing)} is missing.",
            code="not_a_release",
            where=str(folder),
            hint="Give the folder that `tradewind run --json` names under artifacts.release.",
        )
    key = public_key or folder.resolve().parent.parent / "keys" / PUBLIC_KEY
    if not key.is_file():
        raise ArtifactError(
            "No public key to check the signature with.",
            code="no_key",
            where=str(key),
            hint="Give the signer's key with --key FILE.",
        )
    try:
        check(folder, key)  # over every byte: reading them all once is enough, and a large release has many
    except VerificationFailed:
        check_digests(folder)  # names the file
        raise
    manifest = read_json(folder / "manifest.json")
    if manifest.get("format") != FORMAT:
        raise ArtifactError(
            f"The release has format {manifest.get('format')}, this version reads {FORMAT}.",
            code="format",
            where=str(folder),
            hint="Install the version of Tradewind that made it, or make it again.",
        )
    return Bundle(folder, manifest)


def check_digests(folder: Path) -> None:
    """Raises VerificationFailed that names the first file whose bytes are not those of the manifest."""
    try:
        manifest = read_json(folder / "manifest.json")
        files: Mapping[str, str] = manifest["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationFailed(
            f"The manifest cannot be read ({error}).", code="manifest", where=str(folder / "manifest.json")
        ) from error
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            raise VerificationFailed("The file is missing.", code="file_missing", where=str(path))
        if digest_file(path) != digest:
            raise VerificationFailed(
                "Its bytes are not those that were released.",
                code="digest",
                where=str(path),
                hint="Copy the release again from where it was made.",
            )
    known = {*files, "manifest.json", SIGNATURE, RECORD}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in known:
            raise VerificationFailed("This file does not belong to the release.", code="file_unknown", where=str(path))


def check_record(folder: Path) -> list[str]:
    """What differs from the artifact's record, a sentence each."""
    return check_files(open_artifact(folder, kind="release"))
