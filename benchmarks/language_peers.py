"""The same module, tokens and setting under a plain PyTorch loop and under the Trainer of transformers, as their documentation
writes them: `python language_peers.py plain|trainer DATASET STEPS` prints one JSON object. Not here: ours (`language.py`).

Legend: B rows, T tokens, V vocabulary.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradewind.model.decoder import Decoder, DecoderConfig

B, T = 12, 64
RATE, BETAS, DECAY, CLIP, WARMUP = 1e-3, (0.9, 0.99), 0.1, 1.0, 100
EVALUATIONS, EVALUATION_BATCHES = 10, 20


def main() -> None:
    kind, dataset, steps = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    train, held = (np.load(dataset / "splits" / name / "tokens.npy", mmap_mode="r") for name in ("train", "validation"))
    vocabulary = int(json.loads((dataset / "profile.json").read_text())["tokenizer"]["vocabulary"])
    torch.manual_seed(0)
    model = Decoder(DecoderConfig.preset("1m", vocabulary=vocabulary, context=T))
    run = plain if kind == "plain" else trainer
    began = time.process_time()
    seconds, evaluating = run(model, train, held, steps)
    cpu_s = time.process_time() - began
    found = {
        "seconds": seconds,
        "cpu_s": cpu_s,
        "tokens_per_s": steps * B * T / (seconds - evaluating),
        "loss": whole_loss(model, held),
    }
    print(json.dumps(found))


def batch(tokens: np.ndarray[Any, Any], random: np.random.Generator) -> tuple[Tensor, Tensor]:
    at = random.integers(0, len(tokens) - T - 1, B)
    rows = np.stack([tokens[begin : begin + T + 1].astype(np.int64) for begin in at])
    return torch.from_numpy(rows[:, :-1].copy()), torch.from_numpy(rows[:, 1:].copy())


def plain(model: nn.Module, train: Any, held: Any, steps: int) -> tuple[float, float]:
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS)
    random, began, evaluating = np.random.default_rng(0), time.perf_counter(), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * factor(step, steps)
        tokens_BT, targets_BT = batch(train, random)
        loss = F.cross_entropy(model(tokens_BT).flatten(0, 1), targets_BT.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        if (step + 1) % max(1, steps // EVALUATIONS) == 0:
            paused = time.perf_counter()
            evaluate(model, held)
            evaluating += time.perf_counter() - paused
    return time.perf_counter() - began, evaluating


@torch.no_grad()
def evaluate(model: nn.Module, held: Any) -> float:
    model.eval()
    random = np.random.default_rng(1)
    losses = []
    for _ in range(EVALUATION_BATCHES):
        tokens_BT, targets_BT = batch(held, random)
        losses.append(float(F.cross_entropy(model(tokens_BT).flatten(0, 1), targets_BT.flatten())))
    model.train()
    return sum(losses) / len(losses)


def factor(step: int, steps: int) -> float:
    warmup = min(WARMUP, steps // 20)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def trainer(model: nn.Module, train: Any, held: Any, steps: int) -> tuple[float, float]:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Windows(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __init__(self, tokens: Any, count: int, seed: int) -> None:
            self.tokens = tokens
            self.at = np.random.default_rng(seed).integers(0, len(tokens) - T - 1, count)

        def __len__(self) -> int:
            return len(self.at)

        def __getitem__(self, place: int) -> dict[str, Tensor]:
            begin = int(self.at[place])
            row = torch.from_numpy(self.tokens[begin : begin + T + 1].astype(np.int64))
            return {"input_ids": row[:-1], "labels": row[1:]}

    class Same(nn.Module):
        """The module with the face that the Trainer expects."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, input_ids: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits_BTV = self.inner(input_ids)
            return {"loss": F.cross_entropy(logits_BTV.flatten(0, 1), labels.flatten()), "logits": logits_BTV}

    class Clock(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.evaluating = 0.0
            self.paused: float | None = None

        def on_step_end(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step % max(1, steps // EVALUATIONS) == 0:
                self.paused = time.perf_counter()

        def on_evaluate(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            if self.paused is not None:
                self.evaluating += time.perf_counter() - self.paused

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        arguments = TrainingArguments(
            output_dir=folder, max_steps=steps, per_device_train_batch_size=B, per_device_eval_batch_size=B,
            learning_rate=RATE, adam_beta1=BETAS[0], adam_beta2=BETAS[1], weight_decay=DECAY, max_grad_norm=CLIP,
            warmup_steps=min(WARMUP, steps // 20), lr_scheduler_type="cosine", eval_strategy="steps",
            eval_steps=max(1, steps // EVALUATIONS), save_strategy="no", report_to=[], use_cpu=True, seed=0,
            prediction_loss_only=True, disable_tqdm=True, dataloader_pin_memory=False,
        )  # fmt: skip
        run = Trainer(
            model=Same(), args=arguments, train_dataset=Windows(train, steps * B, 0),
            eval_dataset=Windows(held, EVALUATION_BATCHES * B, 1), callbacks=[clock],
        )  # fmt: skip
        began = time.perf_counter()
        run.train()
        return time.perf_counter() - began, clock.evaluating


@torch.no_grad()
def whole_loss(model: nn.Module, held: Any) -> float:
    """Every token of the split is a target once, but the first."""
    model.eval()
    windows = (len(held) - 1) // T
    flat = held[: windows * T + 1].astype(np.int64)
    tokens, targets = torch.from_numpy(flat[:-1]).view(windows, T), torch.from_numpy(flat[1:]).view(windows, T)
    total = 0.0
    for at in range(0, windows, 64):
        logits_BTV = model(tokens[at : at + 64])
        total += float(F.cross_entropy(logits_BTV.flatten(0, 1), targets[at : at + 64].flatten(), reduction="sum"))
    return total / (windows * T)


if __name__ == "__main__":
    main()
