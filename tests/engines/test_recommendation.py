"""The engine of a recommender: what comes first, why, for whom nothing is known, by rules of a shop, with items that come later."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.engines.shop import BIASES, NAMES, VECTORS, write_shop
from tradewind.engines.recommendation import RecommendationEngine
from tradewind.engines.shelf_rules import Boost, Rules
from tradewind.errors import ArtifactError, DataError, VerificationFailed
from tradewind.release.recommender import Held, read_parts


@pytest.fixture
def engine(tmp_path) -> RecommendationEngine:
    return RecommendationEngine.open(write_shop(tmp_path))


def first(engine: RecommendationEngine, *history: str, k: int = 10, **asked) -> list[str]:
    return [one.item for one in engine.recommend(history, k, **asked).items]


def test_items_near_to_what_was_met_come_first_and_none_twice(engine):
    assert first(engine, "tea", "cup") == ["pot", "jar", "hat", "cap"]
    assert first(engine, "hat", k=2) == ["cap", "tea"]


def test_scores_are_those_of_the_graph(engine):
    answer = engine.recommend(["tea", "hat"], 6, rules=Rules(seen="keep"))
    expected = dict(zip(NAMES, (VECTORS[[0, 4]].sum(0) @ VECTORS.T + BIASES).tolist(), strict=True))
    assert {one.item: one.score for one in answer.items} == pytest.approx(expected)


def test_somebody_new_is_shown_what_is_liked(engine):
    assert first(engine) == NAMES


def test_only_the_latest_of_a_history_are_seen(engine):
    long = ["tea"] * 30 + ["hat"] * (engine.context - 1)
    assert engine.recommend(long, 1, rules=Rules(seen="keep")) == engine.recommend(
        long[-4:], 1, rules=Rules(seen="keep")
    )


def test_items_that_are_not_known_are_told_and_left_out(engine):
    answer = engine.recommend(["tea", "sold out", "cup", 7], 2)
    assert answer.unknown == ("sold out", "7")
    assert [one.item for one in answer.items] == first(engine, "tea", "cup", k=2)


def test_a_reason_is_the_item_without_which_the_score_falls(engine):
    jar, cap = engine.recommend(["tea", "hat"], 2, rules=Rules(allow=["jar", "cap"]), why=2).items
    by_item = {jar.item: jar.because, cap.item: cap.because}
    assert [one.item for one in by_item["jar"]] == ["tea"]
    assert [one.item for one in by_item["cap"]] == ["hat"]
    # Without tea the jar loses tea · jar, less what all items lose on average.
    expected = VECTORS[0] @ VECTORS[3] - VECTORS[0] @ VECTORS.mean(0)
    assert by_item["jar"][0].lift == pytest.approx(expected)


def test_rules_hold_before_anything_is_left_out(engine):
    assert first(engine, "tea", k=2, rules=Rules(where={"kind": "wear"})) == ["hat", "cap"]
    assert first(engine, "tea", rules=Rules(where={"price": {"max": 8}})) == ["cup", "jar"]
    assert first(engine, "tea", rules=Rules(exclude=["cup"], allow=["cup", "jar"])) == ["jar"]
    assert first(engine, "tea", rules=Rules(allow=[])) == []


def test_what_was_met_may_be_asked_for_again(engine, tmp_path):
    assert first(engine, "tea", k=1, rules=Rules(seen="keep")) == ["tea"]
    keeping = RecommendationEngine.open(write_shop(tmp_path / "again", again=True))
    assert first(keeping, "tea", k=1) == ["tea"]
    assert "tea" not in first(keeping, "tea", rules=Rules(seen="leave_out"))


def test_a_boost_lifts_and_a_factor_of_nothing_sends_to_the_end(engine):
    assert first(engine, "tea", k=1, rules=Rules(boosts=[Boost(where={"kind": "wear"}, plus=9)])) == ["hat"]
    assert first(engine, "tea", rules=Rules(boosts=[Boost(items=["cup"], times=0)]))[-2:] == ["cup", "cap"]


def test_diversity_brings_other_things_up(engine):
    plain, mixed = (first(engine, "tea", k=2, rules=Rules(diversity=weight)) for weight in (0.0, 0.7))
    assert plain == ["cup", "pot"]
    assert mixed == ["cup", "hat"]


def test_columns_of_a_user_speak_where_no_history_does(engine):
    assert first(engine, k=2, columns={"kind": "wear", "price": 1}) == ["hat", "cap"]
    assert first(engine, k=2, columns={}) == ["tea", "cup"]


def test_items_that_come_later_are_recommended_filtered_and_met(engine):
    assert engine.add_items([{"kind": "wear", "price": 4}, {"kind": "food", "price": 1}], ["scarf", "rice"]) == 2
    assert engine.add_items([{"kind": "food", "price": 4}], ["hat"]) == 0
    assert first(engine, "hat", k=2) == ["scarf", "cap"]
    assert first(engine, "hat", rules=Rules(where={"price": {"max": 4}, "kind": "wear"})) == ["scarf"]
    assert first(engine, "scarf", k=2) == ["hat", "cap"]
    assert engine.recommend(["scarf", "tea"], 3).unknown == ()


def test_an_item_that_is_added_again_takes_the_place_of_the_former(engine):
    mine = engine.own()
    wear, food = {"kind": "wear", "price": 4}, {"kind": "food", "price": 4}
    engine.add_items([wear, wear], ["scarf", "shawl"], own=mine)
    cheap = Rules(where={"price": {"max": 4}, "kind": "wear"})
    assert first(engine, "hat", own=mine, rules=cheap) == ["scarf", "shawl"]
    assert engine.add_items([food, food, wear], ["scarf", "shawl", "shawl"], own=mine) == 2
    assert (mine.names, first(engine, "hat", own=mine, rules=cheap)) == (["scarf", "shawl"], ["shawl"])
    mine.remove(["scarf", "tea", "never"])
    assert first(engine, "tea", own=mine, rules=Rules(where={"kind": "food"})) == []
    assert engine.recommend(["scarf", "shawl"], own=mine).unknown == ("scarf",)


def test_items_of_one_customer_are_nobody_elses(engine):
    mine, theirs = engine.own(), engine.own()
    assert engine.add_items([{"kind": "wear", "price": 4}], ["scarf"], own=mine) == 1
    assert first(engine, "hat", k=2, own=mine) == ["scarf", "cap"]
    assert first(engine, "hat", k=2, own=theirs) == first(engine, "hat", k=2) == ["cap", "tea"]
    assert engine.recommend(["scarf"], own=theirs).unknown == ("scarf",)
    assert mine.names == ["scarf"]


def test_rules_hold_for_items_that_came_as_for_those_of_the_release(engine):
    engine.add_items([{"kind": "wear", "price": "4"}, {"kind": "food", "price": ""}], ["scarf", "rice"])
    assert first(engine, "hat", k=1, rules=Rules(boosts=[Boost(items=["rice"], plus=9)])) == ["rice"]
    assert first(engine, "hat", k=1, rules=Rules(boosts=[Boost(items=["scarf"], times=0)])) == ["cap"]
    assert first(engine, "hat", k=1, rules=Rules(exclude=["scarf"])) == ["cap"]
    assert first(engine, rules=Rules(where={"price": {"min": 4, "max": 4}})) == ["scarf"]


def test_a_thousand_items_come_one_by_one_while_others_ask(engine):
    own, rules = engine.own(), Rules(where={"kind": "wear"})

    def ask() -> int:
        answer = engine.recommend(["hat"], 5000, rules=rules, own=own)
        assert len(answer.items) == len({one.item for one in answer.items})
        return len(answer.items)

    with ThreadPoolExecutor(2) as others:
        asked = []
        for number in range(1000):
            engine.add_items([{"kind": "wear", "price": number}], [f"scarf {number}"], own=own)
            if number % 20 == 0:
                asked.append(others.submit(ask))
        seen = [one.result() for one in asked]
    assert all(1 <= one <= 1001 for one in seen)
    assert ask() == 1000 + 1


def test_one_item_added_by_many_at_once_is_one(engine):
    own = engine.own()
    adding = [
        threading.Thread(target=engine.add_items, args=([{"kind": "wear", "price": 4}], ["scarf"]), kwargs={"own": own})
        for _ in range(8)
    ]
    for one in adding:
        one.start()
    for one in adding:
        one.join()
    assert len(own) == 1


def test_linear_scores_are_added_and_new_items_get_none(tmp_path):
    engine = RecommendationEngine.open(write_shop(tmp_path, weight=2.0))
    engine.add_items([{"kind": "food", "price": 1}], ["rice"])
    assert engine.check_golden() < 1e-4
    answer = engine.recommend(["rice", "tea"], 9, rules=Rules(seen="keep"))
    alone = engine.recommend(["tea"], 9, rules=Rules(seen="keep"))
    scores, before = ({one.item: one.score for one in said.items} for said in (answer, alone))
    # The new item is no part of the linear score: only the state has changed, by its vector.
    assert scores["jar"] - before["jar"] == pytest.approx(0.8, abs=1e-5)
    assert scores["rice"] == pytest.approx(1 + 1 - 0.01, abs=1e-5)


def many(folder: Path) -> Held:
    """The shop with 20,000 items."""
    random, items = np.random.default_rng(0), 20_000
    return replace(
        read_parts(write_shop(folder)), names=[str(one) for one in range(items)], attributes={}, counts=np.ones(items, np.int64),
        vectors_ID=random.normal(size=(items, 3)).astype(np.float32), bias_I=random.normal(size=items).astype(np.float32),
    )  # fmt: skip


def test_of_many_items_nearly_the_best_come_first(tmp_path):
    held = many(tmp_path)
    near, exact = RecommendationEngine(held, approximate_from=2), RecommendationEngine(held)
    histories = [[str(one), str(3 * one)] for one in range(1, 21)]
    shared = [set(first(near, *one)) & set(first(exact, *one)) for one in histories]
    assert sum(map(len, shared)) >= 0.9 * 200


def test_without_their_package_all_of_many_items_are_scored_and_it_is_told(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "faiss", None)
    held = many(tmp_path)
    assert first(RecommendationEngine(held, approximate_from=2), "7") == first(RecommendationEngine(held), "7")
    assert "pip install" in caplog.text


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda engine: engine.recommend(["tea"], 0), "k"),
        (lambda engine: engine.recommend(["tea"], rules=Rules(where={"colour": "red"})), "column_unknown"),
        (lambda engine: engine.add_items([{"kind": "wear", "price": "dear"}], ["scarf"]), None),
        (lambda engine: engine.add_items([{"kind": "wear", "price": 1}], [""]), "item_unnamed"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_told(engine, ask, code):
    with pytest.raises(DataError) as caught:
        ask(engine)
    assert code is None or caught.value.code == f"data.{code}"
    assert len(engine.names) == len(NAMES)


def test_a_shop_without_columns_says_so(tmp_path):
    engine = RecommendationEngine.open(write_shop(tmp_path, described=False))
    with pytest.raises(DataError, match="no columns of items"):
        engine.add_items([{}], ["scarf"])
    with pytest.raises(DataError, match="no columns of users"):
        engine.recommend([], columns={"kind": "wear"})


def test_other_vectors_than_the_trainers_are_refused(tmp_path):
    np.save(write_shop(tmp_path) / "items.npy", VECTORS + 0.1)
    with pytest.raises(VerificationFailed) as caught:
        RecommendationEngine.open(tmp_path)
    assert "golden" in caught.value.code


def test_files_of_different_sizes_are_refused(tmp_path):
    np.save(write_shop(tmp_path) / "bias.npy", BIASES[:-1])
    with pytest.raises(ArtifactError, match="5, 6"):
        RecommendationEngine.open(tmp_path)
