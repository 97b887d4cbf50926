"""What an encoder-decoder is made of: from the product file, or from the config.json of a folder, and back.

Not here: the network (`seq2seq.py`), weights and files (`seq2seq_folder.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tradewind.errors import ModelError
from tradewind.product import Model

Layout = Literal["m2m_100", "marian"]
_FAMILIES: Mapping[str, str] = {"m2m_100": "M2M100ForConditionalGeneration", "marian": "MarianMTModel"}
_ACTIVATIONS = ("relu", "gelu", "swish", "silu")
_CONTEXT = 512


@dataclass(frozen=True)
class _Preset:
    width: int
    encoder_depth: int
    decoder_depth: int
    heads: int
    hidden: int


# 50m is the base model of Vaswani et al. 2017, 350m their big one with twice the layers; 1m is what suits some ten thousand
# pairs (Wu et al., Good for Misconceived Reasons, 2021).
_PRESETS: Mapping[str, _Preset] = {
    "1m": _Preset(128, 4, 4, 4, 256),
    "10m": _Preset(256, 4, 4, 4, 1024),
    "50m": _Preset(512, 6, 6, 8, 2048),
    "110m": _Preset(768, 6, 6, 12, 3072),
    "350m": _Preset(1024, 12, 12, 16, 4096),
}
_BY_TOKENS = ((1_500_000, "1m"), (30_000_000, "10m"), (300_000_000, "50m"))  # target tokens that are trained on


@dataclass(frozen=True)
class Seq2SeqConfig:
    """`start` is the token that a decoder is given first. Raises ModelError for a shape that cannot be."""

    vocabulary: int
    width: int
    encoder_depth: int
    decoder_depth: int
    encoder_heads: int
    decoder_heads: int
    encoder_hidden: int
    decoder_hidden: int
    context: int
    start: int
    eos: int
    pad: int
    dropout: float = 0.0
    activation: str = "relu"
    layout: Layout = "m2m_100"
    scaled: bool = True

    def __post_init__(self) -> None:
        for heads in (self.encoder_heads, self.decoder_heads):
            if self.width % heads or self.width % 2:
                raise ModelError(
                    f"A width of {self.width} cannot be shared by {heads} heads.", code="seq2seq_shape", where="model.heads",
                    hint="Choose heads that divide an even width.",
                )  # fmt: skip

    @classmethod
    def from_product(
        cls, model: Model, *, vocabulary: int, tokens: int, start: int, eos: int, pad: int, dropout: float
    ) -> Seq2SeqConfig:
        """The preset, by default the one that suits so many target `tokens`, with what the product file changes of it."""
        suits = next((size for most, size in _BY_TOKENS if tokens <= most), "110m")
        name: str = suits if model.preset is None else model.preset
        if name not in _PRESETS:
            raise ModelError(
                f"There is no translator of the size {name}.", code="preset_unknown", where="model.preset",
                hint=f"Sizes: {', '.join(_PRESETS)}; larger ones are fine-tuned: set model.pretrained.",
            )  # fmt: skip
        preset = _PRESETS[name]
        width = preset.width if model.width == "auto" else model.width
        hidden = preset.hidden if model.width == "auto" else width * preset.hidden // preset.width
        depth = (preset.encoder_depth, preset.decoder_depth) if model.depth == "auto" else (model.depth, model.depth)
        heads = preset.heads if model.heads == "auto" else model.heads
        context = _CONTEXT if model.context == "auto" else model.context
        return cls(
            vocabulary,
            width,
            *depth,
            heads,
            heads,
            hidden,
            hidden,
            context,
            start=start,
            eos=eos,
            pad=pad,
            dropout=dropout,
        )

    @classmethod
    def from_hf(cls, config: Mapping[str, Any], *, where: str) -> Seq2SeqConfig:
        """Raises ModelError for another family, or a setting that is not computed here."""
        layout = config.get("model_type")
        if layout not in ("m2m_100", "marian"):
            raise ModelError(
                f"Folders of the family {layout} are no translators that can be opened.", code="pretrained_family", where=where,
                hint="M2M100, NLLB and Marian folders are.",
            )  # fmt: skip
        activation = str(config.get("activation_function", "relu" if layout == "m2m_100" else "gelu"))
        refused = {
            "activation_function": activation not in _ACTIVATIONS,
            "share_encoder_decoder_embeddings": config.get("share_encoder_decoder_embeddings", True) is False,
            "tie_word_embeddings": config.get("tie_word_embeddings", True) is False,
        }
        if wrong := next((name for name, is_wrong in refused.items() if is_wrong), None):
            raise ModelError(
                f"{wrong} is {config.get(wrong)!r}, which is not computed here.", code="pretrained_config", where=where
            )
        try:
            return cls(
                vocabulary=int(config["vocab_size"]), width=int(config["d_model"]),
                encoder_depth=int(config["encoder_layers"]), decoder_depth=int(config["decoder_layers"]),
                encoder_heads=int(config["encoder_attention_heads"]), decoder_heads=int(config["decoder_attention_heads"]),
                encoder_hidden=int(config["encoder_ffn_dim"]), decoder_hidden=int(config["decoder_ffn_dim"]),
                context=int(config["max_position_embeddings"]), start=int(config["decoder_start_token_id"]),
                eos=_first(config["eos_token_id"]), pad=int(config["pad_token_id"]), activation=activation, layout=layout,
                scaled=bool(config.get("scale_embedding", layout == "m2m_100")),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"config.json lacks a setting ({error}).", code="pretrained_config", where=where
            ) from error

    @property
    def norm_first(self) -> bool:
        return self.layout == "m2m_100"

    @property
    def logits_bias(self) -> bool:
        return self.layout == "marian"

    @property
    def embedding_scale(self) -> float:
        return math.sqrt(self.width) if self.scaled else 1.0

    def to_hf(self) -> dict[str, Any]:
        """`config.json`: opens in `AutoModelForSeq2SeqLM.from_pretrained`."""
        return {
            "architectures": [_FAMILIES[self.layout]], "model_type": self.layout, "vocab_size": self.vocabulary,
            "d_model": self.width, "encoder_layers": self.encoder_depth, "decoder_layers": self.decoder_depth,
            "encoder_attention_heads": self.encoder_heads, "decoder_attention_heads": self.decoder_heads,
            "encoder_ffn_dim": self.encoder_hidden, "decoder_ffn_dim": self.decoder_hidden,
            "max_position_embeddings": self.context, "activation_function": self.activation,
            "scale_embedding": self.scaled, "dropout": self.dropout, "attention_dropout": 0.0,
            "activation_dropout": self.dropout, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0,
            "decoder_start_token_id": self.start, "bos_token_id": self.start, "eos_token_id": self.eos,
            "pad_token_id": self.pad, "forced_eos_token_id": None, "is_encoder_decoder": True, "use_cache": True,
            "share_encoder_decoder_embeddings": True, "tie_word_embeddings": True, "torch_dtype": "float32",
        }  # fmt: skip

    def parameters(self) -> int:
        """Weights of the whole model, counted without building it."""
        width, norm = self.width, 2 * self.width
        attention = 4 * width * (width + 1)
        encoder = attention + 2 * width * self.encoder_hidden + self.encoder_hidden + width + 2 * norm
        decoder = 2 * attention + 2 * width * self.decoder_hidden + self.decoder_hidden + width + 3 * norm
        ends = 2 * norm if self.norm_first else 0
        return self.vocabulary * width + self.encoder_depth * encoder + self.decoder_depth * decoder + ends


def _first(value: Any) -> int:
    return int(value[0]) if isinstance(value, list) else int(value)
