"""A language model of this server that puts passages into words. Not here: what it is asked (`writing.py`), nor what follows
when it does not answer (`talk.py`).

What it writes belongs to the message that it answers: no token of it is charged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tradewind.engines.generation import Sampling
from tradewind.errors import EnvironmentFailure, InputError
from tradewind.server.desk import Desk, Work
from tradewind.server.dialogue.writing import Prompt
from tradewind.server.generating import Running
from tradewind.server.served_language import ServedLanguage

_SECONDS = 20.0


class OwnModel:
    """The product `name` on the shelf of `desk`."""

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk = desk
        self._name = name

    async def write(self, work: Work, prompts: Sequence[Prompt], *, max_tokens: int) -> str:
        """The answer to the first of the prompts that leaves room for one; they get shorter.

        Raises InputError `prompt_too_long` where none does, `model_task`; EnvironmentFailure `timeout`, and as the engine does.
        """
        product, release = work.product, work.release
        served = await self._desk.find_language(work, self._name, None)
        work.product, work.release = product, release  # the request is still the conversation's
        running: Running | None = None
        try:
            tokens = self._fitting(served, prompts, max_tokens)
            room = served.engine.context - len(tokens)
            running = Running(served, [tokens], [Sampling(min(max_tokens, room), temperature=0.0)], choices=1)
            parts: list[str] = []
            async with asyncio.timeout(_SECONDS):
                while pieces := await running.next():
                    parts += [piece.text for _, piece in pieces]
            return "".join(parts)
        except TimeoutError:
            raise EnvironmentFailure(f"{self._name} wrote for longer than {_SECONDS:g} s.", code="timeout") from None
        finally:
            if running is not None:
                running.cancel()
            served.let_go()

    def _fitting(self, served: ServedLanguage, prompts: Sequence[Prompt], max_tokens: int) -> list[int]:
        least = min(max_tokens, served.engine.context // 4)
        for prompt in prompts:
            tokens = _tokens(served, prompt)
            if len(tokens) + least <= served.engine.context:
                return tokens
        raise InputError(f"The passages do not fit into {self._name}.", code="prompt_too_long")


def _tokens(served: ServedLanguage, prompt: Prompt) -> list[int]:
    if served.chats:
        return served.engine.tokenizer.chat(list(prompt.messages))
    return served.engine.tokenizer.encode("\n\n".join(one["content"] for one in prompt.messages) + "\n\n")
