"""From a product file with a knowledge base to a release that is searched; the same files are built once."""

import json

import numpy as np
import pytest

from tradewind.artifacts import Workspace, open_artifact
from tradewind.cli.knowledge import INDEX, build_knowledge, seen
from tradewind.cli.session import Session
from tradewind.data import knowledge_index
from tradewind.data.dataset import prepare
from tradewind.engines import vectors
from tradewind.engines.retrieval import Knowledge
from tradewind.errors import DataError
from tradewind.evaluate import retrieval


@pytest.fixture
def folder(tmp_path):
    """120 questions about 30 things, each answered by where it stands."""
    things = [
        f"{size} {thing}"
        for thing in ("lamp", "chair", "table", "sofa", "shelf", "carpet")
        for size in ("red", "blue", "old", "new", "oak")
    ]
    ways = ("{}?", "find the {}", "Where is the {}?", "a {} please")
    lines = ["question,answer"] + [
        f'{way.format(thing)},"The {thing} stands in hall {number}, row {number % 7}."'
        for number, thing in enumerate(things) for way in ways
    ]  # fmt: skip
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "faq.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "kb" / "broken.md").write_bytes(b"\x00\x01\x02" * 99)
    (tmp_path / "data.csv").write_text("text,intent\nx,a\ny,b\n")
    product = {
        "product": "halls", "task": "classification", "data": {"source": "data.csv", "target": "intent"}, "knowledge": {"source": "kb"},
    }  # fmt: skip
    (tmp_path / "tradewind.yaml").write_text(json.dumps(product))
    return tmp_path


def test_held_out_questions_find_their_answers(folder):
    artifact = build_knowledge(Session.open(folder))
    witness = seen(artifact)
    assert (int(witness["pairs"]), int(witness["settled_on"]), int(witness["rejected"])) == (120, 0, 1)
    assert len(witness["rank"]) == 24
    assert (witness["rank"] > 0).all()
    knowledge = Knowledge(artifact.folder / INDEX)
    hit = knowledge.search("where is the oak sofa")[0]
    assert "oak sofa stands in hall" in hit.text
    assert hit.source == "kb/faq.csv"
    assert hit.question


def test_more_questions_settle_how_both_are_weighed(folder):
    artifact = build_knowledge(Session.open(folder, ["knowledge.held_out=0.8"]))
    witness = seen(artifact)
    assert (int(witness["settled_on"]), len(witness["rank"])) == (48, 48)
    manifest = json.loads((artifact.folder / INDEX / "manifest.json").read_text())
    assert manifest["blend"]["words"] == float(witness["words"])
    assert set(manifest["blend"]) == {"words", "vectors", "bias", "similarity", "coverage"}
    assert retrieval.summarise(witness, None).figures["retrieval_recall@5"].value > 0.9


def test_the_same_files_are_built_once_and_alike(folder, tmp_path_factory, monkeypatch):
    one = build_knowledge(Session.open(folder))
    assert build_knowledge(Session.open(folder)).created == one.created
    monkeypatch.setenv("TRADEWIND_HOME", str(tmp_path_factory.mktemp("other")))
    other = build_knowledge(Session.open(folder))
    assert other.digest == one.digest
    assert other.files == one.files
    monkeypatch.delenv("TRADEWIND_HOME")
    (folder / "kb" / "new.md").write_text("# More\n\nOpen on Sundays.\n")
    assert build_knowledge(Session.open(folder)).digest != one.digest
    assert open_artifact(one.folder, kind="knowledge").digest == one.digest


def test_rejected_files_are_kept_with_their_reason(folder):
    artifact = build_knowledge(Session.open(folder))
    (line,) = (artifact.folder / "rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["file"] == "kb/broken.md"


def test_words_alone_need_no_vectors(folder):
    artifact = build_knowledge(Session.open(folder, ["knowledge.encoder=none"]))
    assert not (artifact.folder / INDEX / "vectors.npy").exists()
    (hit, *_) = Knowledge(artifact.folder / INDEX).search("oak sofa")
    assert (hit.similarity, "oak sofa" in hit.text) == (None, True)


def test_a_folder_that_is_no_encoder_is_told_with_its_place(folder):
    with pytest.raises(DataError) as caught:
        build_knowledge(Session.open(folder, ["knowledge.encoder=kb"]))
    assert caught.value.code == "data.encoder_unknown"
    (folder / "half").mkdir()
    (folder / "half" / "config.json").write_text("{}")  # as a folder of pooling beside an encoder has one
    with pytest.raises(DataError, match="no text encoder"):
        build_knowledge(Session.open(folder, ["knowledge.encoder=half"]))


def test_a_product_without_one_builds_none(folder):
    content = json.loads((folder / "tradewind.yaml").read_text())
    del content["knowledge"]
    (folder / "tradewind.yaml").write_text(json.dumps(content))
    assert build_knowledge(Session.open(folder)) is None
    assert Workspace.of(folder).home.exists() is False


def test_the_graph_of_neighbours_finds_what_comparing_with_all_finds(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    all_ND = vectors.unit(draw.normal(size=(3000, 32)).astype(np.float32))
    knowledge_index.write_vectors(tmp_path, all_ND)
    exact = vectors.FixedVectors(tmp_path, passages=3000, width=32)
    monkeypatch.setattr(knowledge_index, "EXACT", 1000)
    monkeypatch.setattr(vectors, "EXACT", 1000)
    knowledge_index.write_vectors(tmp_path, all_ND)
    graph = vectors.FixedVectors(tmp_path, passages=3000, width=32)
    kept = draw.random(3000) < 0.1
    for query in vectors.unit(draw.normal(size=(20, 32)).astype(np.float32)):
        found, wanted = (set(one.nearest(query, 10)[0].tolist()) for one in (graph, exact))
        assert len(found & wanted) >= 8
        few, same = (one.nearest(query, 10, kept_N=kept) for one in (graph, exact))
        assert few[0].tolist() == same[0].tolist()


def test_messages_that_something_else_answers_settle_from_when_on_a_passage_does(folder):
    """Half of the messages of an intent with an answer speak of lamps, as passages do."""
    lines = ["text,intent"] + [
        f"please cancel my order {n},cancel\nwhere is lamp {n} of my order,cancel" for n in range(40)
    ]
    (folder / "data.csv").write_text("\n".join([*lines, *(f"hello {n},hello" for n in range(20))]) + "\n")
    answered = "serve.answers.texts={cancel: Under My orders.}"
    quiet, settled = Session.open(folder, ["data.only=[text]"]), Session.open(folder, ["data.only=[text]", answered])
    dataset = prepare(settled.product, base=folder, workspace=settled.workspace)
    before, after = (Knowledge(build_knowledge(one, dataset).folder / INDEX) for one in (quiet, settled))
    assert before.bound == 0.5
    assert after.bound > 0.5
    asked = dataset.raw("train")
    messages = [text for text, label in zip(asked["text"], asked["intent"], strict=True) if label == "cancel"]
    reached = [
        max(hit.confidence for hit in after.search(text, k=3)) >= after.bound for text in messages if after.search(text)
    ]
    assert sum(reached) <= 0.05 * len(messages) + 1
    assert after.search("where is the oak sofa")[0].confidence >= after.bound
    witness = seen(build_knowledge(settled, dataset))
    assert (float(witness["bound"]), int(witness["elsewhere"])) == (after.bound, len(messages))


def test_a_bound_holds_for_one_more_message_and_is_never_below_a_half():
    draw = np.random.default_rng(0)
    assert retrieval.settle_bound(np.zeros(100)) == 0.5
    assert retrieval.settle_bound(np.ones(5)) == 0.5  # too few to take a quantile of
    over = [draw.random() >= retrieval.settle_bound(draw.random(60)) for _ in range(2000)]
    assert np.mean(over) < 0.05 + 0.012
