"""Takes somebody's rows out of a finished release: golden examples, learnt words, and texts that its report quotes.
Not here: who is to be taken out (`privacy/`), nor weights: what was learnt stays until the release is trained again.

A release changed so is signed anew with the workspace's key; its digest, which names what it was made from, stays, and its
record says by which receipt it was amended (`artifacts.amending`).
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import pre_tokenizers

from tradewind.artifacts import RECORD
from tradewind.features.feature_set import FeatureSet
from tradewind.features.language import LanguageTokenizer
from tradewind.features.pair_tokenizer import PairTokenizer
from tradewind.files import canonical_json, read_json, write_bytes, write_json
from tradewind.release import language, translation
from tradewind.release.bundle import seal
from tradewind.release.golden import read_golden, write_golden
from tradewind.release.signing import SIGNATURE, KeyPair

GOLDEN, COLUMNS, MANIFEST = "golden.json", "columns.json", "manifest.json"
_TEXT = (".json", ".jsonl", ".html", ".md", ".txt", ".csv", ".svg")
# Learnt state and records: a word in them is not a quotation, and a change would break what the graph was trained with.
_LEARNT = (COLUMNS, MANIFEST, GOLDEN, RECORD, SIGNATURE, "tokenizer.json", "tokenizer_config.json", "vocab.json")
_BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
_MARKUP = re.compile(r"(?s)(<style\b.*?</style>|<script\b.*?</script>|<[^<>]*>)")
_SPOKEN = re.compile(r"""(\b(?:aria-[a-z]+|title|alt|content|data-[a-z-]+)=(["']))(.*?)(\2)""")
_FIELD = re.compile(r"[a-z0-9_@.]*")
_SPACE = "Ġ"  # a space, as byte-level pairs spell it


def golden_without(folder: Path, gone: Callable[[Mapping[str, Any]], bool]) -> tuple[int, int]:
    """Drops the golden examples that are `gone`; gives how many went and how many are left.

    Writes nothing where none would be left: a release without examples cannot be checked.
    """
    path = folder / GOLDEN
    if not path.is_file() or "columns" not in read_json(path):
        return 0, 0
    golden = read_golden(path)
    rows = len(golden.outputs)
    keep = np.array([not gone({name: column[row] for name, column in golden.columns.items()}) for row in range(rows)])
    left = int(keep.sum())
    if 0 < left < rows:
        columns = {name: np.asarray(column, dtype=object)[keep] for name, column in golden.columns.items()}
        write_golden(path, replace(golden, columns=columns, outputs=golden.outputs[keep]))
    return rows - left, left


def prompts_without(folder: Path, gone: Callable[[str], bool]) -> tuple[int, int]:
    """As `golden_without`, of a language model: its golden prompts, read back from their tokens."""
    path = folder / GOLDEN
    if not path.is_file() or "prompts" not in read_json(path):
        return 0, 0
    golden = language.read_language_golden(path)
    place = folder / language.HF
    tokenizer = LanguageTokenizer.open(place if place.is_dir() else folder / language.TOKENIZER)
    keep = [row for row, prompt in enumerate(golden.prompts) if not gone(tokenizer.decode(list(prompt)))]
    if 0 < len(keep) < len(golden.prompts):
        prompts = tuple(golden.prompts[row] for row in keep)
        language.write_language_golden(path, replace(golden, prompts=prompts, logits=golden.logits[keep]))
    return len(golden.prompts) - len(keep), len(keep)


def pairs_without(folder: Path, gone: Callable[[str], bool]) -> tuple[int, int]:
    """As `golden_without`, of a translator: its golden pairs, read back from their tokens."""
    place = folder / translation.FOLDER
    path = place / translation.GOLDEN
    if not path.is_file():
        return 0, 0
    golden = translation.read_translation_golden(path)
    tokenizer = PairTokenizer.open(place / translation.TOKENIZER)
    texts = [
        [tokenizer.decode(one.tolist()) for one in sides]
        for sides in zip(golden.sources, golden.targets, golden.greedy, strict=True)
    ]
    keep = [row for row, sides in enumerate(texts) if not any(map(gone, sides))]
    if 0 < len(keep) < len(texts):
        translation.write_translation_golden(path, golden.of(keep))
    return len(texts) - len(keep), len(keep)


def strike_texts(folder: Path, strike: Callable[[str], str]) -> list[str]:
    """Applies `strike` to what people read in every file that quotes rows; gives the names of those that changed.

    Names of fields, tags and styles are left alone: a word in them quotes nobody.
    """
    changed = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _TEXT and path.name not in _LEARNT:
            text = path.read_text(encoding="utf-8")
            struck = _struck(text, path.suffix, strike)
            if struck != text:
                write_bytes(path, struck.encode())
                changed.append(path.relative_to(folder).as_posix())
    return changed


def _struck(text: str, kind: str, strike: Callable[[str], str]) -> str:
    if kind == ".json":
        before = json.loads(text)
        after = _walked(before, strike)
        return text if after == before else canonical_json(after).decode() + "\n"
    if kind == ".jsonl":
        return "".join(_struck(line, ".json", strike) for line in text.splitlines(keepends=True) if line.strip())
    if kind in (".html", ".svg"):
        return "".join(_marked_up(part, strike) for part in _MARKUP.split(text) if part)
    return strike(text)


def _marked_up(part: str, strike: Callable[[str], str]) -> str:
    if not _MARKUP.fullmatch(part):
        return strike(part)
    if part.startswith(("<style", "<script")):
        return part
    return _SPOKEN.sub(lambda found: found[1] + strike(found[3]) + found[4], part)


def _walked(value: Any, strike: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return strike(value)
    if isinstance(value, list):
        return [_walked(one, strike) for one in value]
    if isinstance(value, dict):
        return {name if _FIELD.fullmatch(name) else strike(name): _walked(one, strike) for name, one in value.items()}
    return value


def words_without(folder: Path, gone: Collection[str]) -> int:
    """Puts a mark in place of each learnt word of categories and texts that is `gone`; gives how many were.

    The numbers of all words stay, so that the graph answers everybody else as before; such a word is now one never seen.
    """
    path = folder / COLUMNS
    if not gone or not path.is_file():
        return 0
    state = read_json(path)
    marks = _Marks(frozenset(word.strip().casefold() for word in gone))
    for column in state["columns"]:
        inner = column["state"]
        if column["kind"] == "category":
            inner["vocabulary"] = [marks.over(word) for word in inner["vocabulary"]]
        elif column["kind"] == "text":
            inner["ngrams"]["words"] = [
                marks.over(word, parts=word.split(" ")) for word in inner["ngrams"]["words"]
            ]  # pairs of words too
            if inner["tokenizer"]["source"] is None:
                _pairs_without(inner["tokenizer"]["definition"]["model"], marks)
    if marks.made:
        write_json(path, state)
    return marks.made


def reseal(folder: Path, pair: KeyPair) -> None:
    """Manifest, digests and signature of a release anew, over the files as they are."""
    manifest = {name: value for name, value in read_json(folder / MANIFEST).items() if name != "files"}
    if "features_fingerprint" in manifest:
        manifest["features_fingerprint"] = FeatureSet.from_state(read_json(folder / COLUMNS)).fingerprint
    record = (folder / RECORD).read_bytes()
    for name in (MANIFEST, SIGNATURE, RECORD):  # `seal` lists every file, and these are none of the release's own
        (folder / name).unlink(missing_ok=True)
    seal(folder, manifest, pair)
    write_bytes(folder / RECORD, record)


def spellings(text: str) -> tuple[str, ...]:
    """How a text stands in JSON and in HTML, the longest first."""
    escaped = html.escape(text)
    found = [
        text, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1], escaped, html.escape(text, quote=False),
        json.dumps(escaped, ensure_ascii=False)[1:-1],
    ]  # fmt: skip
    return tuple(sorted(set(found), key=len, reverse=True))


class _Marks:
    """Marks in place of words, each with a number of its own: two words must not become one."""

    def __init__(self, gone: frozenset[str]) -> None:
        self._gone = gone
        self._numbers: Iterator[int] = count(1)
        self._by_bytes = frozenset(_spelled_in_bytes(word) for word in gone)
        self.made = 0

    def over(self, word: str, parts: Collection[str] = ()) -> str:
        if word.strip().casefold() in self._gone or any(part in self._gone for part in parts):
            return self.fresh()
        return word

    def fresh(self) -> str:
        self.made += 1
        return f"[ERASED {next(self._numbers)}]"

    def has_token(self, token: str) -> bool:
        return token.removeprefix(_SPACE) in self._by_bytes


def _pairs_without(model: dict[str, Any], marks: _Marks) -> None:
    """A byte-level BPE without some tokens: their words are read in smaller pieces from now on."""
    names = {token: marks.fresh() for token in model["vocab"] if marks.has_token(token)}
    if not names:
        return
    model["vocab"] = {names.get(token, token): number for token, number in model["vocab"].items()}
    pairs = [pair.split(" ") if isinstance(pair, str) else list(pair) for pair in model["merges"]]
    kept = [pair for pair in pairs if not {*pair, "".join(pair)} & names.keys()]
    model["merges"] = [" ".join(pair) for pair in kept] if isinstance(model["merges"][0], str) else kept


def _spelled_in_bytes(word: str) -> str:
    return "".join(piece for piece, _ in _BYTES.pre_tokenize_str(word))
