"""Which products hold conversations, and the rooms behind them: scripts, vault, database. Not here: the routes
(`conversations.py`, `handoffs.py`), what is said (`dialogue/`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from tradewind.business.database import Database
from tradewind.errors import InputError
from tradewind.privacy.retention import parse_duration
from tradewind.privacy.vault import Vault
from tradewind.server.desk import Desk
from tradewind.server.dialogue.outside import OutsideModel
from tradewind.server.dialogue.own import OwnModel
from tradewind.server.dialogue.talk import Script, Talk
from tradewind.server.outgoing import Outgoing
from tradewind.tariff import Rate, rate_of


@dataclass(frozen=True)
class Talks:
    """Every product with `serve.conversation`. `origins` are pages that may show a window of any of them."""

    database: Database
    vault: Vault
    talks: Mapping[str, Talk]
    desk: Desk
    outside: Sequence[OutsideModel] = ()
    outgoing: Outgoing | None = None  # who is told of a handoff

    @classmethod
    def of(
        cls, desk: Desk, database: Database, vault_folder: Path, scripts: Sequence[Script], *, environment: Mapping[str, str],
        outgoing: Outgoing | None = None,
    ) -> Talks:  # fmt: skip
        """Raises EnvironmentFailure `key_missing` where the key of an outside model is not set."""
        talks, outside = {}, []
        for script in scripts:
            answer, writer = script.settings.answer, None
            if answer.outside is not None:
                outside.append(writer := OutsideModel(answer.outside, environment))
            talks[script.product] = Talk(desk, script, writer=OwnModel(desk, answer.model) if answer.model else writer)
        return cls(database, Vault.open(vault_folder), talks, desk, outside, outgoing)

    @property
    def origins(self) -> frozenset[str]:
        return frozenset(origin for talk in self.talks.values() for origin in talk.settings.widget.origins)

    async def close(self) -> None:
        for model in self.outside:
            await model.close()

    def talk(self, product: str) -> Talk:
        """Raises InputError `model_unknown`, `conversation_missing`."""
        if product in self.talks:
            return self.talks[product]
        self.desk.shelf.get(product)
        raise InputError(
            f"{product} holds no conversations.", code="conversation_missing", where="model",
            hint="Its product file says nothing of them: write serve: {conversation: true}.",
        )  # fmt: skip

    def keep_ms(self, product: str) -> int:
        """How long a conversation is kept after its last message; of a product that talks no more, a day."""
        talk = self.talks.get(product)
        return (parse_duration(talk.settings.keep) if talk is not None else None) or 86_400_000

    def rates(self, product: str) -> tuple[Rate, Rate]:
        """How many messages a public conversation takes, and how many of those an account begins."""
        widget = self.talk(product).settings.widget
        return rate_of(widget.rate), rate_of(widget.begin)


def talks_of(request: Request) -> Talks:
    """Raises InputError `conversation_missing` where no product talks."""
    found: Talks | None = getattr(request.app.state, "talks", None)
    if found is None:
        raise InputError(
            "No product here holds conversations.", code="conversation_missing",
            hint="Write serve: {conversation: true} into a product file.",
        )  # fmt: skip
    return found


TheTalks = Annotated[Talks, Depends(talks_of)]
