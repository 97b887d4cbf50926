"""Customer service in figures: new intents by a few examples, search over 100,000 passages, how well it finds, and from when on
what was found answers.

    TRADEWIND_ENCODER=FOLDER python benchmarks/service.py --data ../shared/data [--only few-shot,retrieval,quality,passage]

The folder is a Hugging Face text encoder of MiniLM's class. Without it few-shot is left out, and the rest goes by latent semantic
analysis. One core. Each line stands beside a plain way to do the same: logistic regression on the same vectors, scikit-learn's
TF-IDF compared with every passage, BM25 alone.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tradewind.cli.knowledge_encoder import bring, digest_of
from tradewind.data import knowledge_index as index
from tradewind.engines.retrieval import Blend, Knowledge
from tradewind.engines.vectors import EncoderVectors, LsaVectors, TextVectors
from tradewind.evaluate.retrieval import settle_bound
from tradewind.features.passages import Document, Passage
from tradewind.features.prototypes import Space, means, parts

PASSAGES, QUESTIONS, BAR_MS = 100_000, 300, 20.0
EACH_TRAIN, TEST = 40, 1000
WAYS, EPISODES, BAR = 10, 500, 0.80
LEFT_OUT, ASKED, BOUNDS = 15, 500, (0.35, 0.5)
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Bank:
    """Some of banking77: so many training rows of each intent, and test rows, with vectors where there is an encoder."""

    texts: list[str]
    labels: NDArray[np.str_]
    asked: list[str]
    truth: NDArray[np.str_]


def bank(data: Path) -> Bank:
    draw = np.random.default_rng(0)
    train, test = (rows(data / "banking77" / name) for name in ("train.csv", "test.csv"))
    labels = np.array([row["category"] for row in train])
    chosen = np.concatenate([draw.permutation(np.flatnonzero(labels == one))[:EACH_TRAIN] for one in np.unique(labels)])
    asked = draw.permutation(len(test))[:TEST]
    return Bank(
        [train[place]["text"] for place in chosen], labels[chosen], [test[place]["text"] for place in asked],
        np.array([test[place]["category"] for place in asked]),
    )  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def encoder(folder: Path) -> EncoderVectors | None:
    named = os.environ.get("TRADEWIND_ENCODER")
    if not named:
        return None
    facts = bring(Path(named), folder, digest=digest_of(Path(named)))
    return EncoderVectors.open(folder / "encoder", facts, threads=1)


def vectors_of(maker: TextVectors, texts: Sequence[str]) -> Floats:
    return np.concatenate([maker.vectors(texts[at : at + 64]) for at in range(0, len(texts), 64)])


# ---------------------------------------------------------------- new intents


def few_shot(some: Bank, train_BV: Floats, test_BV: Floats) -> None:
    """Ten intents that nothing has learnt, so many examples each; and intents left out against the others."""
    classes = np.unique(some.labels)
    nothing = np.zeros((0, train_BV.shape[1]), np.float32)
    space = Space(train_BV.mean(0), nothing, nothing)
    placed, asked = space.placed(train_BV), space.placed(test_BV)
    for shots in (1, 5, 10):
        draw, ours, theirs = np.random.default_rng(shots), list[float](), list[float]()
        for _ in range(EPISODES):
            chosen = draw.choice(classes, WAYS, replace=False)
            rows = [draw.choice(np.flatnonzero(some.labels == one), shots, replace=False) for one in chosen]
            here = np.isin(some.truth, chosen)
            prototypes = np.stack([space.prototype(placed[mine]) for mine in rows])
            said = chosen[(asked[here] @ prototypes.T).argmax(1)]
            ours.append(float((said == some.truth[here]).mean()))
            if len(theirs) < EPISODES // 5:
                model = LogisticRegression(C=10, max_iter=300).fit(
                    train_BV[np.concatenate(rows)], np.repeat(chosen, shots)
                )
                theirs.append(float((model.predict(test_BV[here]) == some.truth[here]).mean()))
        mean, low, high = interval(ours)
        bar = f"; bar {BAR}: {'met' if mean >= BAR else 'MISSED'}" if shots == 5 else ""
        print(
            f"few-shot, {WAYS} unseen intents, {shots} examples: prototypes {mean:.4f} ({low:.4f} to {high:.4f}, {EPISODES} episodes), "
            f"logistic regression {interval(theirs)[0]:.4f} ({len(theirs)} episodes){bar}", flush=True,
        )  # fmt: skip
    scope(some, placed, asked, train_BV, test_BV, classes)


def scope(
    some: Bank, placed: Floats, asked: Floats, train_BV: Floats, test_BV: Floats, classes: NDArray[np.str_]
) -> None:
    areas: dict[str, list[float]] = {}
    for fold in np.array_split(np.random.default_rng(0).permutation(classes), 5):
        kept = np.setdiff1d(classes, fold)
        inside = ~np.isin(some.truth, fold)
        learnt = ~np.isin(some.labels, fold)
        several = np.concatenate([parts(placed[some.labels == one]) for one in kept])
        codes = np.searchsorted(kept, some.labels[learnt])
        model = LogisticRegression(C=10, max_iter=200).fit(train_BV[learnt], some.labels[learnt])
        found = {
            "several means a class": (asked @ several.T).max(1),
            "one mean a class": (asked @ means(placed[learnt], codes, range(len(kept))).T).max(1),
            "largest probability of logistic regression": model.predict_proba(test_BV).max(1),
        }
        for name, values in found.items():
            areas.setdefault(name, []).append(float(roc_auc_score(inside, values)))
    told = ", ".join(f"{name} {np.mean(values):.4f}" for name, values in areas.items())
    print(f"out of scope, a fifth of the intents left out, ROC-AUC: {told}", flush=True)


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    mean, half = float(np.mean(values)), 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return mean, mean - half, mean + half


# ---------------------------------------------------------------- finding


def built(folder: Path, texts: Sequence[str], maker: TextVectors | None, vectors: Floats | None) -> Knowledge:
    """A knowledge base of passages of one document each. Without `maker`, latent semantic analysis of the texts."""
    folder.mkdir()
    words = index.Words.of(texts)
    index.write_words(folder, words)
    index.write_passages(folder, [Document(str(place), "bench", (Passage(text),)) for place, text in enumerate(texts)])
    if maker is None:
        chosen, vectors_tD = words.lsa()
        maker = LsaVectors(vectors_tD, {words.terms[one]: row for row, one in enumerate(chosen.tolist())}, name="lsa")
    index.write_vectors(folder, vectors_of(maker, texts) if vectors is None else vectors)
    index.write_manifest(folder, {"encoder": None, "blend": {}, "size": 160, "overlap": 30})
    return Knowledge(folder, encoder=maker)


def quality(some: Bank, maker: TextVectors | None, vectors: Floats | None, data: Path, work: Path) -> None:
    """banking77: a test question finds training questions of its intent. waimai: the first half of a review finds the review."""
    with_words = built(work / "bank-lsa", some.texts, None, None)
    ways = {
        "BM25 alone": (with_words, Blend(1, 0)),
        "hybrid, LSA": (with_words, Blend(1, 1)),
        "LSA alone": (with_words, Blend(0, 1)),
    }
    if maker is not None:
        base = built(work / "bank-encoder", some.texts, maker, vectors)
        ways |= {
            "hybrid, encoder": (base, Blend(1, 1)),
            "hybrid, encoder weighed 4:1": (base, Blend(0.25, 1)),
            "encoder alone": (base, Blend(0, 1)),
        }
    print(
        f"quality, banking77: {len(some.texts):,} passages, {len(some.asked):,} questions, right is the same intent",
        flush=True,
    )
    for name, (base, blend) in ways.items():
        ranks = [first([some.labels[int(hit.document)] == truth for hit in base.search(text, k=50, blend=blend)])
                 for text, truth in zip(some.asked, some.truth, strict=True)]  # fmt: skip
        print(f"  {name:28} {told(ranks)}", flush=True)
    reviews = [row["review"] for row in rows(data / "waimai" / "waimai_10k.csv") if len(row["review"]) >= 16][:4000]
    halves = [(place, text[: len(text) // 2]) for place, text in enumerate(reviews)][::8]
    base = built(work / "waimai", reviews, None, None)
    print(f"quality, waimai: {len(reviews):,} Chinese reviews, {len(halves)} first halves find the whole", flush=True)
    for name, blend in (("BM25 alone", Blend(1, 0)), ("hybrid, LSA", Blend(1, 1)), ("LSA alone", Blend(0, 1))):
        ranks = [
            first([int(hit.document) == place for hit in base.search(text, k=50, blend=blend)])
            for place, text in halves
        ]
        print(f"  {name:28} {told(ranks)}", flush=True)


def first(right: Sequence[bool]) -> int:
    return next((place for place, one in enumerate(right, 1) if one), 0)


def told(ranks: Sequence[int]) -> str:
    rank_n = np.array(ranks)
    share = {most: float(((rank_n > 0) & (rank_n <= most)).mean()) for most in (1, 5)}
    return f"recall@1 {share[1]:.4f}, recall@5 {share[5]:.4f}, MRR {np.where(rank_n > 0, 1 / np.maximum(rank_n, 1), 0).mean():.4f}"


# ---------------------------------------------------------------- answering


def passage(data: Path, maker: TextVectors | None, work: Path) -> None:
    """Questions to a knowledge base that lacks some intents of banking77: what the first passage answers from a bound on. `auto`
    is settled by messages of the missing intents, as if something else answered those."""
    train, test = (rows(data / "banking77" / name) for name in ("train.csv", "test.csv"))
    draw = np.random.default_rng(0)
    intents = draw.permutation(sorted({row["category"] for row in train}))
    missing = set(intents[:LEFT_OUT].tolist())
    asked = [test[place] for place in draw.permutation(len(test))[:ASKED]]
    others = [row["text"] for row in train if row["category"] in missing]
    elsewhere = [others[place] for place in draw.permutation(len(others))[:ASKED]]
    there_N = np.array([row["category"] not in missing for row in asked])
    print(
        f"passage, banking77: {len(intents) - LEFT_OUT} intents in the knowledge base, {len(asked)} questions, {there_N.sum()} of "
        f"intents that it has; right, wrong (shares of these); answered though not in it (of the other {(~there_N).sum()})",
        flush=True,
    )
    for name, vectors in {"LSA": None, **({"encoder": maker} if maker is not None else {})}.items():
        for each in (1, 5):
            kept = [
                row
                for one in intents[LEFT_OUT:].tolist()
                for row in [row for row in train if row["category"] == one][:each]
            ]
            base = built(work / f"passages-{name}-{each}", [row["text"] for row in kept], vectors, None)
            found = [base.search(row["text"], k=3) for row in asked]
            sure_N = np.array([hits[0].confidence if hits else 0.0 for hits in found])
            right_N = np.array([
                bool(hits) and kept[int(hits[0].document)]["category"] == row["category"]
                for hits, row in zip(found, asked, strict=True)
            ])  # fmt: skip
            best = [max((hit.confidence for hit in base.search(text, k=3)), default=0.0) for text in elsewhere]
            settled = settle_bound(np.array(best))
            for bound in (*BOUNDS, settled):
                said_N = sure_N >= bound
                right, wrong = (float((said_N & there_N & one).sum() / there_N.sum()) for one in (right_N, ~right_N))
                stray = float((said_N & ~there_N).sum() / (~there_N).sum())
                label = f"auto, {bound:g}" if bound == settled else f"{bound:g}"
                print(f"  {name:8} {each} a intent, bound {label:12} {right:.3f}, {wrong:.3f}; {stray:.3f}", flush=True)


# ---------------------------------------------------------------- speed


def retrieval(some: Bank, maker: TextVectors | None, sentence_BV: Floats | None, work: Path) -> None:
    """A passage is three questions of banking77 drawn by lot; its vector is the mean of theirs, since how long texts take to
    embed once is not what is measured."""
    draw = np.random.default_rng(1)
    triples = draw.integers(0, len(some.texts), (PASSAGES, 3))
    texts = [" ".join(some.texts[place] for place in triple) for triple in triples.tolist()]
    vectors = None
    if sentence_BV is not None:
        vectors = sentence_BV[triples].mean(1)
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    started = time.perf_counter()
    base = built(work / "large", texts, maker, vectors)
    made_s = time.perf_counter() - started
    asked = some.asked[:QUESTIONS]
    kind = "encoder" if maker is not None else "LSA"
    print(
        f"retrieval: {PASSAGES:,} passages, {kind}, built in {made_s:.0f} s, {QUESTIONS} questions, k=10, one core",
        flush=True,
    )
    assert base.encoder is not None
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    matrix = vectorizer.fit_transform(texts)
    remembered = _Remembered({text: base.encoder.vectors([text])[0] for text in asked}, base.encoder)
    known = Knowledge(work / "large", encoder=remembered)
    timed: dict[str, Callable[[str], object]] = {
        "hybrid, question embedded": lambda text: base.search(text, k=10),
        "hybrid, vector at hand": lambda text: known.search(text, k=10),
        "BM25 alone": lambda text: known.search(text, k=10, blend=Blend(1, 0)),
        "scikit-learn TF-IDF, all": lambda text: np.argpartition(-(matrix @ vectorizer.transform([text]).T).toarray().ravel(), 10)[:10],
    }  # fmt: skip
    spent = {name: latencies(run, asked) for name, run in timed.items()}
    floor = np.percentile(spent["scikit-learn TF-IDF, all"], 50)
    for name, ms in spent.items():
        p50, p99 = np.percentile(ms, [50, 99])
        bar = f"; bar {BAR_MS:g} ms: {'met' if p99 < BAR_MS else 'MISSED'}" if name.startswith("hybrid") else ""
        print(
            f"  {name:28} p50 {p50:6.2f} ms, p99 {p99:6.2f} ms, {p50 / floor:.2f} times scikit-learn's{bar}", flush=True
        )
    if maker is not None and vectors is not None:
        exact = vectors.astype(np.float16).astype(np.float32)
        near = [
            set(np.argpartition(-(exact @ remembered.vectors([text])[0]), 10)[:10].tolist()) for text in asked[:100]
        ]
        found = [{int(hit.document) for hit in known.search(text, k=10, blend=Blend(0, 1))} for text in asked[:100]]
        print(
            f"  of the 10 nearest vectors {np.mean([len(a & b) / 10 for a, b in zip(near, found, strict=True)]):.4f} are found",
            flush=True,
        )


class _Remembered:
    """Vectors of texts that were asked before."""

    def __init__(self, known: dict[str, Floats], inner: TextVectors) -> None:
        self._known = known
        self.width, self.name = inner.width, inner.name

    def vectors(self, texts: Sequence[str]) -> Floats:
        return np.stack([self._known[text] for text in texts])


def latencies(run: Callable[[str], object], asked: Sequence[str]) -> list[float]:
    for text in asked[:20]:
        run(text)
    found = []
    for text in asked:
        started = time.perf_counter()
        run(text)
        found.append((time.perf_counter() - started) * 1e3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="few-shot,quality,retrieval,passage")
    arguments = parser.parse_args()
    only = arguments.only.split(",")
    some = bank(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        maker = encoder(work)
        train = test = None
        if maker is not None and only != ["passage"]:
            started = time.perf_counter()
            train, test = vectors_of(maker, some.texts), vectors_of(maker, some.asked)
            each = (time.perf_counter() - started) / (len(some.texts) + len(some.asked))
            print(f"encoder: {maker.name.partition(':')[0]}, {each * 1e3:.2f} ms a text in batches", flush=True)
        if "few-shot" in only:
            if train is None or test is None:
                print("few-shot: left out; set TRADEWIND_ENCODER to the folder of a MiniLM-class encoder", flush=True)
            else:
                few_shot(some, train, test)
        if "quality" in only:
            quality(some, maker, train, arguments.data, work)
        if "retrieval" in only:
            retrieval(some, maker, train, work)
        if "passage" in only:
            passage(arguments.data, maker, work)


if __name__ == "__main__":
    main()
