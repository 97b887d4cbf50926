"""Products of many vectors with a query, four bits a number: an eighth of the memory to read, and an error of about a tenth of the
spread of the products. ONNX Runtime multiplies (MatMulNBits); the graph around the one node is written here byte by byte, since
a server has no package for that.

Not here: which vectors are asked (`cells.py`), exact scores (`top.py`).

Legend: N vectors, W width, G groups of numbers that share a scale.
"""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_GROUPS = (64, 32, 16)  # numbers that share a scale: the largest that fits the width
_MIDDLE, _REACH = 8, 7.5  # four bits hold -8 to 7 around the middle
_FLOAT, _BYTE = 1, 2  # element types of ONNX
_IR, _OPSET = 10, 21


class Nibbles:
    """Vectors [N, W], kept four bits a number, in groups with a scale each. Safe for threads."""

    def __init__(self, vectors_NW: Floats, *, threads: int = 1) -> None:
        self._count, width = vectors_NW.shape
        group = next((one for one in _GROUPS if one <= width), _GROUPS[-1])
        self._padded = -(-width // group) * group
        packed, scales = _packed(vectors_NW, self._padded, group)
        self.nbytes = packed.nbytes + scales.nbytes
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # one for each of many would cost more than the vectors
        graph = _model(packed, scales, self._count, self._padded, group)
        self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def prepared(self, query_W: Floats) -> Floats:
        """A query as `products` wants it: [1, W'], whole groups."""
        query = np.zeros((1, self._padded), np.float32)
        query[0, : len(query_W)] = query_W
        return query

    def products(self, prepared: Floats) -> Floats:
        """Nearly vectors @ query, [N]."""
        found: Floats = self._session.run(None, {"query": prepared})[0][0]
        return found


def _packed(vectors_NW: Floats, padded: int, group: int) -> tuple[NDArray[np.uint8], Floats]:
    """Two numbers a byte [N, G, group / 2], the first in the low half, and scales [N, G]."""
    count, width = vectors_NW.shape
    rows = np.zeros((count, padded), np.float32)
    rows[:, :width] = vectors_NW
    grouped = rows.reshape(count, -1, group)
    scales = (np.abs(grouped).max(2) / _REACH).astype(np.float32)
    steps = grouped / np.where(scales > 0, scales, 1)[..., None]
    codes = np.clip(np.rint(steps) + _MIDDLE, 0, 15).astype(np.uint8)
    return codes[..., 0::2] | (codes[..., 1::2] << 4), scales


# ---------------------------------------------------------------- a graph of one node, as protocol buffers


def _model(packed: NDArray[np.uint8], scales: Floats, count: int, width: int, group: int) -> bytes:
    """Field numbers are those of onnx.proto."""
    settings = {"K": width, "N": count, "bits": 4, "block_size": group, "accuracy_level": 4}
    node = (
        b"".join(_text(1, name) for name in ("query", "packed", "scales"))
        + _text(2, "products")
        + _text(4, "MatMulNBits")
        + b"".join(_bytes(5, _text(1, name) + _number(3, value) + _number(20, 2)) for name, value in settings.items())
        + _text(7, "com.microsoft")
    )
    graph = (
        _bytes(1, node)
        + _text(2, "nibbles")
        + _bytes(5, _tensor("packed", _BYTE, packed))
        + _bytes(5, _tensor("scales", _FLOAT, scales))
        + _bytes(11, _value("query", (1, width)))
        + _bytes(12, _value("products", (1, count)))
    )
    standard, extended = _text(1, "") + _number(2, _OPSET), _text(1, "com.microsoft") + _number(2, 1)
    return _number(1, _IR) + _bytes(7, graph) + _bytes(8, standard) + _bytes(8, extended)


def _tensor(name: str, kind: int, values: NDArray[np.generic]) -> bytes:
    dims = b"".join(_number(1, one) for one in values.shape)
    return dims + _number(2, kind) + _text(8, name) + _bytes(9, values.tobytes())


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, one)) for one in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, _FLOAT) + _bytes(2, dims)))


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _bytes(field, content.encode())
