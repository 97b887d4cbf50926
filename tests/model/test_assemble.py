"""From features to a module: which encoders, how they are joined, and that seeds decide every weight."""

import numpy as np
import pytest
import torch

from tests.model.small import Numbers, Words, features_of, raw_rows
from tradewind.errors import InputError, ModelError
from tradewind.features.column import Layout, TensorFeature
from tradewind.model.assemble import assemble, build_encoders
from tradewind.model.heads import log_probabilities, values
from tradewind.model.trunk import TradewindModel
from tradewind.product import Model, Product

PRODUCT = Product(product="toy-shop", task="classification", data={"source": "d.csv", "target": "y"})


def tensors(features):
    return {name: torch.from_numpy(array) for name, array in features.encode(raw_rows()).items()}


@pytest.mark.parametrize(("kind", "members"), [("tabm", 4), ("mlp", 1)])
def test_a_table_goes_straight_to_the_head(kind, members):
    features = features_of()
    settings = Model(tabular=kind, width=16, depth=1, dropout=0.0, numbers="piecewise", members=members)
    model = assemble(PRODUCT.model_copy(update={"model": settings}), features, seed=0)
    assert list(model.encoders) == ["tabular"]
    assert model.fusion is None
    assert model(tensors(features)).shape == (12, members, 3)


def test_equal_seeds_give_equal_weights_and_leave_the_generator_alone():
    features = features_of()
    before = torch.get_rng_state()
    first, second, other = (assemble(PRODUCT, features, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(same)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_without_an_input_there_is_no_model():
    with pytest.raises(ModelError, match="No column is left"):
        build_encoders(Layout(), Model(), outputs=2)


def test_a_kind_of_tensor_without_an_encoder_is_named():
    tensor = TensorFeature("video:clip", "clip", "video", "float32", (None,))
    with pytest.raises(InputError, match="video"):
        build_encoders(Layout(tensors=(tensor,)), Model(), outputs=2)


def joined(members=3):
    torch.manual_seed(0)
    encoders = {"tabular": Numbers(2, 5, members=members), "text_0": Words("tokens:note", 3)}
    return TradewindModel(encoders, outputs=3, width=8).eval()


def joined_inputs(rows=5):
    inputs = {"numbers": torch.randn(rows, 2), "categories": torch.zeros(rows, 1, dtype=torch.int64)}
    return inputs | {"tokens:note": torch.arange(rows * 4).reshape(rows, 4)}


def test_several_encoders_are_joined_over_all_members():
    assert joined()(joined_inputs()).shape == (5, 3, 3)


def test_wide_logits_are_added_to_every_member():
    model, inputs = joined(), joined_inputs()
    encoded, wide = model.encode(inputs)
    torch.testing.assert_close(model(inputs), model.decide(encoded, None) + wide.unsqueeze(1))


def test_what_encoders_ask_of_the_optimizer_carries_their_full_names():
    groups = joined().parameter_groups()
    assert groups == {"encoders.text_0.wide.": {"lr_scale": 2.5}}
    assert any(name.startswith("encoders.text_0.wide.") for name, _ in joined().named_parameters())


def test_the_prediction_is_the_mean_of_the_members():
    logits = torch.randn(4, 3, 2)
    torch.testing.assert_close(log_probabilities(logits).exp(), logits.softmax(-1).mean(1))
    torch.testing.assert_close(values(logits[..., :1], mean=5.0, scale=2.0), logits[..., 0].mean(1) * 2 + 5)


def test_a_row_alone_gets_what_it_gets_among_others():
    model, inputs = joined(), joined_inputs()
    alone = torch.cat([model({name: tensor[i : i + 1] for name, tensor in inputs.items()}) for i in range(5)])
    np.testing.assert_allclose(alone.detach(), model(inputs).detach(), atol=1e-6)


def picture(column):
    meta = {"mean": [100.0], "std": [50.0]}
    return TensorFeature(f"image:{column}", column, "image", "uint8", (1, 16, 16), meta)


def test_pictures_alone_have_members_and_beside_others_one_encoder_each():
    settings = Model(image="cnn", tabular="mlp", width=8, depth=2, dropout=0.0, numbers="linear", members=3)
    alone = build_encoders(Layout(tensors=(picture("scan"),)), settings, outputs=2)
    assert [encoder.members for encoder in alone.values()] == [3]
    two = build_encoders(Layout(tensors=(picture("left"), picture("right"))), settings, outputs=2)
    assert [encoder.members for encoder in two.values()] == [1, 1]


def test_members_start_apart_and_answer_apart():
    settings = Model(image="cnn", width=8, depth=2, dropout=0.0, members=3)
    (encoder,) = build_encoders(Layout(tensors=(picture("scan"),)), settings, outputs=2).values()
    pixels = torch.randint(0, 256, (4, 1, 16, 16), dtype=torch.uint8)
    answers_BMD = encoder.eval()({"image:scan": pixels})
    assert answers_BMD.shape[:2] == (4, 3)
    assert not torch.allclose(answers_BMD[:, 0], answers_BMD[:, 1])
