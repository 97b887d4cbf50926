"""Chest X-rays learnt plainly and against FGSM, both attacked with gradients at the same radius, side by side.

    python benchmarks/robustness.py --data ../shared/data [--epochs 3] [--radius 8/255] [--steps 20]

Both models are trained by `tradewind train` from product files that differ in one line. The attacks are written here, apart from
those in training: FGSM (Goodfellow, Shlens, Szegedy 2015) is one step of the whole radius from the picture itself, PGD (Madry et al.
2018) `--steps` steps from a random start. They see the weights, average over the members as the model answers, and know the truth.

Legend: B rows, C channels, H height, W width.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tradewind.data.dataset import load
from tradewind.model.heads import log_probabilities
from tradewind.model.trunk import TradewindModel
from tradewind.train.run import load_run

BAR_POINTS = 20.0
BATCH = 64

Attack = Callable[[TradewindModel, Mapping[str, Tensor], Tensor], Tensor]


def trained(folder: Path, pictures: Path, *, robustness: str, epochs: int, size: int, radius: float) -> dict[str, Any]:
    """What `tradewind train --json` says."""
    folder.mkdir(parents=True)
    product = {
        "product": "chest-xray",
        "task": "classification",
        "data": {"source": str(pictures.resolve()), "target": "label", "columns": {"image": {"size": size}}},
        "train": {
            "epochs": epochs, "refit": False, "threads": torch.get_num_threads(),
            "robustness": robustness, "robustness_radius": radius,
        },
    }  # fmt: skip
    (folder / "tradewind.yaml").write_text(json.dumps(product, indent=1), encoding="utf-8")  # JSON is YAML
    command = [sys.executable, "-m", "tradewind.cli", "train", "-C", str(folder), "--json"]
    environment = {**os.environ, "TRADEWIND_HOME": str(folder.parent / "home")}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"tradewind train ended with {done.returncode}: {done.stdout}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def clean(model: TradewindModel, inputs: Mapping[str, Tensor], target_B: Tensor) -> Tensor:
    (pixels_BCHW,) = inputs.values()
    return pixels_BCHW


def slope(model: TradewindModel, name: str, pixels_BCHW: Tensor, target_B: Tensor) -> Tensor:
    pixels_BCHW = pixels_BCHW.detach().requires_grad_(True)
    loss = F.nll_loss(log_probabilities(model({name: pixels_BCHW})), target_B, reduction="sum")
    (found,) = torch.autograd.grad(loss, pixels_BCHW)
    return found


def fgsm(radius: float) -> Attack:
    def attack(model: TradewindModel, inputs: Mapping[str, Tensor], target_B: Tensor) -> Tensor:
        ((name, pixels_BCHW),) = inputs.items()
        return (pixels_BCHW + radius * slope(model, name, pixels_BCHW, target_B).sign()).clamp(0, 255)

    return attack


def pgd(radius: float, steps: int) -> Attack:
    def attack(model: TradewindModel, inputs: Mapping[str, Tensor], target_B: Tensor) -> Tensor:
        ((name, pixels_BCHW),) = inputs.items()
        low, high = (pixels_BCHW - radius).clamp_min(0), (pixels_BCHW + radius).clamp_max(255)
        random = torch.Generator().manual_seed(0)
        start = radius * (2 * torch.rand(pixels_BCHW.shape, generator=random) - 1)
        moved = (pixels_BCHW + start).clamp(low, high)
        for _ in range(steps):
            moved = (moved + 2.5 * radius / steps * slope(model, name, moved, target_B).sign()).clamp(low, high)
        return moved

    return attack


def accuracy(said: dict[str, Any], attack: Attack, *, rows: int) -> float:
    """Of the trained model on the first `rows` of the test split, after the attack."""
    dataset = load(Path(said["artifacts"]["dataset"]))
    model, split = load_run(Path(said["artifacts"]["run"])).model(dataset.features), dataset.split("test")
    (name,) = split.arrays
    right, seen = 0, min(rows, split.rows)
    for begin in range(0, seen, BATCH):
        at = slice(begin, min(begin + BATCH, seen))
        target_B = torch.tensor(split.target[at])
        pixels_BCHW = attack(model, {name: torch.tensor(split.arrays[name][at]).float()}, target_B)
        with torch.no_grad():
            right += int((model({name: pixels_BCHW}).softmax(-1).mean(1).argmax(1) == target_B).sum())
    return right / seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TRADEWIND_DATA", "../shared/data")))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--size", type=int, default=64, help="side of the pictures in pixels")
    parser.add_argument("--radius", type=lambda text: float(Fraction(text)), default=8 / 255)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rows", type=int, default=10_000, help="test pictures that are attacked, at most")
    options = parser.parse_args()
    pictures = options.data / "chest-xray"
    if not pictures.is_dir():
        print(f"{pictures}: no such folder; set TRADEWIND_DATA", file=sys.stderr)
        return 2
    attacks = {"clean": clean, "fgsm": fgsm(options.radius * 255), "pgd": pgd(options.radius * 255, options.steps)}
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as work:
        for name, robustness in (("plain", "none"), ("fgsm-trained", "fgsm")):
            started = time.perf_counter()
            said = trained(
                Path(work) / name, pictures, robustness=robustness, epochs=options.epochs, size=options.size,
                radius=options.radius,
            )  # fmt: skip
            seconds = time.perf_counter() - started
            found[name] = {attack: accuracy(said, of, rows=options.rows) for attack, of in attacks.items()}
            print(f"  {name}: {found[name]} after {seconds:.0f} s of training", flush=True)
    print(f"\nAccuracy on test, radius {options.radius * 255:.3g}/255, PGD with {options.steps} steps\n")
    print("| model | clean | FGSM | PGD |\n|---|---|---|---|")
    for name, one in found.items():
        print(f"| {name} | {one['clean']:.3f} | {one['fgsm']:.3f} | {one['pgd']:.3f} |")
    gains = {name: 100 * (found["fgsm-trained"][name] - found["plain"][name]) for name in ("fgsm", "pgd")}
    print(
        f"\nFGSM-trained keeps {gains['fgsm']:+.1f} points under FGSM, {gains['pgd']:+.1f} under PGD; asked for: {BAR_POINTS:g}"
    )
    return 0 if min(gains.values()) >= BAR_POINTS else 1


if __name__ == "__main__":
    sys.exit(main())
