"""A trained recommender as files that need no torch: the encoder of a history and of columns as ONNX graphs, items as arrays.

    encoder.onnx   vectors [B, L, D] of what was met, lengths [B], users [B, D], to the state [B, D]
    items.npy      [I, D], what states are multiplied with; bias.npy [I], what is added
    content.onnx   encoded columns of an item to [B, D + 1]: its vector and its bias; users.onnx the same of a user, [B, D]

Not here: the network (`recommender.py`), what else a release holds (`release/recommender.py`).

Legend: B rows, L items met, D width, I items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tradewind.errors import ModelError
from tradewind.features.column import Layout
from tradewind.features.feature_set import input_name
from tradewind.files import write_bytes
from tradewind.model.export import dynamic_shapes, exemplary, input_names, quiet
from tradewind.model.recommender import Recommender, SessionEncoder
from tradewind.model.recommender_content import Content, wide

TOLERANCE = 1e-4  # of a state, whose numbers are near 1
ENCODER, ITEMS, BIAS, ITEM_CONTENT, USER_CONTENT = "encoder.onnx", "items.npy", "bias.npy", "content.onnx", "users.onnx"
_OPSET = 20
_CHUNK = 4096


@torch.no_grad()
def item_table(model: Recommender) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors [I, D] and biases [I] of all items, columns included. Evaluation mode."""
    was_training = model.training
    model.eval()
    device = model.bias.device
    parts = [
        model.vectors(torch.arange(begin, min(begin + _CHUNK, model.config.items), device=device))
        for begin in range(0, model.config.items, _CHUNK)
    ]
    model.train(was_training)
    vectors_ID, bias_I = (torch.cat([part[side] for part in parts]).float().cpu().numpy() for side in (0, 1))
    return vectors_ID, bias_I


def export_recommender(
    model: Recommender, folder: Path, *, histories: Sequence[NDArray[np.integer]], items: Layout | None, users: Layout | None
) -> float:  # fmt: skip
    """Writes the files; gives the largest difference of the graphs from torch, on these histories and the first items and users.

    Raises ModelError where a graph differs by more than 1e-4.
    """
    model = model.cpu().eval()
    vectors_ID, bias_I = item_table(model)
    np.save(folder / ITEMS, vectors_ID)
    np.save(folder / BIAS, bias_I)
    width, context = model.config.width, model.config.context
    difference = _export_encoder(
        model, folder / ENCODER, vectors_ID, [one[-(context - 1) :] for one in histories], width
    )
    for content, layout, name in (
        (model.item_content, items, ITEM_CONTENT),
        (model.user_content, users, USER_CONTENT),
    ):
        if content is not None:
            assert layout is not None
            difference = max(difference, _export_content(content, layout, folder / name))
    if not difference <= TOLERANCE:
        raise ModelError(
            f"The exported graphs differ from the trained network by {difference:.2g}, more than {TOLERANCE:.2g}.",
            code="export_differs", hint="Please report it with the run's product.json: no release is made from it.",
        )  # fmt: skip
    return difference


def _export_encoder(
    model: Recommender,
    path: Path,
    vectors_ID: NDArray[np.float32],
    histories: Sequence[NDArray[np.integer]],
    width: int,
) -> float:
    encoder = SessionEncoder(model).eval()
    lengths = np.array([len(one) for one in histories] or [1], np.int64)
    longest = max(2, int(lengths.max()))
    vectors = np.zeros((max(2, len(lengths)), longest, width), np.float32)
    lengths = np.resize(lengths, len(vectors))
    for row, history in enumerate(histories):
        vectors[row, : len(history)] = vectors_ID[history]
    given = (torch.from_numpy(vectors), torch.from_numpy(lengths), torch.zeros(len(vectors), width))
    dynamic = torch.export.Dim.DYNAMIC
    graph = _graph(
        encoder, given, ["vectors", "lengths", "users"], "state", ({0: dynamic, 1: dynamic}, {0: dynamic}, {0: dynamic})
    )
    write_bytes(path, graph)
    with torch.no_grad():
        expected = encoder(*given).numpy()
    session = _open(graph)
    found = session.run(None, {"vectors": vectors, "lengths": lengths, "users": given[2].numpy()})[0]
    difference = float(np.abs(found - expected).max())
    for row in range(min(4, len(histories))):  # alone, without padding
        alone = {"vectors": vectors[row : row + 1, : lengths[row]], "lengths": lengths[row : row + 1], "users": np.zeros((1, width), np.float32)}  # fmt: skip
        difference = max(difference, float(np.abs(session.run(None, alone)[0][0] - expected[row]).max()))
    return difference


def _export_content(content: Content, layout: Layout, path: Path) -> float:
    names = input_names(layout)
    some = torch.arange(min(32, len(next(iter(content.arrays.values())))))
    arrays: Mapping[str, NDArray[Any]] = {
        name: exemplary(np.ascontiguousarray(wide(content.arrays[name][some]).numpy())) for name in names
    }
    given = tuple(torch.from_numpy(arrays[name]) for name in names)
    module = _Named(content, names).eval()
    graph = _graph(module, given, [input_name(name) for name in names], "vectors", (dynamic_shapes(names, layout),))
    write_bytes(path, graph)
    with torch.no_grad():
        expected = module(*given).numpy()
    session, difference = _open(graph), 0.0
    for rows in (slice(0, 1), slice(None)):
        found = session.run(None, {input_name(name): arrays[name][rows] for name in names})[0]
        difference = max(difference, float(np.abs(found - expected[rows]).max()))
    return difference


class _Named(nn.Module):
    """Arrays in order in place of arrays by name."""

    def __init__(self, content: Content, names: tuple[str, ...]) -> None:
        super().__init__()
        self.content, self.names = content, names

    def forward(self, *arrays: Tensor) -> Tensor:
        found: Tensor = self.content(dict(zip(self.names, arrays, strict=True)))
        return found


def _graph(module: nn.Module, given: tuple[Tensor, ...], inputs: list[str], output: str, shapes: Any) -> bytes:
    with quiet():
        program = torch.onnx.export(
            module, given, dynamo=True, opset_version=_OPSET, verbose=False, external_data=False, input_names=inputs,
            output_names=[output], dynamic_shapes=shapes,
        )  # fmt: skip
        assert program is not None
        graph: bytes = program.model_proto.SerializeToString(deterministic=True)
    return graph


def _open(graph: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
