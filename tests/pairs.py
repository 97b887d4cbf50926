"""Pairs for tests: sentences made by rules, and products over them."""

from tradewind.product import Product
from tradewind.scenarios.translation.make_data import make

SECTIONS = {
    "product": "translator",
    "task": "translation",
    "data": {"source": "data/train", "split": {"validation": "data/validation", "test": "data/test"}},
    "translation": {"from": "en", "to": "zh"},
    "model": {"width": 64, "depth": 1, "heads": 2},
    "train": {"threads": 1, "precision": "float32", "epochs": 1, "batch": 1024},
}


def write_pairs(folder):
    make(folder)
    return folder


def product(**sections):
    return Product.model_validate(SECTIONS | sections)
