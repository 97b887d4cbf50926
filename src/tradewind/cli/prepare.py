"""`tradewind prepare`: raw data becomes a dataset. Rows are read, inferred, cleaned, split and encoded by fitted columns."""

from __future__ import annotations

from tradewind.cli.explained import check_explain
from tradewind.cli.groups import check_groups
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, SetOption, emit
from tradewind.cli.stories import story_of
from tradewind.data import dataset as datasets
from tradewind.data.dataset import Dataset


def command(directory: FolderOption = HERE, changes: SetOption = None, as_json: JsonOption = False) -> None:
    """Read, clean, split and encode the data."""
    session = Session.open(directory, changes)
    story = story_of(session.product.task)
    if story is None:
        prepare(session)
    else:
        story.prepare(session)
    if as_json:
        emit(session.outcome.to_json())


def prepare(session: Session) -> Dataset:
    """The dataset of the product; the finished one at once when nothing it is made from has changed."""
    with session.timed("prepare", "Prepare"), session.placed():
        dataset = datasets.prepare(
            session.product, base=session.folder, workspace=session.workspace, progress=session.voice.progress
        )
    check_explain(session, dataset.features)
    check_groups(session, dataset)
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
