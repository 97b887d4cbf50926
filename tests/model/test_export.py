"""The exported graph gives what torch gives, takes any batch and length, and is refused when it does not."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from tests.model.small import Words, features_of, model_for, raw_rows
from tradewind.errors import ModelError
from tradewind.features.column import Layout, TensorFeature
from tradewind.model import export as export_module
from tradewind.model.export import export, predict
from tradewind.model.heads import log_probabilities
from tradewind.model.trunk import TradewindModel


def session_of(report):
    return ort.InferenceSession(str(report.path), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    features = features_of()
    model = model_for(features, outputs=3, members=4)
    golden = features.encode(raw_rows())
    return features, model, golden, export(model, features, tmp_path_factory.mktemp("onnx"), golden=golden)


def test_a_classifier_gives_the_members_mean_probability(classifier):
    features, model, golden, report = classifier
    found = session_of(report).run(None, {"numbers": golden["numbers"], "categories": golden["categories"]})[0]
    with torch.no_grad():
        logits = model.eval()({name: torch.from_numpy(array) for name, array in golden.items()})
    np.testing.assert_allclose(found, logits.softmax(-1).mean(1), atol=1e-6)
    np.testing.assert_allclose(found, predict(model, features, golden), atol=1e-6)
    assert report.difference < 1e-5
    assert report.output == "probabilities"


def test_its_temperature_can_be_set_in_the_graph(classifier):
    _, model, golden, report = classifier
    graph = onnx.load(report.path)
    (temperature,) = [tensor for tensor in graph.graph.initializer if tensor.name == "temperature"]
    assert tuple(temperature.dims) == ()
    temperature.CopyFrom(onnx.numpy_helper.from_array(np.array(2.0, dtype=np.float32), "temperature"))
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"numbers": golden["numbers"], "categories": golden["categories"]})[0]
    with torch.no_grad():
        log_p = log_probabilities(model.eval()({name: torch.from_numpy(array) for name, array in golden.items()}))
    np.testing.assert_allclose(found, (log_p / 2).softmax(-1), atol=1e-6)


def test_any_batch_fits(classifier):
    *_, golden, report = classifier
    session = session_of(report)
    for rows in (1, 3, 11):
        feed = {name: golden[name][:rows] for name in ("numbers", "categories")}
        assert session.run(None, feed)[0].shape == (rows, 3)


def test_a_value_comes_in_the_targets_own_units(tmp_path):
    features = features_of("regression")
    model = model_for(features, outputs=1)
    golden = features.encode(raw_rows())
    report = export(model, features, tmp_path, golden=golden)
    found = session_of(report).run(["values"], {name: golden[name] for name in ("numbers", "categories")})[0]
    with torch.no_grad():
        normalised = model.eval()({name: torch.from_numpy(array) for name, array in golden.items()})[:, 0, 0]
    np.testing.assert_allclose(found, features.target.decode(normalised.numpy()), rtol=1e-5)


def test_any_length_fits_and_wide_logits_are_added(tmp_path, monkeypatch):
    """A text beside numbers: names with a colon, a ragged axis, two encoders, fusion."""

    class Mixed:
        target = features_of().target
        base = features_of().layout
        tokens = TensorFeature("tokens:note", "note", "tokens", "int64", (None,))
        layout = Layout(numbers=base.numbers, categories=base.categories, tensors=(tokens,))

    torch.manual_seed(0)
    encoders = {"tabular": model_for(features_of(), outputs=3).encoders["tabular"], "text_0": Words("tokens:note", 3)}
    model = TradewindModel(encoders, outputs=3, width=8)
    golden = features_of().encode(raw_rows()) | {"tokens:note": np.arange(60).reshape(12, 5) % 50}
    report = export(model, Mixed, tmp_path, golden=golden)
    feed = {"numbers": golden["numbers"], "categories": golden["categories"]}
    for length in (1, 2, 9):
        tokens = np.ones((12, length), dtype=np.int64)
        found = session_of(report).run(None, {**feed, "tokens_note": tokens})[0]
        np.testing.assert_allclose(found, predict(model, Mixed, {**golden, "tokens:note": tokens}), atol=1e-5)


def test_a_graph_that_differs_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "parity", lambda *given: 0.01)
    features = features_of()
    with pytest.raises(ModelError, match=r"differs from the trained model by 0\.01"):
        export(model_for(features, outputs=3), features, tmp_path, golden=features.encode(raw_rows()))
    assert not (tmp_path / "model.onnx").exists()


def test_it_says_nothing(tmp_path, capfd):
    features = features_of()
    export(model_for(features, outputs=3), features, tmp_path, golden=features.encode(raw_rows()))
    out, err = capfd.readouterr()
    assert out + err == ""
