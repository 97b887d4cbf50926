"""Files over http and S3, from servers that run here; what goes wrong there is one clear error without secrets."""

from __future__ import annotations

import gzip
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.sources.conftest import frame_of
from tradewind.errors import DataError, EnvironmentFailure


def test_csv_over_http(tmp_path, opened, http):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    source = opened(f"{http}/a.csv?token=geheim")
    assert frame_of(source).rows() == [("1", "2")]
    assert source.provenance()["uri"] == f"{http}/a.csv"
    assert "geheim" not in str(source.provenance())


def test_parquet_and_gzip_over_http(tmp_path, opened, http):
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "a.parquet")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert frame_of(opened(f"{http}/a.parquet")).height == 2
    assert frame_of(opened(f"{http}/a.csv.gz")).height == 1


def test_a_file_that_is_not_there_over_http(opened, http):
    with pytest.raises(DataError) as caught:
        opened(f"{http}/none.csv")
    assert (caught.value.code, caught.value.where) == ("data.missing", f"{http}/none.csv")


def test_a_server_that_refuses_over_http(opened, http):
    with pytest.raises(EnvironmentFailure) as caught:
        opened(f"{http}/private/a.csv?key=geheim")
    assert caught.value.code == "environment.permission"
    assert "geheim" not in str(caught.value)


def test_no_server_over_http(opened):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EnvironmentFailure) as caught:
        opened(f"http://user:geheim@127.0.0.1:{port}/a.csv")
    assert caught.value.code == "environment.network"
    assert "geheim" not in str(caught.value)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A moto server with the bucket `data`; the environment points to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        boto3 = pytest.importorskip("boto3")
        from moto.server import ThreadedMotoServer
    patch = pytest.MonkeyPatch()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    patch.setenv("AWS_ENDPOINT_URL", url)
    patch.setenv("AWS_ACCESS_KEY_ID", "test")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "geheim")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="data")
    for name in ("a", "b"):
        client.put_object(Bucket="data", Key=f"parts/{name}.csv", Body=f"k,v\n{name},1\n".encode())
        client.put_object(Bucket="data", Key=f"scans/{name}/1.png", Body=name.encode())
    client.close()
    yield url
    patch.undo()
    server.stop()


def test_a_file_a_pattern_and_a_folder_on_s3(opened, s3):
    assert frame_of(opened("s3://data/parts/a.csv")).rows() == [("a", "1")]
    for path in ("s3://data/parts/*.csv", "s3://data/parts", "s3://data/parts/"):
        source = opened(path)
        assert frame_of(source)["k"].to_list() == ["a", "b"]
        assert source.provenance()["files"] == ["s3://data/parts/a.csv", "s3://data/parts/b.csv"]


def test_images_on_s3(opened, s3):
    source = opened("s3://data/scans/", format="images")
    frame = frame_of(source)
    assert frame["label"].to_list() == ["a", "b"]
    assert Path(frame["image"][0]).read_bytes() == b"a"


@pytest.mark.parametrize("path", ["s3://data/none.csv", "s3://no-such-bucket/a.csv", "s3://data/parts/*.parquet"])
def test_nothing_there_on_s3(opened, s3, path):
    with pytest.raises(DataError) as caught:
        opened(path)
    assert (caught.value.code, caught.value.where) == ("data.missing", path)


def test_no_credentials_for_s3(opened, s3, monkeypatch, tmp_path):
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(EnvironmentFailure) as caught:
        opened("s3://data/parts/a.csv")
    s3fs.S3FileSystem.clear_instance_cache()
    assert caught.value.code == "environment.credentials"


def test_the_fetched_copy_is_removed_with_its_source(tmp_path, opened, http, monkeypatch):
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    source = opened(f"{http}/a.csv")
    assert len(list(spool.iterdir())) == 1
    del source
    assert list(spool.iterdir()) == []
