from __future__ import annotations

import gzip
import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tradewind.data.documents import Document, Documents, open_documents
from tradewind.errors import DataError
from tradewind.product import Source


def opened(path: Path, said: str = "auto", **source) -> Documents:
    return open_documents(Source(path=path.name, **source), said=said, base=path.parent)


def written(folder: Path, name: str, *rows: object) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return folder / name


def read(path: Path, said: str = "auto", **source) -> list[Document]:
    return list(opened(path, said, **source).documents())


def contents(path: Path, said: str = "auto") -> list[object]:
    return [document.content for document in read(path, said)]


TALK = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "您好！"}]

# ---------------------------------------------------------------- text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_a_text_file_is_one_document_in_any_encoding(tmp_path, encoding) -> None:
    text = "船在黎明时分离开了港口。风很好，船员们唱着歌。\n" * 20
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert contents(tmp_path / "a.txt") == [{"text": text}]


def test_a_folder_gives_its_files_in_order_and_those_of_its_folders(tmp_path) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "inner").mkdir(parents=True)
    (corpus / "b.md").write_text("second")
    (corpus / "a.txt").write_text("first")
    (corpus / "inner" / "c.txt").write_text("third")
    (corpus / ".hidden.txt").write_text("no")
    (corpus / "notes.docx").write_text("no")
    found = [(document.file, document.text) for document in read(corpus)]
    assert found == [("corpus/a.txt", "first"), ("corpus/b.md", "second"), ("corpus/inner/c.txt", "third")]


def test_a_large_file_comes_in_parts_that_make_it_up(tmp_path) -> None:
    text = "".join(f"line {number} of a long book, 第{number}行\n" for number in range(150_000))
    (tmp_path / "book.txt").write_text(text, encoding="utf-8")
    parts = read(tmp_path / "book.txt")
    assert "".join(part.text for part in parts) == text
    assert [part.goes_on for part in parts] == [True] * (len(parts) - 1) + [False]
    assert len(parts) > 2
    assert all(text.split("\n")[part.line - 1] == part.text.split("\n")[0] for part in parts)


def test_a_packed_file_is_unpacked(tmp_path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"hello"))
    assert contents(tmp_path / "a.txt.gz") == [{"text": "hello"}]


def test_a_single_text_file_is_a_book_and_a_folder_is_none(tmp_path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a.txt").write_text("first")
    assert opened(corpus / "a.txt").is_book
    (corpus / "b.txt").write_text("second")
    assert not opened(corpus).is_book


def test_a_corpus_may_lie_elsewhere(tmp_path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/far/a.txt": b"first", "/far/inner/b.jsonl": b'{"text": "second"}', "/far/c.png": b"\x89PNG"})
    for path, texts in (("memory://far/", ["first", "second"]), ("memory://far/inner/b.jsonl", ["second"])):
        source = open_documents(Source(path=path), said="auto", base=tmp_path)
        assert [document.text for document in source.documents()] == texts


# ---------------------------------------------------------------- records


@pytest.mark.parametrize(
    ("row", "content"),
    [
        ({"text": "a"}, {"text": "a"}),
        ({"messages": TALK}, {"messages": TALK}),
        ({"conversations": [{"from": "human", "value": "你好"}, {"from": "gpt", "value": "您好！"}]}, {"messages": TALK}),
        ({"question": "你好", "answer": "您好！"}, {"messages": TALK}),
        ({"prompt": "你好", "completion": "您好！"}, {"messages": TALK}),
        ({"instruction": "你好", "input": "", "output": "您好！"}, {"messages": TALK}),
        (
            {"instruction": "Add", "input": "1 and 2", "output": "3"},
            {"messages": [{"role": "user", "content": "Add\n\n1 and 2"}, {"role": "assistant", "content": "3"}]},
        ),
        (
            {"system": "Be kind.", "question": "你好", "answer": "您好！"},
            {"messages": [{"role": "system", "content": "Be kind."}, *TALK]},
        ),
        ({"prompt": "q", "chosen": "a", "rejected": "b"},
         {"messages": [{"role": "user", "content": "q"}], "chosen": "a", "rejected": "b"}),
        ({"chosen": TALK, "rejected": [TALK[0], {"role": "assistant", "content": "?"}]},
         {"messages": TALK[:1], "chosen": "您好！", "rejected": "?"}),
    ],
)  # fmt: skip
def test_a_record_is_known_by_its_fields(tmp_path, row, content) -> None:
    assert contents(written(tmp_path, "a.jsonl", row)) == [content]


def test_parts_of_a_content_are_put_together(tmp_path) -> None:
    parts = [{"type": "text", "text": "你"}, {"type": "text", "text": "好"}]
    row = {"messages": [{"role": "human", "content": parts}, TALK[1]]}
    assert contents(written(tmp_path, "a.jsonl", row)) == [{"messages": TALK}]


def test_calls_of_tools_are_kept(tmp_path) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    row = {"messages": [TALK[0], call], "tools": [{"type": "function"}]}
    (content,) = contents(written(tmp_path, "a.jsonl", row))
    assert content == {"messages": [TALK[0], {**call, "content": ""}], "tools": [{"type": "function"}]}


def test_parquet_gives_the_same_documents_as_jsonl(tmp_path) -> None:
    rows = [{"messages": TALK}, {"messages": [*TALK, *TALK]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert contents(tmp_path / "a.parquet") == contents(written(tmp_path, "a.jsonl", *rows))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{bad", "no JSON"),
        ("[1]", "not a JSON object"),
        ({"text": 3}, "text is a number, not text"),
        ({"text": "  "}, "text is empty"),
        ({"title": "x"}, "no field that is known (fields: title)"),
        ({"messages": []}, "messages is a list, not a list of messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0] has the role 'wizard'"),
        ({"messages": [TALK[1], TALK[0]]}, "messages[0] is the assistant's"),
        ({"messages": TALK[:1]}, "no turn is the assistant's"),
        ({"messages": [TALK[0], {"role": "assistant", "content": " "}]}, "messages[1] says nothing"),
        ({"messages": [TALK[0], {"role": "assistant", "content": [{"type": "image_url"}]}]}, "a part that is no text"),
        ({"prompt": "q", "chosen": "a", "rejected": "a"}, "chosen and rejected are the same"),
        ({"chosen": "a", "rejected": "b"}, "there is no prompt"),
        ({"question": "q", "answer": None}, "answer is missing"),
    ],
)  # fmt: skip
def test_a_bad_line_is_kept_with_its_place_and_reason(tmp_path, row, reason) -> None:
    good = {"messages": TALK}
    source = opened(written(tmp_path, "a.jsonl", good, "", row, good))
    assert len(list(source.documents())) == 2
    (reject,) = source.rejects
    assert (reject.file, reject.line) == ("a.jsonl", 3)
    assert reason in reject.reason


def test_a_document_of_another_kind_is_rejected(tmp_path) -> None:
    source = opened(written(tmp_path, "a.jsonl", {"messages": TALK}, {"text": "plain"}, {"messages": TALK}))
    assert len(list(source.documents())) == 2
    assert "a document of the kind text in a corpus of the kind chat" in source.rejects[0].reason


def test_a_format_that_is_said_is_held_to(tmp_path) -> None:
    path = written(tmp_path, "a.jsonl", *[{"text": "t", "question": "q", "answer": "a"}] * 3)
    assert contents(path, "text") == [{"text": "t"}] * 3
    assert all("messages" in content for content in contents(path, "instructions"))


# ---------------------------------------------------------------- entry checks


def code_of(path: Path, said: str = "auto") -> str:
    with pytest.raises(DataError) as caught:
        read(path, said)
    return caught.value.code


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_empty_corpus(tmp_path, content) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    assert code_of(tmp_path / "a.txt") == "data.corpus_empty"


def test_a_folder_without_text_is_one_error(tmp_path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.docx").write_text("x")
    assert code_of(tmp_path / "corpus") == "data.folder_empty"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (bytes(range(256)) * 40, "data.binary"),
        (b"\0" * 5000, "data.binary"),
        (b"%PDF-1.7 hello", "data.format_wrong"),
        (b"\x89PNG\r\n\x1a\n and so on", "data.format_wrong"),
    ],
)
def test_a_binary_file_is_one_error(tmp_path, content, code) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    assert code_of(tmp_path / "a.txt") == code


def test_a_binary_file_among_others_is_rejected_and_the_others_go_on(tmp_path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a.txt").write_bytes(bytes(range(256)) * 40)
    (corpus / "b.txt").write_text("good")
    source = opened(corpus)
    assert [document.text for document in source.documents()] == ["good"]
    assert [(row.file, row.code) for row in source.rejects] == [("corpus/a.txt", "binary")]


def test_a_missing_file_is_one_error(tmp_path) -> None:
    assert code_of(tmp_path / "nothing.jsonl") == "data.missing"


def test_one_json_array_is_one_error(tmp_path) -> None:
    assert code_of(written(tmp_path, "a.json", [{"text": "a"}])) == "data.json_array"


def test_a_broken_parquet_file_is_one_error(tmp_path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    assert code_of(tmp_path / "a.parquet") == "data.parquet_broken"


def test_a_text_file_holds_no_conversations(tmp_path) -> None:
    assert code_of(written(tmp_path, "a.txt", "hello"), "chat") == "data.format_wrong"


def test_where_every_line_is_bad_the_first_is_named(tmp_path) -> None:
    with pytest.raises(DataError, match="Every document was rejected") as caught:
        read(written(tmp_path, "a.jsonl", {"a": 1}, {"a": 2}))
    assert (caught.value.code, caught.value.where) == ("data.all_rejected", "a.jsonl:1")


def test_a_byte_that_is_no_utf8_far_in_is_named_by_its_line(tmp_path) -> None:
    text = "a line of text\n" * 100_000
    (tmp_path / "a.txt").write_bytes(text.encode() + b"\xff\xfe broken\n")
    source = opened(tmp_path / "a.txt", encoding="utf-8")
    assert "".join(document.text for document in source.documents()) == text
    assert [row.line for row in source.rejects] == [100_001]
