"""The Open Inference Protocol as Triton's own client speaks it, and as plain JSON."""

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.server.conftest import KEY
from tests.server.running import running
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.serving import Place, Shelf


def key():
    """A fresh mapping: the client writes into the one it is given."""
    return {"Authorization": "Bearer secret"}


@pytest.fixture
def address(app):
    with running(app) as address:
        yield address


@pytest.fixture
def triton_client(address):
    client = triton.InferenceServerClient(address)
    yield client
    client.close()


def tensors(x0=(0.5, -0.5, 2.0), plans=("basic", "plus", "专业"), *, binary=True, column=False):
    shape = [len(x0), 1] if column else [len(x0)]
    number = triton.InferInput("x0", shape, "FP64")
    number.set_data_from_numpy(np.array(x0, dtype=np.float64).reshape(shape), binary_data=binary)
    word = triton.InferInput("plan", shape, "BYTES")
    word.set_data_from_numpy(np.array(plans, dtype=object).reshape(shape), binary_data=binary)
    return [number, word]


def expected(shelf):
    rows = [{"x0": 0.5, "plan": "basic"}, {"x0": -0.5, "plan": "plus"}, {"x0": 2.0, "plan": "专业"}]
    return shelf.get("churn").predictor.predict_rows(rows)


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
@pytest.mark.parametrize("column", [True, False])
def test_tritons_client_gets_the_same_answers(triton_client, shelf, gate, binary_in, binary_out, column):
    outputs = None
    if binary_out is not None:
        outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("label", "probabilities")]
    result = triton_client.infer(
        "churn", tensors(binary=binary_in, column=column), outputs=outputs, headers=key(), request_id="r7"
    )
    answer = expected(shelf)
    labels = [one.decode() if isinstance(one, bytes) else one for one in result.as_numpy("label").tolist()]
    assert labels == answer.labels.tolist()
    np.testing.assert_allclose(result.as_numpy("probabilities"), answer.probabilities, atol=1e-6)
    assert result.get_response()["id"] == "r7"
    assert result.get_response()["model_version"] == "1"
    assert gate.settled == {"acc_1": 3}


def test_one_output_may_be_asked_for_alone_and_a_version_pinned(triton_client):
    only = [triton.InferRequestedOutput("label")]
    result = triton_client.infer("churn", tensors(), model_version="2", outputs=only, headers=key())
    assert [output["name"] for output in result.get_response()["outputs"]] == ["label"]
    assert result.get_response()["model_version"] == "2"


@pytest.mark.parametrize(
    ("datatype", "kind"),
    [("FP32", "f4"), ("INT64", "i8"), ("INT32", "i4"), ("BOOL", "?"), ("UINT8", "u1"), ("FP16", "f2")],
)
def test_numbers_of_every_datatype_are_read(triton_client, datatype, kind):
    tensor = triton.InferInput("x0", [2], datatype)
    tensor.set_data_from_numpy(np.array([0, 1], dtype=kind))
    assert triton_client.infer("price", [tensor], headers=key()).as_numpy("value").shape == (2,)


def test_a_number_that_is_not_finite_counts_as_missing(triton_client):
    tensor = triton.InferInput("x0", [3], "FP32")
    tensor.set_data_from_numpy(np.array([np.nan, np.inf, 1], dtype=np.float32))
    values = triton_client.infer("price", [tensor], headers=key()).as_numpy("value")
    assert values[0] == values[1] != values[2]


def test_health_and_metadata(triton_client):
    assert triton_client.is_server_live()
    assert triton_client.is_server_ready()
    assert triton_client.is_model_ready("churn")
    assert triton_client.is_model_ready("churn", "2")
    assert not triton_client.is_model_ready("churn", "9")
    assert not triton_client.is_model_ready("other")
    assert triton_client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = triton_client.get_model_metadata("churn", headers=key())
    assert metadata["versions"] == ["1", "2"]
    assert metadata["inputs"][-1] == {"name": "plan", "datatype": "BYTES", "shape": [-1]}
    assert metadata["outputs"][1] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}


def test_the_key_is_asked_for(triton_client, gate):
    for ask in (lambda: triton_client.infer("churn", tensors()), lambda: triton_client.get_model_metadata("churn")):
        with pytest.raises(InferenceServerException, match="No API key"):
            ask()
    assert gate.settled == {}


def infer(address, content, path="/v2/models/churn/infer", **more):
    return httpx.post(f"http://{address}{path}", json=content, headers=KEY, **more)


def one(**change):
    return {"inputs": [{"name": "x0", "shape": [1], "datatype": "FP64", "data": [1.5]} | change]}


def test_plain_json_in_and_out(address):
    content = infer(address, one()).json()
    assert content["model_name"] == "churn"
    assert [(o["name"], o["datatype"], o["shape"]) for o in content["outputs"]] == [
        ("label", "BYTES", [1]),
        ("probabilities", "FP32", [1, 2]),
    ]
    assert content["parameters"] == {"release": "v1", "price_version": "open", "units": 1}


@pytest.mark.parametrize(
    "content",
    [
        {}, {"inputs": []}, one(data=[1, 2]), one(data=["x"]), one(data=[True]), one(shape=[0], data=[]), one(shape=[1, 2]),
        one(shape=[-1]), one(datatype="FP128"), one(datatype="BYTES"), one(name="x9"), one(data=[[[[1]]]]), one(data=None),
        {"inputs": one()["inputs"] * 2}, one(parameters={"binary_data_size": 8}), one(parameters={"binary_data_size": -1}),
        one(parameters={"binary_data_size": "8"}),
        {**one(), "outputs": [{"name": "other"}]}, {"inputs": [*one()["inputs"], *one(name="x1", shape=[2], data=[1, 2])["inputs"]]},
    ],
)  # fmt: skip
def test_nonsense_is_answered_in_the_protocols_own_shape(address, gate, content):
    reply = infer(address, content)
    assert reply.status_code == 400, reply.text
    assert reply.json().keys() == {"error"}
    assert reply.headers["x-request-id"]
    assert gate.settled == {}
    assert gate.reserved == {}


@pytest.mark.parametrize(("length", "tail"), [("9999", b""), ("-1", b""), ("x", b""), (None, b"\0\0")])
def test_a_binary_part_that_does_not_fit_is_400(address, length, tail):
    head = b'{"inputs":[{"name":"plan","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":2}}]}'
    headers = KEY | {"inference-header-content-length": length or str(len(head))}
    reply = httpx.post(f"http://{address}/v2/models/churn/infer", content=head + tail, headers=headers)
    assert reply.status_code == 400


def test_more_rows_than_allowed_is_413(address):
    assert infer(address, one(shape=[101], data=[1] * 101)).status_code == 413


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v2/models/other/infer", 404), ("/v2/models/churn/versions/7/infer", 404), ("/v2/nothing", 404)],
)
def test_what_is_not_there(address, path, status):
    assert infer(address, one(), path).status_code == status


def test_a_wrong_method_is_405(address):
    assert httpx.get(f"http://{address}/v2/models/churn/infer", headers=KEY).status_code == 405


def test_an_unsure_row_is_marked_and_not_charged(made_homes):
    shelf, gate = Shelf([Place(made_homes[0], abstain_below=1.0)]).open(), OpenGate()
    with running(create_app(shelf, gate, observer=Observer(out=None))) as address:
        content = infer(address, one()).json()
    shelf.close()
    data = {output["name"]: output["data"] for output in content["outputs"]}
    assert data == {"label": [""], "probabilities": [0, 0], "abstained": [True]}
    assert gate.settled == {"open": 0}
