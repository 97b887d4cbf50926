import numpy as np
import pytest

from tradewind.engines.domain import Domain
from tradewind.errors import ArtifactError
from tradewind.features import domain


@pytest.fixture(scope="module")
def trust():
    random = np.random.default_rng(0)
    train, held = ({"age": random.normal(40, 10, 400), "income": random.normal(9, 1, 400)} for _ in range(2))
    fitted = domain.Domain.fit({"age": "number", "income": "number"}, train, held)
    return {"robustness": {"domain": fitted.state()}}


def test_a_usual_row_is_at_home_and_an_impossible_one_is_not(trust):
    score = Domain.of_release(trust).score([{"age": 40, "income": 9}, {"age": "4000", "income": 9}])
    assert score[0] > 0.5
    assert score[1] < 0.02


def test_the_columns_that_make_a_row_foreign_are_named(trust):
    rows = [{"age": 40, "income": 9}, {"age": 4000, "income": 9}]
    assert Domain.of_release(trust).foreign(rows) == [[], ["age"]]


def test_a_missing_column_is_a_missing_value(trust):
    found = Domain.of_release(trust)
    assert found.score([{"age": 40}]) == found.score([{"age": 40, "income": None}])


def test_a_release_that_was_not_examined_has_no_domain():
    assert Domain.of_release({}) is None
    assert Domain.of_release({"robustness": {}}) is None


def test_a_broken_state_is_refused():
    with pytest.raises(ArtifactError):
        Domain.of_release({"robustness": {"domain": {"format": 1}}})
