"""What happens to rows, by invariants: growing severity, untouched columns, ranges."""

import numpy as np
import pytest

from tradewind.evaluate.perturbations import BY_NAME, TRIALS, Facts, applies, changed, changed_pixels, foreign, shuffled
from tradewind.evaluate.synonyms import built_in

KINDS = {"age": "number", "city": "category", "note": "text"}


def words(*values):
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    note = words(*["the big problem is that my card was charged twice"] * 50)
    return {"age": random.normal(40, 10, 50), "city": words(*["Bonn", None] * 25), "note": note}


@pytest.fixture
def facts(rows):
    return Facts.of(KINDS, rows, built_in())


def after(name, severity, rows, facts):
    return changed(BY_NAME[name], severity, rows, facts, np.random.default_rng(1))


@pytest.mark.parametrize("trial", [trial for trial in TRIALS if trial.family != "image"], ids=lambda trial: trial.name)
def test_rows_given_stay_as_they_are_and_a_seed_gives_the_same(trial, rows, facts):
    before = {name: values.copy() for name, values in rows.items()}
    one, other = (after(trial.name, trial.severities[-1], rows, facts) for _ in range(2))
    for name, values in rows.items():
        assert [str(value) for value in values] == [str(value) for value in before[name]]
        assert [str(value) for value in one[name]] == [str(value) for value in other[name]]


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_severities_grow_and_one_of_them_is_the_standard(trial):
    assert list(trial.severities) == sorted(trial.severities)
    assert trial.severities[trial.standard] > 0


def test_noise_has_the_deviation_asked_for(rows, facts):
    many = {**rows, "age": np.full(20_000, 40.0)}
    found = after("number_noise", 0.5, many, facts)["age"]
    assert found.std() == pytest.approx(0.5 * facts.deviations["age"], rel=0.03)


def test_a_missing_number_stays_missing(rows, facts):
    found = after("number_noise", 0.5, {**rows, "age": np.array([np.nan, 1.0])}, facts)["age"]
    assert np.isnan(found).tolist() == [True, False]


def test_a_number_out_of_range_lies_as_far_out_as_was_asked(rows, facts):
    low, high = facts.ranges["age"]
    found = after("out_of_range", 2.0, rows, facts)["age"]
    assert set(np.round(found, 9)) == {round(low - 2 * (high - low), 9), round(high + 2 * (high - low), 9)}


def test_in_each_row_one_number_alone_is_out_of_range():
    random = np.random.default_rng(0)
    rows = {name: random.uniform(size=200) for name in "abc"}
    facts = Facts.of(dict.fromkeys(rows, "number"), rows, {})
    found = changed(BY_NAME["out_of_range"], 1.0, rows, facts, random)
    out = sum((np.abs(found[name] - 0.5) > 0.6).astype(int) for name in rows)
    assert (out == 1).all()


def test_about_the_share_of_fields_is_missing(rows, facts):
    found = after("missing", 0.5, {name: np.repeat(values, 40) for name, values in rows.items()}, facts)
    assert np.isnan(found["age"]).mean() == pytest.approx(0.5, abs=0.05)
    assert np.mean([note is None for note in found["note"]]) == pytest.approx(0.5, abs=0.05)


def test_text_is_changed_and_nothing_else(rows, facts):
    found = after("typing", 0.2, rows, facts)
    assert (found["note"] != rows["note"]).mean() > 0.9
    assert found["city"] is rows["city"]
    assert found["age"] is rows["age"]


def test_a_trial_applies_where_there_is_something_to_change(rows, facts):
    names = {trial.name for trial in TRIALS if applies(trial, rows, facts)}
    assert names == {"number_noise", "out_of_range", "missing", "typing", "synonyms"}
    chinese = {"note": words(*["送餐很快，味道不错"] * 5)}
    names = {trial.name for trial in TRIALS if applies(trial, chinese, Facts.of({"note": "text"}, chinese, built_in()))}
    assert names == {"homophones", "lookalikes", "synonyms"}


# ---------------------------------------------------------------- pictures


@pytest.fixture
def pixels():
    across = np.linspace(60, 190, 64)
    rough = np.random.default_rng(0).integers(-50, 50, (3, 1, 64, 64))
    return (across + rough).astype(np.uint8)


def pixels_after(name, severity, pixels):
    return changed_pixels(BY_NAME[name], severity, pixels, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["image_noise", "blur", "contrast", "rotation"])
def test_pictures_stay_pictures_and_change_more_with_severity(name, pixels):
    far = []
    for severity in BY_NAME[name].severities:
        found = pixels_after(name, severity, pixels)
        assert found.dtype == np.uint8
        assert found.shape == pixels.shape
        far.append(np.abs(found.astype(int) - pixels).mean())
    assert 0 < far[0] < far[1] < far[2]


def test_contrast_is_lost_about_the_mean_of_each_picture(pixels):
    found = pixels_after("contrast", 0.4, pixels).astype(float)
    assert found.std() == pytest.approx(0.6 * pixels.std(), rel=0.02)
    assert found.mean() == pytest.approx(pixels.mean(), abs=0.5)


def test_blur_keeps_the_mean_and_takes_noise_away():
    noisy = np.random.default_rng(0).integers(0, 256, (2, 1, 64, 64)).astype(np.uint8)
    found = pixels_after("blur", 0.04, noisy).astype(float)
    assert found.mean() == pytest.approx(noisy.mean(), abs=2)
    assert found.std() < 0.3 * noisy.std()


# ---------------------------------------------------------------- rows from elsewhere


def test_shuffled_columns_hold_the_same_values(rows):
    found = shuffled(rows, ["age", "city"], np.random.default_rng(0))
    assert sorted(found["age"]) == sorted(rows["age"])
    assert (found["age"] != rows["age"]).any()
    assert found["note"] is rows["note"]


def test_foreign_rows_have_words_that_nobody_used(rows, facts):
    found = foreign(rows, facts, np.random.default_rng(0))
    assert not set(found["city"]) & set(rows["city"])
    assert sorted(found["note"][0]) == sorted(rows["note"][0])
    assert found["note"][0] != rows["note"][0]
