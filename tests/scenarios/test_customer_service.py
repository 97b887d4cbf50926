"""The scenario customer-service, begun, run, served and talked to over a real socket, in English and Chinese."""

import pytest


@pytest.fixture(scope="module")
def shop(run_scenario):
    quick = ["train.epochs=4", "evaluate.bootstrap=20", "evaluate.baselines=false", "evaluate.examine=[]"]
    return run_scenario("customer-service", changes=quick)


@pytest.mark.slow
def test_customers_are_answered_with_sources_and_handed_over(shop):
    assert all(gate["passed"] for gate in shop.outcome["gates"])
    with shop.served() as client:

        def say(conversation, text):
            reply = client.post(f"/v1/conversations/{conversation['id']}/messages", json={"text": text})
            assert reply.status_code == 200, reply.text
            return reply.json()

        begun = client.post("/v1/conversations", json={"model": "tea-service", "language": "zh"}).json()
        tracked = say(begun, "我的乌龙茶到哪了")
        brewed = say(begun, "how hot should the water be for green tea?")
        doubtful = say(begun, "can I send tea back if I do not like it?")  # a passage about tastings is near
        handed = say(begun, "this is unacceptable, I want to complain about order LT-204817")
        waits = client.get("/v1/handoffs").json()["handoffs"]
        usage = client.get("/v1/usage").json()
    assert (tracked["reply"]["kind"], tracked["reply"]["intent"]) == ("intent", "track_order")
    assert "查看物流" in tracked["reply"]["text"]
    assert brewed["reply"]["kind"] == "passage"
    assert "75" in brewed["reply"]["text"]
    assert brewed["reply"]["sources"][0]["line"] > 0
    assert (handed["reply"]["kind"], handed["status"]) == ("handoff", "waiting")
    assert waits[0]["summary"]["slots"] == {"order": ["LT-204817"]}
    assert doubtful["reply"]["kind"] in ("intent", "clarify")
    assert usage["units"] == 2 + doubtful["usage"]["units"]
