"""A pretrained Hugging Face text encoder as the body of a text column: frozen, tuned in full, or with LoRA.

Not here: networks from scratch (`text.py`), LoRA itself (`adapters.py`), the tokeniser of the folder
(`features/tokenizer.py`).

Legend: B rows, T tokens, D the width of the pretrained model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tradewind.errors import ModelError
from tradewind.features.column import TensorFeature
from tradewind.files import digest_file
from tradewind.model.adapters import add_lora
from tradewind.model.text import Body
from tradewind.product import Model

Adapt: TypeAlias = Literal["frozen", "full", "lora"]

_HINT = "Name a folder with config.json, model.safetensors and tokenizer.json."
# The rate of a run suits layers that start at random, 1e-3; these scale it for what is pretrained (LAB.md).
_RATES: Mapping[Adapt, float] = {"full": 0.03, "lora": 0.3}
_MOST_BYTES = 1 << 30


class PretrainedBody(Body):
    """The pooled last hidden state of a pretrained encoder, brought to length √D, and for a frozen one a hidden layer.

    Pooling is the mean over the tokens, or the first token where the folder says so (Reimers and Gurevych,
    Sentence-BERT, 2019). A frozen encoder stays in evaluation mode, and may `remember` what it made of a text.
    """

    wide_rate = 5.0

    def __init__(self, model: nn.Module, *, width: int, pooling: str, offset: int, adapt: Adapt) -> None:
        super().__init__()
        self.model = model
        self.pooling, self.offset, self.adapt = pooling, offset, adapt
        self.out_width = width
        self.hidden: nn.Module | None = None
        if adapt == "frozen":
            self.out_width = 2 * width
            self.hidden = nn.Sequential(nn.Dropout(0.1), nn.Linear(width, 2 * width), nn.ReLU())
        self._memory: dict[bytes, NDArray[np.float32]] = {}
        self.train()

    def train(self, mode: bool = True) -> PretrainedBody:
        super().train(mode)
        if self.adapt == "frozen":
            self.model.eval()
        return self

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """[B, out_width] from the tokens of the folder's own tokeniser."""
        return self.with_vectors(tokens_BT)[0]

    def with_vectors(self, tokens_BT: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors are those of the encoder, before the hidden layer, which knows this task alone."""
        if self.adapt == "frozen":
            with torch.no_grad():
                encoded_BD = self._recall(tokens_BT)
        else:
            encoded_BD = self.encode(tokens_BT)
        return encoded_BD if self.hidden is None else self.hidden(encoded_BD), encoded_BD

    def encode(self, tokens_BT: Tensor) -> Tensor:
        """The pooled vectors [B, D], of length √D: each value is of the order of 1."""
        there_BT = tokens_BT > 0
        # The first place always counts, so that a row of padding alone gives no NaN.
        there_BT = there_BT | (torch.arange(tokens_BT.shape[1], device=tokens_BT.device) == 0)
        ids_BT = (tokens_BT - self.offset).clamp(min=0)
        states_BTD: Tensor = self.model(input_ids=ids_BT, attention_mask=there_BT.long()).last_hidden_state
        if self.pooling == "first":
            pooled_BD = states_BTD[:, 0]
        else:
            share_BT1 = there_BT.unsqueeze(2).to(states_BTD.dtype)
            pooled_BD = (states_BTD * share_BT1).sum(1) / share_BT1.sum(1)
        return F.normalize(pooled_BD, dim=1) * math.sqrt(states_BTD.shape[2])

    def remember(self, batches: Iterable[Tensor], *, most_bytes: int = _MOST_BYTES) -> int:
        """Keeps the vectors of the texts in `batches` (tokens [B, T] each), so that every later epoch is nearly free.

        A text that was remembered gives the same vector whatever stands beside it; give the same batches again after a
        resume and the run is bit-identical. Returns the number of texts kept; does nothing unless frozen.
        """
        if self.adapt != "frozen":
            return 0
        device = next(self.model.parameters()).device
        used = sum(vector_D.nbytes for vector_D in self._memory.values())
        with torch.no_grad():
            for tokens_BT in batches:
                vectors_BD = self.encode(tokens_BT.to(device)).float().cpu().numpy()
                used += vectors_BD.nbytes
                if used > most_bytes:
                    break
                for key, vector_D in zip(_keys(tokens_BT), vectors_BD, strict=True):
                    self._memory.setdefault(key, vector_D)
        return len(self._memory)

    def forget(self) -> None:
        self._memory.clear()

    def _recall(self, tokens_BT: Tensor) -> Tensor:
        if not self._memory or torch.compiler.is_compiling():
            return self.encode(tokens_BT)
        found = [self._memory.get(key) for key in _keys(tokens_BT)]
        missing = [place for place, vector_D in enumerate(found) if vector_D is None]
        if len(missing) == len(found):
            return self.encode(tokens_BT)
        kept_D = next(vector_D for vector_D in found if vector_D is not None)
        rows_BD = np.stack([kept_D if vector_D is None else vector_D for vector_D in found])
        encoded_BD = torch.from_numpy(rows_BD).to(tokens_BT.device)
        if missing:
            encoded_BD[missing] = self.encode(tokens_BT[missing])
        return encoded_BD

    def parameter_groups(self) -> Mapping[str, dict[str, float]]:
        """The rate of what is pretrained and learns on."""
        return {} if self.adapt == "frozen" else {"model.": {"lr_scale": _RATES[self.adapt]}}


def body(tokens: TensorFeature, settings: Model) -> PretrainedBody:
    """The body for a text column from `settings.pretrained`, `adapt` and `lora_rank`.

    Raises ModelError when the folder is no text encoder with safetensors, or the column was encoded by another tokeniser.
    """
    assert settings.pretrained is not None
    folder = Path(settings.pretrained)
    _check_tokeniser(folder, tokens)
    model = load(folder)
    width = int(model.config.hidden_size)
    if int(tokens.meta["vocabulary"]) - int(tokens.meta["offset"]) > int(model.config.vocab_size):
        raise ModelError(
            f"The tokeniser has {tokens.meta['vocabulary']} tokens, but the model only {model.config.vocab_size}.",
            code="pretrained_vocabulary",
            where=str(folder),
        )
    if settings.adapt == "lora":
        add_lora(model, rank=settings.lora_rank)
    else:
        model.requires_grad_(settings.adapt == "full")
    return PretrainedBody(
        model, width=width, pooling=pooling_of(folder), offset=int(tokens.meta["offset"]), adapt=settings.adapt
    )


def load(folder: Path) -> Any:
    """The encoder of a Hugging Face folder in float32; of an encoder and decoder, the encoder.

    Runs no code from the folder, unpickles nothing and asks no network. Raises ModelError when it cannot be read.
    """
    if not (folder / "config.json").is_file():
        raise ModelError("There is no config.json.", code="pretrained_missing", where=str(folder), hint=_HINT)
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            "There are no weights in safetensors.",
            code="pretrained_weights",
            where=str(folder),
            hint="Pickled weights are never loaded: convert them with save_pretrained of transformers.",
        )
    was = transformers.utils.logging.get_verbosity()
    bars = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = transformers.AutoModel.from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation="sdpa",
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise ModelError(
            f"The pretrained model cannot be read ({error}).", code="pretrained_broken", where=str(folder), hint=_HINT
        ) from error
    finally:
        transformers.utils.logging.set_verbosity(was)
        if bars:
            transformers.utils.logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    return model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model


def _check_tokeniser(folder: Path, tokens: TensorFeature) -> None:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelError("There is no tokenizer.json.", code="pretrained_missing", where=str(folder), hint=_HINT)
    if tokens.meta["source"] != digest_file(file):
        raise ModelError(
            f"The column {tokens.column} was encoded by another tokeniser than the one of this model.",
            code="pretrained_tokeniser",
            where=f"data.columns.{tokens.column}",
            hint=f"Set tokeniser: {folder} for it and prepare again.",
        )


def pooling_of(folder: Path) -> str:
    """`first` or `mean`, as Sentence-Transformers writes it in `1_Pooling/config.json`; else the mean."""
    try:
        settings = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "mean"
    return "first" if settings.get("pooling_mode_cls_token") else "mean"


def _keys(tokens_BT: Tensor) -> list[bytes]:
    """One key per text, whatever it is padded to."""
    rows: NDArray[np.int64] = tokens_BT.cpu().numpy()
    return [row[: int(length)].tobytes() for row, length in zip(rows, (rows > 0).sum(1), strict=True)]
