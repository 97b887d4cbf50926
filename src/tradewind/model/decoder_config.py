"""The shape of a decoder: its presets, the one dial, and the `config.json` of the Llama, Mistral, Qwen2 and Qwen3 families.

Not here: the network (`decoder.py`), its weights on disk (`hf_folder.py`), memory and the speed of a machine (`flops.py`).

How the presets were chosen. A count includes the embeddings, at 2 000 tokens for `1m`, at 16 000 for `10m` and at 32 000
for the others. `1m` is the small model that nanoGPT trains on a processor, `110m` is GPT-2 small's shape (Radford et al.
2019) and `7b` is Mistral 7B (Jiang et al. 2023). Between them width over depth stays from 32 to 128: loss hardly depends
on it there (Kaplan et al., Scaling Laws for Neural Language Models, 2020), and small models gain from depth (Levine et
al., The Depth-to-Width Interplay in Self-Attention, 2020). The dial is nanochat's: a width of 64 and one head of 64 for
each layer. SwiGLU's hidden width is 8/3 of the width, so that its three matrices cost what two of 4 did (Shazeer, GLU
Variants Improve Transformer, 2020).

Legend: V vocabulary, D width, L layers, T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from tradewind.errors import ModelError, nearest
from tradewind.product import Model

Family: TypeAlias = Literal["llama", "mistral", "qwen2", "qwen3"]

FAMILIES: tuple[str, ...] = get_args(Family)
_CLASSES: dict[str, str] = {
    "llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}  # fmt: skip
# What transformers takes where a config.json leaves it out. Qwen3 has heads of 128, the others share the width among them.
_ROPE_BASE, _CONTEXT, _EPS = 10_000.0, 2048, 1e-6
_HEAD_WIDTH = 64
_BIASES = {"qwen2": True, "mistral": False}
_DEFAULT_PRESET = "10m"


@dataclass(frozen=True)
class RopeScaling:
    """Llama 3.1's stretch of the slow rotations, for a context longer than the one it was trained with."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int


@dataclass(frozen=True)
class DecoderConfig:
    """Everything that decides the shape of a decoder. `hidden` is the inner width of SwiGLU; `head_width` times `heads`
    need not be the width. `window_from` is the first layer whose attention is limited to `sliding_window` tokens.
    `dropout` acts in training alone and is no part of the shape: it is not written to `config.json`.

    Raises ModelError when the numbers do not fit together, or the family does not have what is asked for.
    """

    vocabulary: int
    width: int
    depth: int
    heads: int
    kv_heads: int
    head_width: int
    hidden: int
    context: int
    rope_base: float = _ROPE_BASE
    norm_eps: float = 1e-5
    qk_norm: bool = False
    tied: bool = True
    attention_bias: bool = False
    sliding_window: int | None = None
    family: Family = "llama"
    rope_scaling: RopeScaling | None = None
    window_from: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("vocabulary", "width", "depth", "heads", "kv_heads", "head_width", "hidden", "context"):
            if getattr(self, name) < 1:
                raise _unfit(f"{name} is {getattr(self, name)}, but at least 1 is needed", f"model.{name}")
        if self.heads % self.kv_heads:
            raise _unfit(
                f"{self.heads} heads cannot share {self.kv_heads} heads of keys and values evenly", "model.kv_heads"
            )
        if self.head_width % 2:
            raise _unfit(
                f"A head is {self.head_width} wide, but rotary positions turn pairs: it must be even", "model.heads"
            )
        if self.qk_norm != (self.family == "qwen3"):
            raise _unfit(f"qk_norm is {self.qk_norm}, but of the families Qwen3 alone has it", "model.qk_norm")
        if self.attention_bias != _BIASES.get(self.family, self.attention_bias):
            raise _unfit(
                f"attention_bias is {self.attention_bias}, but Qwen2 always has it and Mistral never", "model.family"
            )
        if self.sliding_window is not None and self.family == "llama":
            raise _unfit("Llama has no sliding window; Mistral has", "model.family")

    @classmethod
    def preset(cls, name: str, *, vocabulary: int, context: int | None = None, **changes: Any) -> DecoderConfig:
        """One of the presets, with changed fields. Raises ModelError for an unknown name or a misfit."""
        if name not in PRESETS:
            raise ModelError(
                f"There is no preset {name}. Presets: {', '.join(PRESETS)}.",
                code="preset_unknown",
                where="model.preset",
                hint=nearest(name, PRESETS) or None,
            )
        settings = {**PRESETS[name], **changes}
        if context is not None:
            settings["context"] = context
        return cls(vocabulary=vocabulary, **settings)

    @classmethod
    def dial(cls, depth: int, *, vocabulary: int, **changes: Any) -> DecoderConfig:
        """A decoder of `depth` layers, with width and heads to match. 12 gives the preset `110m`."""
        return cls(vocabulary=vocabulary, **{**_of_depth(depth), **changes})

    @classmethod
    def from_product(cls, model: Model, *, vocabulary: int) -> DecoderConfig:
        """The decoder that the product file asks for: a preset and what it changes, or the dial `depth`, or `10m`.

        Raises ModelError when width, heads and kv_heads do not fit together.
        """
        said = {name: value for name in ("width", "depth", "heads", "kv_heads", "context", "qk_norm", "tied", "dropout")
                if (value := getattr(model, name)) != "auto"}  # fmt: skip
        if model.preset is not None:
            settings = dict(PRESETS[model.preset])
        elif "depth" in said or "width" in said:
            settings = _of_depth(said.get("depth") or max(1, round(said["width"] / _HEAD_WIDTH)))
        else:
            settings = dict(PRESETS[_DEFAULT_PRESET])
        shared = settings["heads"] // settings["kv_heads"]
        width, head_width = said.get("width", settings["width"]), settings["head_width"]
        if "heads" in said:
            if width % said["heads"]:
                raise _unfit(f"A width of {width} cannot be shared by {said['heads']} heads", "model.heads")
            settings["head_width"] = width // said["heads"]
        elif "width" in said:
            if width % head_width:
                raise _unfit(f"A width of {width} is no multiple of the {head_width} of a head", "model.width")
            said["heads"] = width // head_width
        if "width" in said:
            settings["hidden"] = _hidden(width)
        heads = said.get("heads", settings["heads"])
        # Grouping is kept when heads change, where it divides them.
        settings["kv_heads"] = heads // shared if heads % shared == 0 else heads
        if said.get("qk_norm"):
            settings["family"] = "qwen3"
        return cls(vocabulary=vocabulary, **{**settings, **said})

    def to_hf(self) -> dict[str, Any]:
        """`config.json` as transformers 5 writes it, with the names of transformers 4 beside them for older readers."""
        rope: dict[str, Any] = {"rope_type": "default"}
        if self.rope_scaling is not None:
            scaling = self.rope_scaling
            rope = {"rope_type": "llama3", "factor": scaling.factor, "low_freq_factor": scaling.low_freq_factor,
                    "high_freq_factor": scaling.high_freq_factor,
                    "original_max_position_embeddings": scaling.original_context}  # fmt: skip
        written: dict[str, Any] = {
            "architectures": [_CLASSES[self.family]],
            "model_type": self.family,
            "vocab_size": self.vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.hidden,
            "num_hidden_layers": self.depth,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_width,
            "hidden_act": "silu",
            "max_position_embeddings": self.context,
            "initializer_range": 0.02,
            "rms_norm_eps": self.norm_eps,
            "tie_word_embeddings": self.tied,
            "rope_theta": self.rope_base,
            "rope_parameters": {**rope, "rope_theta": self.rope_base},
            "attention_dropout": 0.0,
            "use_cache": True,
        }
        if self.rope_scaling is not None:
            written["rope_scaling"] = rope
        if self.family in ("llama", "qwen3"):
            written["attention_bias"] = self.attention_bias
        if self.family == "llama":
            written["mlp_bias"] = False
        if self.family == "mistral":
            written["sliding_window"] = self.sliding_window
        if self.family in ("qwen2", "qwen3"):
            written["use_sliding_window"] = self.sliding_window is not None
            written["sliding_window"] = self.sliding_window
            written["max_window_layers"] = self.window_from if self.sliding_window is not None else self.depth
        return written

    @classmethod
    def from_hf(cls, config: Mapping[str, Any], *, where: str = "config.json") -> DecoderConfig:
        """Of a `config.json`, at `where`. Raises ModelError for another family, or parts that this decoder has not."""
        family = config.get("model_type")
        if family not in FAMILIES:
            raise ModelError(
                f"The model is of the family {family}; {', '.join(FAMILIES)} can be opened.",
                code="pretrained_family",
                where=where,
                hint="Name a folder of one of these families.",
            )
        _refuse_what_is_missing(config, where)
        try:
            heads = int(config["num_attention_heads"])
            width = int(config["hidden_size"])
            depth = int(config["num_hidden_layers"])
            base, scaling = _rope(config, where)
            window, first = _window(config, depth, where)
            return cls(
                vocabulary=int(config["vocab_size"]),
                width=width,
                depth=depth,
                heads=heads,
                kv_heads=int(config.get("num_key_value_heads") or (8 if family == "mistral" else heads)),
                head_width=int(config.get("head_dim") or (128 if family == "qwen3" else width // heads)),
                hidden=int(config["intermediate_size"]),
                context=int(config.get("max_position_embeddings", _CONTEXT)),
                rope_base=base,
                norm_eps=float(config.get("rms_norm_eps", _EPS)),
                qk_norm=family == "qwen3",
                tied=bool(config.get("tie_word_embeddings", False)),
                attention_bias=_BIASES.get(family, bool(config.get("attention_bias", False))),
                sliding_window=window,
                family=family,
                rope_scaling=scaling,
                window_from=first,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"config.json lacks or garbles a setting ({error}).", code="pretrained_config", where=where
            ) from error

    @property
    def output_bias(self) -> bool:
        """Whether the matrix behind attention has a bias too: Qwen2's has not."""
        return self.attention_bias and self.family != "qwen2"

    def parameters(self) -> int:
        """Weights of the whole model, embeddings included, counted without building it."""
        attention = self._attention() + (self.heads + 2 * self.kv_heads) * self.head_width * self.attention_bias
        attention += self.width * self.output_bias + 2 * self.head_width * self.qk_norm
        layer = attention + 3 * self.width * self.hidden + 2 * self.width
        tables = self.vocabulary * self.width * (1 if self.tied else 2)
        return tables + self.depth * layer + self.width

    def operations_per_token(self, length: int) -> float:
        """Multiplications and additions of one token's forward pass in a text of `length`; training costs three times
        that (Chowdhery et al., PaLM, 2022, appendix B: 6 N + 12 L H Q T).

        As there, attention counts whole, as if nothing were masked, and norms and softmax count nothing. Rows of the
        embedding table are looked up, not multiplied, so they count only where they make the logits.
        """
        matrices = self.depth * (self._attention() + 3 * self.width * self.hidden) + self.vocabulary * self.width
        return float(2 * matrices + self.depth * 4 * self.heads * self.head_width * length)

    def _attention(self) -> int:
        return 2 * self.width * self.head_width * (self.heads + self.kv_heads)


def _hidden(width: int) -> int:
    """8/3 of the width, rounded up to whole vectors of 64."""
    return 64 * math.ceil(8 * width / 3 / 64)


def _shape(width: int, depth: int, heads: int, context: int, **more: Any) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "width": width, "depth": depth, "heads": heads, "kv_heads": heads, "head_width": width // heads,
        "hidden": _hidden(width), "context": context,
    }  # fmt: skip
    return {**shape, **more}


def _of_depth(depth: int) -> dict[str, Any]:
    return _shape(_HEAD_WIDTH * depth, depth, depth, 1024)


PRESETS: dict[str, dict[str, Any]] = {
    "1m": _shape(128, 4, 4, 256),
    "10m": _shape(256, 8, 4, 512),
    "50m": _shape(512, 10, 8, 1024),
    "110m": _shape(768, 12, 12, 1024),
    "350m": _shape(1024, 24, 16, 2048),
    "1b": _shape(2048, 20, 32, 2048, kv_heads=8),
    "7b": _shape(4096, 32, 32, 4096, kv_heads=8, hidden=14_336, tied=False, family="mistral"),
}


def _unfit(what: str, where: str) -> ModelError:
    return ModelError(f"{what}.", code="decoder_shape", where=where)


def _refuse_what_is_missing(config: Mapping[str, Any], where: str) -> None:
    unknown = ""
    if config.get("quantization_config"):
        unknown = "its weights are quantised"
    elif config.get("mlp_bias"):
        unknown = "mlp_bias is on"
    elif config.get("hidden_act", "silu") not in ("silu", "swish"):
        unknown = f"hidden_act is {config['hidden_act']}"
    if unknown:
        raise ModelError(
            f"This {config['model_type']} model cannot be opened: {unknown}.",
            code="pretrained_config",
            where=where,
            hint="Name a folder with plain float weights of the family's usual layout.",
        )


def _rope(config: Mapping[str, Any], where: str) -> tuple[float, RopeScaling | None]:
    """Base and scaling, from `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (4)."""
    rope = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    base = float(rope.get("rope_theta", config.get("rope_theta", _ROPE_BASE)))
    kind = rope.get("rope_type") or rope.get("type") or "default"
    partial = float(rope.get("partial_rotary_factor", config.get("partial_rotary_factor") or 1.0))
    if kind == "default" and partial == 1.0:
        return base, None
    if kind != "llama3" or partial != 1.0:
        raise ModelError(
            f"Rotary positions of the kind {kind} with a share of {partial:g} are not known; default and llama3 are.",
            code="pretrained_config",
            where=where,
        )
    context = rope.get("original_max_position_embeddings", config.get("max_position_embeddings", _CONTEXT))
    return base, RopeScaling(
        factor=float(rope["factor"]),
        low_freq_factor=float(rope["low_freq_factor"]),
        high_freq_factor=float(rope["high_freq_factor"]),
        original_context=int(context),
    )


def _window(config: Mapping[str, Any], depth: int, where: str) -> tuple[int | None, int]:
    """The sliding window and the first layer that has it."""
    window = config.get("sliding_window")
    family = config["model_type"]
    if family == "mistral":
        return (4096 if "sliding_window" not in config else window), 0
    if family == "llama" or not config.get("use_sliding_window") or window is None:
        return None, 0
    kinds = config.get("layer_types") or [
        "sliding_attention" if layer >= config.get("max_window_layers", 28) else "full_attention"
        for layer in range(depth)
    ]
    first = kinds.index("sliding_attention") if "sliding_attention" in kinds else depth
    if any(kind != "sliding_attention" for kind in kinds[first:]):
        raise ModelError(
            "Layers with and without a sliding window alternate; that is not known.",
            code="pretrained_config",
            where=where,
        )
    return (None, 0) if first >= depth else (int(window), first)
