"""Classes that are known by a few examples: which one a text is nearest to, beside the classes that were learnt, or none of them.
One arithmetic for measuring (`evaluate/intents.py`) and for serving (`engines/prototypes.py`). Not here: vectors of texts.

A class is the mean of its examples' vectors (prototypical networks: Snell, Swersky, Zemel 2017). Vectors are taken from the
centre of all, and brought to length 1; so a product is a cosine. With few examples a mean is unsure: it is drawn towards the
centre as Efron and Morris (1973) draw small groups, by `pull` examples that say nothing. The temperature of the softmax over the
cosines and `pull` are learnt from episodes in which known classes play new ones (Vinyals et al. 2016).

Whether a text belongs to any class is asked of several means of each class (k-means on the sphere: Dhillon, Modha 2001), since one
mean says little of what lies at the edge of its class: on banking77 the area under the curve is 0.92 against 0.86 (LAB.md).

Legend: B texts, K classes that were learnt, J new ones, P parts of classes, V width.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

PARTS, _LEAST, _ROUNDS = 8, 3, 10

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Space:
    """`scale` sharpens cosines, `bias` is what a new class must lead by, `pull` is in examples. `known_KV` are the classes
    that were learnt, `parts_PV` several means of each."""

    centre_V: Floats
    known_KV: Floats
    parts_PV: Floats
    scale: float = 12.0
    bias: float = 0.0
    pull: float = 1.0

    def state(self) -> dict[str, Any]:
        """As JSON; numbers in half precision, which moves no cosine by more than a thousandth."""
        return {
            "centre": _packed(self.centre_V), "known": _packed(self.known_KV), "classes": len(self.known_KV),
            "parts": _packed(self.parts_PV), "scale": self.scale,
            "bias": self.bias, "pull": self.pull,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Space:
        known_KV = _unpacked(state["known"]).reshape(state["classes"], -1)
        parts_PV = _unpacked(state["parts"]).reshape(-1, known_KV.shape[1])
        return cls(_unpacked(state["centre"]), known_KV, parts_PV, state["scale"], state["bias"], state["pull"])

    # ------------------------------------------------------------ vectors

    def placed(self, vectors_BV: Floats) -> Floats:
        """Vectors as seen from the centre, each of length 1."""
        return unit(vectors_BV - self.centre_V)

    def prototype(self, placed_BV: Floats) -> Floats:
        """[V] of a class with these examples: its direction, shorter than 1 where examples are few."""
        examples = len(placed_BV)
        found: Floats = unit(placed_BV.mean(0, keepdims=True))[0] * np.float32(examples / (examples + self.pull))
        return found

    # ------------------------------------------------------------ answers

    def joint(self, probabilities_BK: Floats, placed_BV: Floats, new_JV: Floats) -> NDArray[np.float64]:
        """Probabilities [B, K + J] of the learnt classes and the new ones together.

        Cosines say how likely it is one of the new ones at all; the learnt classes share the rest as the model says.
        """
        known_BK, new_BJ = placed_BV @ self.known_KV.T, placed_BV @ new_JV.T
        return joined(probabilities_BK, known_BK, new_BJ, scale=self.scale, bias=self.bias)

    def scope(self, placed_BV: Floats, new_JV: Floats | None = None) -> NDArray[np.float64]:
        """[B]: the cosine to the nearest class, learnt or new."""
        nearest_B = (placed_BV @ self.parts_PV.T).max(1)
        if new_JV is not None and len(new_JV):
            nearest_B = np.maximum(nearest_B, (placed_BV @ unit(new_JV).T).max(1))
        found: NDArray[np.float64] = nearest_B.astype(np.float64)
        return found


def joined(
    probabilities_BK: NDArray[Any], known_BK: NDArray[Any], new_BJ: NDArray[Any], *, scale: float, bias: float
) -> NDArray[np.float64]:
    """`Space.joint` from cosines. Each row sums to 1."""
    known_BK, new_BJ = scale * known_BK.astype(np.float64), scale * new_BJ.astype(np.float64) - bias
    top_B1 = np.maximum(known_BK.max(1), new_BJ.max(1, initial=-np.inf))[:, None]
    known_B1 = np.exp(known_BK - top_B1).sum(1, keepdims=True)
    new_BJ = np.exp(new_BJ - top_B1)
    whole_B1 = known_B1 + new_BJ.sum(1, keepdims=True)
    total_B1 = probabilities_BK.astype(np.float64).sum(1, keepdims=True)
    return np.concatenate([probabilities_BK / total_B1 * (known_B1 / whole_B1), new_BJ / whole_B1], 1)


def means(placed_BV: Floats, codes_B: NDArray[np.int64], classes: Sequence[int]) -> Floats:
    """The directions [len(classes), V] of classes with many examples; zeros for one without any."""
    found_KV = np.zeros((len(classes), placed_BV.shape[1]), np.float32)
    for place, code in enumerate(classes):
        mine_BV = placed_BV[codes_B == code]
        if len(mine_BV):
            found_KV[place] = mine_BV.mean(0)
    return unit(found_KV)


def parts(placed_BV: Floats, *, most: int = PARTS, least: int = _LEAST) -> Floats:
    """Several directions [p, V] of one class, each the mean of the examples next to it: at most `most`, and one for `least`
    examples. It begins at the examples that lie farthest apart; the same ones give the same."""
    count = max(1, min(most, len(placed_BV) // least))
    chosen = [int((placed_BV @ placed_BV.mean(0)).argmax())]
    while len(chosen) < count:
        chosen.append(int((placed_BV @ placed_BV[chosen].T).max(1).argmin()))
    found_pV: Floats = placed_BV[chosen]
    for _ in range(_ROUNDS):
        nearest_B = (placed_BV @ found_pV.T).argmax(1)
        found_pV = unit(np.stack([_mean(placed_BV[nearest_B == one], found_pV[one]) for one in range(count)]))
    return found_pV


def _mean(mine_BV: Floats, before_V: Floats) -> Floats:
    found: Floats = mine_BV.mean(0) if len(mine_BV) else before_V
    return found


def unit(vectors_BV: Floats) -> Floats:
    """Brought to length 1; zeros stay zeros."""
    length_B1 = np.linalg.norm(vectors_BV, axis=1, keepdims=True)
    found: Floats = (vectors_BV / np.where(length_B1 > 0, length_B1, 1)).astype(np.float32)
    return found


def _packed(array: Floats) -> str:
    return b64encode(np.ascontiguousarray(array, "<f2").tobytes()).decode()


def _unpacked(text: str) -> Floats:
    return np.frombuffer(b64decode(text), "<f2").astype(np.float32)
