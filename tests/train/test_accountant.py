"""What noise costs, against Opacus, and its ways: more steps, more rows, less noise cost more."""

import pytest
from opacus.accountants.analysis import rdp as opacus
from opacus.accountants.utils import get_noise_multiplier

from tradewind.errors import ModelError
from tradewind.train.accountant import _ORDERS, epsilon_of, noise_for

# Opacus' own search passes through noise that its orders are not made for.
pytestmark = pytest.mark.filterwarnings("ignore:Optimal order is")


@pytest.mark.parametrize(
    ("sigma", "q", "steps"), [(1.0, 0.01, 1000), (0.6, 0.05, 300), (4.0, 0.3, 50), (2.0, 1.0, 20), (12.0, 0.09, 360)]
)
def test_epsilon_is_that_of_opacus_at_the_same_orders(sigma, q, steps):
    orders = list(_ORDERS)
    found = opacus.compute_rdp(q=q, noise_multiplier=sigma, steps=steps, orders=orders)
    expected, _ = opacus.get_privacy_spent(orders=orders, rdp=found, delta=1e-5)
    assert epsilon_of(sigma=sigma, q=q, steps=steps, delta=1e-5) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("epsilon", [0.5, 3.0, 8.0])
def test_the_noise_for_a_budget_is_that_of_opacus_or_a_little_more(epsilon):
    ours = noise_for(epsilon=epsilon, q=0.02, steps=800, delta=1e-5)
    theirs = get_noise_multiplier(
        target_epsilon=epsilon, target_delta=1e-5, sample_rate=0.02, steps=800, epsilon_tolerance=1e-3
    )
    assert theirs * 0.999 <= ours <= theirs * 1.02
    assert epsilon_of(sigma=ours, q=0.02, steps=800, delta=1e-5) <= epsilon


def test_more_steps_more_rows_or_less_noise_cost_more():
    def cost(**changes):
        return epsilon_of(**{"sigma": 1.0, "q": 0.02, "steps": 500, "delta": 1e-5, **changes})

    assert cost(steps=0) == 0.0
    assert cost(steps=500) < cost(steps=501) < cost(steps=5000)
    assert cost(q=0.01) < cost() < cost(q=1.0)
    assert cost(sigma=2.0) < cost() < cost(delta=1e-7)


def test_a_budget_that_no_noise_keeps_is_refused():
    with pytest.raises(ModelError, match="No noise keeps") as caught:
        noise_for(epsilon=1e-5, q=1.0, steps=10_000, delta=1e-9)
    assert caught.value.code == "model.budget"
