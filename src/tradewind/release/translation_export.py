"""A translator's Hugging Face folder as CTranslate2 reads it: one folder a precision, from safetensors, without torch.

M2M100, NLLB and Marian layouts. Tokens are named by their number, so that any tokeniser serves. Not here: what else a release
holds (`translation.py`), asking it (`engines/translation.py`).

Legend: D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from ctranslate2 import specs
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from tradewind.errors import ArtifactError, ModelError, writing
from tradewind.features.pair_tokenizer import Frame
from tradewind.features.positions import sines
from tradewind.files import read_json

Weights: TypeAlias = Mapping[str, NDArray[np.float32]]

# The engine's name of each: int8 keeps every matrix in 8 bits and the sums between them in single precision.
PRECISIONS = {"fp32": "float32", "int8": "int8_float32"}
_ACTIVATIONS = {
    "relu": specs.Activation.RELU, "gelu": specs.Activation.GELU, "swish": specs.Activation.SWISH, "silu": specs.Activation.SWISH,
}  # fmt: skip
_SHARED = (
    "model.shared.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight",
)  # fmt: skip
_BIAS = "final_logits_bias"


def export_translator(hf: Path, folder: Path, *, frame: Frame, precisions: Sequence[str]) -> None:
    """Writes `folder/PRECISION/` for each of `precisions` (fp32, int8).

    Raises ModelError for a family or activation that is not exported, ArtifactError for weights that cannot be read or are
    missing, EnvironmentFailure for the disk.
    """
    config = _config(hf)
    weights = _weights(hf)
    for precision in precisions:
        spec = _Export(config, weights, where=str(hf)).spec(frame)
        spec.validate()
        spec.optimize(quantization=PRECISIONS[precision])
        with writing(str(folder)):
            (folder / precision).mkdir(parents=True)
            spec.save(str(folder / precision))


class _Export:
    """One network, layer by layer, under the names of the engine."""

    def __init__(self, config: Mapping[str, Any], weights: Weights, *, where: str) -> None:
        self._config, self._weights, self._where = config, weights, where
        self._norm_first = config["model_type"] == "m2m_100"

    def spec(self, frame: Frame) -> specs.TransformerSpec:
        config = self._config
        made = {"pre_norm": self._norm_first, "activation": _ACTIVATIONS[config["activation_function"]]}
        encoder = specs.TransformerEncoderSpec(config["encoder_layers"], config["encoder_attention_heads"], **made)
        decoder = specs.TransformerDecoderSpec(config["decoder_layers"], config["decoder_attention_heads"], **made)
        shared_VD = self._shared()
        for name, stack in (("encoder", encoder), ("decoder", decoder)):
            self._ends(f"model.{name}", stack)
            for place, layer in enumerate(stack.layer):
                self._layer(f"model.{name}.layers.{place}", layer)
        encoder.embeddings[0].weight = decoder.embeddings.weight = decoder.projection.weight = shared_VD
        bias = self._weights.get(_BIAS)
        if bias is not None and bias.any():
            decoder.projection.bias = bias.reshape(-1)
        spec = specs.TransformerSpec(encoder, decoder)
        names = [str(number) for number in range(len(shared_VD))]
        spec.register_source_vocabulary(names)
        spec.register_target_vocabulary(names)
        # What is unknown to the engine is padding to the model: `disable_unk` then keeps it from being written.
        spec.config.unk_token = str(frame.pad)
        spec.config.bos_token = spec.config.eos_token = str(frame.eos)
        spec.config.decoder_start_token = str(frame.start[0])
        return spec

    def _ends(self, name: str, stack: Any) -> None:
        """What stands before the first layer, and the norm behind the last one."""
        config = self._config
        stack.scale_embeddings = bool(config["scale_embedding"])
        behind = config["pad_token_id"] if self._norm_first else None
        stack.position_encodings.encodings = sines(config["max_position_embeddings"], config["d_model"], behind=behind)
        if self._norm_first:
            self._norm(f"{name}.layer_norm", stack.layer_norm)

    def _layer(self, name: str, layer: Any) -> None:
        own, linear = layer.self_attention, layer.self_attention.linear
        self._together(f"{name}.self_attn", ("q_proj", "k_proj", "v_proj"), linear[0])
        self._together(f"{name}.self_attn", ("out_proj",), linear[1])
        self._norm(f"{name}.self_attn_layer_norm", own.layer_norm)
        if hasattr(layer, "attention"):
            other = layer.attention
            self._together(f"{name}.encoder_attn", ("q_proj",), other.linear[0])
            self._together(f"{name}.encoder_attn", ("k_proj", "v_proj"), other.linear[1])
            self._together(f"{name}.encoder_attn", ("out_proj",), other.linear[2])
            self._norm(f"{name}.encoder_attn_layer_norm", other.layer_norm)
        self._together(name, ("fc1",), layer.ffn.linear_0)
        self._together(name, ("fc2",), layer.ffn.linear_1)
        self._norm(f"{name}.final_layer_norm", layer.ffn.layer_norm)

    def _together(self, name: str, parts: Sequence[str], linear: Any) -> None:
        linear.weight = np.concatenate([self._tensor(f"{name}.{part}.weight") for part in parts])
        linear.bias = np.concatenate([self._tensor(f"{name}.{part}.bias") for part in parts])

    def _norm(self, name: str, norm: Any) -> None:
        norm.gamma, norm.beta = self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias")

    def _shared(self) -> NDArray[np.float32]:
        return self._tensor(next((name for name in _SHARED if name in self._weights), _SHARED[0]))

    def _tensor(self, name: str) -> NDArray[np.float32]:
        found = self._weights.get(name)
        if found is None:
            raise ArtifactError(
                f"The tensor {name} is missing from the weights.", code="weights_mismatch", where=self._where,
                hint="Train again, or copy the folder again from where it was made.",
            )  # fmt: skip
        return found.astype(np.float32)


def _config(hf: Path) -> dict[str, Any]:
    """config.json with the defaults that transformers has for what older folders leave out."""
    try:
        config: dict[str, Any] = read_json(hf / "config.json")
        config.setdefault("scale_embedding", config["model_type"] == "m2m_100")
        config.setdefault("activation_function", "relu" if config["model_type"] == "m2m_100" else "gelu")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"config.json cannot be read ({error}).", code="folder_broken", where=str(hf)) from error
    if config["model_type"] not in ("m2m_100", "marian") or config["activation_function"] not in _ACTIVATIONS:
        raise ModelError(
            f"A {config['model_type']} with {config['activation_function']} is not exported.", code="pretrained_family", where=str(hf),
            hint="M2M100, NLLB and Marian folders are.",
        )  # fmt: skip
    return config


def _weights(hf: Path) -> Weights:
    files = sorted(hf.glob("*.safetensors"))
    if not files:
        raise ArtifactError("There are no weights (*.safetensors).", code="folder_broken", where=str(hf))
    found: dict[str, NDArray[np.float32]] = {}
    for file in files:
        try:
            found |= load_file(file)
        except (OSError, ValueError, SafetensorError) as error:
            raise ArtifactError(
                f"The weights cannot be read ({error}).", code="folder_broken", where=str(file)
            ) from error
    return found
