"""Every wrong input gets one clear error and the right exit status: 1 a check said no, 2 input, 3 environment."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import PRODUCT, write_rows
from tradewind.cli.app import main
from tradewind.release.signing import make_key_pair

Change = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """What is done to a good product folder, the verb, and what must be answered."""

    name: str
    change: Change
    words: str
    code: int = 2
    verb: tuple[str, ...] = ("prepare",)


def product(old: str, new: str) -> Change:
    return lambda folder: (folder / "tradewind.yaml").write_text(PRODUCT.replace(old, new), encoding="utf-8")


def rows(content: bytes | str, name: str = "rows.csv") -> Change:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def both(*changes: Change) -> Change:
    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


def data(setting: str) -> Change:
    return product("  target: churn\n", f"  target: churn\n  {setting}\n")


def nothing(folder: Path) -> None:
    return None


GOOD_ROWS = "tenure,plan,spend,churn\n" + "".join(
    f"{i},{'pro' if i % 3 else 'basic'},{i * 1.5 + i % 7},{'yes' if i % 2 else 'no'}\n" for i in range(60)
)


def _database(folder: Path) -> None:
    with sqlite3.connect(folder / "rows.db") as database:
        database.execute("create table customers (tenure integer, churn text)")
        database.executemany("insert into customers values (?, ?)", [(i, "yes" if i % 2 else "no") for i in range(40)])
    database.close()


def _images(folder: Path) -> None:
    for name in ("cat", "dog"):
        (folder / "pictures" / name).mkdir(parents=True)
        for index in range(6):
            (folder / "pictures" / name / f"{index}.png").write_bytes(b"not a picture")


PRODUCT_FILE = [
    Case("unknown task", product("classification", "clasification"), "Did you mean classification?"),
    Case("unknown section", product("train:", "trane:"), "Did you mean train?"),
    Case("unknown setting", product("epochs: 2", "epoch: 2"), "Did you mean epochs?"),
    Case("missing target", product("  target: churn\n", ""), "data.target is missing"),
    Case("missing source", product("  source: rows.csv\n", ""), "data.source is missing"),
    Case("no product name", product("product: churn\n", ""), "product is missing"),
    Case("bad product name", product("product: churn", "product: Churn!"), "lower-case"),
    Case("word for a number", product("epochs: 2", "epochs: two"), "expected a whole number or auto"),
    Case("negative epochs", product("epochs: 2", "epochs: -2"), "greater than 0"),
    Case("bad optimizer", product("epochs: 2", "optimizer: adamm"), "Did you mean adam?"),
    Case("bad model kind", product("tabular: mlp", "tabular: tabn"), "Did you mean tabm?"),
    Case("dropout beyond 1", product("width: 16", "dropout: 1.5"), "between 0 and 1"),
    Case("pretrained without folder", product("tabular: mlp", "text: pretrained"), "names no folder"),
    Case("gate that is no comparison", product("bootstrap: 20", "gates: {accuracy: 0.9}"), "no gate"),
    Case(
        "gate on no figure",
        product("bootstrap: 20", "gates: {acuracy: '>= 0.1'}"),
        "acuracy is no figure of classification. Did you mean accuracy?",
        verb=("check",),
    ),
    Case("share beyond 1", data("split: {test: 1.2}"), "between 0 and 1"),
    Case("nothing left to train on", data("split: {test: 0.6, validation: 0.5}"), "nothing to train on"),
    Case("unknown way to split", data("split: {by: tiem}"), "random, time, group:COLUMN"),
    Case("only and drop together", data("only: [plan]\n  drop: [spend]"), "exclude each other"),
    Case("target dropped", data("drop: [churn]"), "is dropped"),
    Case("broken YAML", product("task: classification", "task: [classification"), "no YAML"),
    Case("tab in YAML", product("  source", "\tsource"), "no YAML"),
    Case("empty file", lambda f: (f / "tradewind.yaml").write_text(""), "empty"),
    Case("a list", lambda f: (f / "tradewind.yaml").write_text("- a\n"), "expected a mapping"),
    Case("not UTF-8", lambda f: (f / "tradewind.yaml").write_bytes(b"product: \xff\xfe"), "no UTF-8"),
    Case("no product file", lambda f: (f / "tradewind.yaml").unlink(), "tradewind init"),
    Case("set without value", nothing, "PATH=VALUE", verb=("prepare", "--set", "train.epochs")),
    Case("set to nonsense", nothing, "--set train.epochs", verb=("prepare", "--set", "train.epochs=x")),
    Case(
        "plan in two currencies",
        product("evaluate:", "serve: {plans: {a: {monthly: 1 CNY, included: 1, overage: 1 USD}}}\nevaluate:"),
        "overage in USD",
    ),
    Case("unknown verb option", nothing, "No such option", verb=("prepare", "--colour")),
]

DATA = [
    Case("no such file", product("rows.csv", "row.csv"), "row.csv"),
    Case("empty CSV", rows(""), "empty"),
    Case("only a header", rows("tenure,plan,spend,churn\n"), "row"),
    Case("a ZIP", rows(b"PK\x03\x04" + bytes(200)), "zip archive"),
    Case("a picture", rows(b"\x89PNG\r\n\x1a\n" + bytes(200)), "rows.csv"),
    Case("null bytes", rows(bytes(500)), "rows.csv"),
    Case("unknown encoding", product("source: rows.csv", "source: {path: rows.csv, encoding: utf-99}"), "utf-99"),
    Case(
        "wrong encoding",
        both(
            product("source: rows.csv", "source: {path: rows.csv, encoding: utf-8}"),
            rows(GOOD_ROWS.replace("pro", "高级用户").encode("gb18030")),
        ),
        "utf-8",
    ),
    Case("duplicate column names", rows(GOOD_ROWS.replace("plan", "spend", 1)), "spend"),
    Case("no header", rows(GOOD_ROWS.partition("\n")[2]), "looks like data"),
    Case("target misspelt", product("target: churn", "target: chrun"), "Did you mean churn?"),
    Case("one class only", rows(GOOD_ROWS.replace(",no\n", ",yes\n")), "class"),
    Case("target always missing", rows(GOOD_ROWS.replace(",no\n", ",\n").replace(",yes\n", ",\n")), "churn"),
    Case("words for a number target", product("task: classification", "task: regression"), "churn"),
    Case("every value its own class", product("target: churn", "target: spend"), "spend"),
    Case("unknown column in only", data("only: [tenur]"), "Did you mean tenure?"),
    Case("unknown column in drop", data("drop: [tenur]"), "Did you mean tenure?"),
    Case("unknown column in columns", data("columns: {tenur: number}"), "Did you mean tenure?"),
    Case("unknown sensitive column", data("sensitive: [sexx]"), "sexx"),
    Case("all columns dropped", data("drop: [tenure, plan, spend]"), "No column is left"),
    Case("unknown group", data("split: {by: 'group:city'}"), "city"),
    Case("unknown time column", data("split: {by: 'time:when'}"), "when"),
    Case("time column without dates", data("split: {by: 'time:plan'}"), "plan"),
    Case("split column without test", data("split: {by: 'column:plan'}"), "train, validation or test was expected"),
    Case("missing test file", data("split: {test: {path: test.csv}}"), "test.csv"),
    Case(
        "test file without the target",
        both(data("split: {test: {path: test.csv}}"), rows("tenure,plan,spend\n1,pro,3\n", "test.csv")),
        "churn",
    ),
    Case(
        "broken Parquet",
        both(product("rows.csv", "rows.parquet"), rows(b"PAR1" + bytes(100), "rows.parquet")),
        "Parquet",
    ),
    Case("broken Excel", both(product("rows.csv", "rows.xlsx"), rows(b"no excel", "rows.xlsx")), "rows.xlsx"),
    Case("JSONL of nonsense", both(product("rows.csv", "rows.jsonl"), rows("{\n[\n", "rows.jsonl")), "rows.jsonl"),
    Case(
        "no such table",
        both(_database, product("source: rows.csv", "source: {path: 'sqlite:///rows.db', table: custmers}")),
        "custmers",
    ),
    Case(
        "broken query",
        both(_database, product("source: rows.csv", "source: {path: 'sqlite:///rows.db', query: selec 1}")),
        "selec",
    ),
    Case(
        "pictures that are none",
        both(
            _images,
            product("rows.csv", "pictures"),
            lambda f: (f / "tradewind.yaml").write_text(
                (f / "tradewind.yaml").read_text().replace("target: churn", "target: label")
            ),
        ),
        "picture",
    ),
    Case(
        "a folder without pictures",
        both(lambda f: (f / "pictures").mkdir(), product("rows.csv", "pictures")),
        "pictures",
    ),
    Case("nobody answers", product("rows.csv", "http://127.0.0.1:9/rows.csv"), "127.0.0.1", code=3),
    Case("unknown kind of URL", product("rows.csv", "gopher://x/rows.csv"), "gopher"),
    Case(
        "pretrained folder missing",
        both(
            product("tabular: mlp, width: 16, depth: 1", "pretrained: nowhere, text: pretrained"),
            lambda f: (f / "tradewind.yaml").write_text(
                (f / "tradewind.yaml")
                .read_text()
                .replace("  target: churn", "  target: churn\n  columns: {plan: text}")
            ),
        ),
        "nowhere",
        verb=("train",),
    ),
    Case(
        "pretrained encoder without a text column",
        both(
            product("tabular: mlp, width: 16, depth: 1", "pretrained: encoder, text: pretrained"),
            lambda f: (f / "encoder").mkdir(),
            lambda f: (f / "encoder" / "tokenizer.json").write_text("{}"),
        ),
        "columns: {NAME: text}",
        verb=("train",),
    ),
    Case("network that suits no column", product("tabular: mlp", "kind: resnet"), "suits none", verb=("train",)),
    Case("loss of another task", product("epochs: 2", "loss: mse"), "loss mse", verb=("train",)),
    Case(
        "a batch for full-batch descent", product("epochs: 2", "optimizer: gd, batch: 8"), "full-batch", verb=("train",)
    ),
    Case(
        "weight of a class that is not there",
        product("epochs: 2", "class_weights: {maybe: 2}"),
        "no class maybe",
        verb=("train",),
    ),
    Case("figure that cannot be monitored", product("epochs: 2", "monitor: acuracy"), "accuracy", verb=("train",)),
]

ARTIFACTS = [
    Case("no such release", nothing, "no release nope", verb=("predict", "nope", "--row", "{}")),
    Case("version that is not there", nothing, "no version 9", verb=("predict", "v9", "--row", "{}")),
    Case("neither row nor file", nothing, "either a file or --row", verb=("predict", "candidate")),
    Case("row that is no JSON", nothing, "no JSON", verb=("predict", "candidate", "--row", "{")),
    Case("row that is a number", nothing, "JSON object", verb=("predict", "candidate", "--row", "3")),
    Case("unknown column in a row", nothing, "Did you mean tenure?", verb=("predict", "candidate", "--row", '{"tenur": 3}')),
    Case("list for a number", nothing, "tenure", verb=("predict", "candidate", "--row", '{"tenure": [3]}')),
    Case("no such file to predict", nothing, "none.csv", verb=("predict", "candidate", "none.csv")),
    Case("output of an unknown kind", nothing, ".csv, .jsonl, .parquet", verb=("predict", "candidate", "{}/rows.csv", "-o", "{}/x.doc")),
    Case("nothing to roll back to", nothing, "No earlier release", verb=("rollback",)),
    Case("a second signing key", nothing, "already", verb=("key", "signing")),
    Case("unknown kind of key", nothing, "no key of kind", verb=("key", "sining")),
    Case("gate that fails", product("bootstrap: 20", "bootstrap: 20, gates: {accuracy: '>= 1.01'}"), "does not hold", code=1, verb=("run",)),
    Case("unknown positive class", product("bootstrap: 20", "bootstrap: 20, positive: maybe"), "no class maybe", verb=("run",)),
]  # fmt: skip

TABLE = [*PRODUCT_FILE, *DATA]


def ask(capsys: pytest.CaptureFixture[str], verb: tuple[str, ...], folder: Path) -> tuple[int, str, dict[str, str]]:
    """Exit code, what a person reads, and the object behind --json."""
    arguments = [word.replace("{}/", f"{folder}/") for word in verb]
    code = main([*arguments, "-C", str(folder), "--json"])
    captured = capsys.readouterr()
    error = json.loads(captured.out).get("error", {}) if captured.out else {}
    return code, captured.err, error


def judge(case: Case, code: int, told: str, error: dict[str, str]) -> None:
    assert code == case.code, told
    assert case.words in error["message"], error
    assert not error["code"].startswith("internal"), error
    assert "Traceback" not in told


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_a_wrong_input_gets_one_clear_error(case: Case, product: Path, capsys: pytest.CaptureFixture[str]):
    case.change(product)
    judge(case, *ask(capsys, case.verb, product))


@pytest.mark.parametrize("case", ARTIFACTS, ids=lambda case: case.name)
def test_a_wrong_call_on_a_finished_product(case: Case, released: Path, capsys: pytest.CaptureFixture[str]):
    case.change(released)
    judge(case, *ask(capsys, case.verb, released))


def release_of(folder: Path) -> Path:
    (found,) = (folder / ".tradewind" / "releases").iterdir()
    return found


DAMAGE: list[tuple[str, Change, str, int]] = [
    ("flipped bit in the graph", lambda f: _flip(f / "model.onnx"), "model.onnx", 1),
    ("flipped bit in the columns", lambda f: _flip(f / "columns.json"), "columns.json", 1),
    ("flipped bit in the golden rows", lambda f: _flip(f / "golden.json"), "golden.json", 1),
    ("flipped bit in the report", lambda f: _flip(f / "report" / "report.html"), "report.html", 1),
    ("edited threshold", lambda f: _edit(f / "manifest.json"), "signature", 1),
    ("manifest that is no JSON", lambda f: (f / "manifest.json").write_text("{"), "manifest", 1),
    ("signature removed", lambda f: (f / "model.sig").unlink(), "not signed", 2),
    ("signature of nonsense", lambda f: (f / "model.sig").write_text("x"), "signature", 1),
    ("file added", lambda f: (f / "more.py").write_text("x"), "more.py", 1),
    ("graph removed", lambda f: (f / "model.onnx").unlink(), "model.onnx is missing", 2),
]


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _edit(path: Path) -> None:
    content = json.loads(path.read_text())
    content["threshold"] = 0.01
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(("name", "damage", "words", "code"), DAMAGE, ids=[one[0] for one in DAMAGE])
def test_a_damaged_release_is_refused(name, damage, words, code, released, capsys):
    damage(release_of(released))
    found = ask(capsys, ("predict", "candidate", "--row", '{"tenure": 3}'), released)
    judge(Case(name, nothing, words, code), *found)


def test_a_release_signed_by_another_key_is_refused(released, tmp_path, capsys):
    other = make_key_pair(tmp_path / "other").public
    found = ask(capsys, ("predict", "candidate", "--row", '{"tenure": 3}', "--key", str(other)), released)
    judge(Case("other key", nothing, "another key", 1), *found)


def test_a_release_without_a_known_key_is_refused(released, tmp_path, capsys):
    folder = tmp_path / "alone" / "release"
    folder.parent.mkdir()
    release_of(released).rename(folder)
    found = ask(capsys, ("predict", str(folder), "--row", '{"tenure": 3}'), released)
    judge(Case("no key", nothing, "No public key", 2), *found)


def test_a_read_only_folder_is_an_environment_failure(product, capsys, monkeypatch):
    if os.geteuid() == 0:
        monkeypatch.setenv("TRADEWIND_HOME", "/proc/tradewind")
    else:
        product.chmod(stat.S_IRUSR | stat.S_IXUSR)
    code, told, error = ask(capsys, ("prepare",), product)
    assert code == 3, told
    assert error["code"].startswith("environment.")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount the small disk that this test fills")
def test_a_full_disk_is_an_environment_failure(product, tmp_path, capsys, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode()}")
    try:
        write_rows(product / "rows.csv", 5000)
        monkeypatch.setenv("TRADEWIND_HOME", str(disk / "home"))
        code, told, error = ask(capsys, ("prepare",), product)
        left = [path for path in (disk / "home" / "datasets").iterdir() if not path.name.startswith(".")]
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
    assert code == 3, told
    assert error["code"] == "environment.disk_full", error
    assert left == []


def test_the_table_holds_at_least_sixty_distinct_inputs():
    names = [case.name for case in [*TABLE, *ARTIFACTS]] + [one[0] for one in DAMAGE]
    assert len(set(names)) == len(names) >= 60
