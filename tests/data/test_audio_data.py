"""Recordings come into a dataset: from folders and from tables, bad ones put aside with a reason, copies once."""

import json

import numpy as np
import polars as pl
import pytest

from tests.features.sounds import file_of, noise, tone
from tradewind.artifacts import Workspace
from tradewind.data.dataset import prepare
from tradewind.data.inference import infer_column
from tradewind.data.reading import raw_rows
from tradewind.product import Clean, Product, Source


def product_of(**data):
    return Product.model_validate({"product": "calls", "task": "classification", "data": {"target": "label", **data}})


def made(folder, **data):
    return prepare(product_of(**data), base=folder, workspace=Workspace(folder / "home"))


def rejected(dataset):
    lines = (dataset.artifact.folder / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return {line["text"].split(",")[0]: line for line in map(json.loads, lines)}


@pytest.fixture
def calls(tmp_path):
    """A folder of a class each, some of whose files are none to learn from."""
    for label, hertz in (("high", 1500), ("low", 300)):
        (tmp_path / "calls" / label).mkdir(parents=True)
        for number in range(12):
            content = file_of(
                tone(hertz + 7 * number, 0.3) + noise(0.3, loud=0.01, seed=number), kind=["WAV", "FLAC"][number % 2]
            )
            (tmp_path / "calls" / label / f"{number:02}.wav").write_bytes(content)
    low = tmp_path / "calls" / "low"
    (low / "silent.wav").write_bytes(file_of(np.zeros(2000)))
    (low / "long.flac").write_bytes(file_of(noise(3.0), kind="FLAC"))
    (low / "junk.mp3").write_bytes(b"no sound")
    (low / "copy.wav").write_bytes((low / "03.wav").read_bytes())
    (low / "notes.txt").write_text("no recording")
    return tmp_path


def test_a_folder_of_classes_becomes_a_dataset_without_what_cannot_be_heard(calls):
    dataset = made(calls, source="calls", columns={"audio": {"kind": "audio", "maximum": 2}})
    assert dataset.profile["cleaning"]["rejected"] == {
        "audio_silent": 1, "audio_too_long": 1, "audio_unreadable": 1, "duplicate": 1,
    }  # fmt: skip
    assert rejected(dataset)["long.flac"]["reason"] == "audio: The recording lasts 3.0 s, more than 2 s."
    train = dataset.split("train").arrays["audio:audio"]
    assert train.dtype == np.uint8
    np.testing.assert_array_equal(
        dataset.split("test").arrays["audio:audio"], dataset.features.encode(dataset.raw("test"))["audio:audio"]
    )


def test_a_table_that_names_recordings_is_known_and_their_bytes_count(calls):
    rows = [f"calls/{label}/{n:02}.wav,{n},{label}" for label in ("high", "low") for n in range(12)]
    (calls / "t.csv").write_text("call,age,label\n" + "\n".join([*rows, "calls/gone.wav,1,low"]), encoding="utf-8")
    first = made(calls, source="t.csv", columns={"age": "number"})
    (call,) = [one for one in first.profile["columns"] if one["name"] == "call"]
    assert (call["kind"], call["reason"][:30]) == ("audio", "the values name audio files, s")
    assert rejected(first)["gone.wav"]["code"] == "audio_unreadable"
    assert made(calls, source="t.csv", columns={"age": "number"}).artifact.digest == first.artifact.digest
    (calls / "calls" / "high" / "00.wav").write_bytes(file_of(tone(900)))
    assert made(calls, source="t.csv", columns={"age": "number"}).artifact.digest != first.artifact.digest


def test_bytes_are_recordings_or_pictures_by_how_they_begin():
    words = frozenset()
    assert infer_column("x", pl.Series("x", [None, file_of(tone())]), words=words, units=True).kind == "audio"
    assert infer_column("x", pl.Series("x", [b"\x89PNG"]), words=words, units=True).kind == "image"


def test_rows_to_predict_are_refused_as_the_api_refuses_them(calls):
    dataset = made(calls, source="calls", columns={"audio": {"kind": "audio", "maximum": 2}})
    names = ["high/01.wav", "low/silent.wav", "low/long.flac", "low/junk.mp3", "gone.wav", ""]
    (calls / "new.csv").write_text(
        "audio,x\n" + "\n".join(f"{name and 'calls/' + name},1" for name in names), encoding="utf-8"
    )
    source = Source(path="new.csv")
    rows = raw_rows(source, dataset.features, clean=Clean(), base=calls, memory=1 << 28)
    chunks = list(rows.chunks())
    assert np.concatenate([chunk.lines for chunk in chunks]).tolist() == [2, 7]
    assert [value is None for chunk in chunks for value in chunk.values["audio"]] == [False, True]
    assert [(one.line, one.code) for one in rows.rejects] == [
        (3, "audio_silent"), (4, "audio_too_long"), (5, "audio_unreadable"), (6, "audio_unreadable"),
    ]  # fmt: skip
    assert not any(str(calls) in one.reason for one in rows.rejects)
