"""The dataset of a language model: `prepare_corpus` makes it from a product file, `load_corpus` opens it.

Not here: reading (`documents.py`), judging (`gathering.py`), splitting (`portions.py`), packing (`packing.py`), batches
(`sequences.py`). Legend: D documents.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from tradewind.artifacts import Artifact, Workspace, open_artifact
from tradewind.data.document_records import Kind
from tradewind.data.documents import Documents, open_documents
from tradewind.data.gathering import Gathered, Gatherer
from tradewind.data.learning import tokenizer_for
from tradewind.data.ledger import Ledger, write_rejected
from tradewind.data.packed import Packed, Pairs, open_packed
from tradewind.data.packing import Packer, Written
from tradewind.data.portions import NAMES, Portions, divide, pieces
from tradewind.data.sequences import Conversations, Preferences, TokenBatch, Windows
from tradewind.data.writing import pairs
from tradewind.errors import ArtifactError, DataError
from tradewind.features.bulk import BulkEncoder
from tradewind.features.language import LanguageTokenizer
from tradewind.files import digest_json, read_json, write_json
from tradewind.privacy.subjects import Subject
from tradewind.privacy.suppression import Suppression
from tradewind.product import Product, Source

__all__ = [
    "Conversations", "Corpus", "Packed", "Pairs", "Preferences", "TokenBatch", "Windows", "load_corpus", "prepare_corpus",
]  # fmt: skip

FORMAT = 1
Progress: TypeAlias = Callable[[str, float], None]
_THREADS = 2


@dataclass(frozen=True)
class Corpus:
    """A finished dataset of documents: tokeniser, profile, and three splits of tokens."""

    artifact: Artifact

    @property
    def folder(self) -> Path:
        return self.artifact.folder

    @cached_property
    def tokenizer(self) -> LanguageTokenizer:
        return LanguageTokenizer.open(self.folder / "tokenizer")

    @cached_property
    def profile(self) -> dict[str, Any]:
        profile: dict[str, Any] = read_json(self.folder / "profile.json")
        return profile

    @property
    def kind(self) -> Kind:
        kind: Kind = self.profile["kind"]
        return kind

    def split(self, name: str) -> Packed:
        """The tokens of train, validation or test, memory-mapped; of preferences the better answers."""
        assert name in NAMES, name
        side = "chosen" if self.kind == "preferences" else ""
        return open_packed(self.folder / "splits" / name / side, name=name)

    def pairs(self, name: str) -> Pairs:
        """The preferences of a split. Raises DataError for a corpus that holds none."""
        assert name in NAMES, name
        if self.kind != "preferences":
            raise DataError(
                f"The corpus holds {self.kind}, not preferences.", code="preferences_missing", where="data.source",
                hint="Give prompt, chosen and rejected in each line.",
            )  # fmt: skip
        sides = (open_packed(self.folder / "splits" / name / side, name=name) for side in ("chosen", "rejected"))
        return Pairs(*sides)

    def documents(self, name: str) -> Iterator[dict[str, Any]]:
        """The documents of a split in the order of its tokens: {"text"}, {"messages"} or {"messages", "chosen", "rejected"}.

        Training text is not kept twice: it is read back from its tokens.
        """
        file = self.folder / "raw" / f"{name}.jsonl"
        if file.exists():
            with file.open(encoding="utf-8") as lines:
                yield from map(json.loads, lines)
            return
        packed = self.split(name)
        for begin, end in zip(packed.starts[:-1].tolist(), packed.starts[1:].tolist(), strict=True):
            yield {"text": self.tokenizer.decode(packed.tokens[begin:end].tolist())}


def prepare_corpus(product: Product, *, base: Path, workspace: Workspace, progress: Progress | None = None) -> Corpus:
    """Makes the corpus of a product, or returns the finished one at once when its inputs are unchanged.

    `base` is the folder that paths in the product file are relative to. `progress` is told a stage (read, learn, encode) and
    the share of it that is done, 0 … 1. Raises DataError for what is wrong with the data, EnvironmentFailure for the disk.
    """
    tell = progress or (lambda stage, share: None)
    data = product.data
    _refuse_unsupported(product)
    # ---- 1. what it is made from
    main = open_documents(data.source, said=data.format, base=base)
    others = [
        open_documents(share, said=data.format, base=base) if isinstance(share, Source) else None
        for share in (data.split.validation, data.split.test)
    ]
    tokeniser = _tokeniser_folder(product, base)
    opened = LanguageTokenizer.open(tokeniser) if tokeniser is not None else None
    made_of: dict[str, Any] = {
        "format": FORMAT,
        "task": product.task,
        "data": data.model_dump(mode="json"),
        "sources": [one.fingerprint() for one in (main, *others) if one is not None],
        "tokenizer": {"kind": product.tokenizer.kind, "vocabulary": product.tokenizer.vocabulary}
        if opened is None
        else opened.fingerprint,
    }
    suppression = Suppression.open(workspace.home)
    struck = suppression.words()
    if struck:
        made_of["subjects"] = suppression.state()
    found = workspace.find("dataset", digest_json(made_of))
    if found is not None:
        return Corpus(found)
    with workspace.making("dataset", made_of) as folder:
        _make(product, main, others, opened, folder, tell, struck)
    found = workspace.find("dataset", digest_json(made_of))
    assert found is not None
    return Corpus(found)


def _make(
    product: Product, main: Documents, others: list[Documents | None], opened: LanguageTokenizer | None, folder: Path,
    tell: Progress, struck: Sequence[Subject],
) -> None:  # fmt: skip
    rules, ledger = product.data.clean, Ledger()
    work = folder / "work"
    # ---- 2. read, repair, judge, hash
    gatherer = Gatherer(work, rules, ledger, rules.duplicates == "near", lambda share: tell("read", share), struck)
    gathered = gatherer.gather(main, *others)
    # ---- 3. copies and contamination go; the splits are drawn
    portions = divide(gathered, rules=rules, split=product.data.split, ledger=ledger)
    writing = product.data.writing
    if writing is not None:  # from here on they are conversations, in the split of the document that they come from
        _refuse_unwritable(gathered, portions)
        gathered = replace(gathered, kind="chat")
    # ---- 4. the tokeniser is learnt from what is trained on, and from nothing else
    tell("learn", 0.0)
    tokenizer = tokenizer_for(product.tokenizer, gathered, portions, opened)
    tokenizer.save(folder / "tokenizer")
    sample = [document.text[:2000] for document in gathered.spool.read(range(min(200, len(gathered.spool))))]
    encoder = BulkEncoder(tokenizer, threads=_THREADS, sample=sample)
    # ---- 5. tokens on disk
    done, total = 0, max(1, int(gathered.characters.sum()))

    def told() -> Iterator[Any]:
        nonlocal done
        for name, document in pieces(gathered, portions):
            for one in [document] if writing is None else pairs(document, writing):
                yield name, one
            done += len(document.text)
            tell("encode", min(1.0, done / total))

    raw_names = NAMES[1:] if gathered.kind == "text" else NAMES
    packer = Packer(folder, tokenizer, gathered.kind, NAMES, encoder, raw_names)
    written = packer.pack(told())
    for row in packer.rejected:
        ledger.reject(row)
    _refuse_unlearnable(packer, written)
    # ---- 6. what was seen and done
    write_rejected(folder / "rejected.jsonl", ledger.all_rejected())
    counts = {name: _together(sides) for name, sides in written.items()}
    write_json(
        folder / "profile.json",
        {
            "kind": gathered.kind,
            **({} if writing is None else {"writing": {"jobs": list(writing.jobs)}}),
            "split_by": portions.by,
            "splits": {name: vars(one) for name, one in counts.items()},
            "bytes_per_token": round(_bytes_per_token(counts["train"]), 4),
            "languages": gathered.languages,
            "personal_data": gathered.personal,
            "tokenizer": {
                "vocabulary": tokenizer.vocabulary,
                "fingerprint": tokenizer.fingerprint,
                "encoded_by": encoder.way,
                "learnt": opened is None,
            },
            "cleaning": ledger.as_json(),
            "sources": [one.provenance() for one in (main, *others) if one is not None],
        },
    )
    gathered.spool.remove()
    shutil.rmtree(work)


def load_corpus(folder: Path) -> Corpus:
    """Opens a finished corpus. Raises ArtifactError when the folder is none."""
    artifact = open_artifact(folder, kind="dataset")
    if artifact.made_of.get("task") != "generation":
        raise ArtifactError(
            f"The dataset was made for {artifact.made_of.get('task')}, not for generation.", code="wrong_task",
            where=str(folder), hint="Give the dataset of a product with task: generation.",
        )  # fmt: skip
    if artifact.made_of.get("format") != FORMAT:
        raise ArtifactError(
            f"The corpus is in format {artifact.made_of.get('format')}, but this version reads format {FORMAT}.",
            code="dataset_format", where=str(folder), hint="Prepare it again.",
        )  # fmt: skip
    return Corpus(artifact)


# ---------------------------------------------------------------- entry checks


def _refuse_unsupported(product: Product) -> None:
    if product.task != "generation":
        raise DataError(f"A corpus is made for generation, not for {product.task}.", code="task", where="task",
                        hint="Set task: generation.")  # fmt: skip
    if product.data.split.by != "random":
        raise DataError(
            f"Documents are split at random (running text by place), not by {product.data.split.by}.",
            code="split_unsupported", where="data.split.by",
            hint="Leave it out, or give validation and test sources of their own.",
        )  # fmt: skip


def _refuse_unwritable(gathered: Gathered, portions: Portions) -> None:
    if gathered.kind != "text" or portions.cuts is not None:
        raise DataError(
            "Pairs for writing are made from single documents, but the corpus is "
            + ("one running text." if gathered.kind == "text" else f"{gathered.kind}."),
            code="writing_unsuited", where="data.writing", hint="Give a file for each document, or one JSON object a line with text in it.",
        )  # fmt: skip


def _tokeniser_folder(product: Product, base: Path) -> Path | None:
    """The folder of a tokeniser that is not learnt here."""
    settings = product.tokenizer
    named = settings.path or (product.model.pretrained if settings.kind in ("auto", "pretrained") else None)
    if named is None:
        if settings.kind == "pretrained":
            raise DataError("The tokeniser is to be a pretrained one, but no folder is named.", code="tokeniser_missing",
                            where="tokenizer.path", hint="Name a folder with a tokenizer.json.")  # fmt: skip
        return None
    return base / Path(named).expanduser()


def _refuse_unlearnable(packer: Packer, written: dict[str, dict[str, Written]]) -> None:
    """Raises DataError when a template takes none, or too few, of the conversations."""
    for name, sides in written.items():
        one = _together(sides)
        if one.documents == 0 or one.learnt == 0:
            if packer.kind == "text":
                raise DataError(f"The corpus is too small: no text is left for {name}.", code="corpus_too_small",
                                where="data.source", hint="Give more text.")  # fmt: skip
            first = packer.rejected[0] if packer.rejected else None
            raise DataError(
                f"Nothing of the split {name} can be learnt{f': {first.reason}' if first else ''}.",
                code="nothing_supervised", where=f"{first.file}:{first.line}" if first else "data.source",
                hint="Give conversations that the chat template takes, with answers of the assistant.",
            )  # fmt: skip


def _together(sides: dict[str, Written]) -> Written:
    """The first side: both hold the same documents."""
    return next(iter(sides.values()))


def _bytes_per_token(written: Written) -> float:
    return written.bytes / max(1, written.learnt)
