"""`serve.conversation`: how a product talks with people: when it is sure, who writes the answer, when a person takes over.

Not here: the answer of an intent (`serve.answers`), what is known beside the intents (`knowledge`), nor who talks
(`server/dialogue/`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tradewind.product.answers import Variants, VariantsField
from tradewind.product.section import DurationField, Positive, Section
from tradewind.tariff import RateField

_ORIGIN = re.compile(r"^https?://[a-z0-9.-]+(:\d{1,5})?$|^https?://\[[0-9a-f:]+\](:\d{1,5})?$")
_VARIABLE = r"^[A-Z][A-Z0-9_]{0,99}$"


class Outside(Section):
    """A model of somebody else behind OpenAI's API. It is asked only because it stands here."""

    url: str = Field(pattern=r"^https?://\S+$", description="Where its API begins: https://api.example.com/v1")
    model: str = Field(min_length=1, max_length=200, description="The model's name there")
    key_env: str | None = Field(None, pattern=_VARIABLE, description="The environment variable that holds its key")
    seconds: Annotated[float, Field(gt=0, le=25)] = Field(15.0, description="Longest wait; then the passage alone")

    @property
    def host(self) -> str:
        return self.url.split("/")[2]


class Answering(Section):
    """Who puts passages into words: nobody, a language model of this server, or one outside."""

    model: str | None = Field(None, description="A generation product served here; passages alone by default")
    outside: Outside | None = None
    max_tokens: Positive = Field(300, description="Longest answer that a language model writes")

    @model_validator(mode="after")
    def _one(self) -> Answering:
        if self.model is not None and self.outside is not None:
            raise ValueError("model and outside exclude each other: one writes the answer")
        return self


def _answering(value: object) -> object:
    return {} if value == "passage" else value


AnsweringField = Annotated[
    Answering, BeforeValidator(_answering, json_schema_input_type=Literal["passage"] | Answering)
]


class Handoff(Section):
    """When a person takes over. `false` in its place: never."""

    after_failures: Positive = Field(2, description="So many messages in a row without an answer")
    words: list[Annotated[str, Field(min_length=1, max_length=60)]] = Field(
        ["human", "real person", "live agent", "representative", "speak to someone", "人工", "真人", "转接客服"],
        description="Who writes one of these wants a person",
    )
    intents: list[str] = Field(default_factory=list, description="Intents that go to a person at once: complaint")
    queue: str = Field("support", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="The queue they wait in")
    says: VariantsField = Field(
        Variants(
            en="I am passing you on to a colleague. Everything written here is passed on too.",
            zh="正在为您转接人工客服，之前的对话会一并转交。",
        ),
        description="What is said then",
    )


def _handoff(value: object) -> object:
    return {} if value is True else None if value is False else value


HandoffField = Annotated[Handoff | None, BeforeValidator(_handoff, json_schema_input_type=bool | Handoff)]


class Widget(Section):
    """The chat window on somebody's page. Its key is public: it may converse and nothing else, from these origins."""

    origins: list[str] = Field(default_factory=list, description="Pages that may open it: https://shop.example")
    rate: RateField = Field("20/min", description="Most messages of one conversation in a time")
    begin: RateField = Field("60/min", description="Most new conversations of one account in a time, by public keys")

    @field_validator("origins")
    @classmethod
    def _exact(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if not _ORIGIN.match(origin):
                raise ValueError(
                    f"{origin!r} is no origin: write scheme and host in lower case, as in https://shop.example"
                )
        return origins


class Conversation(Section):
    """Conversations over a product that knows intents. `confidence` is the least probability of an intent that answers."""

    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(0.6, description="An intent answers from here on")
    clarify: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.3, description="From here on it asks what was meant; below it says that it does not know"
    )
    passage: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = Field(
        "auto",
        description="A passage answers from this score on; by default from where one in twenty messages that have an answer of their "
        "own would reach it, and never below 0.5",
    )
    passages: Annotated[int, Field(ge=1, le=10)] = Field(3, description="So many passages are found for an answer")
    answer: AnsweringField = Answering()
    handoff: HandoffField = Handoff()
    memory: Annotated[int, Field(ge=0, le=50)] = Field(6, description="So many last messages count for the next answer")
    keep: DurationField = Field("30d", description="How long a conversation is kept after its last message, sealed")
    titles: dict[str, VariantsField] = Field(
        default_factory=dict, description="Intents in words, where it asks what was meant"
    )
    slots: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")], str] = Field(
        default_factory=dict,
        description="What to note for the person who takes over, as an expression: {order: 'TW-\\d{6}'}",
    )
    greeting: VariantsField = Field(
        Variants(en="Hello! How can I help you?", zh="您好！请问有什么可以帮您？"), description="The first words"
    )
    fallback: VariantsField = Field(
        Variants(
            en="I am not sure I understood. Could you put it in other words?",
            zh="抱歉，我没有完全理解，您能换一种说法吗？",
        ),
        description="Said where nothing answers",
    )
    widget: Widget = Widget()

    @field_validator("slots")
    @classmethod
    def _expressions(cls, slots: dict[str, str]) -> dict[str, str]:
        for name, pattern in slots.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{name}: {pattern!r} is no regular expression: {error}") from None
        return slots

    @field_validator("keep")
    @classmethod
    def _kept(cls, keep: str) -> str:
        if keep == "never":
            raise ValueError("without a memory there is no conversation: write how long, as in 30d")
        return keep

    @model_validator(mode="after")
    def _order(self) -> Conversation:
        if self.clarify > self.confidence:
            raise ValueError(
                f"clarify ({self.clarify:g}) is above confidence ({self.confidence:g}): it would never ask"
            )
        return self


def conversation(value: Any) -> Any:
    """`conversation: true` is one with every default."""
    return {} if value is True else None if value is False else value


ConversationField = Annotated[
    Conversation | None, BeforeValidator(conversation, json_schema_input_type=bool | Conversation)
]
