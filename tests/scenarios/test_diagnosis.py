"""The scenario `diagnosis` as its README tells it: init, run, serve, requests with pictures of two kinds."""

import base64

import pytest

pytest.importorskip("pydicom")

CASE = {"age": 61, "temperature": 38.4, "cough": "yes"}


@pytest.mark.slow
def test_a_scan_and_what_the_clinic_knows_are_answered_together(run_scenario):
    quick = ["evaluate.bootstrap=20", "evaluate.baselines=false", "evaluate.examine=[screening, uncertainty]"]
    clinic = run_scenario("diagnosis", changes=quick)
    assert {gate["name"] for gate in clinic.outcome["gates"] if gate["passed"]} == {
        "ece",
        "roc_auc",
        "sensitivity_at_specificity_90",
    }
    scans = clinic.folder / "data" / "scans"
    rows = [
        {"scan": base64.b64encode((scans / name).read_bytes()).decode(), **CASE} for name in ("0002.png", "0003.dcm")
    ]
    with clinic.served("--workers", "1") as client:
        answers = clinic.predict(client, *rows, heatmap=True, reasons=True, sets=True, language="zh")
        (model,) = client.get("/v1/models").json()["data"]
        described = client.get("/openapi.json").text
    for answer in answers:
        if "abstained" in answer:
            assert (answer["answer"], answer["fallback"]) == ("模型无法判断，请转交医生。", True)
        else:
            assert answer["heatmap"]["scan"]["png"]
            assert {reason["column"] for reason in answer["reasons"]} <= {"scan", "age", "temperature", "cough"}
            assert answer["set"]["promise"] == 0.9
    assert "radiographers" in model["intended_use"]
    assert "Not for: Not for children" in described
