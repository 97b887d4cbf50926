"""`tradewind verify` of erasures: the signature of each receipt, and what is due to be trained again. Not a verb of its own."""

from __future__ import annotations

from pathlib import Path

from tradewind.artifacts import Workspace
from tradewind.errors import TradewindError
from tradewind.privacy.receipts import check_receipt, receipts
from tradewind.privacy.retraining import due
from tradewind.release.signing import PUBLIC_KEY


def verify_people(directory: Path, key: Path | None, checked: list[str]) -> list[str]:
    """What does not hold in the receipts of a workspace; adds to `checked` what was looked at and what is still due."""
    workspace = Workspace.of(directory)
    faults = []
    paths = receipts(workspace.home)
    for path in paths:
        try:
            check_receipt(path, public_key=key or workspace.keys / PUBLIC_KEY)
        except TradewindError as error:
            faults.append(str(error))
    if paths:
        checked.append(f"{len(paths) - len(faults)} receipts of erasures, by their signatures")
    checked += [
        f"v{one.version} is due to be trained again since {one.since[:10]} (receipt {one.receipt}): tradewind run"
        for one in due(workspace.home)
    ]
    return faults


def verify_receipt(path: Path, key: Path, checked: list[str]) -> None:
    """Raises VerificationFailed where it was changed, ArtifactError where it is none."""
    content = check_receipt(path, public_key=key)
    removed = sum(one["count"] for holder in content["holders"] for one in holder["removed"])
    checked.append(
        f"receipt {content['id']} of {content['at']}, signed: {removed:,} removed about {content['subject']}"
    )
