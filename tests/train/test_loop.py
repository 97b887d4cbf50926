"""The loop: determinism, resuming after a kill, accumulation, early stopping, guards."""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train.killed_run import SETTINGS, train
from tests.train.memory_batches import MemoryBatches, small_model, two_moons
from tradewind.errors import ArtifactError, ModelError
from tradewind.train.loop import fit
from tradewind.train.objectives import Objective
from tradewind.train.tasks import SupervisedTask

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]


def fit_moons(folder, *, model=None, rows=200, size=20, weight=None, validation=None, settings=SETTINGS, **changes):
    arrays, label = two_moons(rows)
    model = model or small_model()
    held = validation and MemoryBatches(*two_moons(100, seed=9), size=64, shuffle=False)
    task = SupervisedTask(model, Objective("cross_entropy"), CPU, held, "log_loss")
    settings = settings.model_copy(
        update={"accumulate": 1, "average": "none", "l1": 0.0, "checkpoint": NEVER} | changes
    )
    batches = MemoryBatches(arrays, label, size=size, weight=weight)
    return fit(model, task, batches, settings=settings, folder=folder, fingerprint="x", device=CPU), model


NEVER = SETTINGS.checkpoint.model_copy(update={"steps": None})


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_killed_run_ends_with_the_same_bits(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(whole)
    process = subprocess.Popen([sys.executable, "-m", "tests.train.killed_run", str(killed), "0.02"], cwd=ROOT)
    deadline = time.monotonic() + 120
    while not any(path >= "step-000000012" for path in names(killed)) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()  # at whatever line it is on
    process.wait()
    assert not (killed / "best.safetensors").exists()
    assert train(killed).resumed
    assert (killed / "best.safetensors").read_bytes() == (whole / "best.safetensors").read_bytes()
    records = [[json.loads(line) for line in (at / "steps.jsonl").read_text().splitlines()] for at in (whole, killed)]
    epochs = [[record for record in found if "log_loss" in record] for found in records]
    assert epochs[0] == epochs[1]


@pytest.mark.parametrize("batch", [1, 7, 18, 19, 20, 41, 113])
def test_an_interruption_after_any_batch_is_repaired(tmp_path, batch, whole_run):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, interrupt_after=batch)
    train(tmp_path)
    assert (tmp_path / "best.safetensors").read_bytes() == whole_run


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(folder)
    return (folder / "best.safetensors").read_bytes()


def names(folder):
    return [path.name for path in folder.glob("checkpoints/step-*")]


def test_equal_seeds_give_equal_bits_and_others_do_not(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(tmp_path / name, seed=seed)
    first, second, third = ((tmp_path / name / "best.safetensors").read_bytes() for name in "abc")
    assert first == second
    assert first != third


@pytest.mark.parametrize("weighted", [False, True])
def test_accumulation_gives_what_a_large_batch_gives(tmp_path, weighted):
    weight = np.random.default_rng(0).uniform(0.5, 2, 200).astype(np.float32) if weighted else None
    _, small = fit_moons(tmp_path / "small", size=12, accumulate=4, weight=weight)
    _, large = fit_moons(tmp_path / "large", size=48, weight=weight)
    torch.testing.assert_close(weights(small), weights(large), rtol=1e-4, atol=1e-5)


def test_full_batch_descent_takes_one_step_an_epoch(tmp_path):
    fitted, _ = fit_moons(
        tmp_path, size=200, optimizer="gd", learning_rate=0.5, schedule="constant", stop_early="never"
    )
    assert fitted.steps == 6


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.5), ("momentum", 0.1), ("adam", 0.03), ("muon", 0.03)])
def test_every_optimizer_learns(tmp_path, optimizer, rate):
    fitted, _ = fit_moons(
        tmp_path, optimizer=optimizer, learning_rate=rate, schedule="cosine", epochs=15, validation=True
    )
    assert fitted.figures["log_loss"] < 0.5


def test_it_stops_early_and_keeps_the_best(tmp_path):
    fitted, model = fit_moons(tmp_path, rows=20, epochs=200, learning_rate=0.1, schedule="constant", validation=True)
    assert fitted.stopped == "early"
    assert fitted.best_epoch == fitted.epochs - 3
    held = SupervisedTask(
        model,
        Objective("cross_entropy"),
        CPU,
        MemoryBatches(*two_moons(100, seed=9), size=64, shuffle=False),
        "log_loss",
    )
    assert held.validate()["log_loss"] == fitted.figures["log_loss"]


def test_the_last_weights_are_kept_where_asked(tmp_path):
    changes = {"rows": 20, "epochs": 30, "learning_rate": 0.1, "schedule": "constant", "validation": True}
    last, _ = fit_moons(tmp_path / "last", keep="last", stop_early="never", **changes)
    best, _ = fit_moons(tmp_path / "best", keep="best", stop_early="never", **changes)
    assert last.best_epoch == 30
    assert best.best_epoch < 30
    assert best.figures["log_loss"] < last.figures["log_loss"]


def test_it_stops_when_its_time_is_up(tmp_path):
    fitted, _ = fit_moons(tmp_path, epochs=100_000, max_minutes=0.002, stop_early="never")
    assert fitted.stopped == "time"


def test_time_that_is_up_before_the_first_batch_of_an_epoch_is_no_divergence(tmp_path):
    fitted, _ = fit_moons(tmp_path, epochs=3, max_minutes=1e-9)
    assert fitted.stopped == "time"
    assert (fitted.epochs, fitted.steps) == (1, 1)
    assert math.isfinite(fitted.figures["loss"])


def test_without_validation_the_last_weights_are_kept(tmp_path):
    fitted, _ = fit_moons(tmp_path)
    assert fitted.best_epoch == 6
    assert fitted.stopped == "epochs"


def test_a_run_that_diverges_says_so(tmp_path):
    with pytest.raises(ModelError, match="diverged"):
        fit_moons(tmp_path, optimizer="sgd", learning_rate=1e30, clip="none", schedule="constant", warmup=0.0)


def test_a_rate_too_small_to_move_anything_says_so(tmp_path):
    with pytest.raises(ModelError, match="cannot learn"):
        fit_moons(tmp_path, learning_rate=1e-12, epochs=20, schedule="constant")


def test_a_checkpoint_of_other_columns_is_refused(tmp_path):
    fit_moons(tmp_path, checkpoint=SETTINGS.checkpoint)
    model = small_model()
    task = SupervisedTask(model, Objective("cross_entropy"), CPU, None, "log_loss")
    with pytest.raises(ArtifactError, match="other columns"):
        fit(
            model,
            task,
            MemoryBatches(*two_moons(20), size=8),
            settings=SETTINGS,
            folder=tmp_path,
            fingerprint="y",
            device=CPU,
        )


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    fit_moons(tmp_path, checkpoint=SETTINGS.checkpoint, validation=True)
    kept = names(tmp_path)
    assert len(kept) == 2
    assert len(list(tmp_path.glob("checkpoints/best-*"))) in (1, 2)


def test_progress_gives_rate_and_time_left(tmp_path):
    seen = []
    arrays, label = two_moons(100)
    model = small_model()
    task = SupervisedTask(model, Objective("cross_entropy"), CPU, None, "log_loss")
    settings = SETTINGS.model_copy(update={"checkpoint": NEVER})
    fit(
        model, task, MemoryBatches(arrays, label, size=10), settings=settings, folder=tmp_path, fingerprint="x", device=CPU,
        progress=seen.append,
    )  # fmt: skip
    assert [state.epoch for state in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[0].rows_per_s > 0
    assert seen[0].seconds_left > seen[-1].seconds_left == 0


def test_bfloat16_learns_too(tmp_path):
    arrays, label = two_moons(200)
    model = small_model()
    task = SupervisedTask(model, Objective("cross_entropy"), CPU, None, "log_loss")
    settings = SETTINGS.model_copy(update={"checkpoint": NEVER, "epochs": 12})
    fitted = fit(
        model, task, MemoryBatches(arrays, label, size=20), settings=settings, folder=tmp_path, fingerprint="x", device=CPU,
        precision="bfloat16",
    )  # fmt: skip
    assert fitted.figures["loss"] < 0.65
