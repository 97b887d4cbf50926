"""A small training run that a test kills: `python -m tests.train.killed_run FOLDER PAUSE_S`. Not a test itself."""

import sys
import time
from pathlib import Path

import torch

from tests.train.memory_batches import MemoryBatches, small_model, two_moons
from tradewind.model.weights import save_model
from tradewind.product import Train
from tradewind.train.loop import fit
from tradewind.train.objectives import Objective
from tradewind.train.tasks import SupervisedTask

SETTINGS = Train(
    optimizer="adamw", learning_rate=0.01, batch=16, epochs=6, schedule="plateau", warmup=0.1, l1=1e-5, l2=0.01, clip=1.0,
    accumulate=2, stop_early=3, average="ema", average_decay=0.98, threads=1, seed=3,
    checkpoint={"steps": 3, "minutes": None, "keep": 2},
)  # fmt: skip


def train(
    folder: Path, *, pause_s: float = 0.0, interrupt_after: int | None = None, settings: Train = SETTINGS, **changes
):
    arrays, label = two_moons(300)
    held_arrays, held_label = two_moons(100, seed=9)
    model = small_model(members=2, dropout=0.2)
    validation = MemoryBatches(held_arrays, held_label, size=64, shuffle=False)
    device = torch.device("cpu")
    task = SupervisedTask(model, Objective("cross_entropy"), device, validation, "log_loss")

    class Slow(MemoryBatches):
        seen = 0

        def epoch(self, n, start=0):
            for batch in super().epoch(n, start):
                if Slow.seen == interrupt_after:
                    raise KeyboardInterrupt
                Slow.seen += 1
                time.sleep(pause_s)
                yield batch

    batches = Slow(arrays, label, size=16, seed=3, share=0.8)
    fitted = fit(
        model, task, batches, settings=settings.model_copy(update=changes), folder=folder, fingerprint="columns",
        device=device,
    )  # fmt: skip
    save_model(model, folder / "best.safetensors")
    return fitted


if __name__ == "__main__":
    train(Path(sys.argv[1]), pause_s=float(sys.argv[2]))
