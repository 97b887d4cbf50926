"""The scenario recommendation, begun, run, served and asked over a real socket: what comes next, and what changes it at once."""

import pytest


@pytest.fixture(scope="module")
def shop(run_scenario):
    return run_scenario("recommendation", changes=["train.epochs=3", "evaluate.bootstrap=20", "evaluate.gates={ndcg@10: '> 0.2', beats_baseline: true}"])  # fmt: skip


def first(shop, client, **row):
    (output,) = shop.predict(client, row)
    return output


@pytest.mark.slow
def test_the_next_item_follows_events_rules_and_reasons(shop):
    metrics = shop.outcome["metrics"]["test"]
    assert metrics["ndcg@10"] > 0.2
    with shop.served() as client:
        # Somebody nobody has met: an event changes the very next answer.
        before = first(shop, client, user="new", k=5)
        event = {"model": "shop-next-item", "events": [{"user": "new", "item": "i0000", "event": "view", "id": "e1"}]}
        assert client.post("/v1/events", json=event).json()["taken"] == 1
        assert client.post("/v1/events", json=event).json()["passed_over"] == 1
        after = first(shop, client, user="new", k=5, why=1)
        assert [one["item"] for one in after["items"]] != [one["item"] for one in before["items"]]
        assert "i0000" not in [one["item"] for one in after["items"]]
        assert {why["item"] for one in after["items"] for why in one.get("because", [])} == {"i0000"}
        assert first(shop, client, history=["i0000"], k=5)["items"] == [
            {name: one[name] for name in ("item", "score")} for one in after["items"]
        ]

        # Rules of the shop.
        camping = [one["item"] for one in first(shop, client, user="new", k=20, where={"hobby": "camping"})["items"]]
        assert len(camping) == 20
        assert set(camping) <= {f"i{at:04d}" for at in range(54)}
        assert [one["item"] for one in first(shop, client, user="new", allow=["i0100", "i0200", "nothing"])["items"]] in (
            ["i0100", "i0200"], ["i0200", "i0100"],
        )  # fmt: skip
        pushed = first(shop, client, user="new", k=1, boosts=[{"items": ["i0300"], "plus": 1000}])
        assert pushed["items"][0]["item"] == "i0300"
        assert first(shop, client, history=["i0000", "gone"])["unknown"] == ["gone"]

        # An item that came since is scored by its columns, and another customer's catalogue is not touched.
        brought = {"model": "shop-next-item", "items": [{"item": "new tent", "columns": {"hobby": "camping"}}]}
        assert client.post("/v1/items", json=brought).json()["taken"] == 1
        assert client.post("/v1/items", json=brought).json()["passed_over"] == 1
        tents = first(shop, client, history=["i0000"], k=100, where={"hobby": "camping"})["items"]
        assert "new tent" in [one["item"] for one in tents]
        shelf = {"model": "shop-next-item"}
        assert client.get("/v1/items", params=shelf).json() == {"items": brought["items"], "next": None}
        assert client.delete("/v1/items/new%20tent", params=shelf).json() == {"removed": "new tent"}
        assert first(shop, client, history=["new tent"])["unknown"] == ["new tent"]
        wrong = client.post(
            "/v1/items", json={"model": "shop-next-item", "items": [{"item": "x", "columns": {"hobbi": 1}}]}
        )
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "hobbi")

        # What is wrong is named, and costs nothing.
        for row, place in (
            ({"k": 0}, "inputs[0].k"),
            ({"where": {"colour": 1}}, "where.colour"),
            ({"histroy": []}, "inputs[0].histroy"),
        ):
            reply = client.post("/v1/predict", json={"model": "shop-next-item", "inputs": [row]})
            assert (reply.status_code, reply.json()["error"]["param"]) == (400, place)
        assert client.get("/v1/usage").json()["units"] == 9
        shown = client.get("/v1/models/shop-next-item").json()
        assert (shown["task"], shown["items"] > 300) == ("recommendation", True)
        told = client.get("/openapi.json").json()
        assert told["components"]["schemas"]["row.shop-next-item"]["properties"]["k"]
        assert {"/v1/events", "/v1/items"} <= set(told["paths"])
