"""A Hugging Face folder as ONNX graphs for ONNX Runtime GenAI: `fp32/`, `int8/`, `int4/`, each with all it needs to answer.

The graphs are made by GenAI's own model builder; here they are asked for, put right and given a twin for adapters. Not here:
what a precision costs in quality (`release/language.py`), running them (`engines/`).

The twin, `model.adapters.onnx`, has the same weights (the same data file) and beside each linear layer two more matrices per
adapter, of which each row of a batch takes its own by the input `adapter`; `adapters.json` says which. `engines/adapters.py`
reads both.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import onnx
from onnx import TensorProto, helper

from tradewind.errors import EnvironmentFailure, ModelError, writing
from tradewind.files import write_json
from tradewind.model.decoder_config import DecoderConfig
from tradewind.model.hf_folder import read_config

Precision: TypeAlias = Literal["fp32", "int8", "int4"]
GRAPH, ADAPTER_GRAPH, ADAPTER_MAP = "model.onnx", "model.adapters.onnx", "adapters.json"
_HEAD_STEP = 16  # the kernel of the attention with rotary positions takes heads of whole vectors of 16
_LINEAR = re.compile(r"/model/layers\.(\d+)/(attn|mlp)/(\w+_proj)/MatMul")
_SECONDS = 3600


def build_genai(hf: Path, folder: Path, *, precisions: Sequence[Precision]) -> None:
    """Writes a folder for each precision below `folder`.

    Raises ModelError for a model that the builder or the kernels cannot take: another family, heads whose width is no
    multiple of 16, positions of an unknown kind; EnvironmentFailure when onnxruntime-genai is not installed.
    """
    config = DecoderConfig.from_hf(read_config(hf), where=str(hf / "config.json"))
    if config.head_width % _HEAD_STEP:
        raise ModelError(
            f"A head is {config.head_width} wide, but ONNX Runtime's attention takes multiples of {_HEAD_STEP}.",
            code="genai_head_width",
            where=str(hf),
            hint="Train with other model.heads, so that width / heads is a multiple of 16.",
        )
    with writing(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
    _run_builder(hf, folder, precisions)
    shutil.rmtree(folder / ".builder", ignore_errors=True)
    for precision in precisions:
        _put_right(folder / precision, config)


def _run_builder(hf: Path, folder: Path, precisions: Sequence[Precision]) -> None:
    command = [sys.executable, "-m", "tradewind.model.genai_builder", str(hf.resolve()), str(folder.resolve())]
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TRANSFORMERS_VERBOSITY": "error"}
    try:
        done = subprocess.run(
            [*command, *precisions], capture_output=True, text=True, timeout=_SECONDS, env={**os.environ, **offline}
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFailure(f"The graph was not built in {_SECONDS} s.", code="timeout", where=str(hf)) from error
    if done.returncode == 0:
        return
    last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason is given")
    if "No module named" in last:
        raise EnvironmentFailure(
            f"The graph cannot be built: {last}.",
            code="package_missing",
            hint="Install it with: pip install 'tradewind[train,generate]'.",
        )
    if "No space left" in done.stderr or "Errno 28" in done.stderr:
        raise EnvironmentFailure(
            "No space is left on the disk.", code="disk_full", where=str(folder), hint="Free some space."
        )
    raise ModelError(
        f"ONNX Runtime GenAI cannot build this model: {last}", code="genai_unsupported", where=str(hf),
        hint="Of a family that it cannot build, hf/ alone can be served, with vLLM.",
    )  # fmt: skip


def _put_right(folder: Path, config: DecoderConfig) -> None:
    """The window of attention, which the builder leaves out for this processor, and the twin for adapters."""
    model = onnx.load(folder / GRAPH, load_external_data=False)
    model.producer_version = ""  # it names a revision of whatever folder the builder was called in
    if config.sliding_window is not None:
        attentions = [node for node in model.graph.node if node.op_type == "GroupQueryAttention"]
        assert len(attentions) == config.depth
        for layer, node in enumerate(attentions):
            if layer >= config.window_from:
                _attribute(node, "local_window_size").i = config.sliding_window
    onnx.save(model, folder / GRAPH)
    write_json(folder / ADAPTER_MAP, _with_adapters(model.graph, config))
    onnx.save(model, folder / ADAPTER_GRAPH)


def _attribute(node: Any, name: str) -> Any:
    return next(one for one in node.attribute if one.name == name)


def _with_adapters(graph: Any, config: DecoderConfig) -> dict[str, Any]:
    """Adds W x + B_i A_i x to every linear layer of the layers; gives the map of `adapters.json`."""
    nodes = list(graph.node)
    matrices: dict[str, Any] = {}
    added: list[Any] = []
    for node in nodes:
        added.append(node)
        match = _LINEAR.match(node.name) if node.op_type in ("MatMul", "MatMulNBits") else None
        if match is None:
            continue
        layer, part, name = match.groups()
        path = f"model.layers.{layer}.{'self_attn' if part == 'attn' else part}"
        modules = [f"{path}.{one}" for one in (("q_proj", "k_proj", "v_proj") if name == "qkv_proj" else (name,))]
        sizes = {module: _size(module, config) for module in modules}
        matrix = f"{path}.{name}"
        matrices[matrix] = {
            "inputs": sizes[modules[0]][0],
            "outputs": sum(outputs for _, outputs in sizes.values()),
            "parts": [[module, outputs] for module, (_, outputs) in sizes.items()],
        }
        added += _beside(node, matrix)
        _declare(graph, matrix, matrices[matrix])
    assert matrices, "the builder names its linear layers differently"
    graph.input.append(helper.make_tensor_value_info("adapter", TensorProto.INT64, ["batch_size"]))
    del graph.node[:]
    graph.node.extend(added)
    return matrices


def _size(module: str, config: DecoderConfig) -> tuple[int, int]:
    """Inputs and outputs of a linear layer."""
    heads, kv = config.heads * config.head_width, config.kv_heads * config.head_width
    width, hidden = config.width, config.hidden
    return {
        "q_proj": (width, heads), "k_proj": (width, kv), "v_proj": (width, kv), "o_proj": (heads, width),
        "gate_proj": (width, hidden), "up_proj": (width, hidden), "down_proj": (hidden, width),
    }[module.rpartition(".")[2]]  # fmt: skip


def _beside(node: Any, matrix: str) -> list[Any]:
    """What adds an adapter to the output of `node`: [B, T, I] by [B, I, R] by [B, R, O]."""
    output = node.output[0]
    node.output[0] = f"{output}.base"
    name = f"/adapters/{matrix}"
    return [
        helper.make_node("Gather", [f"{matrix}.lora_a", "adapter"], [f"{name}/a"], f"{name}/a", axis=0),
        helper.make_node("Gather", [f"{matrix}.lora_b", "adapter"], [f"{name}/b"], f"{name}/b", axis=0),
        helper.make_node("MatMul", [node.input[0], f"{name}/a"], [f"{name}/narrow"], f"{name}/narrow"),
        helper.make_node("MatMul", [f"{name}/narrow", f"{name}/b"], [f"{name}/wide"], f"{name}/wide"),
        helper.make_node("Add", [f"{output}.base", f"{name}/wide"], [output], f"{name}/add"),
    ]


def _declare(graph: Any, matrix: str, sizes: dict[str, Any]) -> None:
    rank = f"rank of {matrix}"
    for side, shape in (("a", ["adapters", sizes["inputs"], rank]), ("b", ["adapters", rank, sizes["outputs"]])):
        graph.input.append(helper.make_tensor_value_info(f"{matrix}.lora_{side}", TensorProto.FLOAT, shape))
