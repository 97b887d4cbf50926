"""What every section of the product file is made of: strictness, names of tasks and kinds, and mistakes with a place.

Not here: any section (the files beside this one).
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from tradewind.errors import InputError
from tradewind.privacy.retention import parse_duration

Task = Literal["classification", "regression", "recommendation", "generation", "translation"]
Job = Literal["continue", "title", "rewrite"]  # of a writing model
ColumnKind = Literal["number", "category", "date", "text", "image", "audio", "identifier"]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(gt=0)]


Place: TypeAlias = tuple[int | str, ...]  # of a setting: names, and numbers in a list


def misplaced(place: Place, says: str, *, hint: str = "") -> PydanticCustomError:
    """A mistake that only settings together show, with the place where it is mended. `says` has no full stop."""
    return PydanticCustomError("misplaced", "{says}", {"place": place, "says": says, "hint": hint})


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


# ---------------------------------------------------------------- data


def _duration(value: object) -> object:
    try:
        parse_duration(str(value))
    except InputError as error:
        raise ValueError(str(error)) from error
    return str(value).strip()


DurationField = Annotated[str, BeforeValidator(_duration, json_schema_input_type=str)]
