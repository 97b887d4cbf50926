"""The scenario `credit` as its README tells it: a decision with reasons in words, and what would lead to another one."""

import pytest

APPLICANT = {
    "income": 2600, "other_payments": 700, "amount": 21000, "months": 24, "job_months": 8, "late_payments": 2, "requests": 4,
    "home": "rent", "purpose": "car",
}  # fmt: skip
SOUND = APPLICANT | {
    "income": 9000,
    "other_payments": 0,
    "amount": 3000,
    "job_months": 90,
    "late_payments": 0,
    "requests": 0,
    "home": "own",
}
FAST = ["train.epochs=3", "evaluate.bootstrap=20", "evaluate.examine=[fairness, actions]", "evaluate.baselines=false"]


@pytest.mark.slow
def test_an_application_is_refused_with_its_reasons_and_told_what_would_help(run_scenario):
    lender = run_scenario("credit", changes=FAST, apart=True)
    assert {gate["name"] for gate in lender.outcome["gates"] if gate["passed"]} == {
        "roc_auc", "saving", "equalized_odds_difference",
    }  # fmt: skip
    with lender.served() as client:
        refused, allowed = (
            client.post("/v1/decisions", json={"model": "small-loans", "transaction": row}).json()
            for row in (APPLICANT, SOUND)
        )
        (answer,) = lender.predict(client, APPLICANT, counterfactuals=True)
        sexed = client.post("/v1/predict", json={"model": "small-loans", "inputs": [APPLICANT | {"sex": "f"}]})
    assert (refused["decision"], allowed["decision"]) == ("refuse", "allow")
    sentences = {
        "Delinquent past obligations.",
        "Amount requested too high.",
        "Obligations too high in relation to income.",
    }
    assert sentences & {reason.get("text") for reason in refused["reasons"]}
    changes = [change for found in answer["counterfactuals"] for change in found["changes"]]
    assert changes
    assert {change["column"] for change in changes} <= {"amount", "months", "other_payments", "requests"}
    assert all(change["to"] < change["from"] for change in changes if change["column"] != "months")
    assert sexed.status_code == 400  # no input of the model
