"""A recommender whose training was killed goes on and ends with the same weights, bit for bit."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.train.killed_recommendation import train

ROOT = Path(__file__).parents[2]


def _steps(folder: Path) -> list[str]:
    """Checkpoints, while another process moves folders about: a walk passes over what is gone."""
    return [
        name
        for _, folders, files in os.walk(folder / "home")
        for name in (*folders, *files)
        if name.startswith("step-")
    ]


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_bits(tmp_path):
    whole, killed = train(tmp_path / "whole"), tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.train.killed_recommendation", str(killed), "0.03"], cwd=ROOT
    )
    deadline = time.monotonic() + 120
    while len(_steps(killed)) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()  # at whatever line it is on
    process.wait()
    assert _steps(killed)
    assert not list(killed.glob("home/**/best.safetensors"))
    run = train(killed)
    assert run.summary["resumed"]
    assert run.summary["validation"] == whole.summary["validation"]
    for name in ("best.safetensors", "model/items.npy", "model/bias.npy", "model/counts.npy"):
        assert (run.artifact.folder / name).read_bytes() == (whole.artifact.folder / name).read_bytes()
