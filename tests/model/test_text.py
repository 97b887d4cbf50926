"""Text encoders: padding changes nothing, dropout is variational, the wide part is linear, the graph gives the same."""

import numpy as np
import pytest
import torch
from torch import nn

from tradewind.errors import ModelError
from tradewind.features.column import ColumnSpec, Layout, TensorFeature
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import fit_target
from tradewind.model import text
from tradewind.model.export import export
from tradewind.model.text import NgramLogits, TextEncoder, VariationalRnn
from tradewind.model.trunk import TradewindModel
from tradewind.product import Model

REVIEWS = [
    "很快，好吃，味道足",
    "没有送水没有送水",
    "Where is my card?",
    "my card was charged twice",
    "",
    "味道不错 but my card",
]
KINDS = [
    Model(text="cnn", width=16, depth=1),
    Model(text="cnn", width=16, depth=3),
    Model(text="rnn", width=16, depth=2, cell="lstm"),
    Model(text="rnn", width=16, cell="gru"),
    Model(text="transformer", width=16, depth=2, heads=2),
]
IDS = ["cnn", "cnn-deep", "lstm", "gru", "transformer"]


@pytest.fixture(scope="module")
def features():
    values = {"note": np.array(REVIEWS * 3, dtype=object)}
    label = np.array([n % 3 for n in range(len(REVIEWS) * 3)], dtype=object)
    return FeatureSet.fit([ColumnSpec("note", "text")], values, fit_target("classification", label), seed=0)


def layout_of(vocabulary=50, ngrams=40):
    return Layout(
        tensors=(
            TensorFeature("tokens:t", "t", "tokens", "int64", (None,), {"vocabulary": vocabulary, "offset": 1}),
            TensorFeature("ngrams:t", "t", "ngrams", "int64", (None,), {"vocabulary": ngrams}),
            TensorFeature("ngram_weights:t", "t", "ngram_weights", "float32", (None,), {"vocabulary": ngrams}),
        )
    )


def build(settings, outputs=3, **sizes):
    torch.manual_seed(0)
    encoder = text.build(layout_of(**sizes), settings, outputs=outputs)
    assert isinstance(encoder, TextEncoder)
    return encoder


def tensors(encoded):
    return {name: torch.from_numpy(array) for name, array in encoded.items()}


def rows(*lengths, places=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    places = places or max(lengths)
    tokens = torch.zeros(len(lengths), places, dtype=torch.int64)
    for row, length in enumerate(lengths):
        tokens[row, :length] = torch.randint(1, 50, (length,), generator=generator)
    bag = torch.randint(1, 40, (len(lengths), 7), generator=generator)
    return {"tokens:t": tokens, "ngrams:t": bag, "ngram_weights:t": torch.rand(bag.shape, generator=generator)}


@pytest.mark.parametrize("settings", KINDS, ids=IDS)
def test_padding_and_neighbours_change_nothing(settings):
    encoder = build(settings).eval()
    many = rows(9, 1, 4, 0, places=13)
    encoded_BMD = encoder(many)
    assert encoded_BMD.shape == (4, 1, encoder.out_width)
    assert torch.isfinite(encoded_BMD).all()
    for row, length in enumerate([9, 1, 4, 0]):
        alone = {"tokens:t": many["tokens:t"][row : row + 1, : max(1, length)]}
        torch.testing.assert_close(encoder(alone)[0], encoded_BMD[row], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("settings", KINDS, ids=IDS)
def test_every_weight_learns_and_a_few_steps_fit_the_rows(settings):
    torch.manual_seed(0)
    model = TradewindModel({"text": build(settings.model_copy(update={"dropout": 0.1}))}, outputs=3, width=16)
    inputs, target = rows(6, 9, 3, 5, 7, 2), torch.tensor([0, 1, 2, 0, 1, 2])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for step in range(60):
        loss = nn.functional.cross_entropy(model(inputs)[:, 0], target)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
            assert not still
        optimizer.step()
    model.eval()
    assert (model(inputs)[:, 0].argmax(-1) == target).all()


@pytest.mark.parametrize("settings", KINDS, ids=IDS)
def test_the_exported_graph_takes_any_batch_and_length(settings, features, tmp_path):
    torch.manual_seed(0)
    encoder = text.build(features.layout, settings, outputs=3)
    nn.init.normal_(encoder.wide.embedding.weight, std=0.5)
    golden = features.encode({"note": np.array(REVIEWS, dtype=object)})
    report = export(TradewindModel({"text": encoder}, outputs=3, width=16), features, tmp_path, golden=golden)
    assert report.difference < 1e-5
    assert report.inputs == ("tokens_note", "ngrams_note", "ngram_weights_note")


@pytest.mark.parametrize("settings", KINDS, ids=IDS)
def test_it_is_a_function_of_the_seed(settings):
    first, second = build(settings), build(settings)
    torch.manual_seed(1)
    once = first(rows(5, 3))
    torch.manual_seed(1)
    assert torch.equal(once, second(rows(5, 3)))
    assert torch.equal(first.eval()(rows(5, 3)), second.eval()(rows(5, 3)))


def test_the_order_of_tokens_matters_to_each():
    for settings in KINDS:
        encoder = build(settings).eval()
        tokens = torch.tensor([[3, 4, 5, 6, 7]])
        assert not torch.allclose(encoder({"tokens:t": tokens}), encoder({"tokens:t": tokens.flip(1)}), atol=1e-4)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_unrolled_layer_is_torch_s_own_where_nothing_is_dropped(cell):
    torch.manual_seed(0)
    layer = VariationalRnn(5, 7, cell=cell, dropout=1e-9).train()
    x_BTD = torch.randn(3, 6, 5)
    torch.testing.assert_close(layer(x_BTD), layer.layer(x_BTD)[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_dropout_takes_the_same_inputs_at_every_token(cell):
    torch.manual_seed(0)
    layer = VariationalRnn(64, 8, cell=cell, dropout=0.5).train()
    x_BTD = torch.randn(2, 5, 64, requires_grad=True)
    layer(x_BTD).sum().backward()
    untouched_BTD = x_BTD.grad == 0
    assert untouched_BTD.any()
    assert (untouched_BTD == untouched_BTD[:, :1]).all()  # the same at every token of a text
    assert not (untouched_BTD[0] == untouched_BTD[1]).all()  # another for another text
    layer.eval()
    assert torch.equal(layer(x_BTD), layer(x_BTD))


def test_wide_logits_are_the_weighted_sum_of_their_ngrams():
    wide = NgramLogits(10, 4, dropout=0.5).eval()
    nn.init.normal_(wide.embedding.weight)
    ids, weights = torch.tensor([[3, 5, 0], [7, 0, 0]]), torch.tensor([[0.6, 0.8, 0.0], [1.0, 0.0, 0.0]])
    table = wide.embedding.weight
    torch.testing.assert_close(wide(ids, weights), torch.stack([0.6 * table[3] + 0.8 * table[5], table[7]]))


def test_the_wide_part_starts_at_zero_and_learns_faster_without_decay():
    encoder = build(Model(text="cnn", width=16))
    assert not encoder.wide_logits(rows(4, 2)).any()
    assert encoder.parameter_groups() == {"wide.": {"lr_scale": 2.5, "weight_decay": 0.0}}


def test_very_many_weights_go_through_64_dimensions():
    wide = NgramLogits(50_001, 500, dropout=0.0)
    assert sum(p.numel() for p in wide.parameters()) < 4_000_000
    ids, weights = torch.tensor([[3, 5]]), torch.tensor([[0.6, 0.8]])
    assert wide(ids, weights).shape == (1, 500)
    wide(ids, weights).square().add(wide(ids, weights)).sum().backward()
    assert wide.out.weight.grad.any()


@pytest.mark.parametrize(("ngrams", "vocabulary"), [(False, 40), (True, 1)])
def test_there_is_no_wide_part_where_none_is_wanted_or_no_ngram_known(ngrams, vocabulary):
    encoder = build(Model(text="cnn", width=16, ngrams=ngrams), ngrams=vocabulary)
    assert encoder.wide_logits(rows(3)) is None
    assert encoder.parameter_groups() == {}


def test_without_dropout_training_and_evaluation_agree():
    for settings in KINDS:
        encoder = build(settings.model_copy(update={"dropout": 0.0}))
        torch.testing.assert_close(encoder(rows(5, 3)), encoder.eval()(rows(5, 3)), atol=1e-6, rtol=1e-5)


def test_a_width_that_the_heads_do_not_divide_is_explained():
    with pytest.raises(ModelError, match="multiple of twice the heads, 8") as caught:
        build(Model(text="transformer", width=20, heads=4))
    assert caught.value.code == "model.width_heads"


def test_auto_gives_the_cnn_of_the_recipe():
    encoder = build(Model())
    assert isinstance(encoder.body, text.CnnBody)
    assert encoder.out_width == 512
    assert encoder.wide is not None
