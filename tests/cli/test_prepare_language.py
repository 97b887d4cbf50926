from __future__ import annotations

import json
from pathlib import Path

import pytest

from tradewind.cli.app import main

TALKS = [{"question": f"How much is {n} and {n + 1}?", "answer": f"It is {2 * n + 1}."} for n in range(40)]


@pytest.fixture
def helpdesk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TRADEWIND_HOME", raising=False)
    lines = [json.dumps(row) for row in [*TALKS, TALKS[3], {"question": "no answer"}]]
    (tmp_path / "talks.jsonl").write_text("\n".join(lines), encoding="utf-8")
    text = "product: helpdesk\ntask: generation\ndata: {source: talks.jsonl}\n"
    (tmp_path / "tradewind.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_prepare_says_what_the_corpus_holds(helpdesk, capsys) -> None:
    assert main(["prepare", "-C", str(helpdesk), "--json"]) == 0
    said = capsys.readouterr()
    folder = Path(json.loads(said.out)["artifacts"]["dataset"])
    assert (folder / "splits" / "train" / "tokens.npy").exists()
    assert "40 documents (chat, split by document)" in said.err
    assert "bytes a token" in said.err
    assert "2 rejected" in said.err


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "The corpus is empty"), (bytes(range(256)) * 30, "It is a binary file, not text"),
     (b"not json\nnor this\n", "Every document was rejected")],
)  # fmt: skip
def test_a_corpus_that_cannot_be_used_is_one_error_with_status_2(helpdesk, capsys, content, words) -> None:
    (helpdesk / "talks.jsonl").write_bytes(content)
    assert main(["prepare", "-C", str(helpdesk)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "talks.jsonl" in said
    assert "Traceback" not in said
