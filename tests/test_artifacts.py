"""Artifacts are whole or absent, named by what they were made from, and notice a changed byte."""

import os
import shutil

import pytest

from tradewind.artifacts import (
    RECORD,
    Workspace,
    all_artifacts,
    amending,
    bury,
    check_files,
    open_artifact,
    tidy,
    tombstones,
)
from tradewind.errors import ArtifactError
from tradewind.files import digest_json, read_json, write_bytes

MADE_OF = {"data": "sha256:1", "seed": 0}


def make(workspace, made_of=MADE_OF):
    with workspace.making("dataset", made_of, parents={"source": "sha256:2"}) as folder:
        (folder / "a.txt").write_text("hello")
    return workspace.find("dataset", digest_json(made_of))


def test_an_artifact_is_found_by_the_digest_of_what_it_was_made_from(tmp_path):
    artifact = make(Workspace(tmp_path))
    assert artifact.digest == digest_json(MADE_OF)
    assert artifact.parents == {"source": "sha256:2"}
    assert list(artifact.files) == ["a.txt"]


def test_nothing_is_seen_of_an_artifact_that_failed(tmp_path):
    workspace = Workspace(tmp_path)
    with pytest.raises(RuntimeError), workspace.making("dataset", MADE_OF):
        raise RuntimeError
    assert workspace.find("dataset", digest_json(MADE_OF)) is None
    assert not workspace.partial("dataset", digest_json(MADE_OF)).exists()


def test_an_interrupted_artifact_is_handed_out_again_to_be_resumed(tmp_path):
    workspace = Workspace(tmp_path)
    with pytest.raises(KeyboardInterrupt), workspace.making("run", MADE_OF, resume=True) as folder:
        (folder / "checkpoint").write_text("1")
        raise KeyboardInterrupt
    with workspace.making("run", MADE_OF, resume=True) as folder:
        assert (folder / "checkpoint").read_text() == "1"


def test_a_changed_byte_and_a_missing_file_are_named(tmp_path):
    artifact = make(Workspace(tmp_path))
    assert check_files(artifact) == []
    (artifact.folder / "a.txt").write_text("hellO")
    assert check_files(artifact) == ["a.txt: its bytes changed since it was written."]
    (artifact.folder / "a.txt").unlink()
    assert check_files(artifact) == ["a.txt: the file is missing."]


def test_a_folder_that_is_no_artifact_is_refused_with_a_reason(tmp_path):
    with pytest.raises(ArtifactError, match="no such folder"):
        open_artifact(tmp_path / "none")
    with pytest.raises(ArtifactError, match="no artifact"):
        open_artifact(tmp_path)
    artifact = make(Workspace(tmp_path))
    with pytest.raises(ArtifactError, match="is a dataset, but a run was expected"):
        open_artifact(artifact.folder, kind="run")
    (artifact.folder / RECORD).write_text("{")
    with pytest.raises(ArtifactError, match="cannot be read"):
        open_artifact(artifact.folder)


def test_the_home_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("TRADEWIND_HOME", raising=False)
    assert Workspace.of(tmp_path).home == tmp_path.resolve() / ".tradewind"
    monkeypatch.setenv("TRADEWIND_HOME", str(tmp_path / "elsewhere"))
    assert Workspace.of(tmp_path).home == tmp_path.resolve() / "elsewhere"


def test_a_buried_artifact_is_none_any_more_and_its_place_may_be_taken_again(tmp_path):
    workspace = Workspace(tmp_path)
    artifact = make(workspace)
    bury(artifact, why="erasure", at="now", receipt="rcp_1", further={"note": 1})
    assert workspace.find("dataset", artifact.digest) is None
    assert all_artifacts(workspace, "dataset") == []
    (stone,) = tombstones(workspace, "dataset")
    assert (stone["digest"], stone["receipt"], stone["note"]) == (artifact.digest, "rcp_1", 1)
    assert make(workspace).digest == artifact.digest
    assert list(tombstones(workspace, "dataset")) == []


def test_an_amended_artifact_is_whole_and_says_by_which_receipt(tmp_path):
    artifact = make(Workspace(tmp_path))
    with amending(artifact, why="erasure", at="now", receipt="rcp_1") as folder:
        write_bytes(folder / "a.txt", b"changed on purpose")
    again = open_artifact(artifact.folder)
    assert check_files(again) == []
    assert (again.digest, (again.folder / "a.txt").read_text()) == (artifact.digest, "changed on purpose")
    amended = read_json(artifact.folder / RECORD)["amended"]
    assert amended == [{"why": "erasure", "at": "now", "receipt": "rcp_1"}]


def test_an_amendment_that_fails_changes_nothing(tmp_path):
    artifact = make(Workspace(tmp_path))
    with pytest.raises(RuntimeError), amending(artifact, why="erasure", at="now", receipt="r") as folder:
        write_bytes(folder / "a.txt", b"half")
        raise RuntimeError
    assert check_files(open_artifact(artifact.folder)) == []
    assert [path.name for path in artifact.folder.parent.iterdir()] == [artifact.folder.name]


@pytest.mark.parametrize("amended", [True, False])
def test_what_was_killed_between_the_two_renames_is_brought_to_its_end(tmp_path, amended):
    workspace = Workspace(tmp_path)
    folder = make(workspace).folder
    os.replace(folder, folder.with_name(f".{folder.name}.old"))
    if amended:
        shutil.copytree(folder.with_name(f".{folder.name}.old"), folder.with_name(f".{folder.name}.amended"))
        (folder.with_name(f".{folder.name}.amended") / "b.txt").write_text("new")
    tidy(workspace, "dataset")
    assert (folder / "b.txt").exists() is amended
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_leftovers_of_a_burial_and_unfinished_work_go(tmp_path):
    workspace = Workspace(tmp_path)
    artifact = make(workspace)
    for name in (".0123456789abcdef.partial", "fedcba9876543210"):
        (artifact.folder.parent / name).mkdir()
        (artifact.folder.parent / name / "raw").write_text("rows")
    assert tidy(workspace, "dataset") == 2
    assert workspace.find("dataset", artifact.digest) is not None
