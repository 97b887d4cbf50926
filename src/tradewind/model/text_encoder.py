"""A text encoder's folder as one ONNX graph: tokens in, one vector of length 1 per text out. Not the bundle (`release/`).

The vector is the mean of the last states over the tokens that are there, then normalised (Reimers & Gurevych, Sentence-BERT,
2019: of their poolings the one that needs no training for it).

Legend: B texts, T tokens, D width.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tradewind.errors import ModelError
from tradewind.files import write_bytes
from tradewind.model.text import pretrained_room

TOLERANCE = 1e-4
_OPSET = 20


class Pooled(nn.Module):
    """The mean of the last states, or the first token's where the folder's own settings say so."""

    def __init__(self, encoder: Any, pooling: str = "mean") -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling

    def forward(self, tokens_BT: Tensor, there_BT: Tensor) -> Tensor:
        states_BTD = self.encoder(input_ids=tokens_BT, attention_mask=there_BT).last_hidden_state
        if self.pooling == "first":
            return F.normalize(states_BTD[:, 0], dim=-1)
        weight_BT1 = there_BT[:, :, None].to(states_BTD.dtype)
        mean_BD = (states_BTD * weight_BT1).sum(1) / weight_BT1.sum(1).clamp(min=1)
        return F.normalize(mean_BD, dim=-1)


def export_encoder(folder: Path, path: Path, *, texts: list[list[int]], pad: int) -> tuple[NDArray[np.float32], float]:
    """Writes the graph; gives torch's vectors [B, D] of the tokens of `texts` and the graph's largest difference from them.

    Raises ModelError when the folder is no text encoder that `pretrained:` takes, or the graph differs by more than 1e-4;
    EnvironmentFailure package_missing.
    """
    room = pretrained_room()
    model = Pooled(room.load(folder), room.pooling_of(folder)).eval()
    tokens_BT, there_BT = padded(texts, pad)
    arguments = (torch.from_numpy(tokens_BT), torch.from_numpy(there_BT))
    with torch.no_grad():
        vectors_BD: NDArray[np.float32] = model(*arguments).numpy()
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                model, arguments, dynamo=True, opset_version=_OPSET, verbose=False, external_data=False,
                input_names=["tokens", "there"], output_names=["vectors"],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC},) * 2,
            )  # fmt: skip
    finally:
        logger.setLevel(level)
    assert program is not None
    graph: bytes = program.model_proto.SerializeToString(deterministic=True)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    difference = 0.0
    for row, text in enumerate(texts):  # alone, without padding, and all together
        alone_1T, there_1T = padded([text], pad)
        found = session.run(None, {"tokens": alone_1T, "there": there_1T})[0][0]
        difference = max(difference, float(np.abs(found - vectors_BD[row]).max()))
    together_BD = session.run(None, {"tokens": tokens_BT, "there": there_BT})[0]
    difference = max(difference, float(np.abs(together_BD - vectors_BD).max()))
    if not difference <= TOLERANCE:
        raise ModelError(
            f"The graph differs from the encoder by {difference:.2g}, more than {TOLERANCE:.2g}.",
            code="export_differs", where=str(folder), hint="Report it with the encoder's config.json.",
        )  # fmt: skip
    write_bytes(path, graph)
    return vectors_BD, difference


def padded(texts: list[list[int]], pad: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tokens and which of them are there, [B, T] each."""
    length = max(1, *(len(text) for text in texts))
    tokens_BT = np.full((len(texts), length), pad, np.int64)
    there_BT = np.zeros((len(texts), length), np.int64)
    for row, text in enumerate(texts):
        tokens_BT[row, : len(text)] = text
        there_BT[row, : len(text)] = 1
    return tokens_BT, there_BT
