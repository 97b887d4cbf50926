"""Which seconds an answer rests on: effects known by hand, of a model that listens to one stretch alone."""

from dataclasses import dataclass

import numpy as np
import pytest

from tests.evaluate.test_explanations import context
from tradewind.engines.occlusion import audio_stretches
from tradewind.evaluate import explanations
from tradewind.evaluate.trust import Examined, Outputs, Part
from tradewind.features.column import Layout, TensorFeature

FRAMES, BANDS = 96, 8


def heard(rows=1):
    random = np.random.default_rng(0)
    return {"audio:call": random.integers(60, 200, (rows, FRAMES, BANDS)).astype(np.uint8)}


@dataclass
class Listens:
    """Answers by the mean level of frames 40 to 48."""

    asked: int = 0

    def ask(self, arrays):
        self.asked += len(arrays["audio:call"])
        return arrays["audio:call"][:, 40:48].mean(axis=(1, 2))


def test_the_stretch_that_the_model_listens_to_has_all_of_the_effect():
    model = Listens()
    found = audio_stretches(model, heard(), "audio:call", lambda outputs: outputs)
    near = [effect for (start, end), effect in found if end > 36 and start < 52]
    far = [effect for (start, end), effect in found if not (end > 36 and start < 52)]
    assert min(near) > 10
    assert far == [0.0] * len(far)
    assert model.asked <= 25  # one question a pair of stretches


def test_a_recording_of_nothing_has_no_stretches():
    assert (
        audio_stretches(Listens(), {"audio:call": np.zeros((1, FRAMES, BANDS), np.uint8)}, "audio:call", lambda x: x)
        == []
    )


def test_the_report_finds_that_silencing_the_named_stretches_moves_the_answer_further():
    raw = {"call": np.arange(30).astype(object)}
    levels = heard(30)["audio:call"]

    def ask_encoded(arrays):
        p = 1 / (1 + np.exp(-(Listens().ask(arrays) - 130) / 10))
        return Outputs(np.stack([1 - p, p], axis=1), (p > 0.5).astype(int))

    def encode(values):
        return {"audio:call": levels[values["call"].astype(int)]}

    outputs = ask_encoded(encode(raw))
    part = Part(raw, outputs.decided, None, outputs)
    tensor = TensorFeature("audio:call", "call", "audio", "uint8", (FRAMES, BANDS))
    examined = Examined(
        context=context(2), kinds={"call": "audio"}, train=part, validation=part, test=part,
        ask=lambda values: ask_encoded(encode(values)), encode=encode, ask_encoded=ask_encoded, layout=Layout(tensors=(tensor,)),
    )  # fmt: skip
    found = explanations.summarise(explanations.measure(examined), examined.context)
    assert found.section["faithfulness"]["kind"] == "audio"
    assert found.figures["faithfulness"].value == pytest.approx(0.85, abs=0.15)
