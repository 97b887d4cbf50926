"""Optimizers, and which parameter gets which rate and decay. Their state goes to flat tensors and back, without pickle.

Not here: the rate's course (`schedules.py`), nor clipping and L1 (`loop.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Muon, Optimizer

OptimizerName: TypeAlias = Literal["gd", "sgd", "momentum", "adam", "adamw", "muon"]

_BETA1 = 0.9
_MOMENTUM = 0.9


class Optimizers:
    """One or two torch optimizers behind one face (Muon leaves embeddings, biases and convolutions to AdamW)."""

    def __init__(self, parts: list[Optimizer]) -> None:
        self.parts = parts
        self.parameters: list[Tensor] = [p for part in parts for group in part.param_groups for p in group["params"]]

    def set_rate(self, rate: float) -> None:
        """Each group's rate is `rate` times its `lr_scale`."""
        for part in self.parts:
            for group in part.param_groups:  # never kept aside: loading a state puts new groups in their place
                group["lr"] = rate * group["lr_scale"]

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Every state tensor as `PART.PARAMETER.KEY`; the rate and settings come from the run itself."""
        found: dict[str, Tensor] = {}
        for number, part in enumerate(self.parts):
            for index, entries in part.state_dict()["state"].items():
                for key, value in entries.items():
                    if value is not None:  # SGD without momentum keeps a None
                        found[f"{number}.{index}.{key}"] = torch.as_tensor(value)
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for number, part in enumerate(self.parts):
            state: dict[int, dict[str, Any]] = {}
            for name, tensor in tensors.items():
                owner, index, key = name.split(".", 2)
                if int(owner) == number:
                    # A clone is aligned as torch's own tensors are; a tensor of a file need not be, and kernels that
                    # split their work by alignment then round differently.
                    state.setdefault(int(index), {})[key] = tensor.clone()
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})


def build(
    model: nn.Module,
    *,
    name: OptimizerName,
    rate: float,
    weight_decay: float,
    beta2: float = 0.999,
    overrides: Mapping[str, Mapping[str, float]] | None = None,
) -> Optimizers:
    """An optimizer over the parameters that learn.

    Decay falls on matrices, embeddings and kernels; biases and norms (one dimension) get none. `overrides` gives, by
    name prefix (the longest wins), an `lr_scale` or a `weight_decay`. AdamW and Muon decay decoupled (Loshchilov and
    Hutter 2019), the others through the gradient (L2).
    """
    named = [(key, p) for key, p in model.named_parameters() if p.requires_grad]
    betas = (_BETA1, beta2)
    fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for _, p in named)
    if name == "muon":
        return _muon(
            model, named, rate=rate, weight_decay=weight_decay, betas=betas, overrides=overrides or {}, fused=fused
        )
    groups = _groups(named, weight_decay=weight_decay, overrides=overrides or {})
    match name:
        case "gd" | "sgd":
            return Optimizers([SGD(groups, lr=rate, fused=fused)])
        case "momentum":
            return Optimizers([SGD(groups, lr=rate, momentum=_MOMENTUM, nesterov=True, fused=fused)])
        case "adam":
            return Optimizers([Adam(groups, lr=rate, betas=betas, fused=fused)])
        case _:
            return Optimizers([AdamW(groups, lr=rate, betas=betas, fused=fused)])


def _muon(
    model: nn.Module,
    named: list[tuple[str, nn.Parameter]],
    *,
    rate: float,
    weight_decay: float,
    betas: tuple[float, float],
    overrides: Mapping[str, Mapping[str, float]],
    fused: bool,
) -> Optimizers:
    """Jordan et al. 2024, Muon: the update of a hidden matrix is made orthogonal. Scaled to AdamW's size of update
    (Liu et al., Muon is Scalable for LLM Training, 2025), so that one learning rate serves both parts."""
    hidden = {
        f"{prefix}.weight" if prefix else "weight"
        for prefix, module in model.named_modules()
        if isinstance(module, nn.Linear) and not _gives_outputs(prefix)
    }
    matrices = [(key, p) for key, p in named if key in hidden and p.ndim == 2]
    rest = [(key, p) for key, p in named if not (key in hidden and p.ndim == 2)]
    parts: list[Optimizer] = []
    if matrices:
        groups = _groups(matrices, weight_decay=weight_decay, overrides=overrides)
        parts.append(Muon(groups, lr=rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"))
    if rest:
        groups = _groups(rest, weight_decay=weight_decay, overrides=overrides)
        parts.append(AdamW(groups, lr=rate, betas=betas, fused=fused))
    return Optimizers(parts)


def _gives_outputs(prefix: str) -> bool:
    """Heads, also the language models' own: each row of such a matrix is one output, and Muon is for what lies between."""
    return any(part == "lm_head" or part.startswith("head") for part in prefix.split("."))


def _groups(
    named: Iterable[tuple[str, nn.Parameter]], *, weight_decay: float, overrides: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named:
        prefixes = [prefix for prefix in overrides if name.startswith(prefix)]
        special = overrides[max(prefixes, key=len)] if prefixes else {}
        decay = special.get("weight_decay", weight_decay if parameter.ndim >= 2 else 0.0)
        groups.setdefault((special.get("lr_scale", 1.0), decay), []).append(parameter)
    return [{"params": ps, "lr_scale": scale, "weight_decay": decay} for (scale, decay), ps in groups.items()]
