"""Each bad input gives one clear error: its code, where it stands, and a next step."""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from pathlib import Path

import pytest

from tradewind.errors import DataError, EnvironmentFailure, TradewindError


def _zip(name: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, "a,b\n1,2\n")
    return data.getvalue()


ROWS = "".join(f"{n},{n}\n" for n in range(5))
CASES = [
    ("empty.csv", b"", {}, "empty", "empty.csv"),
    ("blank.csv", b"\n\n  \n", {}, "empty", "blank.csv"),
    ("mark.csv", b"\xef\xbb\xbf", {}, "empty", "mark.csv"),
    ("header.csv", b"a,b\n", {}, "no_rows", "header.csv"),
    ("missing.csv", None, {}, "missing", "missing.csv"),
    ("archive.csv", _zip("a.csv"), {}, "format_wrong", "archive.csv"),
    ("archive.xlsx", _zip("a.csv"), {}, "format_wrong", "archive.xlsx"),
    ("picture.csv", b"\x89PNG\r\n\x1a\n", {}, "format_wrong", "picture.csv"),
    ("page.csv", b"<!DOCTYPE html><html><body>Sign in</body></html>", {}, "format_wrong", "page.csv"),
    ("paper.csv", b"%PDF-1.7 ...", {}, "format_wrong", "paper.csv"),
    ("base.csv", b"SQLite format 3\0...", {}, "format_wrong", "base.csv"),
    ("table.csv", b"PAR1....", {"format": "csv"}, "format_wrong", "table.csv"),
    ("text.parquet", b"a,b\n1,2\n", {}, "parquet_broken", "text.parquet"),
    ("cut.parquet", b"PAR1....", {}, "parquet_broken", "cut.parquet"),
    ("text.xlsx", b"a,b\n1,2\n", {}, "excel_broken", "text.xlsx"),
    ("cut.csv.gz", gzip.compress(b"a,b\n" + ROWS.encode() * 999)[:-40], {}, "gzip_broken", "cut.csv.gz"),
    ("null.csv", b"a,b\n1,2\n3,x\0y\n", {}, "null_byte", "null.csv:3"),
    ("mixed.csv", "a,b\n中,文\n".encode() + "中,文\n".encode("gb18030"), {"encoding": "utf-8"}, "encoding_mixed", "mixed.csv:3"),
    ("gbk.csv", "a,b\n中文,1\n".encode("gb18030"), {"encoding": "utf-8"}, "encoding_mixed", "gbk.csv:2"),
    ("utf8.csv", ("a,b\n" + "中文数据,一二三四\n").encode(), {"encoding": "gb18030"}, "encoding_wrong", "utf8.csv"),
    ("wide.csv", b"a,b\n1,2\n", {"encoding": "utf-16"}, "encoding_wrong", "wide.csv"),
    ("name.csv", b"a,b\n1,2\n", {"encoding": "utf-99"}, "encoding_unknown", "name.csv"),
    ("codec.csv", b"a,b\n1,2\n", {"encoding": "base64"}, "encoding_unknown", "codec.csv"),
    ("broken.csv", b"\xff\xfea\0,\0b\0\n\0\x00\xd8\x00\xd8", {}, "encoding_wrong", "broken.csv:2"),
    ("numbers.csv", b"1,2\n3,4\n", {}, "header_missing", "numbers.csv:1"),
    ("adult.csv", b"39, Private, 77516, <=50K\n50, Self, 83311, <=50K\n", {}, "header_missing", "adult.csv:1"),
    ("twice.csv", b"a,b,a\n1,2,3\n", {}, "header_duplicate", "twice.csv:1"),
    ("nameless.csv", b",a,b\n1,2,3\n", {}, "header_empty", "nameless.csv:1"),
    ("more.csv", b"1,2\n3,4\n", {"header": ["a", "b", "c"]}, "header_length", "more.csv:1"),
    ("fewer.csv", b"a,b\n1,2,3\n4,5,6\n", {}, "header_length", "fewer.csv:1"),
    ("same.csv", b"1,2\n", {"header": ["a", "a"]}, "header_duplicate", "same.csv"),
    ("open.csv", b'a,b\n1,2\n3,"never closed\n4,5\n', {}, "quote_open", "open.csv:3"),
    ("sign.csv", b"a,b\n1,2\n", {"delimiter": "::"}, "delimiter_wrong", "sign.csv"),
    ("mostly.csv", b"a,b\n1,2\n1\n2\n3\n", {}, "all_rejected", "mostly.csv:3"),
    ("array.json", b'[{"a": 1}]', {}, "json_array", "array.json"),
    ("empty.jsonl", b"", {}, "empty", "empty.jsonl"),
    ("words.jsonl", b"hello\nworld\n", {}, "no_rows", "words.jsonl"),
    ("columns.csv", b"tenure,plan\n1,2\n", {"only": ["tenur"]}, "column_unknown", "columns.csv"),
    ("nothing.csv", b"a\n1\n", {"drop": ["a"]}, "no_columns", "nothing.csv"),
    ("*.nothing", None, {}, "missing", "*.nothing"),
    ("ftpx://host/a.csv", None, {}, "scheme_unknown", "ftpx://host/a.csv"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "fields", "code", "where"), CASES, ids=[case[0] for case in CASES])
def test_a_bad_input_gives_one_clear_error(tmp_path, opened, name, data, fields, code, where):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        list(opened(name, **fields).chunks())
    assert (caught.value.code, caught.value.where) == (f"data.{code}", where)
    assert len(str(caught.value)) < 600


def test_a_folder_in_place_of_a_file(tmp_path, opened):
    (tmp_path / "data.csv").mkdir()
    with pytest.raises(DataError) as caught:
        opened("data.csv")
    assert caught.value.code == "data.folder_empty"


def test_files_of_one_source_have_the_same_columns(tmp_path, opened):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_text("a,c\n1,2\n")
    with pytest.raises(DataError, match=r"b\.csv: Its columns differ from those of a\.csv: it lacks b and has also c"):
        opened("*.csv")


def test_files_of_one_source_have_one_format(tmp_path, opened):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "d" / "b.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(DataError) as caught:
        opened("d")
    assert caught.value.code == "data.formats_differ"


def test_a_slip_in_the_name_is_guessed(tmp_path, opened):
    (tmp_path / "applications.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"Did you mean applications\.csv\?"):
        opened("aplications.csv")


@pytest.mark.parametrize(
    ("path", "package"), [("a.xlsx", "fastexcel"), ("sqlite:///a.db", "sqlalchemy"), ("s3://bucket/a.csv", "s3fs")]
)
def test_a_missing_package_is_the_environments_fault(tmp_path, opened, monkeypatch, path, package):
    (tmp_path / "a.xlsx").write_bytes(b"\xd0\xcf\x11\xe0")
    for loaded in [name for name in sys.modules if name.startswith("tradewind.data.sources.") or name == package]:
        if loaded.rpartition(".")[2] in ("excel", "sql", package):
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EnvironmentFailure, match=f"package {package}.* not installed"):
        opened(path, table="t")


def test_a_source_that_goes_away_between_passes_is_told(tmp_path: Path, opened):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    source = opened("a.csv")
    (tmp_path / "a.csv").unlink()
    with pytest.raises(TradewindError, match="went away"):
        list(source.chunks())
