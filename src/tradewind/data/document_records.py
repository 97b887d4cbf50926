"""One record of a source as a document: a text, a conversation, or two answers to one prompt; or why it is none.

Not here: reading files (`documents.py`). The names of fields are those in use: messages (OpenAI), conversations (ShareGPT),
instruction/input/output (Alpaca), question/answer, prompt/completion, chosen/rejected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["text", "chat", "preferences"]
Turn: TypeAlias = dict[str, Any]

_TEXTS = ("text", "content", "document", "body")
_PAIRS = (
    ("instruction", "output"), ("instruction", "response"), ("question", "answer"), ("prompt", "completion"),
    ("prompt", "response"), ("query", "response"), ("input", "output"),
)  # fmt: skip
_ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "assistant": "assistant",
    "gpt": "assistant", "bot": "assistant", "model": "assistant", "tool": "tool", "function": "tool",
}  # fmt: skip
NAMES = ("role", "name", "tool_call_id")  # of a turn: nobody says them
_KEPT = ("tool_calls", "tool_call_id", "name", "reasoning_content")


@dataclass(frozen=True)
class Document:
    """What one record says. `content` has `text`, or `messages` (and `tools`), or also `chosen` and `rejected`.

    `goes_on` says that the next document continues this one: a large file comes in parts.
    """

    kind: Kind
    content: Mapping[str, Any]
    file: str
    line: int
    goes_on: bool = False

    @property
    def text(self) -> str:
        """All that is said."""
        return "\n".join(texts_of(self.content))

    @property
    def own_words(self) -> str:
        """What is said, the system's turns aside: all conversations of a team may share those."""
        if "text" in self.content:
            return str(self.content["text"])
        turns = [turn_text(turn) for turn in self.content["messages"] if turn["role"] != "system"]
        return "\n".join([*turns, *(self.content[side] for side in ("chosen", "rejected") if side in self.content)])


class Unusable(Exception):
    """Why a record is no document; never leaves the reading of documents."""


def texts_of(content: Mapping[str, Any]) -> list[str]:
    """Everything that is said, calls of tools too."""
    if "text" in content:
        return [content["text"]]
    said = [
        text
        for turn in content["messages"]
        for key, value in turn.items()
        if key not in NAMES
        for text in strings(value)
    ]
    return said + [content[side] for side in ("chosen", "rejected") if side in content]


def strings(value: Any) -> list[str]:
    """Every text in a JSON value; keys are no texts."""
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [text for item in items for text in strings(item)]


def turn_text(turn: Mapping[str, Any]) -> str:
    content = turn.get("content")
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content) if content else ""


def kind_of(record: Mapping[str, Any]) -> str:
    """The format that the fields speak for: text, chat, instructions, preferences, or "" for none."""
    if "chosen" in record and "rejected" in record:
        return "preferences"
    if "messages" in record or "conversations" in record:
        return "chat"
    if any(ask in record and answer in record for ask, answer in _PAIRS):
        return "instructions"
    return "text" if any(name in record for name in _TEXTS) else ""


def document_of(record: Any, said: str, *, file: str, line: int) -> Document:
    """The document of a record, by format `said` or by its fields where that is auto. Raises Unusable."""
    if not isinstance(record, Mapping):
        raise Unusable("not a JSON object")
    form = kind_of(record) if said == "auto" else said
    if form == "text":
        return Document("text", {"text": _text(record)}, file, line)
    if form == "chat":
        return Document("chat", _chat(record), file, line)
    if form == "instructions":
        return Document("chat", {"messages": _instruction(record)}, file, line)
    if form == "preferences":
        return Document("preferences", _preference(record), file, line)
    names = ", ".join(list(map(str, record))[:8]) or "none"
    raise Unusable(
        f"no field that is known (fields: {names}); text, messages, question and answer, chosen and rejected are"
    )


def _text(record: Mapping[str, Any]) -> str:
    name = next((name for name in _TEXTS if name in record), None)
    if name is None:
        raise Unusable("there is no field text")
    return _said(record[name], name)


def _said(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Unusable(f"{name} is {_what(value)}, not text")
    if not value.strip():
        raise Unusable(f"{name} is empty")
    return value


def _what(value: Any) -> str:
    if value is None:
        return "missing"
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


# ---------------------------------------------------------------- conversations


def _chat(record: Mapping[str, Any]) -> dict[str, Any]:
    field = "messages" if "messages" in record else "conversations"
    turns = turns_of(record.get(field), field)
    if turns[0]["role"] != "system" and isinstance(record.get("system"), str) and record["system"].strip():
        turns.insert(0, {"role": "system", "content": record["system"]})
    if not any(turn["role"] == "assistant" for turn in turns):
        raise Unusable("no turn is the assistant's, so nothing would be learnt")
    content: dict[str, Any] = {"messages": turns}
    if isinstance(record.get("tools"), list) and record["tools"]:
        content["tools"] = record["tools"]
    return content


def turns_of(value: Any, field: str) -> list[Turn]:
    """Turns with role and content, checked. Raises Unusable."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise Unusable(f"{field} is {_what(value)}, not a list of messages")
    turns = [_turn(one, f"{field}[{place}]") for place, one in enumerate(value)]
    if turns[0]["role"] == "assistant":
        raise Unusable(f"{field}[0] is the assistant's: a user or a system message comes first")
    return turns


def _turn(value: Any, where: str) -> Turn:
    if not isinstance(value, Mapping):
        raise Unusable(f"{where} is {_what(value)}, not a message")
    said = value.get("role", value.get("from"))
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise Unusable(f"{where} has the role {said!r}; roles are system, user, assistant and tool")
    content = value.get("content", value.get("value"))
    extra = {key: value[key] for key in _KEPT if value.get(key) is not None}
    if content is None and "tool_calls" in extra:
        content = ""
    if isinstance(content, list):
        content = _parts(content, where)
    if not isinstance(content, str):
        raise Unusable(f"{where} has a content that is {_what(content)}, not text")
    if not content.strip() and role in ("user", "assistant") and "tool_calls" not in extra:
        raise Unusable(f"{where} says nothing")
    return {"role": role, "content": content, **extra}


def _parts(content: Sequence[Any], where: str) -> str:
    texts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
    if not all(isinstance(text, str) for text in texts):
        raise Unusable(f"{where} has a part that is no text")
    return "".join(text for text in texts if text)


def _instruction(record: Mapping[str, Any]) -> list[Turn]:
    pair = next(((ask, answer) for ask, answer in _PAIRS if ask in record and answer in record), None)
    if pair is None:
        raise Unusable("there is no pair of fields such as question and answer")
    asked, answered = (_said(record[name], name) for name in pair)
    if pair[0] == "instruction" and isinstance(record.get("input"), str) and record["input"].strip():
        asked = f"{asked}\n\n{record['input']}"
    turns: list[Turn] = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    if isinstance(record.get("system"), str) and record["system"].strip():
        turns.insert(0, {"role": "system", "content": record["system"]})
    return turns


def _preference(record: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("chosen", "rejected"):
        if name not in record:
            raise Unusable(f"there is no field {name}")
    prompt = record.get("prompt", record.get("messages"))
    begin: list[Turn] | None = None
    if isinstance(prompt, str):
        begin = [{"role": "user", "content": _said(prompt, "prompt")}]
    elif prompt is not None:
        begin = turns_of(prompt, "prompt")
    (before, chosen), (other, rejected) = (_side(record[name], name) for name in ("chosen", "rejected"))
    begin = begin or before
    if not begin:
        raise Unusable("there is no prompt")
    if before and other and before != other:
        raise Unusable("chosen and rejected answer different prompts")
    if chosen == rejected:
        raise Unusable("chosen and rejected are the same")
    if begin[-1]["role"] == "assistant":
        raise Unusable("the prompt ends with an answer")
    return {"messages": begin, "chosen": chosen, "rejected": rejected}


def _side(value: Any, name: str) -> tuple[list[Turn], str]:
    """The turns before the answer, where they are given, and the answer."""
    if isinstance(value, str):
        return [], _said(value, name)
    if not isinstance(value, Sequence) or not value:
        raise Unusable(f"{name} is {_what(value)}, not an answer")
    turns = [_turn(one, f"{name}[{place}]") for place, one in enumerate(value)]
    if turns[-1]["role"] != "assistant":
        raise Unusable(f"{name} does not end with an answer")
    return turns[:-1], turn_text(turns[-1])
