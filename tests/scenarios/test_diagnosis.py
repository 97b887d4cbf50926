"""The scenario `diagnosis` as its README tells it: init, run, serve, one request."""

import base64

import pytest

CASE = {"age": 61, "temperature": 38.4, "cough": "yes"}


@pytest.fixture(scope="module")
def clinic(run_scenario):
    return run_scenario("diagnosis")


@pytest.mark.slow
def test_a_scan_and_the_clinics_columns_are_answered_together(clinic):
    assert all(gate["passed"] for gate in clinic.outcome["gates"])
    scan = base64.b64encode(next((clinic.folder / "data" / "scans").glob("*.png")).read_bytes()).decode()
    with clinic.served() as client:
        (answer,) = clinic.predict(client, {"scan": scan, **CASE}, heatmap=True, reasons=True)
    assert "label" in answer or answer["abstained"]
