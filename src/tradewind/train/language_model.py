"""The module that a run trains: a decoder from its settings or from a folder, with an adapter or without; and afterwards
the folders that it leaves.

Not here: the network (`model/decoder.py`), what it is trained on (`language.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from tradewind.errors import ModelError
from tradewind.features.language import LanguageTokenizer
from tradewind.files import digest_file
from tradewind.model.adapters import adapters, add_lora, save_adapter
from tradewind.model.decoder import Decoder, DecoderConfig, Layer
from tradewind.model.hf_folder import open_folder, read_config, save_folder
from tradewind.model.masked import MaskedConfig, MaskedEncoder, save_masked
from tradewind.product import Product

LanguageModule: TypeAlias = Decoder | MaskedEncoder

# Texts by which two tokenisers are held against each other: what is trained must be read as it was written.
_PROBES = (
    "The quick brown fox, 1,234.5!\n",
    "您好，请问订单什么时候发货？",
    "def f(x):\n    return x ** 2",
    "Ünïcode — “quotes”",
)


@dataclass(frozen=True)
class Base:
    """What training begins with. `folder` is that of pretrained weights; without it they start at random."""

    config: DecoderConfig | MaskedConfig
    folder: Path | None

    def digest(self) -> dict[str, str] | None:
        """Of the files that weights come from."""
        if self.folder is None:
            return None
        files = sorted(
            path for path in self.folder.iterdir() if path.suffix == ".safetensors" or path.name == "config.json"
        )
        return {path.name: digest_file(path) for path in files}


def base_of(product: Product, *, vocabulary: int, masked: bool) -> Base:
    """Raises ModelError when the folder is none that can be opened."""
    model = product.model
    if model.pretrained is None:
        if masked:
            return Base(MaskedConfig.from_product(model, vocabulary=vocabulary), None)
        return Base(DecoderConfig.from_product(model, vocabulary=vocabulary), None)
    folder = Path(model.pretrained)
    if masked:
        raise ModelError("Masked words are learnt from scratch; a pretrained encoder is not continued.",
                         code="objective_unsuited", where="model.pretrained",
                         hint="Leave out model.pretrained, or train.objective.")  # fmt: skip
    return Base(DecoderConfig.from_hf(read_config(folder)), folder)


def check_tokenizer(tokenizer: LanguageTokenizer, vocabulary: int, folder: Path) -> None:
    """Raises ModelError vocabulary_mismatch when the corpus was encoded by another tokeniser than that of the weights."""
    found = None
    if tokenizer.vocabulary > vocabulary:
        found = f"The corpus was encoded with {tokenizer.vocabulary:,} tokens, but the weights know {vocabulary:,}"
    elif (folder / "tokenizer.json").is_file():
        own = LanguageTokenizer.open(folder)
        if any(own.encode(text) != tokenizer.encode(text) for text in _PROBES):
            found = (
                "The corpus was encoded by another tokeniser than that of the weights: equal numbers mean other words"
            )
    if found is not None:
        raise ModelError(f"{found}.", code="vocabulary_mismatch", where=str(folder),
                         hint="Set tokenizer: {kind: pretrained}, which takes the tokeniser of model.pretrained.")  # fmt: skip


def build(base: Base, product: Product, device: torch.device) -> LanguageModule:
    """The module as training begins; what is random comes from torch's own generator."""
    if base.folder is None:
        return shell(base, product).to(device)
    model, _ = open_folder(base.folder)
    return _tuned(model, product).to(device)


def shell(base: Base, product: Product, *, adapted: bool | None = None) -> LanguageModule:
    """The same module with random weights. `adapted`: as for pretrained weights, whatever `base` says."""
    settings = product.model
    assert isinstance(settings.context, int)
    dropout = settings.dropout if isinstance(settings.dropout, float) else 0.0
    if isinstance(base.config, MaskedConfig):
        return MaskedEncoder(replace(base.config, context=settings.context, dropout=dropout))
    if not (base.folder is not None if adapted is None else adapted):
        config = replace(base.config, context=settings.context, dropout=dropout)
        return Decoder(config, recompute=product.train.recompute)
    return _tuned(Decoder(base.config), product)


def _tuned(model: Decoder, product: Product) -> Decoder:
    """A pretrained module with the settings of its fine-tuning."""
    settings = product.model
    dropout = settings.dropout if isinstance(settings.dropout, float) else 0.0
    model.recompute = product.train.recompute
    if settings.adapt == "lora":
        add_lora(model, rank=settings.lora_rank, dropout=dropout)
        return model
    model.requires_grad_(True)
    model.config = replace(model.config, dropout=dropout)
    for layer in model.model.layers:
        assert isinstance(layer, Layer)
        layer.dropout = dropout
    return model


def compile_layers(model: LanguageModule) -> None:
    """Compiles the layers in place; the work is done at their first use."""
    if isinstance(model, Decoder):
        model.compile_layers()
        return
    for layer in model.bert.encoder.layer:
        layer.compile()


def uncompile(model: nn.Module) -> None:
    for module in model.modules():
        module._compiled_call_impl = None


@contextmanager
def uncompiled(model: nn.Module) -> Iterator[None]:
    """Inside, compiled layers run as they were written: for other shapes they would be compiled anew."""
    compiled = [(module, module._compiled_call_impl) for module in model.modules() if module._compiled_call_impl]
    uncompile(model)
    try:
        yield
    finally:
        for module, implementation in compiled:
            module._compiled_call_impl = implementation


def save(model: LanguageModule, folder: Path, *, tokenizer: Path, base: Base) -> LanguageModule:
    """Writes `hf/`, and of an adapter `adapter/` too, which is then merged. Returns the module without adapters, on the
    CPU in evaluation mode: that is what the files hold."""
    uncompile(model)
    model = model.cpu().eval()
    if isinstance(model, MaskedEncoder):
        save_masked(model, folder / "hf", tokenizer=tokenizer)
        return model
    if adapters(model):
        save_adapter(model, folder / "adapter", base=str(base.folder), task="CAUSAL_LM")
        merge_away(model)
    save_folder(model, folder / "hf", tokenizer=tokenizer)
    return model


def merge_away(model: nn.Module) -> None:
    """Puts a plain linear layer with the merged weight in the place of each adapted one."""
    for path, layer in adapters(model).items():
        layer.merge()
        plain: Any = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        plain.weight, plain.bias = layer.weight, layer.bias
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, plain)
