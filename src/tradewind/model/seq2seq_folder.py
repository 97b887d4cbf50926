"""An encoder-decoder as a Hugging Face folder, read and written: config.json, safetensors, the tokeniser's files.

What is saved opens in `AutoModelForSeq2SeqLM.from_pretrained` with the same logits; folders of M2M100, NLLB and Marian open
here. No code of a folder runs, nothing is unpickled. Not here: settings (`seq2seq_config.py`), the network (`seq2seq.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from tradewind.errors import ArtifactError, nearest, writing
from tradewind.files import write_json
from tradewind.model.hf_folder import CONFIG, GENERATION, WEIGHTS, check_tokeniser, read_config, weights_of
from tradewind.model.seq2seq import Seq2Seq
from tradewind.model.seq2seq_config import Seq2SeqConfig
from tradewind.model.weights import save_tensors

_SHARED = "model.shared.weight"
# One table under several names, and tables of sines, which are made anew.
_SAME = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight")
_SINES = ("embed_positions.weight", "embed_positions.weights")


def open_seq2seq(path: Path) -> Seq2Seq:
    """The module of a folder, float32 on the CPU in evaluation mode.

    Raises ModelError when it is no folder of a family that can be opened, ArtifactError when a tensor is missing, unknown,
    misshapen or not finite.
    """
    config = Seq2SeqConfig.from_hf(read_config(path), where=str(path / CONFIG))
    check_tokeniser(path, config.vocabulary)
    found = dict(_renamed(path))
    with torch.device("meta"):
        own = Seq2Seq(config).state_dict()
    for name, tensor in found.items():
        if name not in own or tensor.shape != own[name].shape:
            what = (
                f"is not in a {config.layout} model" if name not in own
                else f"has the shape {tuple(tensor.shape)}, but {tuple(own[name].shape)} is expected"
            )  # fmt: skip
            raise ArtifactError(
                f"The tensor {name} {what}.", code="weights_mismatch", where=str(path),
                hint=None if name in own else nearest(name, own) or None,
            )  # fmt: skip
    if missing := sorted(set(own) - set(found) - {"final_logits_bias"}):
        raise ArtifactError(
            f"The tensor {missing[0]} is missing from the weights ({len(missing)} missing of {len(own)}).",
            code="weights_mismatch", where=str(path),
        )  # fmt: skip
    model = Seq2Seq(config)
    model.load_state_dict(found, strict=False)
    return model.eval()


def save_seq2seq(model: Seq2Seq, folder: Path) -> None:
    """Writes config.json, generation_config.json and model.safetensors. Raises EnvironmentFailure when the disk says no."""
    with writing(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
    config = model.config
    write_json(folder / CONFIG, config.to_hf())
    write_json(
        folder / GENERATION,
        {
            "decoder_start_token_id": config.start, "eos_token_id": config.eos, "pad_token_id": config.pad,
            "max_length": config.context,
        },
    )  # fmt: skip
    save_tensors(folder / WEIGHTS, model.state_dict(), metadata={"format": "pt"})


def _renamed(path: Path) -> Iterator[tuple[str, Tensor]]:
    """The tensors under the names that they have here, the shared table once."""
    shared: Tensor | None = None
    for name, tensor in weights_of(path):
        if name.endswith(_SINES):
            continue
        if name in (_SHARED, *_SAME):
            if shared is not None and not torch.equal(shared, tensor):
                raise ArtifactError(
                    f"The tensor {name} is another table than the shared one.", code="weights_mismatch", where=str(path),
                    hint="Only folders with one table for words read and written can be opened.",
                )  # fmt: skip
            shared = tensor
            continue
        yield name, tensor.float()
    if shared is not None:
        yield _SHARED, shared.float()
