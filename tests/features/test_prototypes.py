"""Classes by a few examples: probabilities that hang together, means of examples, what lies outside."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.features.prototypes import Space, joined, means, parts, unit

DRAW = np.random.default_rng(0)


def cloud(*centres, each=20, spread=0.2):
    return unit(
        np.concatenate([np.array(one) + spread * DRAW.normal(size=(each, 3)) for one in centres]).astype(np.float32)
    )


@pytest.fixture
def space():
    vectors = cloud([1, 0, 0], [0, 1, 0])
    codes = np.repeat([0, 1], 20)
    return Space(np.zeros(3, np.float32), means(vectors, codes, [0, 1]), vectors, scale=15.0, bias=1.0, pull=1.0)


@given(st.integers(1, 4), st.integers(1, 3), st.floats(1, 40), st.floats(-3, 6))
def test_probabilities_of_all_classes_together_sum_to_one(known, new, scale, bias):
    draw = np.random.default_rng(known * 10 + new)
    p = draw.dirichlet(np.ones(known), size=5)
    found = joined(p, draw.uniform(-1, 1, (5, known)), draw.uniform(-1, 1, (5, new)), scale=scale, bias=bias)
    assert found.shape == (5, known + new)
    assert found.sum(1) == pytest.approx(1)
    # among the learnt classes the model's own proportions stand
    assert found[:, :known] / found[:, :known].sum(1, keepdims=True) == pytest.approx(p, abs=1e-9)


def test_without_new_classes_the_model_stands_alone():
    p = np.array([[0.2, 0.8]])
    assert joined(p, np.array([[0.1, 0.9]]), np.zeros((1, 0)), scale=10, bias=0) == pytest.approx(p)


def test_a_text_like_the_examples_is_of_the_new_class(space):
    new = space.prototype(space.placed(cloud([0, 0, 1], each=5)))[None]
    p = np.array([[0.6, 0.4]], np.float32)
    near = space.joint(p, space.placed(cloud([0, 0, 1], each=1)), new)
    far = space.joint(p, space.placed(cloud([1, 0, 0], each=1)), new)
    assert near[0, 2] > 0.9
    assert far[0, 2] < 0.1


def test_few_examples_count_for_less(space):
    example = np.array([[0, 0, 1]], np.float32)
    one, five = space.prototype(example), space.prototype(np.repeat(example, 5, 0))
    assert np.linalg.norm(one) == pytest.approx(1 / 2)
    assert np.linalg.norm(five) == pytest.approx(5 / 6)


def test_what_is_far_from_all_has_a_small_scope_until_it_is_a_class(space):
    foreign = np.array([[0, 0, 1]], np.float32)
    assert space.scope(foreign)[0] < space.scope(cloud([1, 0, 0], each=1))[0]
    assert space.scope(foreign, foreign)[0] == pytest.approx(1)


def test_the_state_is_json_and_comes_back(space):
    again = Space.from_state(json.loads(json.dumps(space.state())))
    assert again.known_KV == pytest.approx(space.known_KV, abs=1e-3)
    assert (again.scale, again.bias, again.pull, again.parts_PV.shape) == (15.0, 1.0, 1.0, space.parts_PV.shape)


def test_a_class_of_two_halves_has_a_part_in_each():
    halves = cloud([1, 0, 0], [0, 1, 0], spread=0.05)
    found = parts(halves, most=2)
    assert sorted(found.argmax(1).tolist()) == [0, 1]
    assert len(parts(halves[:2])) == 1
    assert np.array_equal(found, parts(halves, most=2))


def test_a_class_without_examples_is_nowhere():
    assert means(np.ones((2, 3), np.float32), np.array([0, 0]), [0, 1])[1].tolist() == [0, 0, 0]
