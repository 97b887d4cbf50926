"""`tradewind prepare`: raw data becomes a dataset. Reads, infers, cleans, splits, fits the columns and encodes."""

from __future__ import annotations

from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, SetOption, emit
from tradewind.data import dataset as datasets
from tradewind.data.dataset import Dataset


def command(directory: FolderOption = HERE, changes: SetOption = None, as_json: JsonOption = False) -> None:
    """Read, clean, split and encode the data."""
    session = Session.open(directory, changes)
    prepare(session)
    if as_json:
        emit(session.outcome.to_json())


def prepare(session: Session) -> Dataset:
    """The dataset of the product; the finished one at once when nothing it is made from has changed."""
    with session.timed("prepare", "Prepare"):
        dataset = datasets.prepare(
            session.product, base=session.folder, workspace=session.workspace, progress=session.voice.progress
        )
    session.outcome.artifacts["dataset"] = str(dataset.artifact.folder)
    rows = {name: dataset.split(name).rows for name in ("train", "validation", "test")}
    layout = dataset.features.layout
    session.voice.say(
        f"{rows['train']:,} rows to train on, {rows['validation']:,} to validate, {rows['test']:,} to test; "
        f"{len(dataset.features.columns)} columns, {len(layout.numbers)} numbers, {len(layout.categories)} categories"
    )
    for finding in dataset.profile.get("cleaning", {}).get("findings", []):
        if finding.get("level") == "warning":
            session.voice.say(f"! {finding['message']}")
    return dataset
