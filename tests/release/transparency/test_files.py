"""The same sources give the same bytes; what is missing is listed; what differs from the last release is told."""

import json

import pytest

from tests.release.transparency.made import CHINESE, REPORT, sources, write
from tradewind.release.transparency.document import FILE, Document, document_from
from tradewind.release.transparency.evidence import DATA
from tradewind.release.transparency.files import Sources, paper_of, read_document, render


def _document(made_from: Sources) -> Document:
    return document_from(json.loads(paper_of(made_from)[FILE]), where="")


def test_the_same_sources_give_the_same_bytes():
    for kind in ("predictor", "language", "encoder"):
        assert paper_of(sources(kind)) == paper_of(sources(kind))


def test_what_is_read_back_says_the_same(tmp_path):
    folder = write(tmp_path, sources())
    read = read_document(folder)
    assert json.loads((folder / FILE).read_text()) == json.loads(json.dumps(read.to_json()))


def test_what_nobody_filled_in_is_listed_and_nothing_stands_in_its_place():
    document = _document(sources())
    missing = [one.field for one in document.missing]
    assert missing == [
        "release.intended_use", "release.excluded_use", "release.limitations", "release.risks", "release.oversight", "release.provider",
        "release.contact", "data.source.licence", "data.source.collection",
    ]  # fmt: skip
    card = render(document, "card", "md", language="en").decode()
    assert "Not stated. Fill in release.risks." in card
    assert "- `data.source.collection`" in card.partition("## Missing")[2]


def test_a_filled_in_product_file_misses_nothing():
    source = {"path": "rows.csv", "licence": "cc-by-4.0", "collection": "Branches, 2024."}
    made = sources(product={"data": {"source": source, "target": "default"}, "release": CHINESE | {"watts": 40}})
    assert _document(made).missing == []
    assert "Nothing: every field is filled in." in render(_document(made), "card", "md", language="en").decode()


def test_rooms_that_were_not_examined_are_listed_as_not_measured():
    card = render(_document(sources()), "card", "md", language="en").decode()
    assert "| Fairness | measured |" in card
    for room in ("Robustness", "Explanations"):
        assert f"| {room} | not measured |" in card


SOME_ROOMS = {
    "retrieval": {"passages": 40, "questions": 12, "sure": [{"least": 0.5, "answered": 0.75, "right": 0.9}],
                  "figures": {"retrieval_recall@1": {"value": 0.83, "rows": 12}}},
    "intents": {"shots": 5, "frozen": True, "accepting": [{"accept": 0.95, "threshold": 0.31, "kept": 0.94, "false": 0.12}]},
    "drift": {"columns": [{"name": "income", "psi": 0.21, "ks": 0.1, "rows": 300, "moved": True}], "moved": 1, "bound": 0.2},
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", ["## Knowledge base", "| passages | 40 |", "least confidence", "| 0.7500 | 0.9000 |", "## New classes, and texts of no class", "| 0.9500 | 0.3100 | 0.9400 | 0.1200 |", "## Drift", "| income |"]),
        ("zh", ["## 知识库", "| 段落数 | 40 |", "首段命中率", "## 新增类别与范围之外的文本", "误收率", "## 训练集到测试集的漂移", "已漂移"]),
    ],
)  # fmt: skip
def test_what_only_some_products_are_examined_for_stands_there_where_it_was(language, told):
    made = sources(report=REPORT | {"trust": REPORT["trust"] | SOME_ROOMS})
    full = render(_document(made), "full", "md", language=language).decode()
    assert [one for one in told if one not in full] == []
    card = render(_document(made), "card", "md", language="en").decode()
    assert "| Knowledge base | measured |" in card
    assert "| Decisions |" not in card


def test_a_product_that_searches_nothing_has_no_heading_for_it():
    full = render(_document(sources()), "full", "md", language="en").decode()
    assert "Knowledge base" not in full
    assert "## Membership inference" in full


def test_no_value_of_a_row_is_told():
    assert "Ann" not in paper_of(sources())[DATA].decode()


def test_the_change_log_tells_figures_settings_and_data():
    before = _document(sources()).values
    report = json.loads(json.dumps(REPORT))
    report["figures"]["test"]["roc_auc"]["value"] = 0.7801
    previous = {"version": 3, "digest": "sha256:9", "created": "2026-01-01T00:00:00Z", "statements": before}
    made = sources(product={"train": {"seed": 5}, "release": {"contact": "a@b.c"}}, report=report, previous=previous)
    changes = {one.key: one for one in _document(made).changes or ()}
    assert changes["figures.test.roc_auc"].difference is not None
    assert round(changes["figures.test.roc_auc"].difference, 4) == 0.007
    assert (changes["settings.train.seed"].before, changes["settings.train.seed"].now) == (0, 5)
    assert changes["stated.contact"].now == "a@b.c"
    card = render(_document(made), "card", "md", language="en").decode()
    assert "| `figures.test.roc_auc` | 0.7731 | 0.7801 | +0.0070 |" in card


def test_the_same_release_again_has_no_changes():
    document = _document(sources())
    previous = {"version": 1, "digest": "sha256:9", "created": "2026-01-01T00:00:00Z", "statements": document.values}
    again = _document(sources(previous=previous))
    assert again.changes == ()
    assert "differs from the last release" in render(again, "card", "md", language="en").decode()


def test_energy_is_seconds_times_the_stated_watts_and_says_so():
    document = _document(sources())
    assert document.values["training.energy"] == (12.5 + 10.25) * 40 / 3.6e6
    assert "(release.watts)" in render(document, "card", "md", language="en").decode()


def test_energy_is_measured_where_the_processors_tell_it():
    power = {"watts": 61.5, "joules": 1399.1, "seconds": 22.75, "source": "rapl"}
    document = _document(sources(summary={"seconds": 22.75, "power": power}))
    assert document.values["training.energy"] == 22.75 * 61.5 / 3.6e6
    assert "(RAPL)" in render(document, "card", "md", language="en").decode()


def test_without_watts_there_is_no_estimate_and_the_field_is_missing():
    document = _document(sources(product={"release": {}}))
    assert "training.energy" not in document.values
    assert "release.watts" in [one.field for one in document.missing]
