"""The dataset of a translator: `prepare_parallel` makes it from a product file, `load_parallel` opens it.

Not here: reading (`text_pairs.py`), what is no translation (`pair_rules.py`), which pairs stay and where (`pair_splits.py`),
pairs with terms (`term_pairs.py`), batches (`pair_batches.py`). Legend: P pairs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tradewind.artifacts import Artifact, Workspace, open_artifact
from tradewind.data.ledger import Ledger, RejectedRow, write_rejected
from tradewind.data.packed import Packed, open_packed
from tradewind.data.packing import ShardWriter, Written
from tradewind.data.pair_splits import NAMES, GatheredPairs, gather_pairs
from tradewind.data.term_pairs import term_pairs
from tradewind.data.text_pairs import PairReader, open_pairs
from tradewind.errors import ArtifactError, DataError, writing
from tradewind.features.pair_tokenizer import Ids, PairTokenizer
from tradewind.features.word_table import WordTable
from tradewind.features.words import words
from tradewind.files import digest_json, read_json, write_json
from tradewind.privacy.suppression import Suppression
from tradewind.product import Product, Source, Translation

FORMAT = 1
CONTEXT = 512  # tokens of a side, where the product file says nothing
SIDES = ("source", "target")
_BLOCK = 10_000
_LEARNT_FROM = 32 << 20  # characters that a tokeniser is learnt from
_TABLE_PAIRS = 100_000  # pairs that tables of words are counted from
# Tokens by characters of training text, both sides together: too many for a small text are seen too seldom to be learnt.
_SIZES = ((1 << 18, 600), (1 << 20, 1500), (8 << 20, 4096), (64 << 20, 8192), (256 << 20, 16384))
_LARGEST = 32768

Progress: TypeAlias = Callable[[str, float], None]


@dataclass(frozen=True)
class Parallel:
    """A finished dataset of pairs: tokeniser, profile, and three splits of tokens, a packed row of each side."""

    artifact: Artifact

    @property
    def folder(self) -> Path:
        return self.artifact.folder

    @cached_property
    def tokenizer(self) -> PairTokenizer:
        return PairTokenizer.open(self.folder / "tokenizer")

    @cached_property
    def profile(self) -> dict[str, Any]:
        profile: dict[str, Any] = read_json(self.folder / "profile.json")
        return profile

    def split(self, name: str) -> tuple[Packed, Packed]:
        """Source and target tokens of train, validation or test, memory-mapped: pair n is document n of both."""
        assert name in NAMES, name
        return (
            open_packed(self.folder / "splits" / name / SIDES[0], name=name),
            open_packed(self.folder / "splits" / name / SIDES[1], name=name),
        )

    def texts(self, name: str) -> Iterator[tuple[str, str]]:
        """Pairs of a split in order. Training text is not kept twice: it is read back from its tokens, terms left out."""
        file = self.folder / "raw" / f"{name}.jsonl"
        if file.exists():
            with file.open(encoding="utf-8") as lines:
                for line in lines:
                    pair = json.loads(line)
                    yield pair["source"], pair["target"]
            return
        sides = self.split(name)
        for row in range(self.profile["splits"][name]["pairs"] - self.profile["splits"][name]["term_pairs"]):
            ends = [side.starts[row : row + 2].tolist() for side in sides]
            read, written = (
                self.tokenizer.decode(side.tokens[begin:end].tolist())
                for side, (begin, end) in zip(sides, ends, strict=True)
            )
            yield read, written


def prepare_parallel(
    product: Product, *, base: Path, workspace: Workspace, progress: Progress | None = None
) -> Parallel:
    """Makes the dataset of a product, or returns the finished one at once when its inputs are unchanged.

    `base` is the folder that paths in the product file are relative to. `progress` is told a stage (read, learn, encode) and
    the share of it that is done. Raises DataError for what is wrong with the data, EnvironmentFailure for the disk.
    """
    translation, data = product.translation, product.data
    assert translation is not None, "the product file says which languages"
    # ---- 1. what it is made from
    main = open_pairs(data.source, translation=translation, base=base, memory=data.memory)
    others = [
        open_pairs(one, translation=translation, base=base, memory=data.memory) if isinstance(one, Source) else None
        for one in (data.split.validation, data.split.test)
    ]
    opened = _pretrained(product, translation, base)
    suppression = Suppression.open(workspace.home)
    made_of: dict[str, Any] = {
        "format": FORMAT,
        "task": product.task,
        "data": data.model_dump(mode="json"),
        "translation": {name: getattr(translation, name) for name in ("source", "target", "columns", "terms")},
        "context": _context(product),
        "sources": [one.fingerprint() for one in (main, *others) if one is not None],
        "tokenizer": product.tokenizer.vocabulary if opened is None else opened.fingerprint,
    }
    if suppression.words():
        made_of["subjects"] = suppression.state()
    found = workspace.find("dataset", digest_json(made_of))
    if found is None:
        with workspace.making("dataset", made_of) as folder:
            tell = progress or (lambda stage, share: None)
            ledger = Ledger()
            gathered = gather_pairs(
                (main, *others),
                folder / "work",
                product,
                ledger,
                suppression.words(),
                lambda share: tell("read", share),
            )
            _Making(product, translation, gathered, ledger, folder, tell).make((main, *others), opened)
        found = workspace.find("dataset", digest_json(made_of))
        assert found is not None
    return Parallel(found)


def load_parallel(folder: Path) -> Parallel:
    """Opens a finished dataset. Raises ArtifactError when the folder is none."""
    artifact = open_artifact(folder, kind="dataset")
    if artifact.made_of.get("task") != "translation" or artifact.made_of.get("format") != FORMAT:
        raise ArtifactError(
            f"The dataset was made for {artifact.made_of.get('task')}, in format {artifact.made_of.get('format')}.",
            code="wrong_task", where=str(folder), hint="Prepare it again from a product with task: translation.",
        )  # fmt: skip
    return Parallel(artifact)


# ---------------------------------------------------------------- making it


@dataclass
class _Making:
    product: Product
    translation: Translation
    gathered: GatheredPairs
    ledger: Ledger
    folder: Path
    tell: Progress

    def make(self, sources: Iterable[PairReader | None], opened: PairTokenizer | None) -> None:
        # ---- 2. the tokeniser is learnt from what is trained on, and from nothing else
        self.tell("learn", 0.0)
        self.tokenizer = opened or self._learn()
        self.tokenizer.save(self.folder / "tokenizer")
        # ---- 3. tokens on disk
        (self.folder / "raw").mkdir()
        written = {name: self._write(name) for name in NAMES}
        for name in NAMES:
            if written[name]["pairs"] == 0:
                raise DataError(f"No pair is left for {name}.", code="corpus_too_small", where="data.source",
                                hint="Give more pairs; rejected.jsonl of the dataset says why others were left out.")  # fmt: skip
        # ---- 4. what was seen and done
        write_rejected(self.folder / "rejected.jsonl", self.ledger.all_rejected())
        write_json(
            self.folder / "profile.json",
            {
                "kind": "pairs",
                "languages": {"from": self.translation.source, "to": self.translation.target},
                "splits": written,
                "personal_data": self.gathered.personal,
                "tokenizer": {
                    "vocabulary": self.tokenizer.vocabulary,
                    "fingerprint": self.tokenizer.fingerprint,
                    "learnt": opened is None,
                },
                "cleaning": self.ledger.as_json(),
                "sources": [one.provenance() for one in sources if one is not None],
            },
        )
        self.gathered.remove()

    def _learn(self) -> PairTokenizer:
        total = self.gathered.characters("train")
        wanted = self.product.tokenizer.vocabulary
        vocabulary = next((size for most, size in _SIZES if total <= most), _LARGEST) if wanted == "auto" else wanted
        step = max(1, -(-total // _LEARNT_FROM))
        texts = (text for pair in islice(self.gathered.pairs("train"), 0, None, step) for text in pair)
        return PairTokenizer.learn(texts, vocabulary=vocabulary)

    def _write(self, name: str) -> dict[str, Any]:
        """Tokens of a split; of what judges, the texts too. Training pairs come once more with terms, at the end."""
        sides = [
            ShardWriter(
                self.folder / "splits" / name / side, vocabulary=self.tokenizer.vocabulary, end=self.tokenizer.frame.eos,
                masked=False,
            )
            for side in SIDES
        ]  # fmt: skip
        raw = None if name == "train" else (self.folder / "raw" / f"{name}.jsonl").open("w", encoding="utf-8")
        count = 0
        with writing(str(self.folder)):
            try:
                for block in _blocks(self.gathered.pairs(name)):
                    read = self.tokenizer.sources([source for source, _ in block])
                    written = self.tokenizer.targets([target for _, target in block])
                    for pair, *ids in zip(block, read, written, strict=True):
                        if not self._fits(name, pair, ids):
                            continue
                        self._add(sides, ids, pair)
                        count += 1
                        if raw is not None:
                            raw.write(json.dumps(dict(zip(SIDES, pair, strict=True)), ensure_ascii=False) + "\n")
                    self.tell("encode", min(1.0, count / max(1, self.gathered.number_of(name))))
                terms = self._terms(sides) if name == "train" else 0
                totals = [side.close() for side in sides]
            except BaseException:
                for side in sides:
                    side.abandon()
                raise
            finally:
                if raw is not None:
                    raw.close()
        return _summary(totals, terms)

    def _fits(self, name: str, pair: tuple[str, str], ids: Sequence[Ids]) -> bool:
        longest, most = max(map(len, ids)), _context(self.product)
        if longest <= most:
            return True
        reason = f"{longest:,} tokens, but model.context is {most:,}"
        self.ledger.reject(RejectedRow(name, 0, "too_many_tokens", reason, pair[0]))
        return False

    def _terms(self, sides: Sequence[ShardWriter]) -> int:
        """Adds pairs with terms. A pretrained tokeniser has no tokens for them."""
        if not self.tokenizer.frame.terms or self.translation.terms == 0:
            return 0
        some = list(islice(self.gathered.pairs("train"), _TABLE_PAIRS))
        counted = [(words(source), words(target)) for source, target in some]
        there = WordTable.fit(counted)
        back = WordTable.fit([(target, source) for source, target in counted])
        count, frame = 0, self.tokenizer.frame
        pairs = self.gathered.pairs("train") if self.gathered.number_of("train") > len(some) else iter(some)
        for one in term_pairs(pairs, there, back, share=self.translation.terms, seed=self.product.data.split.seed):
            source = self.tokenizer.with_terms(one.source, one.in_source)
            target = self.tokenizer.with_terms(one.target, one.in_target, one.numbers)
            ids = [[*frame.before, *source, frame.eos], [*frame.start, *target, frame.eos]]
            if max(map(len, ids)) <= _context(self.product):
                self._add(sides, ids, (one.source, one.target))
                count += 1
        return count

    @staticmethod
    def _add(sides: Sequence[ShardWriter], ids: Sequence[Any], pair: tuple[str, str]) -> None:
        for side, tokens, text in zip(sides, ids, pair, strict=True):
            side.add(np.asarray(tokens), None, size=len(text.encode("utf-8", "replace")), ends=True)


def _summary(totals: Sequence[Written], terms: int) -> dict[str, Any]:
    return {
        "pairs": totals[0].documents,
        "term_pairs": terms,
        **{f"{side}_tokens": one.tokens for side, one in zip(SIDES, totals, strict=True)},
        **{f"{side}_bytes": one.bytes for side, one in zip(SIDES, totals, strict=True)},
        "longest": max(one.longest for one in totals),
    }


def _blocks(pairs: Iterator[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    while block := list(islice(pairs, _BLOCK)):
        yield block


def _context(product: Product) -> int:
    return product.model.context if isinstance(product.model.context, int) else CONTEXT


def _pretrained(product: Product, translation: Translation, base: Path) -> PairTokenizer | None:
    named = product.tokenizer.path or product.model.pretrained
    if named is None:
        if product.tokenizer.kind in ("pretrained", "char"):
            raise DataError(
                f"tokenizer.kind is {product.tokenizer.kind}, but a translator learns byte pairs or takes a folder's tokeniser.",
                code="tokeniser_missing", where="tokenizer.kind", hint="Leave it out, or name model.pretrained.",
            )  # fmt: skip
        return None
    folder = base / Path(named).expanduser()
    return PairTokenizer.pretrained(folder, source=translation.source, target=translation.target)
