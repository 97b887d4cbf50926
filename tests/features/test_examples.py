"""Made rows: like the data column by column, nobody's as a whole, and the same for the same seed."""

import io
from collections import Counter

import numpy as np
from PIL import Image

from tradewind.features.column import ColumnSpec
from tradewind.features.examples import examples
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import ClassTarget
from tradewind.release.golden import object_array

ROWS = 200


def picture(light):
    content = io.BytesIO()
    Image.fromarray(np.full((40, 40), light, dtype=np.uint8)).save(content, format="PNG")
    return content.getvalue()


def raw_rows():
    rng = np.random.default_rng(0)
    return {
        "income": np.where(rng.random(ROWS) < 0.2, np.nan, np.round(rng.lognormal(8, 1, ROWS), 2)),
        "flag": rng.integers(0, 2, ROWS).astype(np.float64),
        "job": object_array([*["nurse"] * 120, *["cook"] * 78, "astronaut", None]),
        "born": object_array([f"{1950 + at // 4}-0{1 + at % 9}-1{at % 7}" for at in range(ROWS)]),
        "note": object_array([f"please call Zanzibar{at} about the loan" for at in range(ROWS)]),
        "scan": object_array([picture(50 + at % 100) for at in range(ROWS)]),
    }


KINDS = {"income": "number", "flag": "number", "job": "category", "born": "date", "note": "text", "scan": "image"}


def made(raw, rows=64, seed=0, kinds=KINDS):
    features = FeatureSet.fit(
        [ColumnSpec(name, kind) for name, kind in kinds.items()], raw, ClassTarget(("a", "b")), seed=0
    )
    return features, examples(features, raw, rows=rows, seed=seed)


def test_every_column_looks_as_it_does_in_the_data():
    raw = raw_rows()
    features, found = made(raw)
    assert abs(np.isnan(found["income"]).mean() - 0.2) < 0.05
    assert (
        np.nanmin(raw["income"]) <= np.nanmin(found["income"]) <= np.nanmax(found["income"]) <= np.nanmax(raw["income"])
    )
    assert set(found["flag"]) == {0.0, 1.0}
    assert abs(Counter(found["job"])["nurse"] - 0.6 * 64) <= 2
    assert all("1950" <= date[:4] <= "1999" and len(date) == 10 for date in found["born"])
    assert all(Image.open(io.BytesIO(one)).size != (40, 40) for one in found["scan"])
    assert all(len(array) == 64 and np.isfinite(array).all() for array in features.encode(found).values())


def test_what_few_rows_hold_is_in_none():
    raw = raw_rows()
    _, found = made(raw)
    assert "astronaut" not in found["job"]
    assert "zanzibar" not in " ".join(found["note"]).lower()
    assert not set(found["note"]) & set(raw["note"])
    assert not set(found["scan"]) & set(raw["scan"])
    assert not set(found["income"][~np.isnan(found["income"])]) <= set(raw["income"])


def test_columns_are_drawn_apart_from_one_another():
    age = np.random.default_rng(1).normal(40, 10, ROWS)
    _, found = made({"age": age, "shadow": age * 2}, rows=512, kinds={"age": "number", "shadow": "number"})
    assert abs(np.corrcoef(found["age"], found["shadow"])[0, 1]) < 0.2


def test_the_same_seed_makes_the_same_rows():
    raw = raw_rows()
    (_, first), (_, again), (_, other) = made(raw), made(raw), made(raw, seed=1)
    assert all(list(map(str, first[name])) == list(map(str, again[name])) for name in raw)
    assert not np.array_equal(first["note"], other["note"])


def test_texts_without_common_words_are_made_of_plain_ones():
    raw = {"note": object_array([f"x{at}q" for at in range(9)])}
    _, found = made(raw, rows=4, kinds={"note": "text"})
    assert all(set(text.split()) <= {"this", "is", "an", "example", "of", "a", "text"} for text in found["note"])


def test_ideographs_stand_together():
    raw = {"note": object_array(["味道很好"] * 20)}
    _, found = made(raw, rows=4, kinds={"note": "text"})
    assert all(text and " " not in text for text in found["note"])
