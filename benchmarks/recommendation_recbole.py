"""RecBole's SASRec for a number of steps, by its own loader, model and loss: the peer of `recommendation.py --only epoch`.

    PYTHON benchmarks/recommendation_recbole.py FOLDER WIDTH DEPTH HEADS CONTEXT SECONDS

FOLDER holds games/games.inter. Prints one line of JSON: events learnt a second, events of an epoch. Not here: ours, which this
interpreter need not have.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import torch

# RecBole 1.2.1 asks NumPy for names that its second version has not.
for name, kind in {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_, "string_": np.bytes_}.items():
    if not hasattr(np, name):
        setattr(np, name, kind)

from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.model.sequential_recommender.sasrec import SASRec  # noqa: E402


def main() -> None:
    folder, width, depth, heads, context, seconds = sys.argv[1], *map(int, sys.argv[2:6]), float(sys.argv[6])
    sys.argv = sys.argv[:1]  # its configuration reads the command line, too
    config = Config(model="SASRec", dataset="games", config_dict={
        "data_path": folder, "load_col": {"inter": ["user_id", "item_id", "timestamp"]}, "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id", "TIME_FIELD": "timestamp", "MAX_ITEM_LIST_LENGTH": context, "loss_type": "CE",
        "train_neg_sample_args": None, "hidden_size": width, "n_layers": depth, "n_heads": heads, "inner_size": 4 * width,
        "use_gpu": False, "train_batch_size": 256, "state": "WARNING", "worker": 0,
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
    })  # fmt: skip
    torch.set_num_threads(1)
    batches, _, _ = data_preparation(config, create_dataset(config))
    model = SASRec(config, batches.dataset)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    learnt, began, first = 0, time.perf_counter(), True
    for batch in batches:
        optimizer.zero_grad()
        model.calculate_loss(batch).backward()
        optimizer.step()
        if first:  # the first step allocates
            began, first = time.perf_counter(), False
            continue
        learnt += len(batch)
        if time.perf_counter() - began > seconds:
            break
    rate = learnt / (time.perf_counter() - began)
    print(json.dumps({"events_per_s": rate, "events": len(batches.dataset)}))


if __name__ == "__main__":
    main()
