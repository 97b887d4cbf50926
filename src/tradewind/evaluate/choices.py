"""Tasks from a JSONL file: questions with choices, and prompts with one right answer, with k examples in the prompt.

    {"question": "Which port is nearest?", "choices": ["Ningbo", "Oslo"], "answer": "Ningbo"}     answer: the choice or its place
    {"prompt": "2 + 2 =", "answer": "4"}

Not here: what the model says to them (`train/scoring.py`), accuracy with its interval (`generation.py`).

A choice counts by its log-likelihood per character, as `acc_norm` of EleutherAI's harness does (Gao et al., "A framework for
few-shot language model evaluation", 2021), so that a long choice is not punished for its length. Examples come from the same
file, never the question itself (Brown et al., "Language models are few-shot learners", 2020).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tradewind.errors import DataError
from tradewind.evaluate.witness import Answer
from tradewind.features.language import LanguageTokenizer

_CHINESE = re.compile(r"[\u3400-\u9fff]")
_ROOM = 8  # tokens that an answer may be longer than the expected one
_SHOWN = 120


@dataclass(frozen=True)
class Question:
    """One line of a task file. Without `choices` the answer is to be written."""

    line: int
    text: str
    answer: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    name: str
    questions: tuple[Question, ...]

    @property
    def has_choices(self) -> bool:
        return bool(self.questions[0].choices)


@dataclass(frozen=True)
class Ask:
    """One question as tokens: what the model reads, and each continuation it is asked about, or how much it may write."""

    prompt: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]
    max_tokens: int
    cut: bool


# ---------------------------------------------------------------- the file


def read_task(path: Path) -> Task:
    """The task of a file, named by it. Raises DataError task_missing, task_broken, task_empty, with the line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise DataError("There is no such task file.", code="task_missing", where=str(path),
                        hint="evaluate.tasks names files, from the product's folder.") from error  # fmt: skip
    except UnicodeDecodeError as error:
        raise _broken(path, _line_of(path, error.start), "its bytes are no UTF-8") from error
    questions = [_question(path, at, line) for at, line in enumerate(lines, start=1) if line.strip()]
    if not questions:
        raise DataError("The task file has no question.", code="task_empty", where=str(path),
                        hint='Write one JSON object a line: {"prompt": …, "answer": …}.')  # fmt: skip
    for one in questions:
        if bool(one.choices) != bool(questions[0].choices):
            kind = "choices" if questions[0].choices else "none"
            raise _broken(
                path, one.line, f"line {questions[0].line} has {kind}, this one does not follow; a file is one task"
            )
    return Task(path.stem, tuple(questions))


def _line_of(path: Path, offset: int) -> int:
    return path.read_bytes()[:offset].count(b"\n") + 1


def _broken(path: Path, line: int, found: str) -> DataError:
    return DataError(
        f"This is no question of a task: {found}.", code="task_broken", where=f"{path}:{line}",
        hint='Expected {"question": text, "choices": [two texts or more], "answer": one of them or its place from 0}, or '
        '{"prompt": text, "answer": text}.',
    )  # fmt: skip


def _question(path: Path, line: int, text: str) -> Question:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise _broken(path, line, f"it is no JSON ({error})") from error
    if not isinstance(row, dict):
        raise _broken(path, line, f"found {text.strip()[:_SHOWN]!r}, no JSON object")
    words = sorted(str(key) for key in row)
    if "question" in row and "prompt" not in row:
        return _with_choices(path, line, row)
    if "prompt" not in row or "question" in row:
        raise _broken(path, line, f"its fields are {', '.join(words) or 'none'}")
    if "choices" in row:
        raise _broken(path, line, "a prompt has no choices; a question has")
    prompt, answer = row["prompt"], row.get("answer")
    if not (isinstance(prompt, str) and prompt.strip()):
        raise _broken(path, line, f"prompt is {prompt!r}")
    if not (isinstance(answer, str) and answer.strip()):
        raise _broken(path, line, f"answer is {answer!r}" if "answer" in row else "answer is missing")
    return Question(line, prompt, answer.strip())


def _with_choices(path: Path, line: int, row: dict[str, Any]) -> Question:
    text, choices, answer = row["question"], row.get("choices"), row.get("answer")
    if not (isinstance(text, str) and text.strip()):
        raise _broken(path, line, f"question is {text!r}")
    if not isinstance(choices, list) or not all(isinstance(one, str) and one.strip() for one in choices):
        raise _broken(path, line, f"choices are {choices!r}" if "choices" in row else "choices are missing")
    if len(set(choices)) < max(2, len(choices)):
        raise _broken(path, line, f"choices are {choices!r}; two different ones at least, and none twice")
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
        answer = choices[answer]
    if not isinstance(answer, str) or answer not in choices:
        raise _broken(path, line, f"answer is {answer!r}, and the choices are {choices!r}"[: 4 * _SHOWN])
    return Question(line, text, answer, tuple(choices))


# ---------------------------------------------------------------- asking


def asks(
    task: Task, tokenizer: LanguageTokenizer, *, shots: int, seed: int, context: int, conversation: bool
) -> list[Ask]:
    """Every question with `shots` examples before it, in at most `context` tokens together with what follows. Where there
    is no room, examples are left out, the first ones first; then the beginning of the question."""
    return [
        _ask(task, at, tokenizer, examples=_examples(task, at, shots, seed), context=context, conversation=conversation)
        for at in range(len(task.questions))
    ]


def _examples(task: Task, at: int, shots: int, seed: int) -> list[Question]:
    others = [place for place in range(len(task.questions)) if place != at]
    drawn: list[int] = np.random.default_rng([seed, at]).permutation(others)[:shots].tolist() if others else []
    return [task.questions[place] for place in drawn]


def _ask(
    task: Task, at: int, tokenizer: LanguageTokenizer, *, examples: list[Question], context: int, conversation: bool
) -> Ask:
    question = task.questions[at]
    answers = question.choices or (question.answer,)
    continuations = tuple(tuple(tokenizer.encode(_continued(question, one, conversation))) for one in answers)
    longest = max(map(len, continuations)) + (0 if question.choices else _ROOM)
    cut = False
    while True:
        prompt = _prompt(examples, question, tokenizer, conversation)
        if len(prompt) + longest <= context or not examples:
            break
        examples, cut = examples[1:], True
    room = max(1, context - longest)
    if len(prompt) > room:
        prompt, cut = prompt[-room:], True
    return Ask(tuple(prompt), continuations if question.choices else (), longest, cut)


def _prompt(
    examples: Sequence[Question], question: Question, tokenizer: LanguageTokenizer, conversation: bool
) -> list[int]:
    if conversation:
        turns = [
            {"role": role, "content": text}
            for one in examples
            for role, text in (("user", one.text), ("assistant", one.answer))
        ]
        return tokenizer.chat([*turns, {"role": "user", "content": question.text}])
    blocks = [_head(one) + _continued(one, one.answer, False) for one in examples]
    specials = tokenizer.specials
    first = specials.bos if specials.bos is not None else specials.eos
    return [first, *tokenizer.encode("\n\n".join([*blocks, _head(question)]))]


def _head(question: Question) -> str:
    """The question as running text. A prompt stands as it was written."""
    if not question.choices:
        return question.text.rstrip()
    return f"问题：{question.text}\n答案：" if _CHINESE.search(question.text) else f"Question: {question.text}\nAnswer:"


def _continued(question: Question, answer: str, conversation: bool) -> str:
    """The answer as it follows: after the blank that the prompt ends with, else after one, but for Chinese; in a
    conversation it is a turn of its own."""
    if conversation:
        return answer
    gap = "" if question.choices else question.text[len(question.text.rstrip()) :]
    return (gap or ("" if _CHINESE.search(question.text) else " ")) + answer


# ---------------------------------------------------------------- judging


def answer_of(task: Task, at: int, ask: Ask, *, log_likelihoods: Sequence[float] = (), said: str = "") -> Answer:
    """What was found for question `at`, as it is kept."""
    question = task.questions[at]
    return Answer(
        task.name, question.line, question.answer, said, question.choices,
        tuple(float(one) for one in log_likelihoods), ask.cut,
    )  # fmt: skip


def is_right(answer: Answer) -> bool:
    """Whether the likeliest choice per character is the expected one, or the first line that was written is the answer."""
    if answer.choices:
        scores = [one / len(text) for one, text in zip(answer.log_likelihoods, answer.choices, strict=True)]
        return answer.choices[int(np.argmax(scores))] == answer.expected
    return _plain(answer.said, lines="\n" in answer.expected) == _plain(answer.expected, lines=True)


def _plain(text: str, *, lines: bool) -> str:
    text = unicodedata.normalize("NFC", text).strip()
    return text if lines else text.partition("\n")[0].strip()


def chance(answers: Sequence[Answer]) -> tuple[float, str]:
    """The accuracy of knowing nothing: of guessing a choice, or of always writing the most frequent answer."""
    if answers[0].choices:
        return float(np.mean([1 / len(one.choices) for one in answers])), "one choice taken at random"
    most = Counter(one.expected for one in answers).most_common(1)[0][1]
    return most / len(answers), "always the most frequent answer"
