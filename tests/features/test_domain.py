import io
import json

import numpy as np
import pytest
from PIL import Image

from tradewind.errors import ArtifactError
from tradewind.features.domain import Domain
from tradewind.features.domain_views import CategoryView, Scale

KINDS = {"size": "number", "colour": "category", "note": "text"}
WORDS = ("the parcel came late", "my card was charged twice", "when will it arrive", "please send the bill again")


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def rows(count, seed):
    """Size and colour go together: red ones are large, blue ones small."""
    random = np.random.default_rng(seed)
    red = random.random(count) < 0.5
    size = np.where(red, random.normal(50, 5, count), random.normal(10, 2, count))
    colour = [("red" if one else "blue") if random.random() > 0.02 else None for one in red]
    note = [f"{WORDS[random.integers(4)]}, {WORDS[random.integers(4)]}" for _ in red]
    return {"size": size, "colour": objects(colour), "note": objects(note)}


@pytest.fixture(scope="module")
def domain():
    return Domain.fit(KINDS, rows(2000, 0), rows(1000, 1))


def changed(**columns):
    return {**rows(300, 2), **columns}


def test_the_score_is_uniform_on_rows_of_the_domain(domain):
    score = np.sort(domain.score(rows(2000, 3)))
    farthest = np.abs(score - np.linspace(0, 1, len(score))).max()
    assert farthest < 0.07  # Kolmogorov's distance, at about three times what chance gives for 500 kept rows


def test_the_score_is_a_share_of_the_rows_held_back(domain):
    score = domain.score(rows(1000, 1))
    assert score.min() > 0
    assert score.max() <= 1
    for bound in (0.05, 0.2, 0.5):
        assert (score <= bound).mean() == pytest.approx(bound, abs=0.01)


@pytest.mark.parametrize(
    "columns",
    [
        {"size": np.full(300, 1e6)},
        {"size": np.full(300, -1e300)},
        {"colour": objects(["green"] * 300)},
        {"colour": objects(["red"] * 300), "size": np.full(300, 10.0)},  # each is usual, together they are not
        {"note": objects(["外卖送得很快，味道不错"] * 300)},
        {"note": objects(["xq zzkv wqj xkcd qqq vwx"] * 300)},
    ],
)
def test_foreign_rows_score_low(domain, columns):
    assert np.median(domain.score(changed(**columns))) < 0.02


def test_rows_that_fit_no_more_than_apart_are_told_from_real_ones(domain):
    home = rows(1000, 4)
    random = np.random.default_rng(0)
    mixed = {name: values[random.permutation(1000)] for name, values in home.items()}
    above = domain.surprise(mixed)[:, None] > domain.surprise(home)[None, :]
    assert above.mean() > 0.7


def test_the_parts_name_the_column_that_is_foreign(domain):
    parts = domain.parts(changed(size=np.full(300, 1e6)))
    assert {domain.columns[at] for at in parts.argmax(axis=1)} == {"size"}


def test_the_parts_add_up_to_the_surprise(domain):
    values = rows(50, 5)
    assert domain.parts(values).sum(axis=1) == pytest.approx(domain.surprise(values))


def test_probabilities_of_all_codes_below_a_parent_add_up_to_one(domain):
    for cost in domain._costs:
        assert np.exp(-cost).sum(axis=-1) == pytest.approx(np.ones(cost.shape[:-1]))


def test_independent_columns_have_no_edge():
    random = np.random.default_rng(0)
    values = {name: random.normal(size=3000) for name in "abcd"}
    assert Domain.fit(dict.fromkeys(values, "number"), values, values).parents == (-1,) * 4


def test_the_tree_is_the_chain_that_made_the_rows():
    random = np.random.default_rng(0)
    a = random.normal(size=5000)
    b = a + 0.3 * random.normal(size=5000)
    c = b + 0.3 * random.normal(size=5000)
    values = {"a": a, "b": b, "c": c}
    assert Domain.fit(dict.fromkeys(values, "number"), values, values).parents == (-1, 0, 1)


def test_state_is_json_from_which_an_equal_domain_is_made(domain):
    state = json.loads(json.dumps(domain.state()))
    values = rows(200, 6)
    again = Domain.from_state(state)
    assert again.state() == domain.state()
    assert (again.score(values) == domain.score(values)).all()


def test_state_is_small(domain):
    assert len(json.dumps(domain.state())) < 60_000


def test_the_order_of_the_rows_held_back_does_not_matter(domain):
    held = {name: values[::-1] for name, values in rows(1000, 1).items()}
    assert Domain.fit(KINDS, rows(2000, 0), held).state() == domain.state()


def test_missing_columns_count_as_missing(domain):
    none = {"size": np.full(3, np.nan), "colour": objects([None] * 3), "note": objects([None] * 3)}
    assert (domain.score({"size": np.full(3, np.nan)}) == domain.score(none)).all()


def test_without_rows_held_back_there_is_no_domain():
    assert Domain.fit(KINDS, rows(50, 0), rows(0, 1)) is None


def test_without_a_known_kind_there_is_no_domain():
    assert Domain.fit({"size": "identifier"}, rows(50, 0), rows(50, 1)) is None


def test_a_broken_state_is_refused():
    with pytest.raises(ArtifactError, match="domain"):
        Domain.from_state({"format": 2})


def test_of_many_columns_at_most_128_are_in_the_tree():
    random = np.random.default_rng(0)
    common = random.normal(size=600)
    values = {f"c{n}": common + 0.5 * random.normal(size=600) for n in range(150)}
    found = Domain.fit(dict.fromkeys(values, "number"), values, values)
    assert sum(parent >= 0 for parent in found.parents) == 127


def test_a_scale_tells_below_above_and_far_away():
    scale = Scale.fit(np.linspace(0, 100, 1001))
    last = len(scale.prior) - 1
    found = scale.codes(np.array([np.nan, -1000.0, -1.0, 101.0, 1000.0, 0.0, 100.0]))
    assert found.tolist() == [0, 1, 2, last - 1, last, 3, last - 2]


def test_few_values_have_a_bin_each():
    scale = Scale.fit(np.array([1.0, 2.0, 5.0] * 10))
    assert scale.codes(np.array([1.0, 2.0, 5.0])).tolist() == [3, 4, 5]


def test_rare_and_unknown_categories_have_codes_of_their_own():
    words = [f"w{n:02d}" for n in range(40) for _ in range(40 - n)]
    view = CategoryView.fit("word", objects(words))
    found = view.codes(objects([None, "never", "w39", "w00"]))[:, 0]
    assert found.tolist() == [0, 1, 2, 3]


def picture(random, *, noise=0.0, upside=False):
    across = np.linspace(0, 200, 48)[None, :] * random.uniform(0.7, 1.0)
    grey = across + random.normal(0, 3 + noise, (48, 48)) + 20
    content = io.BytesIO()
    Image.fromarray(np.clip(grey.T if upside else grey, 0, 255).astype(np.uint8)).save(content, "PNG")
    return content.getvalue()


def test_noisy_and_turned_pictures_and_no_pictures_are_foreign():
    random = np.random.default_rng(0)
    train, held, home = ({"x": objects([picture(random) for _ in range(60)])} for _ in range(3))
    found = Domain.fit({"x": "image"}, train, held)
    assert np.median(found.score(home)) > 0.2
    for foreign in ([picture(random, noise=30)], [picture(random, upside=True)], [b"no picture"]):
        assert found.score({"x": objects(foreign)})[0] < 0.05
    assert Domain.from_state(json.loads(json.dumps(found.state()))).state() == found.state()
