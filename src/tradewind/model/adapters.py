"""LoRA: small trained matrices beside frozen linear layers, in the layout that PEFT and vLLM read.

Not here: which layers a model has (`pretrained.py`, `decoder.py`), other tensors on disk (`weights.py`).

Legend: I inputs and O outputs of a linear layer, r the rank.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradewind.errors import ArtifactError, ModelError, nearest
from tradewind.files import write_json
from tradewind.model.weights import load_tensors, save_tensors

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
_PREFIX = "base_model.model."
# What the attention and perceptron layers are called in the families people fine-tune.
_USUAL = (
    "query", "key", "value", "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "q_lin",
    "k_lin", "v_lin", "out_lin", "query_key_value", "Wqkv", "in_proj", "out_proj",
)  # fmt: skip


class LoraLinear(nn.Linear):
    """y = W x + b + (alpha / r) B A x with W and b frozen (Hu et al., LoRA, 2021). A starts random, B at zero.

    It is the linear layer itself, with two more matrices `lora_A` [r, I] and `lora_B` [O, r]: the names of its own
    weights stay those of the pretrained file.
    """

    def __init__(self, base: nn.Linear, *, rank: int, alpha: float, dropout: float = 0.0) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.weight, self.bias = base.weight, base.bias
        self.weight.requires_grad_(False)
        if self.bias is not None:
            self.bias.requires_grad_(False)
        self.rank, self.scale = rank, alpha / rank
        placed = {"device": base.weight.device, "dtype": base.weight.dtype}
        self.lora_A = nn.Linear(base.in_features, rank, bias=False, **placed)
        self.lora_B = nn.Linear(rank, base.out_features, bias=False, **placed)
        self.dropout = nn.Dropout(dropout)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)
        self._plain: Tensor | None = None

    @property
    def merged(self) -> bool:
        return self._plain is not None

    def forward(self, input: Tensor) -> Tensor:
        """[..., I] to [..., O]."""
        output = F.linear(input, self.weight, self.bias)
        if self.merged:
            return output
        added: Tensor = self.lora_B(self.lora_A(self.dropout(input)))
        return output + added * self.scale

    def delta(self) -> Tensor:
        """What the adapter adds to the weight, [O, I]."""
        return self.scale * (self.lora_B.weight @ self.lora_A.weight)

    @torch.no_grad()
    def merge(self) -> None:
        """Adds the adapter to the weight, so that it costs nothing to run. A second call changes nothing."""
        if self._plain is None:
            self._plain = self.weight.detach().clone()
            self.weight += self.delta()

    @torch.no_grad()
    def unmerge(self) -> None:
        """Puts the pretrained weight back, bit for bit."""
        if self._plain is not None:
            self.weight.copy_(self._plain)
            self._plain = None


def add_lora(
    model: nn.Module,
    *,
    rank: int,
    alpha: float | None = None,
    dropout: float = 0.0,
    targets: Sequence[str] | None = None,
) -> list[str]:
    """Freezes `model` and gives an adapter to each linear layer whose last name is in `targets`; returns their paths.

    `targets` are by default the attention and perceptron layers of the usual families, `alpha` is by default 2 · rank.
    Raises ModelError when no layer matches.
    """
    model.requires_grad_(False)
    wanted = set(_USUAL if targets is None else targets)
    linear = {path: module for path, module in model.named_modules() if type(module) is nn.Linear}
    found = {path: module for path, module in linear.items() if path.rpartition(".")[2] in wanted}
    if not found:
        names = sorted({path.rpartition(".")[2] for path in linear})
        raise ModelError(
            f"No linear layer of this model is called {', '.join(sorted(wanted))}. Its linear layers: {', '.join(names)}.",
            code="lora_targets",
            where="model.adapt",
            hint=nearest(next(iter(sorted(wanted)), ""), names) or "Use adapt: full or frozen.",
        )
    for path, module in found.items():
        parent, _, name = path.rpartition(".")
        adapted = LoraLinear(module, rank=rank, alpha=2.0 * rank if alpha is None else alpha, dropout=dropout)
        setattr(model.get_submodule(parent), name, adapted)
    return list(found)


def adapters(model: nn.Module) -> dict[str, LoraLinear]:
    """The adapted layers by path."""
    return {path: module for path, module in model.named_modules() if isinstance(module, LoraLinear)}


def merge(model: nn.Module) -> None:
    """Merges every adapter of the model."""
    for layer in adapters(model).values():
        layer.merge()


def unmerge(model: nn.Module) -> None:
    for layer in adapters(model).values():
        layer.unmerge()


def adapter_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The trained matrices under PEFT's names: `base_model.model.PATH.lora_A.weight`."""
    found: dict[str, Tensor] = {}
    for path, layer in adapters(model).items():
        found[f"{_PREFIX}{path}.lora_A.weight"] = layer.lora_A.weight
        found[f"{_PREFIX}{path}.lora_B.weight"] = layer.lora_B.weight
    return found


def save_adapter(model: nn.Module, folder: Path, *, base: str, task: str = "FEATURE_EXTRACTION") -> None:
    """Writes `adapter_model.safetensors` and `adapter_config.json`. `base` is the name or folder of the pretrained model,
    `task` PEFT's word for what it does (`CAUSAL_LM` for a language model).

    Raises EnvironmentFailure when the disk is full or not writable.
    """
    layers = adapters(model)
    assert layers, "the model has no adapter"
    ranks = {(layer.rank, layer.scale, layer.dropout.p) for layer in layers.values()}
    assert len(ranks) == 1, "all adapters of a file share rank, scale and dropout"
    rank, scale, dropout = ranks.pop()
    save_tensors(folder / WEIGHTS, adapter_tensors(model), metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": task,
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": scale * rank,
        "lora_dropout": dropout,
        "target_modules": sorted({path.rpartition(".")[2] for path in layers}),
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "use_dora": False,
        "use_rslora": False,
    }
    write_json(folder / CONFIG, config)


def load_adapter(model: nn.Module, folder: Path) -> list[str]:
    """Adds the adapter that PEFT or `save_adapter` wrote to a model that has none; returns the paths of its layers.

    Raises ArtifactError when the files are missing, broken, of a kind that is not plain LoRA, or do not fit the model.
    """
    config = _config(folder / CONFIG)
    tensors, _ = load_tensors(folder / WEIGHTS)
    paths = {re.sub(r"\.lora_[AB]\.weight$", "", name.removeprefix(_PREFIX)) for name in tensors}
    known = {path: module for path, module in model.named_modules() if type(module) is nn.Linear}
    if unknown := sorted(paths - set(known)):
        raise ArtifactError(
            f"The adapter is for a layer {unknown[0]}, which this model does not have as a plain linear layer.",
            code="adapter_mismatch",
            where=str(folder),
            hint=nearest(unknown[0], known) or None,
        )
    model.requires_grad_(False)
    for path in sorted(paths):
        parent, _, name = path.rpartition(".")
        layer = LoraLinear(known[path], rank=config.rank, alpha=config.alpha, dropout=config.dropout)
        for part, own in (("lora_A", layer.lora_A.weight), ("lora_B", layer.lora_B.weight)):
            tensor = tensors.get(f"{_PREFIX}{path}.{part}.weight")
            if tensor is None or tensor.shape != own.shape:
                found = "missing" if tensor is None else f"of the shape {tuple(tensor.shape)}"
                raise ArtifactError(
                    f"{part} of {path} is {found}, but {tuple(own.shape)} is expected.",
                    code="adapter_mismatch",
                    where=str(folder / WEIGHTS),
                )
            own.data.copy_(tensor)
        setattr(model.get_submodule(parent), name, layer)
    return sorted(paths)


class _Config:
    def __init__(self, *, rank: int, alpha: float, dropout: float) -> None:
        self.rank, self.alpha, self.dropout = rank, alpha, dropout


def _config(path: Path) -> _Config:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        plain = config["peft_type"] == "LORA" and not any(
            config.get(name) for name in ("use_dora", "use_rslora", "fan_in_fan_out", "rank_pattern", "alpha_pattern")
        )
        if not plain or config.get("bias", "none") != "none":
            raise ArtifactError(
                f"This adapter is {config['peft_type']} with settings that are not supported.",
                code="adapter_kind",
                where=str(path),
                hint="Plain LoRA is read: no DoRA, rank-stabilised scale, patterns or trained biases.",
            )
        return _Config(rank=config["r"], alpha=config["lora_alpha"], dropout=config.get("lora_dropout", 0.0))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"The adapter's settings cannot be read ({error}).", code="adapter_broken", where=str(path)
        ) from error
