"""The simple models: quick, silent, repeatable, and better than nothing."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from tradewind.evaluate.baselines import LinearEncoder, fit_baselines, joined, one_hot, take
from tradewind.evaluate.inputs import EvaluationSplit


def fitted(inputs, **changes):
    splits = {name: replace(getattr(inputs, name), **changes) for name in ("train", "validation", "test")}
    return {one.name: one for one in fit_baselines(inputs.task, inputs.classes, seed=0, **splits)}


def test_linear_and_trees_learn_what_the_majority_cannot(make_inputs):
    inputs = make_inputs(2)
    found = fitted(inputs)
    areas = {name: roc_auc_score(inputs.test.target, one.scores["test"][:, 1]) for name, one in found.items()}
    assert areas["majority"] == 0.5
    assert min(areas["linear"], areas["lightgbm"]) > 0.75


def test_regression_baselines_answer_in_the_targets_own_unit(make_inputs):
    inputs = make_inputs(0)
    found = fitted(inputs)
    assert found["mean"].scores["test"][0] == pytest.approx(inputs.train.target.mean())
    assert r2_score(inputs.test.target, found["linear"].scores["test"]) > 0.5
    assert r2_score(inputs.test.target, found["lightgbm"].scores["test"]) > 0.4


def test_a_refit_learns_from_validation_but_is_judged_there_as_before(make_inputs):
    inputs = make_inputs(2)
    splits = {name: getattr(inputs, name) for name in ("train", "validation", "test")}
    once, again = (
        {one.name: one for one in fit_baselines(inputs.task, inputs.classes, seed=0, refit=refit, **splits)}
        for refit in (False, True)
    )
    both = joined(inputs.train, inputs.validation)
    direct = fit_baselines(
        inputs.task, inputs.classes, train=both, validation=inputs.validation, test=inputs.test, seed=0
    )
    for name in ("linear", "lightgbm"):
        assert (once[name].scores["validation"] == again[name].scores["validation"]).all()
        assert (once[name].scores["test"] != again[name].scores["test"]).any()
        assert once[name].how == again[name].how  # as many rounds as validation chose
    assert (again["linear"].scores["test"] == direct[1].scores["test"]).all()


@pytest.mark.parametrize("kinds", [0, 2, 4])
def test_the_same_seed_gives_the_same_scores(make_inputs, kinds):
    one, two = fitted(make_inputs(kinds)), fitted(make_inputs(kinds))
    assert all((one[name].scores["test"] == two[name].scores["test"]).all() for name in one)


def test_probabilities_sum_to_one_for_every_class_even_one_never_trained_on(make_inputs):
    inputs = make_inputs(4)
    kept = take(inputs.train, np.flatnonzero(inputs.train.target != 2))
    found = fit_baselines(
        "classification", inputs.classes, train=kept, validation=inputs.validation, test=inputs.test, seed=0
    )
    for one in found:
        assert one.scores["test"].shape == (160, 4)
        assert one.scores["test"].sum(axis=1) == pytest.approx(1)


def test_text_of_many_classes_skips_the_trees_with_a_reason(make_inputs):
    found = fitted(make_inputs(25), numbers=None, categories=None, cardinalities=())
    assert found["lightgbm"].scores is None
    assert "text alone with 25 classes" in found["lightgbm"].reason
    assert found["linear"].how == "logistic regression on TF-IDF"


def test_pictures_alone_leave_the_linear_model_on_small_pixels(make_inputs):
    inputs = make_inputs(2)
    random = np.random.default_rng(0)

    def bright(split):
        pixels = random.integers(0, 100, (split.rows, 1, 70, 64)) + 60 * split.target[:, None, None, None]
        return EvaluationSplit(split.name, split.rows, split.target, images={"scan": pixels.astype(np.uint8)})

    found = {
        one.name: one
        for one in fit_baselines(
            "classification",
            inputs.classes,
            train=bright(inputs.train),
            validation=bright(inputs.validation),
            test=bright(inputs.test),
            seed=0,
        )
    }
    assert roc_auc_score(inputs.test.target, found["linear"].scores["test"][:, 1]) > 0.99
    assert found["lightgbm"].reason.startswith("pixels are no columns")


def test_flagged_numbers_are_missing_for_the_trees(make_inputs):
    inputs = make_inputs(2)
    random = np.random.default_rng(0)

    def hidden(split):
        flag = random.uniform(size=split.rows) < 0.5
        numbers = np.stack([np.where(flag, 0.0, split.target), flag], axis=1).astype(np.float32)
        return EvaluationSplit(split.name, split.rows, split.target, numbers=numbers, flags=((0, 1),))

    found = fit_baselines(
        "classification", inputs.classes, train=hidden(inputs.train), validation=hidden(inputs.validation),
        test=hidden(inputs.test), seed=0,
    )  # fmt: skip
    assert found[2].scores is not None


def test_no_columns_and_no_rows_are_reasons_and_no_crash(make_inputs):
    inputs = make_inputs(2)
    found = fitted(inputs, numbers=None, categories=None, cardinalities=(), bags={})
    assert "no column" in found["linear"].reason
    empty = take(inputs.train, np.zeros(0, dtype=np.int64))
    none = fit_baselines(
        "classification", inputs.classes, train=empty, validation=inputs.validation, test=inputs.test, seed=0
    )
    assert {one.reason for one in none} == {"the training split has no rows"}


def test_one_class_in_training_skips_the_linear_model(make_inputs):
    inputs = make_inputs(2)
    kept = take(inputs.train, np.flatnonzero(inputs.train.target == 0))
    found = fit_baselines(
        "classification", inputs.classes, train=kept, validation=inputs.validation, test=inputs.test, seed=0
    )
    assert found[1].reason == "the training split holds only one class"


def test_one_hot_puts_a_code_outside_its_range_on_zero():
    assert one_hot(np.array([[1, 0], [9, 2]]), (2, 3)).toarray().tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]


@pytest.mark.parametrize("kinds", [0, 2, 4])
def test_fitting_says_nothing(make_inputs, capfd, kinds):
    fitted(make_inputs(kinds))
    assert capfd.readouterr() == ("", "")


def test_a_large_vocabulary_is_cut_to_its_most_frequent_words(make_inputs):
    train = replace(make_inputs(2).train, numbers=None, categories=None, cardinalities=())
    encoder = LinearEncoder(train, words=5)
    assert encoder.parts == ["TF-IDF of the 5 most frequent words"]
    kept = np.asarray((encoder(train) > 0).sum(axis=0)).ravel()
    every = np.asarray((train.bags["note"] > 0).sum(axis=0)).ravel()
    assert sorted(kept) == sorted(every)[-5:]
