"""The network of a sequential recommender: packing changes nothing, the future is not seen, the exported graphs say the same."""

import numpy as np
import torch

from tradewind.data.sessions import Packs, pieces_of
from tradewind.features.column import CategoryFeature, Layout, NumberFeature
from tradewind.model.recommender import Recommender, RecommenderConfig, SessionEncoder
from tradewind.model.recommender_export import export_recommender, item_table

ITEMS, WIDTH = 40, 16
COLUMNS = Layout(numbers=(NumberFeature("price", "price"),), categories=(CategoryFeature("kind", "kind", 5),))


def built(*, items: Layout | None = None, users: Layout | None = None, depth: int = 2) -> Recommender:
    torch.manual_seed(0)
    config = RecommenderConfig(ITEMS, WIDTH, depth=depth, heads=2, context=9, dropout=0.3)
    model = Recommender(config, items=items, users=users)
    for content, count in ((model.item_content, ITEMS), (model.user_content, 7)):
        if content is not None:
            content.arrays = {"numbers": torch.randn(count, 1), "categories": torch.randint(0, 5, (count, 1))}
    return model.eval()


def histories(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, ITEMS, int(random.integers(2, 9))) for _ in range(count)]


@torch.no_grad()
def test_packed_histories_have_the_states_of_padded_ones():
    model, some = built(), histories(12)
    starts = np.concatenate([[0], np.cumsum([len(one) for one in some])])
    flat = np.concatenate(some).astype(np.int32)
    pieces = pieces_of(starts, np.diff(starts), context=9)
    packs = Packs(flat, np.ones(len(flat), np.float32), pieces, start=ITEMS, length=16, size=64, seed=0)
    (batch,) = packs.epoch(0)
    items, segments, places, users = (
        torch.from_numpy(one) for one in (batch.items, batch.segments, batch.places, batch.users)
    )
    vectors = model.items.weight[items.clamp(max=ITEMS - 1)]
    states = model.read(vectors, items == ITEMS, segments, places, users)
    table = model.items.weight.detach()
    seen = 0
    for user, history in enumerate(some):
        for before in range(len(history)):
            padded = torch.zeros(1, 8, WIDTH)
            padded[0, :before] = table[torch.from_numpy(history[:before])]
            alone = SessionEncoder(model)(padded, torch.tensor([before]), torch.zeros(1, WIDTH))[0]
            where = (users == user) & (places == before) & (segments >= 0)
            assert torch.allclose(states[where][0], alone, atol=1e-5)
            seen += 1
    assert seen == int((batch.targets >= 0).sum())


@torch.no_grad()
def test_what_comes_later_changes_no_state():
    model = built()
    vectors = torch.randn(1, 8, WIDTH)
    changed = vectors.clone()
    changed[0, 5:] = torch.randn(3, WIDTH)
    encoder, nobody = SessionEncoder(model), torch.zeros(1, WIDTH)
    five = torch.tensor([5])
    assert torch.equal(encoder(vectors, five, nobody), encoder(changed, five, nobody))
    assert not torch.equal(encoder(vectors, five + 1, nobody), encoder(changed, five + 1, nobody))


def test_scores_begin_with_how_often_items_are_met():
    model = built()
    share = torch.arange(1, ITEMS + 1) / (ITEMS * (ITEMS + 1) / 2)
    model.begin(share)
    assert torch.allclose(model.bias.exp().sum(), torch.tensor(1.0))
    assert int(model.bias.argmax()) == ITEMS - 1


def test_columns_give_an_item_a_vector_beside_its_own():
    model = built(items=COLUMNS)
    with torch.no_grad():
        model.items.weight.zero_()
    vectors, _ = item_table(model)
    assert np.abs(vectors).sum(1).min() > 0


def test_exported_graphs_say_what_torch_says(tmp_path):
    # An export takes ten seconds: one of the encoder, one of columns.
    model = built(items=COLUMNS, depth=1)
    difference = export_recommender(model, tmp_path, histories=histories(6), items=COLUMNS, users=None)
    assert difference < 1e-4
    assert np.load(tmp_path / "items.npy").shape == (ITEMS, WIDTH)
    assert (tmp_path / "content.onnx").exists()
    assert not (tmp_path / "users.onnx").exists()
