"""One product's conversation: a message in, what is said next out. It asks the released model, the knowledge base and, where
the product file says so, a language model, and hands all of it to the policy. Not here: the policy itself (`policy.py`), what
is stored and charged (`server/conversations.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from tradewind.engines.generation import Sampling
from tradewind.engines.retrieval import NO_FILTERS
from tradewind.errors import InputError, TradewindError
from tradewind.product.answers import Language, Variants, filled
from tradewind.product.conversation import Conversation
from tradewind.server.desk import Desk, Work
from tradewind.server.dialogue.memory import Query, language_of, queries
from tradewind.server.dialogue.outside import OutsideModel
from tradewind.server.dialogue.policy import SURE, Answer, Found, Guess, Understood, asks_for_person, decide
from tradewind.server.dialogue.writing import Prompt, let_through, prompt_of
from tradewind.server.generating import Running
from tradewind.server.search import found
from tradewind.server.served import Labelled, Served
from tradewind.server.served_language import ServedLanguage

_OTHERS = 4
_GOOD = 0.6  # a passage that is so good by the message alone needs no look back
_OWN_MODEL_S = 20.0

Talkative: TypeAlias = Served | ServedLanguage


@dataclass(frozen=True)
class Script:
    """What the product file says: the settings, and the answers of intents by language."""

    product: str
    settings: Conversation
    answers: Mapping[str, Variants] = field(default_factory=dict)

    def answers_in(self, language: Language) -> dict[str, str]:
        """A text without the values of a row, which a message has not: `{order}` is left out."""
        return {intent: filled(said.within(language), {"label": intent}) for intent, said in self.answers.items()}

    def titles_in(self, language: Language) -> dict[str, str]:
        return {intent: said.within(language) for intent, said in self.settings.titles.items()}


@dataclass(frozen=True)
class Past:
    """What was said before: the user's messages, oldest first, the language so far, and failures in a row."""

    said: Sequence[str] = ()
    language: Language = "en"
    failures: int = 0


class Talk:
    """Answers the messages of one product. `outside` is a model of somebody else that puts passages into words."""

    def __init__(self, desk: Desk, script: Script, *, outside: OutsideModel | None = None) -> None:
        self._desk = desk
        self._outside = outside
        self.script = script

    @property
    def settings(self) -> Conversation:
        return self.script.settings

    async def served(self, work: Work, release: str | None) -> Talkative:
        """The live release, or the pinned one. Raises InputError `model_task` for one that understands no text."""
        shelf, product = self._desk.shelf, self.script.product
        served = shelf.get(product, release) or await shelf.fetch(product, release)
        if isinstance(served, Served):
            text_column(served)
        elif not isinstance(served, ServedLanguage):
            raise InputError(f"{product} understands no text.", code="model_task", where="model")
        work.product, work.release = served.product, served.release
        return served

    async def answer(self, work: Work, served: Talkative, text: str, past: Past) -> Answer:
        """What is said next. Raises what the model raises; a language model that fails leaves the passage."""
        language = language_of(text, otherwise=past.language)
        answers = self.script.answers_in(language)
        asked = queries(text, past.said)
        guess, passages = None, list[Found]()
        if self.settings.handoff is None or not asks_for_person(text, self.settings.handoff):
            guess = await self._guess(work, served, asked)
            if not self._sure(guess, answers):
                passages = await self._passages(work, served, asked)
        column = text_column(served) if isinstance(served, Served) else "text"
        seen = Understood(text, language, guess, passages, past.failures, column)
        step = decide(seen, self.settings, answers, titles=self.script.titles_in(language))
        if step.write_from and (self.settings.answer.model or self._outside):
            written = await self._written(work, step.write_from, seen, past)
            return written or step.answer
        return step.answer

    # ------------------------------------------------------------ understanding

    def _sure(self, guess: Guess | None, answers: Mapping[str, str]) -> bool:
        """Whether nothing has to be looked up any more."""
        if guess is None or guess.outside or guess.confidence < max(SURE, self.settings.confidence):
            return False
        handoff = self.settings.handoff
        return guess.intent in answers or (handoff is not None and guess.intent in handoff.intents)

    async def _guess(self, work: Work, served: Talkative, asked: Sequence[Query]) -> Guess | None:
        """The intent by the mean of what the model says of each question, weighed."""
        if not isinstance(served, Served):
            return None
        column = text_column(served)
        answers = await self._desk.answers(work, served, [{column: one.text} for one in asked])
        whole = sum(one.weight for one in asked)
        mixed = [0.0] * len(served.classes)
        for (_, probabilities), one in zip(cast(Sequence[Labelled], answers), asked, strict=True):
            mixed = [sum_ + one.weight / whole * p for sum_, p in zip(mixed, probabilities, strict=True)]
        ranked = sorted(zip(served.classes, mixed, strict=True), key=lambda one: -one[1])
        (intent, confidence), others = ranked[0], ranked[1 : 1 + _OTHERS]
        return Guess(intent, confidence, others=others)

    async def _passages(self, work: Work, served: Talkative, asked: Sequence[Query]) -> list[Found]:
        """Passages for the message alone; where none of them is good, also those for it and what came before, each by the
        best score that any question gives it, weighed."""
        knowledge = served.knowledge
        if knowledge is None:
            return []
        best: dict[tuple[str, int, str], Found] = {}
        for query in asked:
            hits = await self._desk.aside(
                work, found, self._desk, work.account, served.product, knowledge, query.text, self.settings.passages, NO_FILTERS
            )  # fmt: skip
            for hit in hits:
                one = Found(hit.source, hit.heading, hit.line, query.weight * hit.confidence, hit.text)
                place = one.source, one.line, one.text
                if place not in best or best[place].score < one.score:
                    best[place] = one
            if max((one.score for one in best.values()), default=0.0) >= max(_GOOD, self.settings.passage):
                break
        return sorted(best.values(), key=lambda one: -one.score)[: self.settings.passages]

    # ------------------------------------------------------------ writing

    async def _written(self, work: Work, passages: Sequence[Found], seen: Understood, past: Past) -> Answer | None:
        """The passages in the words of a language model, or None where it fails or its answer may not pass."""
        prompt = prompt_of(seen.text, passages, past.said[-2:], seen.language)
        most = self.settings.answer.max_tokens
        try:
            if self._outside is not None:
                text = await self._outside.write(prompt, max_tokens=most)
            else:
                text = await self._own_words(work, prompt, max_tokens=most)
        except (TradewindError, TimeoutError) as error:
            code = error.code if isinstance(error, TradewindError) else "environment.timeout"
            self._desk.observer.event({"event": "writer_failed", "product": self.script.product, "code": code})
            return None
        return let_through(text, passages, said=[*past.said, seen.text])

    async def _own_words(self, work: Work, prompt: Prompt, *, max_tokens: int) -> str:
        name = self.settings.answer.model
        assert name is not None
        product, release = work.product, work.release
        served = await self._desk.find_language(work, name, None)
        work.product, work.release = product, release
        running: Running | None = None
        try:
            tokens = _tokens(served, prompt)
            room = served.engine.context - len(tokens)
            if room <= 0:
                raise InputError(f"The passages do not fit into {name}.", code="prompt_too_long")
            running = Running(served, [tokens], [Sampling(min(max_tokens, room), temperature=0.0)], choices=1)
            parts: list[str] = []
            async with asyncio.timeout(_OWN_MODEL_S):
                while pieces := await running.next():
                    parts += [piece.text for _, piece in pieces]
            return "".join(parts)
        finally:
            if running is not None:
                running.cancel()
            served.let_go()


def text_column(served: Served) -> str:
    """The one column that a message goes into. Raises InputError `model_task` where there is another."""
    columns = served.features.columns
    if not served.classes or len(columns) != 1 or columns[0].kind != "text":
        raise InputError(
            f"{served.product} does not tell intents from one text.", code="model_task", where="model",
            hint="A conversation needs a classification of one text column.",
        )  # fmt: skip
    return str(columns[0].name)


def past_of(messages: Sequence[Any], *, language: str, failures: int, memory: int) -> Past:
    """The last `memory` messages as the next answer needs them. `messages` are `business.conversations.Message`s."""
    said = [one.content.text for one in messages[-memory:] if one.content.author == "user"] if memory else []
    known: Language = "zh" if language == "zh" else "en"
    return Past(said, known, failures)


def _tokens(served: ServedLanguage, prompt: Prompt) -> list[int]:
    if served.chats:
        return served.engine.tokenizer.chat(list(prompt.messages))
    return served.engine.tokenizer.encode("\n\n".join(one["content"] for one in prompt.messages) + "\n\n")
