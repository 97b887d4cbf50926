"""A decoder graph with room for several texts at once: each has a slot in one key-value store, of its own length.

Not here: which text is computed when (`genai.py`), how a token is chosen (`sampling.py`).

The graph is the one in a folder of ONNX Runtime GenAI; its GroupQueryAttention writes keys and values in place and knows
each row's length from the attention mask. So a text joins or leaves between any two steps: iteration-level batching
(Yu et al., Orca, 2022). GenAI's own `Engine` does that with paged attention alone, for which the CPU has no kernel; there
it computes a batch to its end before the next one begins (measured, LAB.md).

Legend: S slots, B rows of a step (the slots 0 to B-1), T tokens, V vocabulary, H heads of keys, D their width, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tradewind.errors import ArtifactError
from tradewind.files import read_json

_CHUNK_LOGITS = 8_000_000  # figures that one chunk of a prompt may give: 32 MB
_CHUNK_TOKENS = 128  # others wait no longer than this many tokens of a prompt take


@dataclass(frozen=True)
class GraphFacts:
    """What genai_config.json says of the graph."""

    vocabulary: int
    context: int
    layers: int
    kv_heads: int
    head_width: int

    @classmethod
    def read(cls, folder: Path) -> GraphFacts:
        path = folder / "genai_config.json"
        try:
            model = read_json(path)["model"]
            decoder = model["decoder"]
            return cls(
                vocabulary=int(model["vocab_size"]),
                context=int(model["context_length"]),
                layers=int(decoder["num_hidden_layers"]),
                kv_heads=int(decoder["num_key_value_heads"]),
                head_width=int(decoder["head_size"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"The configuration of the graph cannot be read ({type(error).__name__}: {error}).",
                code="graph_broken",
                where=str(path),
                hint="Give the folder of one precision, such as genai/int4.",
            ) from error


class SlotGraph:
    """One thread at a time uses it. `threads` 0 lets the runtime use all cores.

    `extra` are further inputs of the graph that stay the same (stacks of adapters); an input `adapter` [B] is then fed
    from `adapter_S`. Raises ArtifactError when the graph is no decoder with a key-value store of this layout.
    """

    def __init__(
        self,
        folder: Path,
        *,
        slots: int,
        context: int | None = None,
        threads: int = 0,
        graph: str = "model.onnx",
        extra: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self.facts = GraphFacts.read(folder)
        self.slots = slots
        self.context = min(context or self.facts.context, self.facts.context)
        self.chunk = max(16, min(_CHUNK_TOKENS, _CHUNK_LOGITS // self.facts.vocabulary))
        self._session = _open(folder / graph, threads)
        self._extra = dict(extra or {})
        self._check(str(folder / graph))
        facts = self.facts
        shape = (slots, facts.kv_heads, self.context, facts.head_width)
        # Zeros of the operating system: memory is taken only where a text has been.
        self._store = {
            f"{layer}.{part}": np.zeros(shape, np.float32) for layer in range(facts.layers) for part in ("key", "value")
        }
        self._logits_S1V = np.zeros((slots, 1, facts.vocabulary), np.float32)
        self._chunk_logits = np.zeros(self.chunk * facts.vocabulary, np.float32)
        self.adapter_S = np.zeros(slots, np.int64)
        self._ids_S1 = np.zeros((slots, 1), np.int64)
        self._prompts: dict[int, Any] = {}  # bindings by slot
        self._steps: dict[int, Any] = {}  # bindings by the number of rows
        self._columns = np.arange(self.context, dtype=np.int64)[None]

    def prefill(self, slot: int, tokens: Sequence[int], start: int) -> NDArray[np.float32]:
        """Reads at most `chunk` tokens that follow the `start` tokens already in the slot. Logits [T, V], a view."""
        ids_1T = np.array(tokens, np.int64)[None]
        length = ids_1T.shape[1]
        assert 0 < length <= self.chunk
        assert start + length <= self.context
        logits_1TV = self._chunk_logits[: length * self.facts.vocabulary].reshape(1, length, self.facts.vocabulary)
        binding = self._prompts.get(slot)
        if binding is None:
            binding = self._prompts[slot] = self._bound(slot, slot + 1)
        _bind_in(binding, "input_ids", ids_1T)
        _bind_out(binding, "logits", logits_1TV)
        mask_1T = np.ones((1, start + length), np.int64)
        _bind_in(binding, "attention_mask", mask_1T)
        self._session.run_with_iobinding(binding)
        logits_TV: NDArray[np.float32] = logits_1TV[0]
        return logits_TV

    def step(self, tokens_B: Sequence[int], lengths_B: Sequence[int]) -> NDArray[np.float32]:
        """One token for each of the slots 0 to B-1, which hold `lengths_B` tokens. Logits [B, V], a view."""
        rows = len(tokens_B)
        binding = self._steps.get(rows)
        if binding is None:
            binding = self._steps[rows] = self._bound(0, rows)
            _bind_in(binding, "input_ids", self._ids_S1[:rows])
            _bind_out(binding, "logits", self._logits_S1V[:rows])
        self._ids_S1[:rows, 0] = tokens_B
        lengths_B1 = np.array(lengths_B, np.int64)[:, None]
        mask_BT = (self._columns[:, : max(lengths_B) + 1] <= lengths_B1).astype(np.int64)
        _bind_in(binding, "attention_mask", mask_BT)
        self._session.run_with_iobinding(binding)
        logits_BV: NDArray[np.float32] = self._logits_S1V[:rows, 0]
        return logits_BV

    def move(self, source: int, target: int, length: int) -> None:
        """The text of `length` tokens goes from one slot to another; what was there is gone."""
        for store in self._store.values():
            store[target, :, :length] = store[source, :, :length]
        self.adapter_S[target] = self.adapter_S[source]

    def steady(self) -> bool:
        """Whether a row's logits are the same bits alone and beside others, measured here and now on this graph."""
        tokens = [(7 * slot + 1) % self.facts.vocabulary for slot in range(self.slots)]
        self.prefill(0, tokens[:1], 0)
        for slot in range(1, self.slots):  # what the others have read is of no concern, that they differ is
            self.move(0, slot, 1)
        alone_V = self.step(tokens[:1], [1])[0].copy()
        for rows in {2, 3, self.slots // 2, self.slots}:
            if 1 < rows <= self.slots and not np.array_equal(self.step(tokens[:rows], [1] * rows)[0], alone_V):
                return False
        return True

    def _bound(self, first: int, last: int) -> Any:
        """Keys and values of these slots, read and written in place. Kept: to bind them costs more than a small step."""
        binding = self._session.io_binding()
        for name, store in self._store.items():
            _bind_in(binding, f"past_key_values.{name}", store[first:last])
            _bind_out(binding, f"present.{name}", store[first:last])
        for name, array in self._extra.items():
            _bind_in(binding, name, array)
        if self._extra:
            _bind_in(binding, "adapter", self.adapter_S[first:last])
        return binding

    def _check(self, where: str) -> None:
        names = {"input_ids", "attention_mask", *self._extra, *(["adapter"] if self._extra else [])}
        names |= {f"past_key_values.{layer}.{part}" for layer in range(self.facts.layers) for part in ("key", "value")}
        found = {item.name for item in self._session.get_inputs()}
        if found != names:
            odd = ", ".join(sorted(found ^ names)[:4])
            raise ArtifactError(
                f"It is no decoder graph of a layout that this engine runs: {odd}.",
                code="graph_inputs",
                where=where,
                hint="Make the release again with `tradewind release`.",
            )


def _bind_in(binding: Any, name: str, array: NDArray[Any]) -> None:
    binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)


def _bind_out(binding: Any, name: str, array: NDArray[Any]) -> None:
    binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)


def _open(path: Path, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not path.is_file():
        raise ArtifactError("There is no such graph.", code="graph_missing", where=str(path))
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        first = str(error).splitlines()[0]
        raise ArtifactError(f"The graph cannot be loaded: {first}", code="graph_broken", where=str(path)) from error
