"""A customer's own documents beside a product's knowledge base: added, replaced and taken away, searched from then on.
Not here: searching (`search.py`), what workers hold of them (`library.py`).

The account comes from the key alone. Reading takes the scope `predict`, changing takes `keys`: a key in a web page can search,
but changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from tradewind.business import customer_texts, fleet
from tradewind.business.customer_texts import CustomerText, Place
from tradewind.business.views import View
from tradewind.engines.retrieval import Knowledge
from tradewind.errors import InputError, nearest
from tradewind.server.callers import Body, Customer, Line, MayKeys, needs
from tradewind.server.library import MOST_DOCUMENTS, Library, document_of, packed

router = APIRouter(prefix="/v1", tags=["knowledge"])
MayPredict = Annotated[Customer, Depends(needs("predict"))]
Name = Annotated[Line, Field(min_length=1, max_length=200)]
_BATCH, _CHARACTERS = 100, 1_000_000


class NewDocument(Body):
    """A text with its form, or an answer (`text`) to a `question`."""

    name: Name
    text: str = Field(min_length=1, max_length=_CHARACTERS)
    form: Literal["markdown", "html", "text"] = "markdown"
    question: str | None = Field(None, min_length=1, max_length=2000)
    source: Line | None = Field(
        None, max_length=2000, description="What is cited: an address, say; the name by default"
    )
    title: Line | None = Field(None, max_length=500)
    tags: list[Annotated[Line, Field(min_length=1, max_length=100)]] = Field([], max_length=50)
    language: str | None = Field(None, pattern=r"^[a-z]{2,3}$", description="ISO 639-1; found out by default")


class NewDocuments(Body):
    model: Line = Field(max_length=64)
    documents: list[NewDocument] = Field(min_length=1, max_length=_BATCH)


@router.post("/documents", status_code=201, summary="Adds documents to your own; one of the same name is replaced")
def add_documents(body: NewDocuments, caller: MayKeys, request: Request) -> View:
    library, knowledge = _rooms(request, body.model)
    names = [one.name for one in body.documents]
    if len(set(names)) < len(names):
        raise InputError("Two of the documents have one name.", code="field", where="documents")
    new: list[CustomerText] = []
    told: list[View] = []
    own = knowledge.own()
    for place, one in enumerate(body.documents):
        content = one.model_dump(exclude={"name"}, exclude_none=True)
        document = document_of(one.name, content, knowledge)
        if not document.passages:
            raise InputError(
                f"There is no text in {one.name}.", code="document_empty", where=f"documents[{place}].text",
                hint="Headings and markup alone answer nothing.",
            )  # fmt: skip
        vectors = own.vectors_of(document)
        encoder = None if knowledge.encoder is None else knowledge.encoder.name
        new.append(
            CustomerText(one.name, content, encoder=encoder, vectors=None if vectors is None else packed(vectors))
        )
        told.append({"name": one.name, "passages": len(document.passages), "language": document.language})
    replaced = customer_texts.put(
        library.database, library.vault, place=Place(caller.account_id, body.model, "document"), new=new, actor=caller.actor,
        most=MOST_DOCUMENTS,
    )  # fmt: skip
    fleet.wait_taken_in(library.database)
    return {"documents": told, "replaced": replaced}


@router.get("/documents", summary="Your own documents; with a name, that one with its text")
def read_documents(
    caller: MayPredict, request: Request, model: Annotated[str, Query(max_length=64)],
    name: Annotated[str | None, Query(max_length=200)] = None,
) -> View:  # fmt: skip
    library, _ = _rooms(request, model)
    place = Place(caller.account_id, model, "document")
    if name is None:
        return {"documents": [{"name": one} for one in customer_texts.listed(library.database, place=place)]}
    found = customer_texts.read(library.database, library.vault, place=place, names=[name])
    if not found:
        raise _unknown(name, list(customer_texts.listed(library.database, place=place)))
    return {"name": name, **found[0].content}


@router.delete("/documents", summary="Takes one of your documents away, or all of them")
def remove_documents(
    caller: MayKeys, request: Request, model: Annotated[str, Query(max_length=64)],
    name: Annotated[str | None, Query(max_length=200)] = None, all_of_them: Annotated[bool, Query(alias="all")] = False,
) -> View:  # fmt: skip
    library, _ = _rooms(request, model)
    if (name is None) == (not all_of_them):
        raise InputError("Say which: name=…, or all=true.", code="field", where="name")
    place = Place(caller.account_id, model, "document")
    there = list(customer_texts.listed(library.database, place=place))
    if name is not None and name not in there:
        raise _unknown(name, there)
    names = None if name is None else [name]
    removed = customer_texts.remove(library.database, place=place, names=names, actor=caller.actor)
    fleet.wait_taken_in(library.database)
    return {"removed": removed}


def _rooms(request: Request, model: str) -> tuple[Library, Knowledge]:
    """Raises InputError (model_unknown, knowledge_missing)."""
    library: Library = request.app.state.library
    served = request.app.state.shelf.get(model)
    knowledge: Knowledge | None = getattr(served, "knowledge", None)
    if knowledge is None:
        raise InputError(f"{model} has no knowledge base.", code="knowledge_missing", where="model")
    return library, knowledge


def _unknown(name: str, there: list[str]) -> InputError:
    return InputError(
        f"You have no document {name[:80]!r}.", code="text_unknown", where="name", hint=nearest(name, there) or None
    )
