from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.data.conftest import Prepare, csv_of, product_of
from tradewind.artifacts import Workspace, check_files
from tradewind.data.dataset import Dataset, Split, load, prepare
from tradewind.data.steps import FORMAT
from tradewind.errors import ArtifactError, DataError
from tradewind.product import Product

ROWS = 300
DATA = Path(os.environ.get("TRADEWIND_DATA", Path(__file__).parents[3] / "shared" / "data"))
ADULT = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "native_country",
    "income",
]


def mixed_table() -> dict[str, list[Any]]:
    """Numbers with gaps, words, dates and Chinese texts with gaps."""
    random = np.random.default_rng(0)
    return {
        "amount": ["" if value % 17 == 0 else f"{random.normal():.3f}" for value in range(ROWS)],
        "city": ["?" if value % 13 == 0 else ["北京", "上海", "广州"][value % 3] for value in range(ROWS)],
        "day": [f"2026-{value % 12 + 1:02d}-{value % 28 + 1:02d}" for value in range(ROWS)],
        "note": [
            "" if value % 11 == 0 else f"第{value}单味道{'很好' * (value % 5)}下次还会再来点餐" for value in range(ROWS)
        ],
        "y": ["好" if random.random() < 0.6 else "差" for _ in range(ROWS)],
    }


def same_files(one: Dataset, other: Dataset) -> bool:
    return one.artifact.files == other.artifact.files and one.artifact.digest == other.artifact.digest


def padded(split: Split, name: str) -> np.ndarray:
    return split.ragged[name].pad(np.arange(split.rows))


def test_the_arrays_on_disk_are_what_the_feature_set_encodes(make: Prepare) -> None:
    dataset = make(mixed_table())
    for name in ("train", "validation", "test"):
        split, raw = dataset.split(name), dataset.raw(name)
        encoded = dataset.features.encode(raw)
        assert {*split.arrays, *split.ragged} == set(encoded)
        for key, array in encoded.items():
            found = split.arrays[key] if key in split.arrays else padded(split, key)
            np.testing.assert_array_equal(found, array)
        np.testing.assert_array_equal(split.target, dataset.features.target.encode(raw["y"]))


def test_the_same_bytes_give_the_same_files(tmp_path: Path) -> None:
    datasets = []
    for folder in ("one", "other"):
        base = tmp_path / folder
        base.mkdir()
        (base / "rows.csv").write_text(csv_of(mixed_table()), encoding="utf-8")
        datasets.append(prepare(product_of(), base=base, workspace=Workspace(base / "home")))
    assert same_files(*datasets)


def test_chunks_that_go_to_disk_give_the_same_rows(make: Prepare) -> None:
    plain = make(mixed_table())
    small = make(mixed_table(), memory=4096)
    files = {name: digest for name, digest in plain.artifact.files.items() if name != "profile.json"}
    assert files == {name: digest for name, digest in small.artifact.files.items() if name != "profile.json"}
    assert not (small.artifact.folder / "spill").exists()


def test_unchanged_inputs_are_not_prepared_again(make: Prepare) -> None:
    one = make(mixed_table())
    before = (one.artifact.folder / "artifact.json").stat().st_mtime_ns
    other = make(mixed_table())
    assert other.artifact.folder == one.artifact.folder
    assert (other.artifact.folder / "artifact.json").stat().st_mtime_ns == before


def test_other_bytes_are_another_dataset(make: Prepare) -> None:
    table = mixed_table()
    assert make(table).artifact.digest != make({**table, "amount": table["amount"][::-1]}).artifact.digest


def test_a_loaded_dataset_is_the_prepared_one(make: Prepare) -> None:
    dataset = make(mixed_table())
    loaded = load(dataset.artifact.folder)
    assert loaded.features.fingerprint == dataset.features.fingerprint == dataset.profile["fingerprint"]
    assert check_files(loaded.artifact) == []


def test_a_folder_of_another_format_is_refused(make: Prepare) -> None:
    folder = make(mixed_table()).artifact.folder
    record = folder / "artifact.json"
    record.write_text(
        record.read_text(encoding="utf-8").replace(f'"format": {FORMAT}', '"format": 99'), encoding="utf-8"
    )
    with pytest.raises(ArtifactError, match="format 99"):
        load(folder)


def test_columns_are_fitted_on_the_training_split_alone(make: Prepare) -> None:
    x = [f"{value}.5" for value in range(100)]
    y = ["a", "b"] * 50
    one = make({"x": x, "y": y}, files={"t.csv": "x,y\n1e6,a\n2e6,b\n"}, split={"test": "t.csv"})
    other = make({"x": x, "y": y}, files={"t.csv": "x,y\n1,a\n2,b\n"}, split={"test": "t.csv"})
    assert one.features.fingerprint == other.features.fingerprint


def test_at_most_fit_rows_are_fitted_on(make: Prepare) -> None:
    dataset = make(mixed_table(), fit_rows=50)
    assert dataset.profile["described_rows"] == 50


def test_a_regression_keeps_its_units_in_raw(make: Prepare) -> None:
    y = [f"{value * 2}.5" for value in range(100)]
    dataset = make({"x": [f"{(value * 37) % 101}" for value in range(100)], "y": y}, task="regression")
    split, raw = dataset.split("train"), dataset.raw("train")
    np.testing.assert_allclose(dataset.features.target.decode(split.target), raw["y"], rtol=1e-5)


def test_later_rows_that_contradict_the_first_change_the_kind(make: Prepare) -> None:
    rows = 60_000
    x = [str(value % 2 if value < 55_000 else value % 7) for value in range(rows)]
    z = [f"{value}.5" for value in range(rows)]
    dataset = make({"x": x, "z": z, "y": ["a", "b", "b"] * (rows // 3)})
    assert {column["name"]: column["kind"] for column in dataset.profile["columns"]}["x"] == "number"


def test_typed_sources_come_out_as_text_files_do(tmp_path: Path) -> None:
    table = {"x": [value / 4 for value in range(80)], "flag": [True, False] * 40, "y": [1, 2] * 40}
    pl.DataFrame(table).write_parquet(tmp_path / "rows.parquet")
    product = product_of(source="rows.parquet")
    dataset = prepare(product, base=tmp_path, workspace=Workspace(tmp_path / "home"))
    assert dataset.raw("test")["flag"][0] in ("true", "false")
    assert dataset.features.target.state()["classes"] == ["1", "2"]


def test_pictures_come_into_the_dataset(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 255, (20, 24, 3), dtype=np.uint8)
            image.fromarray(pixels).save(tmp_path / "pets" / label / f"{number}.png")
    (tmp_path / "pets" / "cat" / "broken.png").write_bytes(b"\x89PNG no picture")
    dataset = prepare(product_of(target="label", source="pets"), base=tmp_path, workspace=Workspace(tmp_path / "home"))
    assert dataset.profile["cleaning"]["rejected"] == {"image_unreadable": 1}
    [name] = [key for key in dataset.split("train").arrays if key.startswith("image:")]
    encoded = dataset.features.encode(dataset.raw("test"))
    np.testing.assert_array_equal(dataset.split("test").arrays[name], encoded[name])


def test_a_picture_that_changed_makes_another_dataset_of_the_same_table(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    for number in range(24):
        image.fromarray(random.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    rows = [f"{number}.png,{'cat' if number % 2 else 'dog'}" for number in range(24)]
    (tmp_path / "rows.csv").write_text("scan,y\n" + "\n".join([*rows, "gone.png,cat"]) + "\n", encoding="utf-8")

    def made() -> Dataset:
        return prepare(product_of(), base=tmp_path, workspace=Workspace(tmp_path / "home"))

    first = made()
    assert made().artifact.digest == first.artifact.digest
    image.fromarray(np.zeros((20, 24, 3), dtype=np.uint8)).save(tmp_path / "3.png")
    second = made()
    assert second.artifact.digest != first.artifact.digest
    (tmp_path / "gone.png").write_bytes((tmp_path / "5.png").read_bytes())
    assert made().artifact.digest not in (first.artifact.digest, second.artifact.digest)


def test_tasks_without_such_a_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not for recommendation"):
        prepare(product_of("", task="recommendation"), base=tmp_path, workspace=Workspace(tmp_path))


def test_progress_is_told_stage_by_stage(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(csv_of(mixed_table()), encoding="utf-8")
    told: list[tuple[str, float]] = []
    prepare(
        product_of(), base=tmp_path, workspace=Workspace(tmp_path / "home"), progress=lambda *entry: told.append(entry)
    )
    assert list(dict.fromkeys(stage for stage, _ in told)) == ["read", "fit", "encode"]
    assert all(0 <= share <= 1 for _, share in told)


def real(tmp_path: Path, data: dict[str, Any]) -> Dataset:
    if not DATA.exists():
        pytest.skip(f"no public data sets in {DATA}")
    product = Product.model_validate({"product": "real", "task": "classification", "data": data})
    return prepare(product, base=DATA, workspace=Workspace(tmp_path))


@pytest.mark.realdata
def test_adult_comes_out_right_with_only_its_names_given(tmp_path: Path) -> None:
    source = {"path": "adult/train.csv", "header": ADULT}
    dataset = real(tmp_path, {"source": source, "target": "income", "split": {"test": "adult/test.csv"}})
    kinds = {column["name"]: column["kind"] for column in dataset.profile["columns"]}
    assert dataset.features.target.state()["classes"] == ["<=50K", ">50K"]
    assert dataset.split("test").rows == 16281
    assert dataset.profile["rows"]["train"] + dataset.profile["rows"]["validation"] == 32561 - 24 - 23
    assert [name for name, kind in kinds.items() if kind == "number"] == [
        "age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"
    ]  # fmt: skip
    assert set(dataset.raw("test")["sex"].tolist()) == {"Male", "Female"}


@pytest.mark.realdata
def test_the_identifier_of_credit_default_is_dropped(tmp_path: Path) -> None:
    dataset = real(tmp_path, {"source": "credit-default/UCI_Credit_Card.csv", "target": "Default"})
    [column] = [column for column in dataset.profile["columns"] if "dropped" in column]
    assert (column["name"], column["kind"]) == ("ID", "identifier")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("path", "target", "text"),
    [("waimai/waimai_10k.csv", "label", "review"), ("banking77/train.csv", "category", "text")],
)
def test_texts_are_found_to_be_texts(tmp_path: Path, path: str, target: str, text: str) -> None:
    dataset = real(tmp_path, {"source": path, "target": target})
    assert [(column.name, column.kind) for column in dataset.features.columns] == [(text, "text")]
