import json
from pathlib import Path

import pytest

from tests.release.transparency.made import sources, write
from tradewind.release.transparency.document import FILE, Document, document_from
from tradewind.release.transparency.files import paper_of

KINDS = ("predictor", "language", "encoder")


@pytest.fixture(scope="session", params=KINDS)
def document(request) -> Document:
    """One of each kind of release."""
    return document_from(json.loads(paper_of(sources(request.param))[FILE]), where="")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A folder with the report of a predictor, which a test may damage."""
    return write(tmp_path / "release", sources())
