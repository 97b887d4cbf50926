"""Tabular encoders: what they equal by definition, what no batch may change, what they can learn, the served graph."""

import numpy as np
import pytest
import torch

from tests.model.small import features_of, raw_rows
from tradewind.errors import ModelError
from tradewind.features.column import CategoryFeature, Layout, NumberFeature
from tradewind.model.embeddings import Categories, LinearNumbers, PeriodicNumbers, PiecewiseNumbers, category_width
from tradewind.model.export import export
from tradewind.model.tabular import SharedLinear, build
from tradewind.model.trunk import TradewindModel
from tradewind.product import Model

KINDS = ("mlp", "tabm", "transformer")
EDGES = (-1.0, -0.25, 0.5, 2.0)
LAYOUT = Layout(
    numbers=(NumberFeature("age", "age", EDGES), NumberFeature("age missing", "age"), NumberFeature("x", "x", (0.0,))),
    categories=(CategoryFeature("city", "city", 4), CategoryFeature("plan", "plan", 3)),
)


def encoder(kind="tabm", layout=LAYOUT, seed=0, **settings):
    torch.manual_seed(seed)
    return build(layout, Model(tabular=kind, **settings), outputs=2)


def rows(count=6, seed=0):
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(count, 3)).astype(np.float32)
    categories = np.stack([random.integers(0, 4, count), random.integers(0, 3, count)], axis=1)
    return {"numbers": torch.from_numpy(numbers), "categories": torch.from_numpy(categories)}


# ---------------------------------------------------------------- embeddings


def test_piecewise_numbers_are_the_published_encoding_and_a_vector_for_each_bin():
    torch.manual_seed(0)
    net = PiecewiseNumbers([EDGES, ()], width=3)
    torch.nn.init.normal_(net.slope_NRW)
    values = np.array([-9, -1, -0.5, -0.25, 0.1, 0.5, 1.9, 2, 9], dtype=np.float32)
    starts, widths = np.array(EDGES[:-1]), np.diff(EDGES)
    encoded = np.clip((values[:, None] - starts) / widths, 0, 1)  # PLE, equation 1 of arXiv:2203.05556
    row = np.searchsorted(EDGES, values, side="right")
    weight, level = net.slope_NRW[0].detach().numpy(), net.level_NRW[0].detach().numpy()
    linear = net.linear(torch.from_numpy(np.stack([values, values], 1)))[:, 0].detach().numpy()
    step = (row > 0)[:, None] * weight[0]  # the first row's slope has no extent: it is a step at the first edge
    expected = encoded @ weight[1 : len(EDGES)] + step + level[row] + linear
    found = net(torch.from_numpy(np.stack([values, values], 1)))[:, 0]
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)


def test_a_number_without_edges_is_linear():
    torch.manual_seed(0)
    net = PiecewiseNumbers([EDGES, ()], width=3)
    values = torch.randn(5, 2)
    torch.testing.assert_close((net(values) - net.linear(values))[:, 1], net.level_NRW[1, 0].expand(5, 3))


def test_edges_that_are_one_in_float32_are_one():
    net = PiecewiseNumbers([(1.0, 1.0 + 1e-12, 2.0)], width=2)
    assert net.edges_NE.tolist() == [[1.0, 2.0]]
    assert torch.isfinite(net(torch.tensor([[0.0], [1.0], [3.0]]))).all()


@pytest.mark.parametrize("width", [1, 5])
def test_an_outlier_moves_the_linear_part_only_so_far(width):
    net = LinearNumbers(1, width)
    assert torch.equal(net(torch.tensor([[1e4]])), net(torch.tensor([[5.0]])))


def test_periodic_numbers_follow_their_formula():
    torch.manual_seed(0)
    net = PeriodicNumbers(2, 4, frequencies=3)
    x = torch.randn(5, 2)
    angle = 2 * np.pi * net.frequency_NF * x[..., None]
    expected = torch.relu(net.mix(torch.cat([torch.cos(angle), torch.sin(angle)], -1)) + net.linear(x))
    torch.testing.assert_close(net(x), expected)


def test_categories_of_different_columns_never_share_a_vector():
    net = Categories([4, 3], width=2)
    assert torch.equal(net(torch.tensor([[3, 0]])), torch.stack([net.table_VW[3], net.table_VW[4]])[None])


def test_category_width_grows_slowly_and_has_bounds():
    assert [category_width(n) for n in (2, 64, 65, 1000, 10**6)] == [8, 8, 10, 20, 32]


# ---------------------------------------------------------------- networks


def test_members_share_a_weight_and_keep_their_own_scales():
    torch.manual_seed(0)
    layer, x = SharedLinear(4, 3, members=2, diverse=True), torch.randn(5, 1, 4)
    torch.nn.init.normal_(layer.out_scale)
    own = [layer.weight * torch.outer(layer.out_scale[m], layer.in_scale[m]) for m in range(2)]
    expected = torch.stack([x[:, 0] @ own[m].T + layer.bias[m] for m in range(2)], dim=1)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("numbers", ["auto", "linear", "piecewise", "periodic"])
def test_each_network_takes_each_embedding(kind, numbers):
    net = encoder(kind, numbers=numbers).eval()
    assert net(rows()).shape == (6, net.members, net.out_width)
    assert net.members == (8 if kind == "tabm" else 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [Layout(numbers=LAYOUT.numbers), Layout(categories=LAYOUT.categories)])
def test_a_table_may_have_only_numbers_or_only_categories(kind, part):
    net = encoder(kind, part).eval()
    wanted = {"numbers": bool(part.numbers), "categories": bool(part.categories)}
    given = {name: tensor for name, tensor in rows().items() if wanted[name]}
    assert torch.equal(net(given), net(rows()))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_see_each_other(kind):
    net, batch = encoder(kind).eval(), rows()
    alone = [net({name: tensor[i : i + 1] for name, tensor in batch.items()}) for i in range(6)]
    torch.testing.assert_close(torch.cat(alone), net(batch), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_vectors(kind):
    assert torch.equal(encoder(kind).eval()(rows()), encoder(kind).eval()(rows()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_reached_even_from_one_row(kind):
    net = encoder(kind, dropout=0.0).train()
    net({name: tensor[:1] for name, tensor in rows().items()}).square().sum().backward()
    missed = [name for name, p in net.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert missed == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_groups_name_parameters_that_exist(kind):
    net = encoder(kind)
    names = [name for name, _ in net.named_parameters()]
    assert all(any(name.startswith(prefix) for name in names) for prefix in net.parameter_groups())
    assert net.parameter_groups()["cells.categories.table_VW"] == {"lr_scale": 5.0, "weight_decay": 0.0}


def test_members_start_apart():
    vectors = encoder("tabm").eval()(rows())
    assert (vectors[:, 0] - vectors[:, 1]).abs().mean() > 0.01


def test_auto_is_tabm_and_kind_speaks_where_tabular_is_silent():
    assert build(LAYOUT, Model(), outputs=2).members == 8
    assert build(LAYOUT, Model(kind="mlp"), outputs=2).members == 1
    assert build(LAYOUT, Model(kind="mlp", tabular="tabm"), outputs=2).members == 8


def test_the_last_layer_of_a_transformer_may_ask_for_the_reader_alone():
    layer = encoder("transformer").eval().layers[1]
    tokens = torch.randn(3, 6, 64)
    torch.testing.assert_close(layer(tokens, first_only=True), layer(tokens, first_only=False)[:, :1])


def test_a_transformer_width_must_divide_by_its_heads():
    with pytest.raises(ModelError, match="width is 30 and heads is 4"):
        encoder("transformer", width=30, heads=4)


def test_a_wide_table_gets_narrow_embeddings():
    wide = Layout(numbers=tuple(NumberFeature(f"n{i}", f"n{i}", (0.0, 1.0)) for i in range(600)))
    assert encoder("mlp", wide).cells.out_width == 600 * 4


def test_a_rare_exact_value_is_learned():
    """Adult's capital gain in small: some exact values mean yes, their neighbours no."""
    values = torch.arange(40.0).repeat(16)[:, None] / 10 - 2
    labels = ((torch.arange(40).repeat(16) * 7) % 5 == 0).long()
    layout = Layout(numbers=(NumberFeature("gain", "gain", tuple(values[:40, 0].tolist())),))
    encoded = encoder("tabm", layout, dropout=0.0)
    model = TradewindModel({"tabular": encoded}, outputs=2, width=8)
    tables = [p for name, p in model.named_parameters() if "NRW" in name]
    others = [p for name, p in model.named_parameters() if "NRW" not in name]
    optimizer = torch.optim.AdamW([{"params": tables, "lr": 5e-3}, {"params": others, "lr": 1e-3}])
    for _ in range(60):
        logits = model({"numbers": values})
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.repeat_interleave(8)).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert (model({"numbers": values}).mean(1).argmax(-1) == labels).all()


# ---------------------------------------------------------------- the served graph


@pytest.mark.parametrize(("kind", "numbers"), [("mlp", "periodic"), ("tabm", "piecewise"), ("transformer", "linear")])
def test_the_exported_graph_gives_the_same(kind, numbers, tmp_path):
    features = features_of()
    torch.manual_seed(0)
    part = build(features.layout, Model(tabular=kind, numbers=numbers, width=16, heads=2), outputs=3)
    model = TradewindModel({"tabular": part}, outputs=3, width=8).eval()
    assert export(model, features, tmp_path, golden=features.encode(raw_rows())).difference < 1e-5
