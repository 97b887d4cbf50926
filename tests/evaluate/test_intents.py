"""The rooms of new intents and of the knowledge base: what they say follows from what was seen, and means what it says."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tradewind.evaluate import intents, retrieval
from tradewind.evaluate.retrieval import Sureness, settle_sureness
from tradewind.evaluate.trust import Context, Examined, Outputs, Part
from tradewind.features.prototypes import Space, joined
from tradewind.product import Evaluate, Explain

CLASSES, EACH, WIDTH = 8, 20, 16


def context():
    return Context("classification", tuple("abcdefgh"), None, None, "accuracy", Evaluate(), Explain(), ())


def part(draw, centres, spread):
    target = np.repeat(np.arange(CLASSES), EACH)
    vectors = centres[target] + spread * draw.normal(size=(len(target), WIDTH))
    p = np.full((len(target), CLASSES), 0.02)
    p[np.arange(len(target)), target] = 0.86
    raw = {"text": np.array([vector.astype(np.float32) for vector in vectors] + [None], object)[:-1]}
    return Part(raw, target, None, Outputs(p, target))


def examined(spread, **more):
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(CLASSES, WIDTH))
    parts = [part(draw, centres, spread) for _ in range(3)]

    def embed(values):
        found = np.stack(list(values["text"]))
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    unused = {"kinds": {"text": "text"}, "ask": None, "encode": None, "ask_encoded": None}
    return Examined(
        context(), train=parts[0], validation=parts[1], test=parts[2], **unused, **({"embed": embed} | more)
    )


def test_classes_that_lie_apart_are_known_by_five_examples_and_told_from_outside():
    witness = intents.measure(examined(0.1, frozen=True))
    said = intents.summarise(witness, context())
    assert said.figures["few_shot_accuracy"].value > 0.95
    assert said.figures["scope_auroc"].value > 0.95
    assert said.figures["few_shot_cost"].value < 0.05
    assert said.section["frozen"]


def test_classes_that_lie_on_one_another_are_not():
    said = intents.summarise(intents.measure(examined(4.0)), context())
    assert said.figures["few_shot_accuracy"].value < 0.6
    assert said.figures["scope_auroc"].value < 0.7
    assert "had learnt" in said.figures["few_shot_accuracy"].how


def test_what_is_said_is_the_same_again_and_the_state_opens():
    witness = intents.measure(examined(0.5))
    one, two = intents.summarise(witness, context()), intents.summarise(intents.measure(examined(0.5)), context())
    assert one == two
    space = Space.from_state(one.state)
    assert space.known_KV.shape == (CLASSES, WIDTH)
    assert len(one.state["quantiles"]) == 201


def test_the_area_is_that_of_scikit_learn():
    draw = np.random.default_rng(1)
    within, outside = draw.normal(1, 1, 80).round(1), draw.normal(0, 1, 50).round(1)
    area, low, high = intents._area(within, outside)
    truth = np.r_[np.ones(80), np.zeros(50)]
    assert area == pytest.approx(roc_auc_score(truth, np.r_[within, outside]))
    assert low < area < high


def test_a_stricter_share_accepts_less_of_both():
    table = intents.summarise(intents.measure(examined(1.0)), context()).section["accepting"]
    assert [one["accept"] for one in table] == [0.8, 0.9, 0.95, 0.98, 0.99]
    for name in ("kept", "false"):
        assert [one[name] for one in table] == sorted(one[name] for one in table)


@pytest.mark.parametrize("more", [{"embed": None}])
def test_without_vectors_there_is_nothing_to_say(more):
    assert intents.measure(examined(0.5, **more)) is None


# ---------------------------------------------------------------- knowledge base


def seen(ranks, words, sure):
    facts = {
        "passages": 9,
        "documents": 9,
        "rejected": 0,
        "pairs": 9,
        "settled_on": 0,
        "words": 1.0,
        "vectors": 1.0,
        "bound": 0.35,
        "elsewhere": 0,
        "encoder": "lsa",
    }
    return {
        "rank": np.array(ranks),
        "rank_words": np.array(words),
        "confidence": np.array(sure),
        **{k: np.array(v) for k, v in facts.items()},
    }


def test_recall_and_reciprocal_ranks_are_those_of_the_ranks():
    said = retrieval.summarise(seen([1, 2, 0, 7], [0, 1, 3, 0], [0.95, 0.6, 0.1, 0.4]), context())
    values = {name: one.value for name, one in said.figures.items()}
    assert values["retrieval_recall@1"] == pytest.approx(1 / 4)
    assert values["retrieval_recall@5"] == pytest.approx(2 / 4)
    assert values["retrieval_mrr"] == pytest.approx((1 + 1 / 2 + 1 / 7) / 4)
    assert values["retrieval_mrr_words"] == pytest.approx((1 + 1 / 3) / 4)
    assert said.section["sure"][-1] == {"least": 0.9, "answered": 0.25, "right": 1.0}


def test_without_pairs_there_are_no_figures():
    said = retrieval.summarise(seen([], [], []), context())
    assert all(one.value is None and one.absent for one in said.figures.values())


def test_sureness_parts_right_from_wrong_and_stays_finite():
    near = np.array([0.9, 0.8, 0.85, 0.2, 0.3, 0.25] * 20)
    right = near > 0.5
    found = settle_sureness(near, near, right)
    assert (found.of(near, near) > 0.5).tolist() == right.tolist()
    assert all(abs(one) < 100 for one in (found.bias, found.similarity, found.coverage))


def test_one_question_hardly_moves_the_default():
    found = settle_sureness(np.array([0.9]), np.array([0.9]), np.array([True]))
    assert found.bias == pytest.approx(Sureness().bias, abs=0.5)


@pytest.mark.parametrize("scale", [6.0, 25.0])
def test_losses_of_all_biases_are_those_of_the_joint_probabilities(scale):
    draw = np.random.default_rng(3)
    known, new = draw.uniform(-1, 1, (50, 6)), draw.uniform(-1, 1, (50, 2))
    probabilities, truth = draw.dirichlet(np.ones(6), 50) * 0.9, draw.integers(0, 8, 50)
    found = intents._log_losses(probabilities, known, new, truth, scale=scale, whole_B=intents._log_sum(scale * known))
    for bias, loss in zip(intents._BIASES, found, strict=True):
        joint = joined(probabilities, known, new, scale=scale, bias=bias)
        loss_B = -np.log(np.maximum(joint[np.arange(50), truth], 1e-9))
        assert loss == pytest.approx((loss_B[truth < 6].mean() + loss_B[truth >= 6].mean()) / 2)
