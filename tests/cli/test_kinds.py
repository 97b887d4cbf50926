"""Whole ways through the house for other tasks and columns: a number as target, mixed rows, Chinese files, 8-bit graphs."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path

import pytest
import torch
import transformers
from PIL import Image

from tests.features.test_text import WORDPIECE
from tradewind.cli.app import main
from tradewind.engines.loading import load

TRAIN = "train: {epochs: 3, threads: 1}\nevaluate: {bootstrap: 20}\n"


def run(folder: Path, capsys: pytest.CaptureFixture[str], text: str) -> dict:
    (folder / "tradewind.yaml").write_text(text, encoding="utf-8")
    code = main(["run", "-C", str(folder), "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def write(path: Path, rows: list[dict[str, object]], encoding: str = "utf-8") -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_number_is_predicted_in_its_own_units(tmp_path, capsys):
    draw = random.Random(0)
    rows = []
    for _ in range(400):
        area = draw.randint(30, 200)
        rows.append({"area": area, "city": draw.choice("AB"), "price": round(area * 1000 + draw.gauss(0, 4000))})
    write(tmp_path / "homes.csv", rows)
    result = run(
        tmp_path, capsys,
        "product: homes\ntask: regression\ndata: {source: homes.csv, target: price}\n" + TRAIN.replace("3", "40"),
    )  # fmt: skip
    assert {"rmse", "mae", "r2"} <= set(result["metrics"]["test"])
    assert result["metrics"]["test"]["r2"] > 0.8
    predictor = load(Path(result["artifacts"]["release"])).predictor
    (answer,) = predictor.predict_rows([{"area": 100, "city": "A"}]).to_rows()
    assert 80_000 < answer["value"] < 120_000


def picture(draw: random.Random, bright: bool) -> bytes:
    image = Image.new("L", (24, 24))
    image.putdata([min(255, max(0, int(draw.gauss(180 if bright else 70, 30)))) for _ in range(24 * 24)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_numbers_dates_text_and_images_join_in_one_row(tmp_path, capsys):
    draw = random.Random(0)
    (tmp_path / "scans").mkdir()
    rows: list[dict[str, object]] = []
    for index in range(160):
        ill = index % 2 == 0
        (tmp_path / "scans" / f"{index}.png").write_bytes(picture(draw, bright=ill))
        note = draw.choice(["发热三天，伴有咳嗽", "胸痛明显"] if ill else ["复查无异常", "一般情况良好"])
        rows.append({
            "scan": f"scans/{index}.png", "age": draw.randint(20, 80), "seen": f"2026-{draw.randint(1, 12):02}-11",
            "note": f"{note}，编号 {index}", "ill": "yes" if ill else "no",
        })  # fmt: skip
    write(tmp_path / "cases.csv", rows)
    result = run(
        tmp_path, capsys,
        "product: cases\ntask: classification\n"
        "data: {source: cases.csv, target: ill, columns: {scan: image, note: text, age: number, seen: date}}\n" + TRAIN,
    )  # fmt: skip
    profile = json.loads((Path(result["artifacts"]["dataset"]) / "profile.json").read_text(encoding="utf-8"))
    kinds = {column["name"]: column["kind"] for column in profile["columns"] if column["part"] == "input"}
    assert kinds == {"scan": "image", "age": "number", "seen": "date", "note": "text"}
    predictor = load(Path(result["artifacts"]["release"])).predictor
    row = {"scan": (tmp_path / "scans" / "0.png").read_bytes(), "age": 50, "seen": "2026-03-11", "note": "胸痛明显"}
    (answer,) = predictor.predict_rows([row]).to_rows()
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    output = tmp_path / "answers.jsonl"
    assert main(["predict", "candidate", str(tmp_path / "cases.csv"), "-C", str(tmp_path), "-o", str(output)]) == 0
    assert len(output.read_text(encoding="utf-8").splitlines()) == len(rows)


def test_a_chinese_file_in_gb18030_gets_a_chinese_report(tmp_path, capsys):
    draw = random.Random(0)
    rows: list[dict[str, object]] = []
    for index in range(200):
        good = index % 2 == 0
        words = ["很好吃", "送餐快", "味道不错"] if good else ["太慢了", "难吃", "不会再点"]
        rows.append({"评论": f"{draw.choice(words)}，{draw.choice(words)}{index % 17}", "评价": "好" if good else "差"})
    write(tmp_path / "评论.csv", rows, "gb18030")
    result = run(
        tmp_path, capsys,
        "product: pinglun\ntask: classification\nlanguage: zh\n"
        "data: {source: 评论.csv, target: 评价, columns: {评论: text}}\n" + TRAIN.replace("3", "8"),
    )  # fmt: skip
    assert result["metrics"]["test"]["accuracy"] > 0.9
    page = (Path(result["artifacts"]["report"]) / "report.html").read_text(encoding="utf-8")
    assert 'lang="zh' in page
    (answer,) = (
        load(Path(result["artifacts"]["release"])).predictor.predict_rows([{"评论": "很好吃，送餐快"}]).to_rows()
    )
    assert answer["label"] == "好"


@pytest.mark.parametrize("adapt", ["frozen", "full", "lora"])
def test_a_pretrained_encoder_brings_its_own_tokeniser(tmp_path, capsys, adapt):
    torch.manual_seed(0)
    folder = tmp_path / "encoder"
    config = transformers.BertConfig(
        vocab_size=6, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(WORDPIECE), encoding="utf-8")
    rows = [{"note": f"{'good' if index % 2 else 'bad'} {index}", "y": "pn"[index % 2]} for index in range(120)]
    write(tmp_path / "notes.csv", rows)
    result = run(
        tmp_path, capsys,
        "product: notes\ntask: classification\ndata: {source: notes.csv, target: y, columns: {note: text}}\n"
        f"model: {{text: pretrained, pretrained: encoder, adapt: {adapt}, lora_rank: 2}}\n" + TRAIN.replace("bootstrap: 20", "bootstrap: 20, examine: [], baselines: false"),
    )  # fmt: skip
    predictor = load(Path(result["artifacts"]["release"])).predictor
    (answer,) = predictor.predict_rows([{"note": "good"}]).to_rows()
    assert set(answer["probabilities"]) == {"p", "n"}


def test_an_8_bit_graph_ships_with_its_measured_loss(released, capsys):
    verb = ["run", "-C", str(released), "--json", "--set", "release.int8=true"]
    assert main(verb) == 0
    release = Path(json.loads(capsys.readouterr().out)["artifacts"]["release"])
    loss = json.loads((release / "manifest.json").read_text())["int8"]
    assert loss["bytes"] < loss["bytes_full"]
    assert abs(loss["accuracy"] - loss["accuracy_full"]) < 0.2
    row = '{"tenure": 3, "plan": "pro", "spend": 40}'
    assert main(["predict", "candidate", "-C", str(released), "--int8", "--row", row]) == 0


def test_a_run_without_test_rows_to_spare_says_so(tmp_path, capsys):
    write(tmp_path / "few.csv", [{"a": index, "b": index % 3 * 1.5, "y": "pn"[index % 2]} for index in range(4)])
    (tmp_path / "tradewind.yaml").write_text("product: few\ntask: classification\ndata: {source: few.csv, target: y}\n")
    assert main(["run", "-C", str(tmp_path), "--json"]) == 2
    assert "error" in json.loads(capsys.readouterr().out)
