"""`tradewind handoff`: the people who take conversations over, in a terminal. Not here: when one is handed over
(`server/dialogue/policy.py`), the same over HTTP (`server/handoffs.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tradewind.business import conversations, handovers
from tradewind.business.conversations import Conversation
from tradewind.business.views import moment
from tradewind.cli.office import OPERATOR, Office, facts, show
from tradewind.cli.office import actions as new_actions
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.privacy.retention import parse_duration
from tradewind.privacy.vault import Vault
from tradewind.product import Product
from tradewind.product.conversation import Conversation as Settings
from tradewind.server.dialogue.summary import summarise
from tradewind.server.saying import message_view, view

actions = new_actions("Conversations that a person takes over: list, show, take, reply, back, close.")
AgentOption = Annotated[str, typer.Option("--agent", help="Who does it, as colleagues know him.")]
ConversationArgument = Annotated[str, typer.Argument(help="The conversation: cnv_…")]
_SHOWN = 60


@dataclass(frozen=True)
class _Room:
    office: Office
    vault: Vault
    product: Product

    @property
    def settings(self) -> Settings:
        return self.product.serve.conversation or Settings()

    @property
    def keep_ms(self) -> int:
        return parse_duration(self.settings.keep) or 0

    def told(self, one: Conversation) -> dict[str, Any]:
        said = conversations.read(self.office.database, self.vault, one.id)
        waits = {"account": one.account_id, "holder": one.holder, "waiting_since": moment(one.waiting_ms)}
        return view(one) | waits | {"summary": summarise(said, self.settings.slots).to_json()}


@contextmanager
def _room(directory: Path) -> Iterator[_Room]:
    with Office.open(directory) as office:
        yield _Room(office, Vault.open(office.workspace.home / "vault"), office.product())


@actions.command("list")
def list_waiting(
    queue: Annotated[str | None, typer.Option("--queue", help="Of one queue.", show_default=False)] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Who waits for a person, and who has one; the longest wait first."""
    with _room(directory) as room:
        found = [room.told(one) for one in handovers.waiting(room.office.database, queue=queue)]
    if as_json:
        emit({"handoffs": found})
        return
    rows = [
        (one["id"], one["status"], one["holder"] or "–", one["waiting_since"], one["summary"]["intent"] or "–",
         one["summary"]["last"][:_SHOWN])
        for one in found
    ]  # fmt: skip
    show("Handoffs", ("conversation", "state", "held by", "waiting since", "intent", "last message"), rows)


@actions.command("show")
def show_one(conversation: ConversationArgument, directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """One conversation: its summary and every message."""
    with _room(directory) as room:
        found = conversations.get(room.office.database, conversation)
        told = room.told(found)
        said = [message_view(one) for one in conversations.read(room.office.database, room.vault, found.id)]
    if as_json:
        emit(told | {"messages": said})
        return
    summary = told["summary"]
    noted = "; ".join(f"{name}: {', '.join(values)}" for name, values in summary["slots"].items())
    facts({"state": told["status"], "intent": summary["intent"] or "–", "noted": noted or "–", "mood": summary["mood"]})
    for one in said:
        typer.echo(f"\n{one['at']}  {one['author']}\n{one['text']}")


@actions.command()
def take(
    conversation: ConversationArgument, agent: AgentOption, directory: FolderOption = HERE, as_json: JsonOption = False
) -> None:
    """Take one: from now on you answer, and nobody else."""
    with _room(directory) as room:
        taken = handovers.take(room.office.database, conversation, holder=_holder(agent), actor=OPERATOR)
    _tell(taken, as_json)


@actions.command()
def reply(
    conversation: ConversationArgument,
    text: Annotated[str, typer.Argument(help="What the customer reads.")],
    agent: AgentOption,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Answer the customer."""
    with _room(directory) as room:
        said = handovers.reply(
            room.office.database, room.vault, conversation, holder=_holder(agent), text=text, keep_ms=room.keep_ms
        )
    if as_json:
        emit({"conversation": conversation, "message": message_view(said)})
    else:
        typer.echo(f"Said, as message {said.place}.")


@actions.command()
def back(
    conversation: ConversationArgument,
    agent: AgentOption,
    to_queue: Annotated[bool, typer.Option("--queue", help="To the queue, and not to the machine.")] = False,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Give it back: to the machine, or to the queue."""
    with _room(directory) as room:
        found = conversations.get(room.office.database, conversation)
        given = handovers.give_back(
            room.office.database, conversation, holder=_holder(agent), to=(found.queue or "") if to_queue else "",
            actor=OPERATOR,
        )  # fmt: skip
    _tell(given, as_json)


@actions.command()
def close(conversation: ConversationArgument, directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """End the conversation."""
    with _room(directory) as room:
        closed = conversations.close(room.office.database, conversation)
    _tell(closed, as_json)


def _tell(found: Conversation, as_json: bool) -> None:
    if as_json:
        emit(view(found) | {"holder": found.holder})
    else:
        typer.echo(f"{found.id} is {found.status}.")


def _holder(agent: str) -> str:
    return f"{agent} ({OPERATOR})"
