"""Signed releases of two products, a shelf that holds them, and a server on a real socket before it."""

from __future__ import annotations

import io
import shutil

import httpx
import pytest

from tests.server.releases import make_release
from tests.server.running import running
from tradewind.artifacts import Workspace
from tradewind.privacy.vault import Vault
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.serving import Place, Shelf
from tradewind.server.settings import Settings

KEY = {"authorization": "Bearer secret"}


@pytest.fixture(scope="session")
def made_homes(tmp_path_factory):
    """Workspaces of `churn` (v1 live, v2 beside it) and of the regression `price`. Do not change them; take `homes`."""
    churn, price = (Workspace(tmp_path_factory.mktemp(name) / "home") for name in ("churn", "price"))
    make_release(churn, seed=1)
    make_release(churn, seed=2, live=False)
    make_release(price, product="price", task="regression", live=False)
    return churn, price


@pytest.fixture
def homes(made_homes, tmp_path):
    """Copies that a test may change."""
    copies = []
    for workspace in made_homes:
        home = tmp_path / workspace.home.parent.name
        shutil.copytree(workspace.home, home)
        copies.append(Workspace(home))
    return copies


@pytest.fixture(scope="session")
def shelf(made_homes):
    shelf = Shelf([Place(workspace) for workspace in made_homes]).open()
    yield shelf
    shelf.close()


@pytest.fixture
def vault(tmp_path):
    return Vault.open(tmp_path / "vault")


@pytest.fixture
def gate():
    return OpenGate(keys={"secret": "acc_1", "other": "acc_2"})


@pytest.fixture
def log():
    return io.StringIO()


@pytest.fixture
def app(shelf, gate, log):
    return create_app(shelf, gate, Settings(body_bytes=200_000, rows=100, reason_rows=5), observer=Observer(out=log))


@pytest.fixture
def client(app):
    """Speaks to a server on a socket, with a key that is known."""
    with running(app) as address, httpx.Client(base_url=f"http://{address}", headers=KEY, timeout=20) as client:
        yield client
