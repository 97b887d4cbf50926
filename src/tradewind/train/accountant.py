"""How much privacy noisy steps cost: Rényi accounting of the Gaussian mechanism over randomly drawn rows.

Not here: clipping, noise and sampling themselves (`privacy.py`). Agrees with Opacus at whole orders (tested).

Legend: q the chance of a row to be in a step, sigma the noise in units of the clipping norm, A orders.
"""

from __future__ import annotations

import math
from functools import cache

from tradewind.errors import ModelError

_ORDERS = (*range(2, 65), 80, 96, 128, 192, 256, 512)
_NOISIEST = 1e4
_DIGITS = 4


def epsilon_of(*, sigma: float, q: float, steps: int, delta: float) -> float:
    """The epsilon of `steps` such steps at `delta`: the least over whole orders, an upper bound of the true one.

    Mironov, Talwar, Zhang 2019 for the orders, Canonne, Kamath, Steinke 2020 (proposition 12) from orders to epsilon.
    """
    if steps == 0:
        return 0.0
    found: list[float] = [
        steps * _renyi(order, q, sigma)
        + math.log((order - 1) / order)
        - (math.log(delta) + math.log(order)) / (order - 1)
        for order in _ORDERS
    ]
    return max(0.0, min(found))


@cache
def _renyi(order: int, q: float, sigma: float) -> float:
    """Rényi divergence of one step: log of the sum over k of C(order, k) (1 - q)^(order - k) q^k e^(k(k-1) / 2 sigma²)."""
    if q >= 1:
        return order / (2 * sigma**2)
    terms = [
        math.lgamma(order + 1) - math.lgamma(k + 1) - math.lgamma(order - k + 1)
        + k * math.log(q) + (order - k) * math.log1p(-q) + k * (k - 1) / (2 * sigma**2)
        for k in range(order + 1)
    ]  # fmt: skip
    top = max(terms)
    return (top + math.log(sum(math.exp(term - top) for term in terms))) / (order - 1)


def noise_for(*, epsilon: float, q: float, steps: int, delta: float) -> float:
    """The least sigma, to four digits and rounded up, whose `steps` steps stay within `epsilon`.

    Raises ModelError when no noise is enough.
    """
    if epsilon_of(sigma=_NOISIEST, q=q, steps=steps, delta=delta) > epsilon:
        raise ModelError(
            f"No noise keeps {steps:,} steps within epsilon {epsilon:g} at delta {delta:.2g}.",
            code="budget", where="train.privacy", hint="Allow a larger epsilon, or fewer epochs.",
        )  # fmt: skip
    low, high = 1e-2, _NOISIEST
    while high / low > 1 + 10.0 ** -(_DIGITS + 1):
        middle = math.sqrt(low * high)
        if epsilon_of(sigma=middle, q=q, steps=steps, delta=delta) > epsilon:
            low = middle
        else:
            high = middle
    step: float = 10.0 ** (math.floor(math.log10(high)) - _DIGITS + 1)
    return math.ceil(high / step) * step
