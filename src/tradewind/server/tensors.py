"""Tensors of the Open Inference Protocol: JSON or raw bytes to columns, answers to tensors. Not the routes (`oip.py`).

Raw bytes follow the JSON in the body, as in Triton's binary data extension: little-endian, row by row; BYTES elements each
after their length in four bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from tradewind.errors import DataError, InputError
from tradewind.server.served import Answer, Labelled, Served
from tradewind.server.wire import Row, bad_json, refuse_doubles

_TYPES: dict[str, str] = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
DATATYPES = (*_TYPES, "BYTES")
_LENGTH = struct.Struct("<I")
_COLUMN_TYPES = {"number": "FP64"}


class Tensor(msgspec.Struct):
    """One input. `data` is flat or nested as `shape`; without it the tensor lies in the binary part."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class Wanted(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class InferBody(msgspec.Struct):
    inputs: list[Tensor]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[Wanted] = []


_BODY = msgspec.json.Decoder(InferBody)


def decode_infer(body: bytes, header_length: str | None) -> tuple[InferBody, memoryview]:
    """The JSON and the raw part behind it. Raises InputError."""
    if header_length is None:
        size = len(body)
    elif (
        header_length.isascii()
        and header_length.isdigit()
        and len(header_length) < 10
        and int(header_length) <= len(body)
    ):
        size = int(header_length)
    else:
        raise InputError(
            "The length of the JSON part is no number within the body.", code="field", where="inference-header-content-length"
        )  # fmt: skip
    head = body[:size]
    try:
        request = _BODY.decode(head)
    except msgspec.ValidationError as error:
        raise InputError(f"{error}.", code="field") from None
    except (ValueError, RecursionError) as error:
        raise bad_json(error) from None
    refuse_doubles(head)
    return request, memoryview(body)[size:]


def rows_of(request: InferBody, raw: memoryview, *, most: int) -> list[Row]:
    """One row an element of the first dimension. Raises InputError, DataError whose `where` is the tensor."""
    if not request.inputs:
        raise InputError("There is no input tensor.", code="no_rows", where="inputs")
    columns: dict[str, list[Any]] = {}
    offset = 0
    rows = -1
    for tensor in request.inputs:
        count = _rows(tensor, most)
        if rows not in (-1, count):
            raise _fault(tensor, f"has {count} rows, but the first tensor has {rows}")
        rows = count
        if tensor.name in columns:
            raise _fault(tensor, "is given twice")
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            columns[tensor.name] = _from_json(tensor, rows)
            continue
        if type(size) is not int or not 0 <= size <= len(raw) - offset:
            raise _fault(tensor, "has a binary_data_size that is not within the body")
        columns[tensor.name] = _from_bytes(tensor, raw[offset : offset + size], rows)
        offset += size
    if offset != len(raw):
        raise InputError(f"{len(raw) - offset} bytes belong to no tensor.", code="tensor", where="inputs")
    names = tuple(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def outputs_of(
    request: InferBody, served: Served, answers: Sequence[Answer]
) -> tuple[list[dict[str, Any]], list[bytes], int]:
    """Output tensors, the raw parts of those that were asked for in binary, and how many rows are charged."""
    made, charged = _outputs(served, answers)
    everything = bool(request.parameters.get("binary_data_output", False))
    wanted = request.outputs or [Wanted(name, {"binary_data": everything}) for name in made]
    tensors: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for output in wanted:
        if output.name not in made:
            raise InputError(
                f"There is no output {output.name[:80]!r}.", code="tensor", where="outputs", hint=f"Outputs: {', '.join(made)}."
            )  # fmt: skip
        datatype, array = made[output.name]
        tensor: dict[str, Any] = {"name": output.name, "datatype": datatype, "shape": list(array.shape)}
        if output.parameters.get("binary_data", everything):
            part = _raw(datatype, array)
            tensor["parameters"] = {"binary_data_size": len(part)}
            parts.append(part)
        else:
            tensor["data"] = array.ravel().tolist()
        tensors.append(tensor)
    return tensors, parts, charged


def inputs_schema(served: Served) -> list[dict[str, Any]]:
    """Metadata of the inputs: one tensor a column, [-1] rows. Other datatypes are taken too."""
    return [
        {"name": column.name, "datatype": _COLUMN_TYPES.get(column.kind, "BYTES"), "shape": [-1]}
        for column in served.features.columns
    ]


def outputs_schema(served: Served) -> list[dict[str, Any]]:
    if not served.classes:
        return [{"name": "value", "datatype": "FP64", "shape": [-1]}]
    found = [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(served.classes)]},
    ]
    if served.abstain_below is not None:
        found.append({"name": "abstained", "datatype": "BOOL", "shape": [-1]})
    return found


def _outputs(served: Served, answers: Sequence[Answer]) -> tuple[dict[str, tuple[str, NDArray[Any]]], int]:
    """An abstained row has an empty label and zeros, since JSON knows no NaN."""
    if not served.classes:
        return {"value": ("FP64", np.array(answers, dtype=np.float64))}, len(answers)
    labels = np.empty(len(answers), dtype=object)
    p_BK = np.zeros((len(answers), len(served.classes)), dtype=np.float32)
    silent = np.zeros(len(answers), dtype=bool)
    for index, (label, p) in enumerate(cast(Sequence[Labelled], answers)):
        if served.abstain_below is not None and max(p) < served.abstain_below:
            labels[index], silent[index] = "", True
        else:
            labels[index], p_BK[index] = label, p
    made: dict[str, tuple[str, NDArray[Any]]] = {"label": ("BYTES", labels), "probabilities": ("FP32", p_BK)}
    if served.abstain_below is not None:
        made["abstained"] = ("BOOL", silent)
    return made, int((~silent).sum())


def _rows(tensor: Tensor, most: int) -> int:
    shape = tensor.shape
    if tensor.datatype not in DATATYPES:
        raise _fault(tensor, f"has the datatype {tensor.datatype[:20]!r}; known are {', '.join(DATATYPES)}")
    if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
        raise _fault(tensor, f"has the shape {shape[:4]}, but [rows] or [rows, 1] was expected")
    if shape[0] < 1:
        raise InputError("There is no row to predict.", code="no_rows", where=tensor.name)
    if shape[0] > most:
        raise InputError(
            f"{shape[0]} rows are more than the {most} that one request may hold.", code="too_many_rows", where=tensor.name
        )  # fmt: skip
    return shape[0]


def _from_json(tensor: Tensor, rows: int) -> list[Any]:
    values = list(_flat(tensor.data or []))
    if len(values) != rows:
        raise _fault(tensor, f"has {len(values)} values for the shape {tensor.shape}")
    kinds: tuple[type, ...]
    if tensor.datatype == "BYTES":
        kinds = (str,)
    elif tensor.datatype == "BOOL":
        kinds = (bool,)
    else:
        kinds = (int,) if "INT" in tensor.datatype else (int, float)
    for value in values:
        if value is not None and (
            not isinstance(value, kinds) or (isinstance(value, bool) and tensor.datatype != "BOOL")
        ):
            raise _fault(tensor, f"holds a value that is no {tensor.datatype}")
    return values


def _from_bytes(tensor: Tensor, raw: memoryview, rows: int) -> list[Any]:
    values: list[Any]
    if tensor.datatype == "BYTES":
        values = list(_strings(tensor, raw))
    else:
        kind = np.dtype(_TYPES[tensor.datatype])
        if len(raw) != rows * kind.itemsize:
            raise _fault(tensor, f"has {len(raw)} bytes for {rows} values of {tensor.datatype}")
        values = np.frombuffer(raw, dtype=kind).tolist()
        if kind.kind == "f":
            values = [value if math.isfinite(value) else None for value in values]
    if len(values) != rows:
        raise _fault(tensor, f"has {len(values)} values for the shape {tensor.shape}")
    return values


def _strings(tensor: Tensor, raw: memoryview) -> Iterator[str | bytes]:
    offset = 0
    while offset < len(raw):
        if offset + 4 > len(raw):
            raise _fault(tensor, "ends within a length")
        (size,) = _LENGTH.unpack_from(raw, offset)
        offset += 4
        if size > len(raw) - offset:
            raise _fault(tensor, "ends within an element")
        element = bytes(raw[offset : offset + size])
        offset += size
        try:
            yield element.decode()
        except UnicodeDecodeError:  # the bytes of a picture; a column of text refuses them by name
            yield element


def _raw(datatype: str, array: NDArray[Any]) -> bytes:
    if datatype != "BYTES":
        return array.astype(_TYPES[datatype]).tobytes()
    encoded = [text.encode() for text in array.ravel().tolist()]
    return b"".join(_LENGTH.pack(len(one)) + one for one in encoded)


def _flat(data: Sequence[Any], depth: int = 0) -> Iterator[Any]:
    for value in data:
        if isinstance(value, list) and depth < 2:
            yield from _flat(value, depth + 1)
        else:
            yield value


def _fault(tensor: Tensor, what: str) -> DataError:
    return DataError(f"The tensor {tensor.name[:80]!r} {what}.", code="tensor", where=tensor.name)
