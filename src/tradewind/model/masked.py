"""A text encoder of the team's own, learnt from masked words: BERT's layout, so that a text column's `pretrained:` takes it.

Devlin et al., BERT, 2019, without the next-sentence task (Liu et al., RoBERTa, 2019). The parameters have the names of
Hugging Face's BertForMaskedLM. The mask is one row of the table behind the tokeniser's: no text can spell it.

Not here: the step and its data (`train/language_tasks.py`), encoders as part of a model over columns (`pretrained.py`).

Legend: B rows, T tokens, D width, H heads, E width of a head, V tokens of the tokeniser and the mask, N tokens learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tradewind.errors import ModelError, writing
from tradewind.files import write_json
from tradewind.model.cross_entropy import IGNORED, LossSum, summed_cross_entropy
from tradewind.model.decoder_config import DecoderConfig
from tradewind.model.hf_folder import CONFIG, WEIGHTS, check_tokeniser, copy_tokeniser
from tradewind.model.weights import save_tensors
from tradewind.product import Model

SHARE = 0.15  # of the tokens are chosen; of these 80 % are masked and 10 % replaced
_MASKED, _KEPT = 0.8, 0.9
_INIT_STD, _EPS, _CONTEXT = 0.02, 1e-12, 512


@dataclass(frozen=True)
class MaskedConfig:
    """`vocabulary` is that of the tokeniser; the table has one row more, number `mask`. Raises ModelError for a misfit."""

    vocabulary: int
    width: int
    depth: int
    heads: int
    hidden: int
    context: int
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ModelError(
                f"A width of {self.width} cannot be shared by {self.heads} heads.",
                code="encoder_shape",
                where="model.heads",
            )

    @classmethod
    def from_product(cls, model: Model, *, vocabulary: int) -> MaskedConfig:
        """Width, depth and heads of the decoder that the product file asks for, with BERT's inner width of 4."""
        like = DecoderConfig.from_product(
            model.model_copy(update={"kv_heads": "auto", "qk_norm": "auto"}), vocabulary=vocabulary
        )
        dropout = {} if model.dropout == "auto" else {"dropout": float(model.dropout)}
        context = min(like.context, _CONTEXT) if model.context == "auto" else model.context
        return cls(vocabulary, like.width, like.depth, like.heads, 4 * like.width, context, **dropout)

    @property
    def mask(self) -> int:
        return self.vocabulary

    def parameters(self) -> int:
        """Weights of the whole model, counted without building it."""
        width, hidden = self.width, self.hidden
        layer = 4 * width * (width + 1) + 2 * width * hidden + hidden + width + 4 * width
        tables = (self.vocabulary + 1 + self.context + 2) * width + 2 * width
        return tables + self.depth * layer + width * (width + 1) + 2 * width + self.vocabulary + 1

    def operations_per_token(self, length: int) -> float:
        """As `DecoderConfig.operations_per_token`; logits are made for the chosen share alone."""
        layers = self.depth * (4 * self.width**2 + 2 * self.width * self.hidden)
        head = SHARE * self.width * (self.width + self.vocabulary + 1)
        return float(2 * (layers + head) + self.depth * 4 * self.width * length)

    def to_hf(self) -> dict[str, Any]:
        """`config.json`. The dropout is BERT's own, for those who train further."""
        return {
            "architectures": ["BertForMaskedLM"],
            "model_type": "bert",
            "vocab_size": self.vocabulary + 1,
            "mask_token_id": self.mask,
            "hidden_size": self.width,
            "num_hidden_layers": self.depth,
            "num_attention_heads": self.heads,
            "intermediate_size": self.hidden,
            "hidden_act": "gelu",
            "max_position_embeddings": self.context,
            "type_vocab_size": 2,
            "layer_norm_eps": _EPS,
            "initializer_range": _INIT_STD,
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
            "pad_token_id": None,
            "tie_word_embeddings": True,
            "dtype": "float32",
            "torch_dtype": "float32",
        }


def mask_tokens(
    tokens_BT: Tensor,
    *,
    mask: int,
    vocabulary: int,
    generator: torch.Generator | None = None,
    there_BT: Tensor | None = None,
    special: tuple[int, ...] = (),
    share: float = SHARE,
) -> tuple[Tensor, Tensor]:
    """What the model reads and what it is to say there, int64 [B, T] each; -100 where nothing is asked.

    Of the `share` of tokens chosen 80 % become `mask`, 10 % a random token below `vocabulary`, 10 % stay (Devlin et al.
    2019). `special` tokens and those not `there_BT` are never chosen, and special ones are never put in.
    """
    device = tokens_BT.device
    specials = torch.tensor(sorted(special), dtype=torch.int64, device=device)
    fits_BT = ~torch.isin(tokens_BT, specials)
    if there_BT is not None:
        fits_BT &= there_BT

    def drawn() -> Tensor:
        return torch.rand(tokens_BT.shape, generator=generator, device=device)

    chosen_BT, fate_BT = fits_BT & (drawn() < share), drawn()
    words = torch.arange(vocabulary, device=device)
    words = words[~torch.isin(words, specials)]
    random_BT = words[torch.randint(len(words), tokens_BT.shape, generator=generator, device=device)]
    read_BT = torch.where(chosen_BT & (fate_BT < _MASKED), mask, tokens_BT)
    read_BT = torch.where(chosen_BT & (fate_BT >= _KEPT), random_BT, read_BT)
    return read_BT, torch.where(chosen_BT, tokens_BT, IGNORED)


class _Embeddings(nn.Module):
    def __init__(self, config: MaskedConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary + 1, config.width)
        self.position_embeddings = nn.Embedding(config.context, config.width)
        self.token_type_embeddings = nn.Embedding(2, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=_EPS)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        length = tokens_BT.shape[1]
        x_BTD = self.word_embeddings(tokens_BT) + self.position_embeddings.weight[:length]
        y_BTD: Tensor = self.dropout(self.LayerNorm(x_BTD + self.token_type_embeddings.weight[0]))
        return y_BTD


class _Output(nn.Module):
    """Back to the width, added to what came in, and normalised."""

    def __init__(self, inputs: int, config: MaskedConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=_EPS)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, y: Tensor, x_BTD: Tensor) -> Tensor:
        normed_BTD: Tensor = self.LayerNorm(x_BTD + self.dropout(self.dense(y)))
        return normed_BTD


class _SelfAttention(nn.Module):
    def __init__(self, config: MaskedConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.query, self.key, self.value = (nn.Linear(config.width, config.width) for _ in range(3))

    def forward(self, x_BTD: Tensor, there_B11T: Tensor | None) -> Tensor:
        rows, length, width = x_BTD.shape
        q, k, v = (
            part(x_BTD).view(rows, length, self.heads, -1).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        dropout = self.dropout if self.training else 0.0
        y_BHTE = F.scaled_dot_product_attention(q, k, v, attn_mask=there_B11T, dropout_p=dropout)
        return y_BHTE.transpose(1, 2).reshape(rows, length, width)


class _Layer(nn.Module):
    def __init__(self, config: MaskedConfig) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": _SelfAttention(config), "output": _Output(config.width, config)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(config.width, config.hidden)})
        self.output = _Output(config.hidden, config)

    def forward(self, x_BTD: Tensor, there_B11T: Tensor | None) -> Tensor:
        x_BTD = self.attention["output"](self.attention["self"](x_BTD, there_B11T), x_BTD)
        y_BTD: Tensor = self.output(F.gelu(self.intermediate["dense"](x_BTD)), x_BTD)
        return y_BTD


class _Transform(nn.Module):
    def __init__(self, config: MaskedConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.LayerNorm(F.gelu(self.dense(x)))
        return y


class _Predictions(nn.Module):
    """The head: what a masked word was, by the table of words itself."""

    def __init__(self, config: MaskedConfig) -> None:
        super().__init__()
        self.transform = _Transform(config)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary + 1))


class _Encoder(nn.Module):
    def __init__(self, config: MaskedConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(config) for _ in range(config.depth))


class _Body(nn.Module):
    def __init__(self, config: MaskedConfig) -> None:
        super().__init__()
        self.embeddings = _Embeddings(config)
        self.encoder = _Encoder(config)


class _Head(nn.Module):
    def __init__(self, config: MaskedConfig) -> None:
        super().__init__()
        self.predictions = _Predictions(config)


class MaskedEncoder(nn.Module):
    """An encoder that sees both sides, with the head that learns it."""

    def __init__(self, config: MaskedConfig, *, recompute: bool = False) -> None:
        super().__init__()
        self.config, self.recompute = config, recompute
        self.bert = _Body(config)
        self.cls = _Head(config)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=_INIT_STD)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    @property
    def words_VD(self) -> Tensor:
        return self.bert.embeddings.word_embeddings.weight

    def hidden(self, tokens_BT: Tensor, *, there_BT: Tensor | None = None) -> Tensor:
        """The states after the last layer, [B, T, D]. Tokens not `there_BT` are seen by none."""
        assert tokens_BT.shape[1] <= self.config.context, "a text longer than the table of positions"
        there_B11T = None if there_BT is None else there_BT[:, None, None, :]
        x_BTD: Tensor = self.bert.embeddings(tokens_BT)
        for layer in self.bert.encoder.layer:
            if self.recompute and self.training and torch.is_grad_enabled():
                x_BTD = cast(Tensor, checkpoint(layer, x_BTD, there_B11T, use_reentrant=False))
            else:
                x_BTD = layer(x_BTD, there_B11T)
        return x_BTD

    def forward(self, tokens_BT: Tensor, *, there_BT: Tensor | None = None) -> Tensor:
        """Logits [B, T, V] of the word at each place."""
        head = self.cls.predictions
        return F.linear(head.transform(self.hidden(tokens_BT, there_BT=there_BT)), self.words_VD, head.bias)

    def loss(self, tokens_BT: Tensor, targets_BT: Tensor, *, there_BT: Tensor | None = None) -> LossSum:
        """Summed over the targets that are not -100; the head looks at no other token."""
        head = self.cls.predictions
        learnt_BT = targets_BT != IGNORED
        state_ND = head.transform(self.hidden(tokens_BT, there_BT=there_BT)[learnt_BT])
        # A bias is one more column against a state of 1: the loss in chunks knows only a matrix.
        state_ND = F.pad(state_ND, (0, 1), value=1.0)
        matrix_VD = torch.cat((self.words_VD, head.bias.unsqueeze(1)), 1)
        return summed_cross_entropy(state_ND, matrix_VD, targets_BT[learnt_BT])


def save_masked(model: MaskedEncoder, folder: Path, *, tokenizer: Path) -> None:
    """Writes config.json, model.safetensors and the files of the folder `tokenizer`.

    Raises ModelError when the tokeniser has more tokens than the model, EnvironmentFailure when the disk says no.
    """
    with writing(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
    check_tokeniser(tokenizer, model.config.vocabulary)
    copy_tokeniser(tokenizer, folder)
    write_json(folder / CONFIG, model.config.to_hf())
    save_tensors(folder / WEIGHTS, model.state_dict(), metadata={"format": "pt"})
