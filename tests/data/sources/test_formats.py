"""JSONL, Parquet, Excel and folders of images."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import openpyxl
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.sources.conftest import frame_of, lines_of
from tradewind.errors import DataError


def test_jsonl_keeps_digits_and_flattens_objects(tmp_path, opened):
    (tmp_path / "a.jsonl").write_text(
        '{"a": 1.10, "b": {"c": "中", "d": true}}\n{"a": null, "b": {"c": "x"}, "e": [1, "y"]}\n', encoding="utf-8"
    )
    assert frame_of(opened("a.jsonl")).to_dicts() == [
        {"a": "1.10", "b.c": "中", "b.d": "true", "e": None},
        {"a": None, "b.c": "x", "b.d": None, "e": '[1, "y"]'},
    ]


def test_bad_json_lines_are_rejected_with_their_line(tmp_path, opened):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n\n{"a": \n[1]\n{"a": "\xff"}\n{"a": 2}\n')
    with pytest.raises(DataError, match="More rows were rejected"):
        list(opened("a.jsonl", encoding="utf-8").chunks())
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n\n{"a": \n[1]\n{"a": 2}\n{"a": 3}\n')
    source = opened("a.jsonl")
    assert lines_of(source) == [1, 5, 6]
    assert [(reject.line, reject.reason) for reject in source.rejects] == [
        (3, "no JSON: Expecting value at character 6"), (4, "not a JSON object"),
    ]  # fmt: skip


def test_jsonl_in_gb18030_is_read(tmp_path, opened):
    (tmp_path / "a.jsonl").write_bytes('{"评论": "很快，好吃，味道足"}\n'.encode("gb18030"))
    assert frame_of(opened("a.jsonl"))["评论"].to_list() == ["很快，好吃，味道足"]


def test_jsonl_is_read_in_bounded_chunks(tmp_path, opened):
    (tmp_path / "a.jsonl").write_text("".join(f'{{"n": {n}, "t": "{"x" * 40}"}}\n' for n in range(8000)))
    source = opened("a.jsonl", memory=1 << 20)
    assert len(list(source.chunks())) > 3
    assert lines_of(source) == list(range(1, 8001))


def test_parquet_keeps_types_and_streams(tmp_path, opened):
    table = pa.table(
        {
            "n": range(5000),
            "t": ["x" * 50] * 5000,
            "s": [{"u": 1.5}] * 5000,
            "d": pa.array(["a"] * 5000).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    source = opened("a.parquet", memory=1 << 20)
    assert source.names == ("n", "t", "s.u", "d")
    assert len(list(source.chunks())) > 3
    frame = frame_of(source)
    assert frame.schema == {"n": pl.Int64, "t": pl.String, "s.u": pl.Float64, "d": pl.String}
    assert lines_of(source) == list(range(1, 5001))
    assert frame_of(opened("a.parquet", only=["s.u"])).columns == ["s.u"]


def test_parquet_parts_are_one_source_in_one_type(tmp_path, opened):
    pq.write_table(pa.table({"a": [1.5], "b": ["x"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": ["y"], "a": [2]}), tmp_path / "2.parquet")
    assert frame_of(opened("*.parquet")).rows() == [(1.5, "x"), (2.0, "y")]


def test_lists_in_parquet_are_refused_unless_dropped(tmp_path, opened):
    pq.write_table(pa.table({"a": [1], "l": [[1, 2]]}), tmp_path / "a.parquet")
    with pytest.raises(DataError) as caught:
        opened("a.parquet")
    assert caught.value.code == "data.column_nested"
    assert frame_of(opened("a.parquet", drop=["l"])).rows() == [(1,)]


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "first"
    for row in (["城市", "n", "day"], ["北京", 1.5, dt.date(2026, 1, 5)], [None, None, None], ["上海", 2, None]):
        sheet.append(row)
    other = book.create_sheet("second")
    for row in ([1, 2], [3, 4]):
        other.append(row)
    book.create_sheet("nothing")
    book.save(tmp_path / "a.xlsx")
    return tmp_path / "a.xlsx"


def test_excel_reads_the_first_sheet_on_its_rows(workbook, opened):
    source = opened("a.xlsx")
    assert source.names == ("城市", "n", "day")
    assert frame_of(source)["n"].to_list() == [1.5, 2.0]
    assert frame_of(source)["day"].to_list()[0] in (dt.date(2026, 1, 5), dt.datetime(2026, 1, 5))
    assert lines_of(source) == [2, 4]


def test_an_excel_sheet_without_header_gets_names(workbook, opened):
    with pytest.raises(DataError) as caught:
        opened("a.xlsx", sheet="second")
    assert caught.value.code == "data.header_missing"
    assert lines_of(opened("a.xlsx", sheet="second", header=["a", "b"])) == [1, 2]


@pytest.mark.parametrize(("sheet", "code"), [("frist", "sheet_unknown"), ("nothing", "empty")])
def test_a_wrong_excel_sheet_is_told(workbook, opened, sheet, code):
    with pytest.raises(DataError) as caught:
        opened("a.xlsx", sheet=sheet)
    assert caught.value.code == f"data.{code}"
    if code == "sheet_unknown":
        assert "Sheets: first, second, nothing. Did you mean first?" in str(caught.value)


def _images(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())


def test_a_folder_of_images_gives_paths_and_labels(tmp_path, opened):
    _images(tmp_path / "scans", "ill/b.PNG", "ill/a.jpg", "well/deep/c.png", "well/notes.txt", ".cache/x.png")
    source = opened("scans")
    frame = frame_of(source)
    assert frame["label"].to_list() == ["ill", "ill", "well"]
    assert [Path(path).name for path in frame["image"]] == ["a.jpg", "b.PNG", "c.png"]
    assert all(Path(path).is_absolute() for path in frame["image"])
    before = source.fingerprint()
    _images(tmp_path / "scans", "well/d.png")
    assert opened("scans").fingerprint() != before
    assert opened("scans").provenance()["images"] == 4


@pytest.mark.parametrize(
    ("paths", "code"),
    [(["a.png", "b.png"], "images_missing"), (["one/a.png"], "images_one_class"), ([], "images_missing")],
)
def test_a_folder_that_is_no_set_of_images_is_told(tmp_path, opened, paths, code):
    (tmp_path / "scans").mkdir()
    _images(tmp_path / "scans", *paths)
    with pytest.raises(DataError) as caught:
        opened("scans", format="images")
    assert caught.value.code == f"data.{code}"


def test_paths_in_a_table_are_found_beside_it(tmp_path, opened):
    _images(tmp_path / "d", "scans/a.png")
    (tmp_path / "d" / "t.csv").write_text("scan,label\nscans/a.png,ill\n")
    source = opened("d/t.csv")
    assert source.locate("scans/a.png") == str(tmp_path / "d" / "scans" / "a.png")
