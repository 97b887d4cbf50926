"""The release of a translator by the verbs: signed, verified, asked by row and by file; what was changed is refused."""

import json
import shutil

import pyarrow.csv as pa_csv
import pytest
from typer.testing import CliRunner

from tradewind.artifacts import Workspace
from tradewind.cli.app import app
from tradewind.cli.release_translation import release_translation
from tradewind.cli.session import Session
from tradewind.engines.loading import load_translator
from tradewind.errors import ArtifactError, VerificationFailed
from tradewind.evaluate.report import JSON_FILE, PAGE_FILE
from tradewind.files import read_json
from tradewind.release.bundle import task_of
from tradewind.release.registry import Registry

SENTENCE = "The teacher bought one red kite in Beijing yesterday."


@pytest.fixture(scope="module")
def released(made_translator, tmp_path_factory):
    """A copy of the product's folder with a release in it."""
    folder = tmp_path_factory.mktemp("released") / "product"
    shutil.copytree(made_translator.folder, folder)
    done = CliRunner().invoke(app, ["release", "-C", str(folder), "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    return folder, json.loads(done.stdout)


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])
