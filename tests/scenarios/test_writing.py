"""The scenario `writing` as its README tells it, trained shorter: init, run, serve, one request for each job."""

import pytest

SHORT = [
    "train.steps=60",
    'evaluate.gates={bits_per_byte: "<= 2.3"}',
    "evaluate.bootstrap=20",
    "evaluate.samples=1",
    "release.precisions=[fp32]",
]
STORY = "Two sisters in Porto made a lamp of brass in spring. It works every day, and it is quiet."


@pytest.mark.slow
def test_a_small_model_of_ones_own_texts_does_three_jobs(run_scenario):
    shop = run_scenario("writing", changes=SHORT)
    figures = shop.outcome["metrics"]["test"]
    assert {"title_rouge_l", "rewrite_distance", "continue_bits_per_byte", "continue_lead"} <= set(figures)
    with shop.served() as client:
        for job in ("continue", "title", "rewrite"):
            asked = {"model": "stories", "job": job, "text": STORY, "max_tokens": 12, "temperature": 0}
            reply = client.post("/v1/writing", json=asked)
            assert reply.status_code == 200, reply.text
            written = reply.json()
            assert written["text"]
            assert 0 < written["usage"]["completion_tokens"] <= 12
        assert client.get("/v1/models").json()["data"][0]["writing"] == ["continue", "title", "rewrite"]
