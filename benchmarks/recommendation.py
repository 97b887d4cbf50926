"""Recommendation beside what a team would use instead: quality on amazon-games, the best of a million items, seconds an epoch.

    python benchmarks/recommendation.py --only quality|top|epoch [--data DIR] [--items KIND] [--model DIR] [--recbole PYTHON] [--seconds 20]

quality  `tradewind run` with default settings; its report has popularity, item-kNN and implicit ALS. Bars: hit rate and NDCG of the
         first ten among 100 drawn items of the SASRec paper (0.741, 0.536), NDCG among all items of implicit ALS (0.0393).
top      the first ten of 1,000,000 items: ours exactly and by codes with its recall, with rules; a NumPy argsort. Bar: 5 ms. Items of
         64 numbers in groups, of 64 at random, and learnt ones: those of a recommender of amazon-games (96 numbers and 64 factors),
         each a drawn item moved by 0.71 times the difference of two of its eleven nearest, which spreads as these do; queries are
         histories of users. DIR is `model/` of a run or release of that recommender; without it one learns for five minutes.
epoch    the same events and sizes, one thread: ours packed, by default loss and against all items, and RecBole's SASRec (loss
         against all items, one row for each event, padded). Both are run in turn for some seconds; an epoch is what its
         events take at that rate. PYTHON is an interpreter that has recbole. Bar: 2 times as fast.

Not here: a million items over HTTP, quality of RecBole.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tradewind.cli.app import main as tradewind
from tradewind.data.interactions import trained
from tradewind.data.sessions import Packs, pieces_of
from tradewind.engines.recommendation import RecommendationEngine
from tradewind.engines.top import Top
from tradewind.model.recommender import Recommender, RecommenderConfig
from tradewind.train.recommendation_defaults import row_length
from tradewind.train.recommendation_task import LossName, RecommendationTask

HERE = Path(__file__).parent
BARS = {"sampled_hit@10": 0.741, "sampled_ndcg@10": 0.536, "ndcg@10": 0.0393}
ITEMS, WIDTH, QUERIES, THEMES, BAR_MS = 1_000_000, 64, 100, 2000, 5.0
KINDS = ("groups", "random", "learnt")
KINDS = ("groups", "random", "learnt")
NEIGHBOURS, BLOCK = 11, 1 << 11
SHAPE = {"width": 64, "depth": 2, "heads": 2, "context": 50}
PRODUCT = """\
product: games
task: recommendation
data:
  source: games.csv
  recommendation: {user: user, item: item}
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", choices=("quality", "top", "epoch"))
    arguments.add_argument("--data", type=Path, default=HERE.parent / "../shared/data")
    arguments.add_argument("--items", choices=KINDS, action="append", help="of `top`; all by default")
    arguments.add_argument(
        "--model", type=Path, help="model/ of a run or release of amazon-games, for the items of `top`"
    )
    arguments.add_argument("--recbole", type=Path, help="an interpreter with recbole; without one ours stands alone")
    arguments.add_argument("--seconds", type=float, default=20.0, help="of training in each round")
    arguments.add_argument("--rounds", type=int, default=3)
    asked = arguments.parse_args()
    print(f"{platform.processor() or platform.machine()}, {time.strftime('%Y-%m-%d')}")
    file = asked.data / "amazon-games" / "interactions.txt"
    if not file.is_file():
        sys.exit(f"{file} is not there: name the folder that holds amazon-games/interactions.txt with --data.")
    pairs_N2 = np.loadtxt(file, dtype=np.int64)
    if asked.only in (None, "top"):
        top(pairs_N2, asked.model, asked.items or KINDS)
    if asked.only in (None, "epoch"):
        epoch(pairs_N2, asked.recbole, asked.seconds, asked.rounds)
    if asked.only in (None, "quality"):
        quality(pairs_N2)


# ---------------------------------------------------------------- quality


def quality(pairs_N2: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = games(Path(scratch), pairs_N2)
        began = time.perf_counter()
        code = tradewind(["run", str(folder)])
        if code:
            sys.exit(code)
        print(f"tradewind run: {time.perf_counter() - began:.0f} s")
        (path,) = folder.glob(".tradewind/reports/*/report.json")
        report = json.loads(path.read_text(encoding="utf-8"))
    names = ("sampled_hit@10", "sampled_ndcg@10", "hit@10", "ndcg@10")
    print(f"{'':14}" + "".join(f"{name:>18}" for name in names))
    rows = {"model": report["figures"]["test"]} | {one["name"]: one["figures"] for one in report["baselines"]}
    for name, figures in rows.items():
        print(f"{name:14}" + "".join(f"{figures[one]['value']:18.4f}" for one in names))
    print(f"{'bar':14}" + "".join(f"{BARS[one]:18.4f}" if one in BARS else f"{'–':>18}" for one in names))


def games(folder: Path, pairs_N2: np.ndarray) -> Path:
    """The folder of a product."""
    (folder / "tradewind.yaml").write_text(PRODUCT, encoding="utf-8")
    np.savetxt(folder / "games.csv", pairs_N2, fmt="%d", delimiter=",", header="user,item", comments="")
    return folder


# ---------------------------------------------------------------- the best of a million


def top(pairs_N2: np.ndarray, model: Path | None, kinds: Sequence[str]) -> None:
    """Vectors in groups, vectors drawn at random, the hardest there are, and vectors as they are learnt."""
    random = np.random.default_rng(0)
    addend_I = random.normal(size=ITEMS)
    if "groups" in kinds:
        themes = random.normal(size=(THEMES, WIDTH))
        queries = themes[random.integers(0, THEMES, 2 * QUERIES)] + 0.7 * random.normal(size=(2 * QUERIES, WIDTH))
        groups = themes[random.integers(0, THEMES, ITEMS)] + 0.7 * random.normal(size=(ITEMS, WIDTH))
        ranked("in groups", groups, addend_I, queries, random)
        del groups
    if "random" in kinds:
        queries = random.normal(size=(2 * QUERIES, WIDTH))
        ranked("at random", random.normal(size=(ITEMS, WIDTH)), addend_I, queries, random)
    if "learnt" not in kinds:
        return
    if model is not None:
        ranked("learnt", *learnt(model, pairs_N2, random), random)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = games(Path(scratch), pairs_N2)
        code = tradewind(["train", str(folder), "--set", "train.max_minutes=5", "--set", "train.refit=false"])
        if code:
            sys.exit(code)
        (run,) = folder.glob(".tradewind/runs/*/model")
        ranked("learnt", *learnt(run, pairs_N2, random), random)


def learnt(model: Path, pairs_N2: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A million items [I, W] with their addend [I], and queries [Q, W]."""
    engine = RecommendationEngine.open(model, approximate_from=None)
    released = engine._released
    rows_JV = np.concatenate([released.matrix_IW, released.bias_I[:, None]], 1)
    near_JN = np.concatenate([nearest(released.matrix_IW, begin) for begin in range(0, len(rows_JV), BLOCK)])
    at_I = random.integers(0, len(rows_JV), ITEMS)
    one_I, other_I = (near_JN[at_I, random.integers(0, NEIGHBOURS, ITEMS)] for _ in range(2))
    rows_IV = np.empty((ITEMS, rows_JV.shape[1]), np.float32)
    for begin in range(0, ITEMS, BLOCK):
        part = slice(begin, begin + BLOCK)
        rows_IV[part] = rows_JV[at_I[part]] + np.float32(0.5**0.5) * (rows_JV[one_I[part]] - rows_JV[other_I[part]])
    order = np.argsort(pairs_N2[:, 0], kind="stable")
    histories = np.split(pairs_N2[order, 1], np.cumsum(np.bincount(pairs_N2[:, 0])[1:])[:-1])
    chosen = random.permutation(len(histories))[: 2 * QUERIES]
    met = [[engine.place(str(item)) for item in histories[user]] for user in chosen]
    queries = engine.queries([np.array([place for place in one if place is not None], np.int64) for one in met])
    return rows_IV[:, :-1], rows_IV[:, -1], queries


def nearest(matrix_JW: np.ndarray, begin: int) -> np.ndarray:
    """Of each item of a block the nearest, itself among them."""
    block_BW = matrix_JW[begin : begin + BLOCK]
    distances_BJ = (matrix_JW**2).sum(1) - 2 * block_BW @ matrix_JW.T
    return np.argpartition(distances_BJ, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]


def ranked(
    kind: str, matrix_IW: np.ndarray, addend_I: np.ndarray, queries_QW: np.ndarray, random: np.random.Generator
) -> None:
    matrix_IW, queries_QW = np.ascontiguousarray(matrix_IW, np.float32), queries_QW.astype(np.float32)
    addend_I = addend_I.astype(np.float32)
    like_QW, asked_QW = queries_QW[:QUERIES], queries_QW[QUERIES:]
    none, seen = np.empty(0, np.int64), random.integers(0, ITEMS, 200)
    half, lifts_I = random.random(ITEMS) < 0.5, np.where(random.random(ITEMS) < 0.01, np.float32(2), np.float32(0))
    exact = Top(matrix_IW, addend_I)
    began = time.perf_counter()
    near = Top.near(matrix_IW, addend_I, like_QW=like_QW)
    assert near.codes is not None
    print(
        f"the first 10 of {ITEMS:,} × {matrix_IW.shape[1]} {kind}, {QUERIES} queries; codes made in {time.perf_counter() - began:.1f} s, "
        f"{near.codes.nbytes / 2**20:.0f} MiB beside {matrix_IW.nbytes / 2**20:.0f}, {near.codes.needed(10):,} items scored; bar {BAR_MS:g} ms",
        flush=True,
    )  # fmt: skip
    rules: dict[str, dict[str, Any]] = {
        "": {"without": none},
        ", 200 seen": {"without": seen},
        ", half in stock": {"without": seen, "allowed": half},
        ", 1 % lifted": {"without": seen, "allowed": half, "lifts_I": lifts_I},
    }
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "NumPy argsort": lambda query: np.argsort(-(matrix_IW @ query + addend_I))[:10]
    }
    for name, rule in rules.items():
        ways[f"exact{name}"] = first_ten(exact, rule)
        ways[f"codes{name}"] = first_ten(near, rule)
    print(f"  {'':24} {'p50':>9} {'p99':>9} {'least':>9} {'processor':>9}  recall@10")
    found: dict[str, list[set[int]]] = {}
    for name, way in ways.items():
        chosen = [timed(way, query) for query in asked_QW]
        found[name] = [places for places, _, _ in chosen]
        taken, worked = np.array([ms for _, *ms in chosen]).T
        figures = [*np.percentile(taken, [50, 99]), taken.min(), np.median(worked)]
        truth = found.get(name.replace("codes", "exact"), found[name])
        recall = np.mean([len(one & right) / 10 for one, right in zip(found[name], truth, strict=True)])
        print(f"  {name:24} {' '.join(f'{one:6.2f} ms' for one in figures)}  {recall:.3f}", flush=True)


def timed(way: Callable[[np.ndarray], np.ndarray], query: np.ndarray) -> tuple[set[int], float, float]:
    """The places, and milliseconds: as they pass, and of the processor, which others do not take from us."""
    began, worked = time.perf_counter(), time.thread_time()
    places = way(query)
    worked, taken = time.thread_time() - worked, time.perf_counter() - began
    return set(places.tolist()), 1e3 * taken, 1e3 * worked


def first_ten(top: Top, rule: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda query: top.best(query, 10, **rule)[0]


# ---------------------------------------------------------------- seconds an epoch


def epoch(pairs_N2: np.ndarray, recbole: Path | None, seconds: float, rounds: int) -> None:
    torch.set_num_threads(1)
    order = np.argsort(pairs_N2[:, 0], kind="stable")
    item_N = (pairs_N2[order, 1] - 1).astype(np.int32)
    starts_U = np.concatenate([[0], np.cumsum(np.bincount(pairs_N2[:, 0] - 1))])
    ways: dict[str, Callable[[], tuple[float, int]]] = {
        "ours": lambda: ours(item_N, starts_U, "sampled_softmax", seconds),
        "ours, against all items": lambda: ours(item_N, starts_U, "cross_entropy", seconds),
    }
    with tempfile.TemporaryDirectory() as scratch:
        if recbole is None:
            print("RecBole is left out: name an interpreter that has it with --recbole.")
        else:
            ways["RecBole SASRec"] = lambda: theirs(Path(scratch), recbole, seconds)
            write_atomic(Path(scratch), pairs_N2)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                rate, events = way()
                taken[name].append(events / rate)
                print(
                    f"  {name:24} {rate:10,.0f} events/s, {events:,} events, an epoch {events / rate:8.1f} s",
                    flush=True,
                )
    shape = ", ".join(f"{name} {value}" for name, value in SHAPE.items())
    print(f"seconds an epoch, median of {rounds} rounds of {seconds:g} s each ({shape}); bar: 2 times as fast")
    for name in ways:
        ratio = (
            "" if recbole is None else f", {np.median(taken['RecBole SASRec']) / np.median(taken[name]):.1f} × RecBole"
        )
        print(f"  {name:24} {np.median(taken[name]):8.1f} s{ratio}")


def ours(item_N: np.ndarray, starts_U: np.ndarray, loss: LossName, seconds: float) -> tuple[float, int]:
    """Events learnt a second, and events of an epoch."""
    items, context = int(item_N.max()) + 1, SHAPE["context"]
    lengths_U = trained(starts_U)
    share = torch.from_numpy(np.bincount(item_N, minlength=items).astype(np.float32) / len(item_N))
    model = Recommender(RecommenderConfig(items, SHAPE["width"], SHAPE["depth"], SHAPE["heads"], context, 0.4))
    model.begin(share)
    length = row_length(context)
    packs = Packs(item_N, np.ones(len(item_N), np.float32), pieces_of(starts_U, lengths_U, context=context),
                  start=items, length=length, size=1024 // length, seed=0)  # fmt: skip
    task = RecommendationTask(model, loss, share, 1024, torch.device("cpu"), None)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    learnt, began, first = 0, time.perf_counter(), True
    for batch in packs.epoch(0):
        optimizer.zero_grad()
        found = task.step(batch)
        (found.total / found.weight).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if first:  # the first step allocates
            began, first = time.perf_counter(), False
            continue
        learnt += len(batch.target)
        if time.perf_counter() - began > seconds:
            break
    return learnt / (time.perf_counter() - began), int(lengths_U.sum())


def write_atomic(folder: Path, pairs_N2: np.ndarray) -> None:
    """The same events in RecBole's format; the order of the file is the time."""
    (folder / "games").mkdir()
    rows = np.concatenate([pairs_N2, np.arange(len(pairs_N2))[:, None]], 1)
    np.savetxt(folder / "games" / "games.inter", rows, fmt="%d", delimiter="\t", comments="",
               header="user_id:token\titem_id:token\ttimestamp:float")  # fmt: skip


def theirs(folder: Path, python: Path, seconds: float) -> tuple[float, int]:
    told = subprocess.run(
        [str(python.absolute()), str(HERE / "recommendation_recbole.py"), str(folder), *map(str, SHAPE.values()), str(seconds)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if told.returncode:
        sys.exit(f"RecBole failed:\n{told.stderr[-3000:]}")
    found = json.loads(told.stdout.strip().splitlines()[-1])
    return float(found["events_per_s"]), int(found["events"])


if __name__ == "__main__":
    main()
