"""A small language run that a test kills: `python -m tests.train.killed_language FOLDER PAUSE_S`. Not a test itself."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.train.memory_corpus import text_corpus
from tradewind.artifacts import Workspace
from tradewind.product import Product
from tradewind.train.language import LanguageRun, train_language


class SlowTokens(np.ndarray):
    """Tokens of a slow disk, so that there is time to kill who reads them."""

    pause_s = 0.0

    def __getitem__(self, key):
        time.sleep(SlowTokens.pause_s)
        return super().__getitem__(key)


def train(folder: Path, *, pause_s: float = 0.0) -> LanguageRun:
    """With dropout and accumulation; a checkpoint every third step, which is in the middle of an epoch."""
    product = Product.model_validate(
        {
            "product": "sea", "task": "generation", "data": {"source": "x"},
            "model": {"kind": "decoder", "width": 32, "depth": 1, "heads": 2, "context": 16, "dropout": 0.1},
            "train": {"steps": 45, "batch": 4, "accumulate": 2, "learning_rate": 3e-3, "threads": 1,
                      "precision": "float32", "compile": False, "checkpoint": {"steps": 3, "minutes": None}},
        }
    )  # fmt: skip
    corpus = text_corpus(folder / "data")
    split = corpus.splits["train"]
    slow = replace(split, tokens=split.tokens.view(SlowTokens))
    SlowTokens.pause_s = pause_s
    corpus = replace(corpus, splits=corpus.splits | {"train": slow})
    return train_language(product, corpus, workspace=Workspace(folder))


if __name__ == "__main__":
    train(Path(sys.argv[1]), pause_s=float(sys.argv[2]))
