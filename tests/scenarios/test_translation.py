"""The scenario translation, begun, run, served and asked over a real socket: sentences come back in Chinese, in the words of the house."""

import pytest

KITES = "My brother bought two red kites in the park yesterday."


@pytest.fixture(scope="module")
def house(run_scenario):
    changes = ["train.epochs=5", "evaluate.bootstrap=20", "evaluate.most_pairs=100", "release.precisions=[fp32]"]
    return run_scenario("translation", changes=changes)


@pytest.mark.slow
def test_sentences_come_back_in_the_words_of_the_house(house):
    assert [gate["passed"] for gate in house.outcome["gates"]] == [True, True, True]
    assert house.outcome["metrics"]["test"]["bleu"] > 60
    with house.served() as client:
        plain, own = house.predict(client, {"text": KITES}, {"text": KITES, "glossary": {"brother": "兄长"}})
        assert "纸鸢" in plain["text"]  # a word that no pair of training has
        assert "公园" in plain["text"]
        assert {"纸鸢", "兄长"} <= {one["translation"] for one in own["terms"]}
        assert "兄长" in own["text"]
        refused = client.post("/v1/predict", json={"model": "house-translator", "inputs": [{"txt": KITES}]})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "inputs[0].txt")
        assert client.get("/v1/usage").json()["units"] == 2
