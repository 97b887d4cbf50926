"""The fields of a JSON request, read one by one, each mistake named with its place. Not what a field means (`chat.py` …).

A field that is null counts as absent, as in OpenAI's API. A field that changes what is asked for and that this server does
not have is refused; one that changes nothing here is read over; a name that nobody knows is refused with the nearest one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from tradewind.errors import InputError, nearest
from tradewind.server.wire import bad_json, refuse_doubles

_DECODER = msgspec.json.Decoder()
_MOST_SHOWN = 60


def decode_object(body: bytes, *, what: str = "body") -> Fields:
    """The fields of a body, or of what else it is. Raises InputError (json, field)."""
    try:
        content = _DECODER.decode(body)
    except (ValueError, RecursionError) as error:
        raise bad_json(error, what=what) from None
    refuse_doubles(body)
    return Fields(content, "", what=what)


class Fields:
    """One JSON object; `where` is its place in the request ("" for the whole). Raises InputError `field` for a wrong kind."""

    def __init__(self, content: object, where: str, *, what: str = "body") -> None:
        if not isinstance(content, dict):
            found = f"{where} is" if where else f"The {what} is"
            raise InputError(f"{found} {kind_of(content)}, but must be an object.", code="field", where=where or None)
        self.content: dict[str, Any] = content
        self.where = where

    def place(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name

    def wrong(self, name: str, message: str, *, hint: str | None = None) -> InputError:
        return InputError(f"{self.place(name)} {message}.", code="field", where=self.place(name), hint=hint)

    def only(self, read: Collection[str], *, ignored: Collection[str] = ()) -> None:
        """Refuses every name but those."""
        for name, value in self.content.items():
            if name not in read and name not in ignored and value is not None:
                raise InputError(
                    f"There is no field {name[:_MOST_SHOWN]!r}.", code="field", where=self.place(name[:_MOST_SHOWN]),
                    hint=nearest(name, [*read, *ignored]) or None,
                )  # fmt: skip

    def refuse(self, name: str, reason: str, *, harmless: Collection[object] = ()) -> None:
        """Refuses a field that would change the answer, unless its value asks for what happens anyway."""
        value = self.content.get(name)
        if value is None or any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in harmless):
            return
        raise InputError(
            f"{self.place(name)} is not served here: {reason}.", code="unsupported", where=self.place(name)
        )

    # ------------------------------------------------------------ values

    def get(self, name: str) -> Any:
        return self.content.get(name)

    def text(self, name: str) -> str | None:
        value = self.content.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, f"is {kind_of(value)}, but must be text")
        return value

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise self.wrong(name, "is missing" if value is None else "is empty")
        return value

    def one_of(self, name: str, allowed: Collection[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            raise self.wrong(name, f"is {value[:_MOST_SHOWN]!r}, but must be one of {', '.join(allowed)}",
                             hint=nearest(value, allowed) or None)  # fmt: skip
        return value

    def flag(self, name: str) -> bool:
        value = self.content.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, f"is {kind_of(value)}, but must be true or false")
        return bool(value)

    def integer(self, name: str, low: int, high: int) -> int | None:
        value = self.content.get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(name, f"is {kind_of(value)}, but must be a whole number")
        if not low <= value <= high:
            raise self.wrong(name, f"is {value}, but lies between {low} and {high}")
        return int(value)

    def number(self, name: str, low: float, high: float) -> float | None:
        value = self.content.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, f"is {kind_of(value)}, but must be a number")
        if not low <= value <= high:
            raise self.wrong(name, f"is {value}, but lies between {low:g} and {high:g}")
        return float(value)

    def items(self, name: str) -> list[Any] | None:
        value = self.content.get(name)
        if value is not None and not isinstance(value, list):
            raise self.wrong(name, f"is {kind_of(value)}, but must be a list")
        return value

    def object(self, name: str) -> Fields | None:
        value = self.content.get(name)
        return None if value is None else Fields(value, self.place(name))

    def objects(self, name: str) -> list[Fields]:
        return [Fields(item, f"{self.place(name)}[{place}]") for place, item in enumerate(self.items(name) or [])]


def kind_of(value: object) -> str:
    """What a caller sent, in JSON's words."""
    names: Mapping[type, str] = {
        str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object",
    }  # fmt: skip
    return "null" if value is None else names.get(type(value), "something else")
