"""The scenario speech, begun, run, served and asked over a real socket: a recording in, an intent and its text out."""

import base64
import io
import wave

import numpy as np
import pytest


@pytest.fixture(scope="module")
def speech(run_scenario):
    gates = "evaluate.gates={accuracy: '>= 0.85', beats_baseline: true}"  # robustness is examined in tests/evaluate
    return run_scenario("speech", changes=["train.epochs=8", "evaluate.bootstrap=20", "evaluate.examine=[]", gates])


def wav(samples, rate=8_000):
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, dtype="<i2").tobytes())
    return base64.b64encode(out.getvalue()).decode()


@pytest.mark.slow
def test_a_recording_becomes_an_intent_and_its_text(speech):
    assert all(gate["passed"] for gate in speech.outcome["gates"])
    assert speech.outcome["metrics"]["test"]["accuracy"] >= 0.85
    clip = (speech.folder / "data/commands/voice03-lights_on-0.wav").read_bytes()
    row = {"audio": base64.b64encode(clip).decode()}
    hum = {"audio": wav(9_000 * np.sin(np.arange(8_000) * 0.7))}
    with speech.served() as client:
        (output,) = speech.predict(client, row, language="zh", heatmap=True)
        assert (output["label"], output["answer"]) == ("lights_on", "灯已打开。")
        stretches = output["heatmap"]["audio"]["stretches"]
        assert 0 <= stretches[0]["start"] < stretches[-1]["end"] <= 0.01 + (len(clip) - 44) / 16_000
        (other,) = speech.predict(client, hum)
        assert max(other["probabilities"].values()) < max(output["probabilities"].values())
        for content, code in (
            (wav(np.zeros(4_000)), "audio_silent"), (wav(np.resize([9_000, 0], 90_000)), "audio_too_long"), ("/etc/passwd", "value_type"),
        ):  # fmt: skip
            reply = client.post("/v1/predict", json={"model": "voice-assistant", "inputs": [{"audio": content}]})
            error = reply.json()["error"]
            assert (reply.status_code, error["param"], error["code"]) == (400, "audio", f"data.{code}")
        schema = client.get("/openapi.json").json()["components"]["schemas"]["row.voice-assistant"]
        assert schema["properties"]["audio"]["contentEncoding"] == "base64"
