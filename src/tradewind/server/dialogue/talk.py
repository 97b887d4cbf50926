"""One product's conversation: a message in, what is said next out. It asks the released model, the knowledge base and, where
the product file says so, a language model, and hands all of it to the policy. Not here: the policy itself (`policy.py`), what
is stored and charged (`server/conversations.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, cast

from tradewind.engines.retrieval import BOUND, NO_FILTERS, Knowledge
from tradewind.errors import InputError, TradewindError
from tradewind.product.answers import Language, Variants, filled
from tradewind.product.conversation import Conversation
from tradewind.server.desk import Desk, Work
from tradewind.server.dialogue.memory import Query, language_of, queries
from tradewind.server.dialogue.policy import SURE, Answer, Found, Guess, Understood, asks_for_person, decide
from tradewind.server.dialogue.writing import Prompt, let_through, prompt_of
from tradewind.server.search import found as passages_found
from tradewind.server.served import Labelled, Served
from tradewind.server.served_language import ServedLanguage

_OTHERS = 4
_GOOD = 0.6  # a passage that is so good by the message alone needs no look back

Talkative: TypeAlias = Served | ServedLanguage


class Writer(Protocol):
    """A language model, of this server or of somebody else."""

    async def write(self, work: Work, prompts: Sequence[Prompt], *, max_tokens: int) -> str:
        """The answer to the first prompt that fits; they get shorter. Raises TradewindError."""
        ...


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
    """Answers the messages of one product; `writer` puts passages into words, where there is one."""

    def __init__(self, desk: Desk, script: Script, *, writer: Writer | None = None) -> None:
        self._desk = desk
        self._writer = writer
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
            answers |= self._own_answers(work, served, language)
            if not self._sure(guess, answers):
                passages = await self._passages(work, served, asked)
        column = text_column(served) if isinstance(served, Served) else "text"
        bound = self._bound(served.knowledge)
        seen = Understood(text, language, guess, passages, past.failures, bound, column)
        step = decide(seen, self.settings, answers, titles=self.script.titles_in(language))
        if step.write_from and self._writer is not None:
            written = await self._written(work, self._writer, passages=step.write_from, seen=seen, past=past)
            return written or step.answer
        return step.answer

    # ------------------------------------------------------------ understanding

    def _own_answers(self, work: Work, served: Talkative, language: Language) -> dict[str, str]:
        """What the customer's own intents say, which the guess has just read."""
        library = self._desk.library
        if library is None or not isinstance(served, Served) or served.intents is None:
            return {}
        said = library.answers(work.account, served.product, served.digest)
        return {intent: filled(one.within(language), {"label": intent}) for intent, one in said.items()}

    def _bound(self, knowledge: Knowledge | None) -> float:
        """From which score on a passage answers: as the product file says, else as the release has settled it."""
        given = self.settings.passage
        return given if given != "auto" else BOUND if knowledge is None else knowledge.bound

    def _sure(self, guess: Guess | None, answers: Mapping[str, str]) -> bool:
        """Whether nothing has to be looked up any more."""
        if guess is None or guess.outside or guess.confidence < max(SURE, self.settings.confidence):
            return False
        handoff = self.settings.handoff
        return guess.intent in answers or (handoff is not None and guess.intent in handoff.intents)

    async def _guess(self, work: Work, served: Talkative, asked: Sequence[Query]) -> Guess | None:
        """The intent, the customer's own ones among them, by the mean of what the model says of each question, weighed. A message
        is outside of all intents where it is so in every question."""
        if not isinstance(served, Served):
            return None
        column = text_column(served)
        rows = [{column: one.text} for one in asked]
        outside = False
        if served.intents is None:
            found = cast(Sequence[Labelled], await self._desk.answers(work, served, rows))
            said = [dict(zip(served.classes, probabilities, strict=True)) for _, probabilities in found]
        else:
            answers = await self._desk.intent_answers(work, served, rows)
            said = [dict(one.probabilities) for one in answers]
            outside = all(one.outside for one in answers)
        whole = sum(one.weight for one in asked)
        mixed = {
            intent: sum(one.weight / whole * each[intent] for one, each in zip(asked, said, strict=True))
            for intent in said[0]
        }
        ranked = sorted(mixed.items(), key=lambda one: -one[1])
        (intent, confidence), others = ranked[0], ranked[1 : 1 + _OTHERS]
        return Guess(intent, confidence, outside=outside, others=others)

    async def _passages(self, work: Work, served: Talkative, asked: Sequence[Query]) -> list[Found]:
        """Passages for the message alone; where none of them is good, also those for it and what came before, each by the
        best score that any question gives it, weighed."""
        knowledge = served.knowledge
        if knowledge is None:
            return []
        best: dict[tuple[str, int, str], Found] = {}
        for query in asked:
            hits = await self._desk.aside(
                work, passages_found, self._desk, work.account, served.product, knowledge, query.text, self.settings.passages, NO_FILTERS
            )  # fmt: skip
            for hit in hits:
                one = Found(hit.source, hit.heading, hit.line, query.weight * hit.confidence, hit.text)
                place = one.source, one.line, one.text
                if place not in best or best[place].score < one.score:
                    best[place] = one
            if max((one.score for one in best.values()), default=0.0) >= max(_GOOD, self._bound(knowledge)):
                break
        return sorted(best.values(), key=lambda one: -one.score)[: self.settings.passages]

    # ------------------------------------------------------------ writing

    async def _written(
        self, work: Work, writer: Writer, *, passages: Sequence[Found], seen: Understood, past: Past
    ) -> Answer | None:
        """The passages in the words of a language model, or None where it fails or its answer may not pass."""
        shorter = [passages[:most] for most in range(len(passages), 0, -1)]
        prompts = [prompt_of(seen.text, some, past.said[-2:], seen.language) for some in shorter]
        try:
            text = await writer.write(work, prompts, max_tokens=self.settings.answer.max_tokens)
        except TradewindError as error:
            self._desk.observer.event({"event": "writer_failed", "product": self.script.product, "code": error.code})
            return None
        return let_through(text, passages, said=[*past.said, seen.text])


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
