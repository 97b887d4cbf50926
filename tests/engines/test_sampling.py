import numpy as np
import pytest

from tradewind.engines.generation import Sampling
from tradewind.engines.sampling import Sampler, likeliest, log_probabilities

LOGITS = np.log(np.array([0.5, 0.25, 0.15, 0.1], np.float32))


def _shares(count: int = 20_000, logits: np.ndarray = LOGITS, **settings) -> np.ndarray:
    sampler = Sampler(Sampling(max_tokens=1, seed=5, **settings))
    drawn = [sampler.choose(logits) for _ in range(count)]
    return np.bincount(drawn, minlength=len(logits)) / count


def test_temperature_0_takes_the_likeliest_and_of_equals_the_first():
    assert Sampler(Sampling(max_tokens=1, temperature=0)).choose(np.array([1, 3, 3], np.float32)) == 1


def test_draws_have_the_shares_of_the_softmax():
    np.testing.assert_allclose(_shares(), [0.5, 0.25, 0.15, 0.1], atol=0.015)


def test_a_low_temperature_sharpens():
    expected = np.array([0.5, 0.25, 0.15, 0.1]) ** 2
    np.testing.assert_allclose(_shares(temperature=0.5), expected / expected.sum(), atol=0.015)


def test_top_k_leaves_the_k_likeliest():
    np.testing.assert_allclose(_shares(top_k=2), [2 / 3, 1 / 3, 0, 0], atol=0.015)


def test_top_p_leaves_the_fewest_that_reach_it():
    np.testing.assert_allclose(_shares(top_p=0.7), [2 / 3, 1 / 3, 0, 0], atol=0.015)


def test_top_k_and_top_p_together():
    np.testing.assert_allclose(_shares(top_k=3, top_p=0.8), [0.5 / 0.75, 0.25 / 0.75, 0, 0], atol=0.015)


def test_a_nucleus_beyond_the_head_of_a_large_vocabulary_is_exact():
    logits = np.zeros(5000, np.float32)  # all alike: 90 % of them are 4500
    shares = _shares(4000, logits, top_p=0.9)
    assert np.flatnonzero(shares).max() < 4500
    assert np.count_nonzero(shares) > 2500


def test_the_same_seed_draws_the_same_and_another_does_not():
    logits = np.zeros(1000, np.float32)

    def drawn(seed: int) -> list[int]:
        sampler = Sampler(Sampling(max_tokens=1, seed=seed))
        return [sampler.choose(logits) for _ in range(8)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert drawn(1) != drawn(-1)


def test_a_forbidden_token_is_never_drawn():
    logits = np.array([-np.inf, 0, -np.inf, 0], np.float32)
    assert set(np.flatnonzero(_shares(2000, logits))) == {1, 3}


def test_log_probabilities_are_those_of_the_softmax_however_large_the_logits():
    logits = np.array([1e4, 1e4 - 1, 0], np.float32)
    np.testing.assert_allclose(np.exp(log_probabilities(logits)), [1 / (1 + np.exp(-1)), 1 - 1 / (1 + np.exp(-1)), 0])


@pytest.mark.parametrize(("count", "ids"), [(0, []), (1, [2]), (3, [2, 0, 1]), (9, [2, 0, 1, 3])])
def test_the_likeliest_come_first_and_of_equals_the_lower_id(count: int, ids: list[int]):
    assert likeliest(np.array([-1.0, -1.0, -0.5, -3.0]), count) == ids
