"""Audio encoders: shapes, what they learn from, other columns beside them, and the graph that is served."""

import numpy as np
import onnxruntime as ort
import pytest
import torch

from tests.features.sounds import column_of, file_of, tone
from tradewind.features.column import ColumnSpec, Layout, TensorFeature
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import fit_target
from tradewind.model.assemble import assemble
from tradewind.model.audio import build
from tradewind.model.export import export
from tradewind.product import Model, Product
from tradewind.train.defaults import Facts, resolve

KINDS = ("cnn", "transformer")


def encoder(kind="cnn", frames=68, bands=40, **settings):
    torch.manual_seed(0)
    meta = {"mean": [120.0] * bands, "std": [60.0] * bands}
    tensor = TensorFeature("audio:call", "call", "audio", "uint8", (frames, bands), meta)
    return build(Layout(tensors=(tensor,)), Model(audio=kind, **settings), outputs=3)


def heard(rows=5, frames=68, bands=40):
    levels = np.random.default_rng(0).integers(0, 256, (rows, frames, bands), dtype=np.uint8)
    return {"audio:call": torch.from_numpy(levels)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("frames", "bands"), [(18, 16), (68, 40), (499, 64), (2999, 40)])
def test_every_length_gives_one_vector_per_row(kind, frames, bands):
    net = encoder(kind, frames, bands).eval()
    assert net(heard(2, frames, bands)).shape == (2, 1, net.out_width)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one_row_can_be_trained_on(kind):
    net = encoder(kind, 18).train()
    net(heard(1, 18)).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_see_each_other_and_members_differ(kind):
    net, batch = encoder(kind, members=2).eval(), heard(4)
    alone = torch.cat([net({"audio:call": row[None]}) for row in batch["audio:call"]])
    torch.testing.assert_close(net(batch), alone, atol=1e-5, rtol=0)
    assert net.members == 2
    assert not torch.allclose(net(batch)[:, 0], net(batch)[:, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_sounds_counts(kind):
    net, batch = encoder(kind).eval(), heard(2)
    assert not torch.allclose(net(batch), net({"audio:call": batch["audio:call"].flip(1)}), atol=1e-3)


def test_the_middle_level_of_training_is_nothing():
    x = torch.full((1, 68, 40), 120, dtype=torch.uint8)
    net = encoder()
    assert float(((x.float().transpose(1, 2) - net.mean) * net.scale).abs().max()) == 0


def test_recordings_and_a_table_are_one_model_and_one_graph(tmp_path):
    files = column_of(*(file_of(tone(200.0 + 40 * n, 0.3)) for n in range(8)))
    values = {"call": files, "age": np.arange(8.0)}
    specs = [ColumnSpec("call", "audio"), ColumnSpec("age", "number")]
    features = FeatureSet.fit(specs, values, fit_target("classification", column_of(*"abababab")), seed=0)
    product = Product.model_validate(
        {
            "product": "calls",
            "task": "classification",
            "data": {"source": "x.csv", "target": "y"},
            "model": {"tabular": "mlp"},
        }
    )
    resolved = resolve(product, Facts.of(features.layout, rows=8, validation_rows=2, classes=2))
    assert (resolved.model.audio, resolved.model.tabular) == ("cnn", "mlp")
    assert resolved.data.augment.audio.mask_time > 0
    model = assemble(resolved, features, seed=0)
    arrays = features.encode(values)
    report = export(model, features, tmp_path, golden=arrays)
    assert report.difference < 1e-4
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for rows in (1, 3, 8):
        feed = {features.input_names[name]: array[:rows] for name, array in arrays.items()}
        assert session.run(None, feed)[0].shape == (rows, 2)
