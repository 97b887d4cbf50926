"""A customer's own intents beside those that a release has learnt: named, with a few examples, answered from then on by
`/v1/predict`. Not here: how they are told (`engines/prototypes.py`), what workers hold of them (`library.py`).

The account comes from the key alone. Reading takes the scope `predict`, changing takes `keys`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from tradewind.business import customer_texts, fleet
from tradewind.business.customer_texts import CustomerText, Place
from tradewind.business.views import View
from tradewind.engines.prototypes import IntentAnswer, Intents
from tradewind.errors import InputError, nearest
from tradewind.product.answers import VariantsField
from tradewind.server.callers import Body, Customer, Line, MayKeys, needs
from tradewind.server.library import MOST_INTENTS, Library
from tradewind.server.served import Served

router = APIRouter(prefix="/v1", tags=["intents"])
MayPredict = Annotated[Customer, Depends(needs("predict"))]
_EXAMPLES, _CHARACTERS = 100, 2000


class NewIntent(Body):
    model: Line = Field(max_length=64)
    name: Line = Field(min_length=1, max_length=200)
    examples: list[Annotated[str, Field(min_length=1, max_length=_CHARACTERS, pattern=r"\S")]] = Field(
        min_length=1, max_length=_EXAMPLES
    )
    answer: VariantsField | None = Field(None, description="What a conversation says to it: a text, or {en, zh}")
    replace: bool = Field(False, description="Takes the place of your intent of this name, if there is one")


@router.post("/intents", status_code=201, summary="A new intent by its examples, answered from now on")
def add_intent(body: NewIntent, caller: MayKeys, request: Request) -> View:
    library, intents = _rooms(request, body.model)
    name = body.name.strip()
    if name in intents.classes or name == intents.outside:
        raise InputError(
            f"{body.model} answers {name[:80]!r} already.",
            code="text_exists",
            where="name",
            hint="Choose another name.",
        )
    content: dict[str, Any] = {"examples": list(dict.fromkeys(one.strip() for one in body.examples))}
    if body.answer is not None:
        content["answer"] = body.answer.model_dump()
    new = CustomerText(name, content)
    before = customer_texts.put(
        library.database, library.vault, place=Place(caller.account_id, body.model, "intent"), new=[new], actor=caller.actor,
        most=MOST_INTENTS, replace=body.replace,
    )  # fmt: skip
    fleet.wait_taken_in(library.database)
    return {"name": name, "examples": len(new.content["examples"]), "replaced": bool(before)}


@router.get("/intents", summary="Your own intents with their examples, and those that the model has learnt")
def read_intents(caller: MayPredict, request: Request, model: Annotated[str, Query(max_length=64)]) -> View:
    library, intents = _rooms(request, model)
    place = Place(caller.account_id, model, "intent")
    names = list(customer_texts.listed(library.database, place=place))
    texts = customer_texts.read(library.database, library.vault, place=place, names=names) if names else []
    return {
        "intents": [{"name": one.name, **one.content} for one in texts],
        "learnt": list(intents.classes),
        "out_of_scope": intents.outside,
    }


@router.delete("/intents", summary="Takes one of your intents away")
def remove_intent(
    caller: MayKeys, request: Request, model: Annotated[str, Query(max_length=64)], name: Annotated[str, Query(max_length=200)]
) -> View:  # fmt: skip
    library, _ = _rooms(request, model)
    place = Place(caller.account_id, model, "intent")
    removed = customer_texts.remove(library.database, place=place, names=[name], actor=caller.actor)
    if not removed:
        there = list(customer_texts.listed(library.database, place=place))
        raise InputError(
            f"You have no intent {name[:80]!r}.", code="text_unknown", where="name", hint=nearest(name, there) or None
        )
    fleet.wait_taken_in(library.database)
    return {"removed": removed}


def told(answers: Sequence[IntentAnswer], *, floor: float | None) -> tuple[list[dict[str, Any]], int]:
    """One JSON object a row, and how many rows are charged: one below the `floor` has no answer and costs nothing."""
    outputs: list[dict[str, Any]] = []
    charged = 0
    for one in answers:
        confidence = max(one.probabilities.values())
        if floor is not None and confidence < floor and not one.outside:
            outputs.append({"abstained": True, "confidence": confidence})
            continue
        output: dict[str, Any] = {"label": one.label, "probabilities": one.probabilities}
        if one.scope is not None:
            output |= {"scope": one.scope, "out_of_scope": one.outside}
        outputs.append(output)
        charged += 1
    return outputs, charged


def _rooms(request: Request, model: str) -> tuple[Library, Intents]:
    """Raises InputError (model_unknown, intents_missing)."""
    library: Library = request.app.state.library
    served = request.app.state.shelf.get(model)
    if not isinstance(served, Served) or served.intents is None:
        raise InputError(
            f"{model} takes no new intents: it classifies no texts, or was released without examining them.",
            code="intents_missing", where="model",
            hint="Its data has one text column and at least four classes; evaluate.examine is auto or names intents.",
        )  # fmt: skip
    return library, served.intents
