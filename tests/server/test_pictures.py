"""Pictures arrive as base64; one that cannot be read is the caller's mistake, not a missing value."""

import base64
import io

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from PIL import Image

from tests.server.releases import make_picture_release, png
from tests.server.running import running
from tradewind.artifacts import Workspace
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.serving import Place, Shelf


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("scan"))
    make_picture_release(workspace)
    shelf = Shelf([Place(workspace)]).open()
    with running(create_app(shelf, OpenGate(), observer=Observer(out=None))) as address:
        yield address
    shelf.close()


def ask(address, *pictures, **more):
    body = {"model": "scan", "inputs": [{"scan": picture} for picture in pictures], **more}
    return httpx.post(f"http://{address}/v1/predict", json=body)


def base64_of(shade):
    return base64.b64encode(png(shade)).decode()


def test_pictures_are_answered_in_base64_and_as_data_urls(address):
    reply = ask(address, base64_of(10), "data:image/png;base64," + base64_of(250), None)
    assert [output["label"] for output in reply.json()["outputs"]] == ["dark", "light", "dark"]


def test_a_missing_picture_has_no_reasons_but_a_picture_has(address):
    (output,) = ask(address, base64_of(255), reasons=True).json()["outputs"]
    assert output["reasons"][0]["column"] == "scan"
    assert "bytes" in output["reasons"][0]["value"] or output["reasons"][0]["value"].endswith("…")


def test_a_heat_map_is_a_grid_and_a_picture(address):
    (output,) = ask(address, base64_of(255), heatmap=True).json()["outputs"]
    heat = output["heatmap"]["scan"]
    assert np.array(heat["grid"]).shape == (12, 12)
    assert Image.open(io.BytesIO(base64.b64decode(heat["png"]))).size == (256, 256)


@pytest.mark.parametrize(
    "picture", ["/etc/passwd", "iVBORw0KGgo=", base64.b64encode(png(9)[:40]).decode(), "data:,x", 7]
)
def test_what_is_no_picture_is_400(address, picture):
    reply = ask(address, base64_of(10), picture)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (400, "scan")
    assert error["message"].startswith("Row 2: ")


def test_raw_bytes_are_taken_through_the_inference_protocol(address):
    client = triton.InferenceServerClient(address)
    tensor = triton.InferInput("scan", [2], "BYTES")
    tensor.set_data_from_numpy(np.array([png(10), png(250)], dtype=object))
    labels = client.infer("scan", [tensor]).as_numpy("label")
    client.close()
    assert labels.tolist() == [b"dark", b"light"]
