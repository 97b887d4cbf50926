"""Task files, prompts with examples in them, and what counts as right."""

from __future__ import annotations

import json

import pytest

from tradewind.errors import DataError
from tradewind.evaluate.choices import Task, answer_of, asks, chance, is_right, read_task
from tradewind.evaluate.witness import Answer
from tradewind.features.language import LanguageTokenizer

CHOICE = {"question": "Which port is nearest?", "choices": ["Ningbo", "Oslo"], "answer": "Oslo"}
PROMPT = {"prompt": "2 + 2 =", "answer": "4"}


def write(path, *rows):
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)
    )
    return path


@pytest.fixture(scope="module")
def tokenizer():
    return LanguageTokenizer.train_bpe(["Question: which? Answer: this one. 问题：答案：好的"] * 3, vocabulary=300)


def made(*rows, tmp_path):
    return read_task(write(tmp_path / "faq.jsonl", *rows))


# ---------------------------------------------------------------- the file


def test_reads_both_kinds(tmp_path):
    task = made(CHOICE, "", {**CHOICE, "answer": 0}, tmp_path=tmp_path)
    assert (task.name, task.has_choices, [one.line for one in task.questions]) == ("faq", True, [1, 3])
    assert [one.answer for one in task.questions] == ["Oslo", "Ningbo"]
    assert not made(PROMPT, tmp_path=tmp_path).has_choices


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "no JSON"),
        ("[1]", "no JSON object"),
        ({"text": "x"}, "its fields are text"),
        ({**PROMPT, "answer": 4}, "answer is 4"),
        ({"prompt": "x"}, "answer is missing"),
        ({**PROMPT, "prompt": " "}, "prompt is ' '"),
        ({**PROMPT, "choices": ["4", "5"]}, "a prompt has no choices"),
        ({**CHOICE, "answer": "Bergen"}, "answer is 'Bergen'"),
        ({**CHOICE, "answer": 2}, "answer is 2"),
        ({**CHOICE, "answer": True}, "answer is True"),
        ({**CHOICE, "choices": ["Oslo"]}, "two different ones"),
        ({**CHOICE, "choices": ["Oslo", "Oslo"]}, "two different ones"),
        ({**CHOICE, "choices": "Oslo"}, "choices are 'Oslo'"),
        ({"question": "x", "answer": "y"}, "choices are missing"),
        (PROMPT, "a file is one task"),
    ],
)
def test_a_bad_line_is_named_with_what_was_found_and_what_is_expected(tmp_path, row, said):
    with pytest.raises(DataError) as caught:
        made(CHOICE, row, tmp_path=tmp_path)
    assert caught.value.code == "data.task_broken"
    assert caught.value.where is not None
    assert caught.value.where.endswith("faq.jsonl:2")
    assert said in str(caught.value)
    assert '"choices": [two texts or more]' in str(caught.value)


def test_a_file_that_is_missing_empty_or_no_text_is_one_clear_error(tmp_path):
    for content, code in (
        (None, "task_missing"),
        (b"\n\n", "task_empty"),
        (b'{"prompt": "x"\n\xff\xfe', "task_broken"),
    ):
        path = tmp_path / "t.jsonl"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            read_task(path)
        assert caught.value.code == f"data.{code}"


# ---------------------------------------------------------------- prompts


def shown(task, at, tokenizer, **options):
    ask = asks(task, tokenizer, **{"shots": 0, "seed": 0, "context": 4096, "conversation": False, **options})[at]
    return tokenizer.decode(ask.prompt), [tokenizer.decode(one) for one in ask.continuations], ask


def test_a_question_is_asked_with_examples_before_it(tmp_path, tokenizer):
    task = made(CHOICE, {"question": "Which sea?", "choices": ["North", "South"], "answer": "North"}, tmp_path=tmp_path)
    prompt, choices, ask = shown(task, 0, tokenizer, shots=3)
    assert prompt == "Question: Which sea?\nAnswer: North\n\nQuestion: Which port is nearest?\nAnswer:"
    assert choices == [" Ningbo", " Oslo"]
    assert not ask.cut
    assert ask.prompt[0] == tokenizer.specials.eos


def test_a_question_in_chinese_is_asked_in_chinese(tmp_path, tokenizer):
    task = made({"question": "最近的港口？", "choices": ["宁波", "奥斯陆"], "answer": 0}, tmp_path=tmp_path)
    assert shown(task, 0, tokenizer)[:2] == ("问题：最近的港口？\n答案：", ["宁波", "奥斯陆"])


def test_an_example_is_never_the_question_itself(tmp_path, tokenizer):
    task = made(*({"prompt": f"{n} + 1 =", "answer": str(n + 1)} for n in range(9)), tmp_path=tmp_path)
    for at, ask in enumerate(asks(task, tokenizer, shots=9, seed=0, context=4096, conversation=False)):
        assert tokenizer.decode(ask.prompt).count(f"{at} + 1 =") == 1
        assert tokenizer.decode(ask.prompt).count("=") == 9


def test_a_conversation_is_asked_through_the_template(tmp_path, tokenizer):
    task = made(CHOICE, {**CHOICE, "question": "Again?"}, tmp_path=tmp_path)
    _, choices, ask = shown(task, 1, tokenizer, shots=1, conversation=True)
    turns = [
        {"role": "user", "content": CHOICE["question"]}, {"role": "assistant", "content": "Oslo"},
        {"role": "user", "content": "Again?"},
    ]  # fmt: skip
    assert list(ask.prompt) == tokenizer.chat(turns)
    assert choices == ["Ningbo", "Oslo"]


@pytest.mark.parametrize("context", [30, 60, 90])
def test_what_does_not_fit_loses_examples_first_and_says_so(tmp_path, tokenizer, context):
    task = made(*({"prompt": f"the number after {n} is", "answer": str(n + 1)} for n in range(6)), tmp_path=tmp_path)
    for ask in asks(task, tokenizer, shots=5, seed=0, context=context, conversation=False):
        assert ask.cut
        assert len(ask.prompt) + ask.max_tokens <= context
        assert tokenizer.decode(ask.prompt).endswith("is")


# ---------------------------------------------------------------- judging


def test_the_likeliest_choice_per_character_counts():
    answer = Answer("t", 1, "a long choice", choices=("short", "a long choice"), log_likelihoods=(-5.0, -6.0))
    assert is_right(answer)  # -1 a character against -0.46
    assert not is_right(Answer("t", 1, "short", choices=("short", "a long choice"), log_likelihoods=(-5.0, -6.0)))


@pytest.mark.parametrize(
    ("said", "right"), [("4", True), (" 4\n5 + 5 = 10", True), ("42", False), ("", False), ("four", False)]
)
def test_an_answer_is_right_when_its_first_line_is_the_expected_one(said, right):
    assert is_right(Answer("t", 1, "4", said=said)) == right


def test_chance_is_a_guess_or_the_most_frequent_answer():
    choices = [Answer("t", 1, "a", choices=("a", "b")), Answer("t", 2, "a", choices=("a", "b", "c", "d"))]
    assert chance(choices)[0] == pytest.approx(0.375)
    assert chance([Answer("t", n, "yes" if n < 3 else "no") for n in range(4)])[0] == pytest.approx(0.75)


def test_what_was_found_is_kept_with_its_line(tmp_path, tokenizer):
    task = made(CHOICE, tmp_path=tmp_path)
    assert isinstance(task, Task)
    ask = asks(task, tokenizer, shots=0, seed=0, context=4096, conversation=False)[0]
    found = answer_of(task, 0, ask, log_likelihoods=[-1, -2])
    assert found == Answer("faq", 1, "Oslo", "", ("Ningbo", "Oslo"), (-1.0, -2.0), False)
