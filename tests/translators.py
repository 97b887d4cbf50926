"""A small translator that was really trained, made once a session: product folder, dataset, run, and what a release carries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.pairs import SECTIONS, write_pairs
from tradewind.cli.session import Session
from tradewind.cli.translation import prepare_stage, train_stage
from tradewind.cli.translator import Translator, build_translator
from tradewind.data.parallel import Parallel
from tradewind.train.translation import TranslationRun

SMALL = SECTIONS | {
    "translation": {"from": "en", "to": "zh", "glossary": "glossary.csv", "terms": 0.4},
    "model": {"width": 64, "depth": 1, "heads": 2, "dropout": 0.0},
    "train": SECTIONS["train"] | {"epochs": 3, "learning_rate": 0.008},
    "release": {"precisions": ["fp32", "int8"]},
}


@dataclass(frozen=True)
class MadeTranslator:
    """`folder` holds tradewind.yaml, data and the workspace: the verbs find every stage up to the translator finished."""

    folder: Path
    parallel: Parallel
    run: TranslationRun
    translator: Translator


def make_translator(folder: Path) -> MadeTranslator:
    if not (folder / "tradewind.yaml").exists():
        write_pairs(folder)
        (folder / "tradewind.yaml").write_text(json.dumps(SMALL))
    session = Session.open(folder)
    parallel, run = prepare_stage(session), train_stage(session)
    return MadeTranslator(folder, parallel, run, build_translator(session, parallel, run))
