"""Artifacts are whole or absent, named by what they were made from, and notice a changed byte."""

import pytest

from tradewind.artifacts import RECORD, Workspace, check_files, open_artifact
from tradewind.errors import ArtifactError
from tradewind.files import digest_json

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
