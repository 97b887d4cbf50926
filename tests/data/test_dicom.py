"""DICOM on its way into a dataset: pixels and the facts that were asked for, and not a word of anybody's identity."""

import json

import numpy as np
import pytest

from tests.features.dicom_files import PLANTED, dicom
from tradewind.artifacts import Workspace
from tradewind.data.dataset import prepare
from tradewind.errors import DataError
from tradewind.product import Product

SCANS = 24


def scan(random, *, bright, **header):
    pixels = random.integers(0, 900, size=(20, 20)) + 2000 * bright
    return dicom(pixels.astype(np.uint16), BitsStored=12, HighBit=11, **header)


@pytest.fixture
def folder(tmp_path):
    """A table that names DICOM files, whose names are a patient's, and a broken one."""
    random = np.random.default_rng(0)
    rows = ["scan,cough,ill"]
    for number in range(SCANS):
        ill = number % 2
        name = f"Zwingli_Ulrich_{number}.dcm"
        sex, spacing = "FM"[number % 3 == 0], 0.1 + 0.1 * (number % 3)
        burned = {"BurnedInAnnotation": "YES"} if number < 2 else {}
        (tmp_path / name).write_bytes(
            scan(random, bright=ill, PatientSex=sex, PixelSpacing=[spacing, spacing], **burned)
        )
        rows.append(f"{name},{'yes' if number % 5 else 'no'},{ill}")
    (tmp_path / "Zwingli_broken.dcm").write_bytes(scan(random, bright=0)[:-100])
    rows.append("Zwingli_broken.dcm,yes,0")
    (tmp_path / "rows.csv").write_text("\n".join(rows))
    return tmp_path


def prepared(folder, **data):
    product = {"product": "scans", "task": "classification", "data": {"source": "rows.csv", "target": "ill", **data}}
    return prepare(Product.model_validate(product), base=folder, workspace=Workspace(folder / ".tradewind"))


def written(folder):
    """Every byte of every file that preparation wrote."""
    return b"".join(path.read_bytes() for path in (folder / ".tradewind").rglob("*") if path.is_file())


def test_no_word_of_a_header_nor_a_files_name_is_in_the_dataset(folder):
    dataset = prepared(folder, dicom={"scan": ["sex", "age_band", "view"]}, clean={"constant": "keep"})
    assert sum(dataset.split(name).rows for name in ("train", "validation", "test")) == SCANS
    content = written(folder)
    assert b"DICM" not in content
    for word in [*PLANTED.values(), "Zwingli", "1.2.826.0.1.3680043.2.1125"]:
        assert word.encode() not in content, word
    (rejected,) = map(json.loads, (dataset.artifact.folder / "rejected.jsonl").read_text().splitlines())
    assert rejected["text"].startswith("*.dcm, yes")


def test_facts_that_are_asked_for_are_columns_and_no_others(folder):
    dataset = prepared(folder, dicom={"scan": ["sex", "pixel_spacing"]}, clean={"constant": "keep"})
    raw = dataset.raw("train")
    assert {"scan.sex", "scan.pixel_spacing"} <= set(raw)
    assert "scan.age_band" not in raw
    assert set(raw["scan.sex"]) == {"female", "male"}
    assert not any("." in name for name in prepared(folder).raw("train"))


def test_text_burned_into_pictures_is_told(folder):
    findings = prepared(folder).profile["cleaning"]["findings"]
    (found,) = (one for one in findings if one["code"] == "burned_in")
    assert found["column"] == "scan"
    assert found["message"].startswith("2 pictures say")


def test_a_folder_of_dicom_is_a_source(tmp_path):
    random = np.random.default_rng(0)
    for ill in (0, 1):
        (tmp_path / "scans" / str(ill)).mkdir(parents=True)
        for number in range(12):
            (tmp_path / "scans" / str(ill) / f"{number}.dcm").write_bytes(scan(random, bright=ill))
    product = {"product": "scans", "task": "classification", "data": {"source": "scans", "target": "label"}}
    dataset = prepare(Product.model_validate(product), base=tmp_path, workspace=Workspace(tmp_path / ".tradewind"))
    assert {column.name: column.kind for column in dataset.features.columns} == {"image": "image"}


@pytest.mark.parametrize(
    ("asked", "code"), [({"picture": ["sex"]}, "data.column_missing"), ({"scan": ["sex"]}, "data.dicom_name")]
)
def test_a_column_that_is_not_there_or_is_there_already_is_refused(folder, asked, code):
    if "scan" in asked:
        (folder / "rows.csv").write_text((folder / "rows.csv").read_text().replace("cough", "scan.sex"))
    with pytest.raises(DataError) as caught:
        prepared(folder, dicom=asked)
    assert caught.value.code == code
