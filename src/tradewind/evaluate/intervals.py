"""Bootstrap intervals: every figure of every predictor on the same resamples, so that differences are paired. Beside them
the exact interval of a share, and that of an area under a curve.

Not here: the figures themselves (`metrics.py`).

Legend: N rows, R resamples. A resample is a row of weights: how often each of the N rows was drawn (Efron 1979), so a
figure over all resamples is a matrix product and a cumulative sum, and no row is ever copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.metrics import Classification, Floats, Measure

LEVEL = 0.95
_CHUNK_NUMBERS = 100_000  # numbers held at once for one matrix: they stay in the processor's cache
_RANKING_NUMBERS = 50_000_000  # resamples × rows × classes that one-vs-rest ranking may cost, some seconds
_FEWEST_RESAMPLES = 50


def resampled(rows: int, *, resamples: int, seed: int, weight_N: Floats | None = None) -> Iterator[Floats]:
    """Row weights of the resamples in chunks [r, N], the same for the same rows, count and seed."""
    random = np.random.default_rng([seed, rows])
    step = max(1, _CHUNK_NUMBERS // max(rows, 1))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = random.integers(0, rows, size=(count, rows)) + rows * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)
        yield weights if weight_N is None else weights * weight_N


@dataclass(frozen=True)
class Draws:
    """Figures of one predictor: `points` on the split itself, `resampled` [R] on each resample (NaN: undefined)."""

    points: Mapping[str, float]
    resampled: Mapping[str, Floats]
    measure: Measure


def bootstrap(
    measures: Mapping[str, Measure], *, rows: int, resamples: int, seed: int, weight_N: Floats | None = None
) -> dict[str, Draws]:
    """Every figure of each predictor with its resamples. All predictors see the same resamples of the N `rows`."""
    once = np.ones((1, rows)) if weight_N is None else weight_N[None, :]
    points = {key: {name: float(of[0]) for name, of in measure(once).items()} for key, measure in measures.items()}
    drawn: dict[str, dict[str, list[Floats]]] = {
        key: {name: [] for name in measure.names} for key, measure in measures.items()
    }
    done = 0
    for weights in resampled(rows, resamples=resamples if rows else 0, seed=seed, weight_N=weight_N):
        for key, measure in measures.items():
            ranking = done < _ranking_resamples(measure, rows)
            for name, values in measure(weights, ranking=ranking).items():
                drawn[key][name].append(values)
        done += len(weights)
    return {
        key: Draws(
            points[key],
            {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in drawn[key].items()},
            measure,
        )
        for key, measure in measures.items()
    }


def _ranking_resamples(measure: Measure, rows: int) -> int:
    if not isinstance(measure, Classification):
        return 0
    return max(_FEWEST_RESAMPLES, _RANKING_NUMBERS // max(1, rows * len(measure.rankings)))


def bounds(values_R: Floats, point: float, *, centred: bool = False) -> tuple[float | None, float | None, int]:
    """Lower and upper end of the percentile interval at 95 %, and the resamples that stand behind it.

    `centred` moves it onto the point: the resampled expected calibration error is biased upwards.
    """
    known = values_R[~np.isnan(values_R)]
    if len(known) < 2:
        return None, None, len(known)
    tail = 100 * (1 - LEVEL) / 2
    low, high = (float(end) for end in np.percentile(known, [tail, 100 - tail]))
    if centred:
        shift = float(known.mean()) - point
        low, high = max(0.0, low - shift), high - shift
    return low, high, len(known)


def figure(draws: Draws, name: str, *, split: str, rows: int, predictions: str, how: str) -> Figure:
    """The figure with its interval, or absent with the reason."""
    point = draws.points[name]
    if np.isnan(point):
        return Figure(None, how, split, rows, predictions, absent=draws.measure.reason(name))
    low, high, behind = bounds(draws.resampled[name], point, centred=name == "ece")
    if low is not None:
        how = f"{how}; 95 % percentile bootstrap over {behind} resamples of rows"
    return Figure(rounded(point), how, split, rows, predictions, rounded(low), rounded(high))


def difference(ours: Draws, theirs: Draws, name: str, *, split: str, rows: int, predictions: str) -> Figure:
    """Our figure minus theirs, on the same rows and the same resamples."""
    point = ours.points[name] - theirs.points[name]
    how = f"{name} of the model minus {name} of the baseline, on the same rows"
    if np.isnan(point):
        return Figure(None, how, split, rows, predictions, absent=ours.measure.reason(name))
    low, high, behind = bounds(ours.resampled[name] - theirs.resampled[name], point)
    if low is not None:
        how = f"{how}; 95 % paired percentile bootstrap over {behind} resamples of rows"
    return Figure(rounded(point), how, split, rows, predictions, rounded(low), rounded(high))


def exact_share(hits: int, rows: int) -> tuple[float, float]:
    """Ends at 95 % of the share behind `hits` of `rows` (Clopper, Pearson 1934): never too narrow, also for few rows."""
    tail = (1 - LEVEL) / 2
    low = float(betaincinv(hits, rows - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, rows - hits, 1 - tail)) if hits < rows else 1.0
    return low, high


def area_above(upper_m: Floats, lower_n: Floats) -> tuple[float, float, float]:
    """The chance that one of `upper_m` lies above one of `lower_n`, ties half, with its normal interval at 95 % (DeLong, DeLong,
    Clarke-Pearson 1988)."""
    above_m = _ranks(upper_m, lower_n)
    above_n = 1 - _ranks(lower_n, upper_m)
    value = float(above_m.mean())
    variance = sum(float(one.var(ddof=1)) / len(one) for one in (above_m, above_n) if len(one) > 1)
    reach = 1.96 * variance**0.5
    return value, max(0.0, value - reach), min(1.0, value + reach)


def _ranks(ours: Floats, theirs: Floats) -> Floats:
    """The share of theirs below each of ours, ties half."""
    theirs = np.sort(theirs)
    found: Floats = (np.searchsorted(theirs, ours, "left") + np.searchsorted(theirs, ours, "right")) / (2 * len(theirs))
    return found
