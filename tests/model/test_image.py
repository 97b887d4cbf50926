"""Image encoders: shapes at every size, what they learn from, determinism, and the graph that is served."""

import numpy as np
import onnxruntime as ort
import pytest
import torch

from tradewind.features.column import Layout, TensorFeature
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import ClassTarget
from tradewind.model.export import export
from tradewind.model.image import Normalise, build
from tradewind.model.trunk import TradewindModel
from tradewind.product import Model

KINDS = ("cnn", "resnet", "vit")


def layout(side=32, channels=1) -> Layout:
    meta = {"mean": [120.0] * channels, "std": [60.0] * channels}
    return Layout(tensors=(TensorFeature("image:scan", "scan", "image", "uint8", (channels, side, side), meta),))


def encoder(kind="cnn", side=32, channels=1, seed=0, **settings):
    torch.manual_seed(seed)
    return build(layout(side, channels), Model(image=kind, **settings), outputs=3)


def pixels(rows=5, side=32, channels=1, seed=0):
    random = np.random.default_rng(seed)
    return {"image:scan": torch.from_numpy(random.integers(0, 256, (rows, channels, side, side), dtype=np.uint8))}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("side", "channels"), [(16, 1), (28, 1), (33, 3), (50, 3), (64, 1), (96, 3)])
def test_every_size_gives_one_vector_per_row(kind, side, channels):
    net = encoder(kind, side, channels).eval()
    assert net(pixels(5, side, channels)).shape == (5, 1, net.out_width)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [16, 50])
def test_a_batch_of_one_row_can_be_trained_on(kind, side):
    net = encoder(kind, side).train()
    (net(pixels(1, side)).sum() + net.wide_logits(pixels(1, side)).sum()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_see_each_other(kind):
    net, batch = encoder(kind).eval(), pixels(6)
    alone = torch.cat([net({"image:scan": row[None]}) for row in batch["image:scan"]])
    assert torch.allclose(net(batch), alone, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_vectors(kind):
    assert torch.equal(encoder(kind).eval()(pixels()), encoder(kind).eval()(pixels()))


@pytest.mark.parametrize("kind", KINDS)
def test_other_columns_are_ignored(kind):
    net = encoder(kind).eval()
    assert torch.equal(net({**pixels(), "numbers": torch.zeros(5, 2)}), net(pixels()))


@pytest.mark.parametrize("kind", KINDS)
def test_width_and_depth_are_heard(kind):
    small = sum(p.numel() for p in encoder(kind, width=16, depth=2).parameters())
    large = sum(p.numel() for p in encoder(kind, width=32, depth=3).parameters())
    assert small < large


def test_auto_is_the_convolutional_net():
    auto = [tuple(p.shape) for p in encoder("auto").parameters()]
    assert auto == [tuple(p.shape) for p in encoder("cnn").parameters()]


def test_the_residual_net_is_deeper_than_the_default():
    assert len(list(encoder("resnet").parameters())) > len(list(encoder("cnn").parameters()))


def test_normalised_pixels_have_mean_0_and_deviation_1():
    found = pixels(40, channels=3)["image:scan"]
    mean, std = found.float().mean((0, 2, 3)), found.float().std((0, 2, 3))
    z = Normalise(mean.tolist(), std.tolist())(found)
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(z.std((0, 2, 3)), torch.ones(3), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_where_a_spot_is(kind):
    random = np.random.default_rng(0)
    images = random.integers(60, 120, (32, 1, 16, 16), dtype=np.uint8)
    labels = np.arange(32) % 2
    for row, label in enumerate(labels):
        images[row, 0, 2 + 8 * label : 6 + 8 * label, 4:12] += 100
    torch.manual_seed(0)
    net = torch.nn.ModuleDict({"encoder": encoder(kind, 16, width=16, depth=2), "head": torch.nn.LazyLinear(2)})
    inputs, target = {"image:scan": torch.from_numpy(images)}, torch.from_numpy(labels)

    def logits():
        return net["head"](net["encoder"](inputs))[:, 0]

    logits()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits(), target).backward()
        optimizer.step()
    net.eval()
    assert (logits().argmax(1) == target).float().mean() > 0.95


class _Image:
    """A stand-in for a fitted image column: the exporter asks for its layout only."""

    name, kind = "scan", "image"

    def __init__(self, side: int) -> None:
        self.layout = layout(side)

    def apply_one(self, value, numbers, categories):
        raise NotImplementedError


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_gives_the_modules_figures_for_any_batch(kind, tmp_path):
    side = 32
    features = FeatureSet(columns=(_Image(side),), target=ClassTarget(classes=("a", "b", "c")))
    net = encoder(kind, side, width=16, depth=2)
    model = TradewindModel({"image_0": net}, outputs=3, width=8).train()
    for _ in range(2):  # so that batch norm's statistics are no longer 0 and 1
        model(pixels(8, side))
    golden = {"image:scan": pixels(7, side)["image:scan"].numpy()}
    report = export(model, features, tmp_path, golden=golden)
    assert report.difference < 1e-5
    session = ort.InferenceSession(report.path)
    assert session.get_inputs()[0].type == "tensor(uint8)"
    assert session.run(None, {"image_scan": golden["image:scan"][:3]})[0].shape == (3, 3)


def test_a_halved_picture_is_seen_at_half_its_side_by_the_net_and_whole_by_its_edges():
    meta = {"mean": [120.0], "std": [60.0], "halved": True}
    fine = Layout(tensors=(TensorFeature("image:scan", "scan", "image", "uint8", (1, 64, 64), meta),))
    torch.manual_seed(0)
    net = build(fine, Model(image="cnn"), outputs=3).eval()
    small = encoder("cnn", 32).eval()
    small.load_state_dict(
        {name: value for name, value in net.state_dict().items() if not name.startswith("wide.")}, strict=False
    )
    batch = {"image:scan": torch.from_numpy(np.kron(pixels(3, 32)["image:scan"].numpy(), np.ones((2, 2), np.uint8)))}
    torch.testing.assert_close(net(batch), small(pixels(3, 32)), atol=1e-5, rtol=1e-5)
    assert net.wide.gradients.cell == (8, 8)
