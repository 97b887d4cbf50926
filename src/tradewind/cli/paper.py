"""What a release's transparency report is made from, gathered from the stages: shared by the three kinds of release.

Not here: the statements and their renderings (`release/transparency/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradewind import typeface
from tradewind.artifacts import Artifact
from tradewind.cli.session import Session
from tradewind.evaluate.report import JSON_FILE
from tradewind.files import read_json
from tradewind.release.transparency.document import PAPER, Kind
from tradewind.release.transparency.evidence import data_of, released_of, stated_of, training_of
from tradewind.release.transparency.files import Sources, about, paper_of, previous_of


def stated(session: Session) -> str:
    """Digest of what people state of the product: part of what a release is made of."""
    return about(stated_of(session.product))


def paper(
    session: Session,
    kind: Kind,
    manifest: Mapping[str, Any],
    *,
    dataset: Artifact,
    run: Artifact,
    report: Artifact | None,
) -> dict[str, bytes]:
    """The files of the transparency report, by path in the release."""
    parents = {"dataset": dataset, "run": run} | ({} if report is None else {"report": report})
    sources = Sources(
        kind=kind,
        data=data_of(read_json(dataset.folder / "profile.json")),
        training=training_of(
            *(read_json(run.folder / name) for name in ("summary.json", "environment.json", "product.json"))
        ),
        stated=stated_of(session.product),
        released=released_of(manifest, made={name: parent.created for name, parent in parents.items()}),
        previous=previous_of(session.workspace),
        report=None if report is None else (report.folder / JSON_FILE).read_bytes(),
    )
    files = paper_of(sources)
    if remark := typeface.remark(files[PAPER]):
        session.voice.say(remark)
    return files
