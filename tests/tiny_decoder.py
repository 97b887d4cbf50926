"""A decoder of 100,000 random weights with a tokeniser of its own, and its graphs: built once a test session.

The weights are magnified, so that its answers are as sure as a trained model's and a wrong position changes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tradewind.features.language import LanguageTokenizer
from tradewind.model.decoder import Decoder, DecoderConfig
from tradewind.model.genai import build_genai
from tradewind.model.hf_folder import save_folder

TEXTS = [
    "The quick brown fox jumps over the lazy dog. " * 3,
    "你好，世界。客户服务请求退款，请问什么时候到账？",
    'A record is {"name": "Ada", "age": 36, "town": "London"}.',
] * 50


def write_hf(folder: Path, *, char: bool = False, **changes: Any) -> Path:
    """A folder that `from_pretrained` opens. `changes` are fields of DecoderConfig."""
    tokenizer = LanguageTokenizer.train_char(TEXTS) if char else LanguageTokenizer.train_bpe(TEXTS, vocabulary=400)
    shape = {"width": 64, "depth": 2, "heads": 4, "kv_heads": 2, "head_width": 16, "hidden": 128, "context": 256}
    torch.manual_seed(1)
    model = Decoder(DecoderConfig(vocabulary=tokenizer.vocabulary, **{**shape, **changes})).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.08 if "embed" in name else 0.12)
    tokenizer.save(folder.with_name(f"{folder.name}-tokenizer"))
    save_folder(model, folder, tokenizer=folder.with_name(f"{folder.name}-tokenizer"))
    return folder


@pytest.fixture(scope="session")
def tiny_hf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hf(tmp_path_factory.mktemp("tiny") / "hf")


@pytest.fixture(scope="session")
def tiny_genai(tiny_hf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fp32/, int8/ and int4/ of `tiny_hf`."""
    folder = tmp_path_factory.mktemp("tiny-genai")
    build_genai(tiny_hf, folder, precisions=("fp32", "int8", "int4"))
    return folder
