"""What a workspace remembers of whom each release learnt from, also when its dataset is gone: keyed hashes, and whose its
golden examples are. Not here: erasing somebody (`holders.py`).

`privacy/learnt/RELEASE.json`, written by `release`; no part of the bundle, which goes to other machines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tradewind.artifacts import Artifact, Workspace
from tradewind.data.people import owners, subjects_of
from tradewind.files import read_json, write_json
from tradewind.privacy.subjects import FOLDER
from tradewind.release.amend import GOLDEN
from tradewind.release.golden import Golden, read_golden

_LEARNT = "learnt"


@dataclass(frozen=True)
class Learnt:
    """`subjects` are keyed hashes; `golden` says by row key whose an example is."""

    release: str
    dataset: str
    subjects: Sequence[str]
    golden: Mapping[str, Sequence[str]]


def remember(workspace: Workspace, dataset: Artifact, release: Artifact) -> None:
    """Nothing where no row of the dataset is about anybody. Raises EnvironmentFailure."""
    subjects = subjects_of(dataset)
    if not subjects:
        return
    golden = golden_of(release)
    content = {
        "release": release.digest, "dataset": dataset.digest, "subjects": subjects,
        "golden": {} if golden is None else owners(dataset, {name: list(one) for name, one in golden.columns.items()}),
    }  # fmt: skip
    write_json(workspace.home / FOLDER / _LEARNT / f"{release.folder.name}.json", content)


def remembered(workspace: Workspace) -> list[Learnt]:
    paths = sorted((workspace.home / FOLDER / _LEARNT).glob("*.json"))
    return [Learnt(**read_json(path)) for path in paths]


def forget(workspace: Workspace, subject: str) -> None:
    """Takes one hash out: who was erased is on the receipt and on the schedule."""
    for path in sorted((workspace.home / FOLDER / _LEARNT).glob("*.json")):
        content = read_json(path)
        if subject in content["subjects"]:
            content["subjects"] = [one for one in content["subjects"] if one != subject]
            content["golden"] = {
                key: left
                for key, whose in content["golden"].items()
                if (left := [one for one in whose if one != subject])
            }
            write_json(path, content)


def golden_of(release: Artifact) -> Golden | None:
    """The golden examples of a release; None where they are no rows."""
    path = release.folder / GOLDEN
    if not path.is_file() or "columns" not in read_json(path):
        return None
    return read_golden(path)
