"""Checkpoints are whole or absent, few, and refused where they do not belong."""

import pytest
import torch

from tradewind.errors import ArtifactError
from tradewind.train.checkpoints import newest_checkpoint, save_checkpoint


def save(folder, step, *, best_step=1, keep=2):
    tensors = {"model": {"w/x": torch.full((2,), float(step))}, "sum": {"loss": torch.tensor(0.5, dtype=torch.float64)}}
    best = {"w": torch.full((2,), float(best_step))}
    state = {"fingerprint": "x", "step": step}
    return save_checkpoint(folder, step=step, tensors=tensors, state=state, best=best, best_step=best_step, keep=keep)


def test_tensors_and_state_come_back(tmp_path):
    save(tmp_path, 3)
    found = newest_checkpoint(tmp_path, fingerprint="x")
    assert found.state["step"] == 3
    assert found.tensors["model"]["w/x"].tolist() == [3.0, 3.0]
    assert found.tensors["sum"]["loss"].dtype == torch.float64
    assert found.best["w"].tolist() == [1.0, 1.0]


def test_without_one_there_is_none(tmp_path):
    assert newest_checkpoint(tmp_path / "absent", fingerprint="x") is None


def test_a_broken_one_gives_way_to_the_one_before(tmp_path):
    save(tmp_path, 3)
    path = save(tmp_path, 6)
    path.write_bytes(path.read_bytes()[:-4])
    assert newest_checkpoint(tmp_path, fingerprint="x").state["step"] == 3


def test_old_ones_go_and_best_weights_stay_while_they_are_needed(tmp_path):
    for step, best_step in ((3, 1), (6, 1), (9, 7), (12, 7)):
        save(tmp_path, step, best_step=best_step)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best-000000007.safetensors", "step-000000009.safetensors", "step-000000012.safetensors"
    ]  # fmt: skip


def test_one_of_other_columns_is_refused(tmp_path):
    save(tmp_path, 3)
    with pytest.raises(ArtifactError, match="other columns"):
        newest_checkpoint(tmp_path, fingerprint="y")
