"""A small recommender in training that a test kills: `python -m tests.train.killed_recommendation FOLDER PAUSE_S`. Not a test itself."""

import sys
import time
from pathlib import Path

import numpy as np

from tradewind.artifacts import Workspace
from tradewind.data.interactions import prepare_interactions
from tradewind.product import Product
from tradewind.train.recommendation import RecommendationRun, train_recommendation

PRODUCT = Product.model_validate({
    "product": "shop", "task": "recommendation", "data": {"source": "events.csv"}, "model": {"width": 16, "depth": 1, "factors": 8},
    "train": {"epochs": 3, "batch": 64, "threads": 1, "seed": 3, "checkpoint": {"steps": 2, "minutes": None}},
})  # fmt: skip


def train(folder: Path, *, pause_s: float = 0.0) -> RecommendationRun:
    random = np.random.default_rng(0)
    rows = [
        f"{user},{(user + at * step) % 40},{at}"
        for user in range(90)
        for step in [random.integers(1, 4)]
        for at in range(8)
    ]
    folder.mkdir(exist_ok=True)
    (folder / "events.csv").write_text("user,item,time\n" + "\n".join(rows), encoding="utf-8")
    workspace = Workspace(folder / "home")
    dataset = prepare_interactions(PRODUCT, base=folder, workspace=workspace)
    return train_recommendation(PRODUCT, dataset, workspace=workspace, progress=lambda at: time.sleep(pause_s))


if __name__ == "__main__":
    train(Path(sys.argv[1]), pause_s=float(sys.argv[2]))
