"""`release`, `serve` and `privacy`: what is handed out, sold and promised.

Not here: plans and prices (`tariff.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from tradewind.privacy.retention import NEVER
from tradewind.product.answers import Answers
from tradewind.product.conversation import ConversationField
from tradewind.product.section import DurationField, Positive, Section
from tradewind.tariff import Plan, PriceField


class Release(Section):
    int8: bool = Field(False, description="Also ships an 8-bit graph, with its measured loss of quality")
    precisions: list[Literal["fp32", "int8", "int4"]] = Field(
        ["fp32", "int8", "int4"],
        min_length=1,
        description="Generation and translation: the graphs that are shipped; of a translator fp32 and int8",
    )
    quantization_loss: dict[Literal["int8", "int4"], Annotated[float, Field(ge=0)]] = Field(
        {"int8": 0.03, "int4": 0.08},
        description="Generation and translation: the share of bits per byte that a precision may lose; more is refused",
    )
    adapter: Literal["merged", "alone"] = Field(
        "merged",
        description="Generation with LoRA: whole weights, or the adapter alone, for a base that is there already",
    )
    description: str | None = Field(None, description="What it is, in a sentence or two")
    intended_use: str | None = Field(None, description="What it is for, and for whom")
    excluded_use: str | None = Field(None, description="What it must not be used for")
    limitations: str | None = Field(None, description="Where it is known to be weak, beside what was measured")
    risks: str | None = Field(None, description="What may go wrong for whom, and what is done about it")
    oversight: str | None = Field(None, description="Who watches its answers, and how a person overrules it")
    provider: str | None = Field(None, description="Who answers for it: the name of the company or person")
    contact: str | None = Field(None, description="Where questions and complaints go")
    licence: str | None = Field(
        None, description="Licence of the model, best a name that Hugging Face knows: apache-2.0"
    )
    watts: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Power that the machine draws in training, for the energy estimate where it cannot be measured",
    )
    answers: dict[Annotated[str, Field(pattern=r"^(annex-iv|nist|china)\.\S+$")], str] = Field(
        default_factory=dict,
        description="Texts for headings of the transparency report that nothing else fills: annex-iv.8, nist.govern-1.1",
    )


class Store(Section):
    """What is kept of each request, sealed, and how long. Nothing by default."""

    inputs: DurationField = Field(NEVER, description="How long rows that customers send are kept: 30d, 12h, never")
    outputs: DurationField = Field(NEVER, description="How long answers are kept: 90d, 12h, never")
    consent: Literal["not_needed", "unless_withdrawn", "required"] = Field(
        "not_needed", description="Whether an account must have agreed (`account consent`) before anything is kept"
    )


class Seller(Section):
    """Who writes the invoices."""

    name: str = Field("", description="As it stands on invoices; the product's name by default")
    address: str = Field("", description="One line or several")
    tax_id: str = ""


class OutOfScope(Section):
    """Classification of texts: what belongs to no class is told so."""

    label: str = Field("other", min_length=1, max_length=200, description="The answer for a text of no class")
    accept: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        0.95,
        description="Share of known texts that are to be taken for known; the report says how many foreign ones are, too",
    )


class Drift(Section):
    """When scores of a service have moved from those that the release was measured by. Each worker looks at its own answers."""

    bound: Annotated[float, Field(gt=0)] = Field(
        0.2, description="Population stability index from which on it is told, where chance does not explain it"
    )
    window: Positive = Field(2000, description="Latest answers that are compared")
    least: Positive = Field(500, description="Answers before anything is said")

    @model_validator(mode="after")
    def _fits(self) -> Drift:
        if self.least > self.window:
            raise ValueError(f"least ({self.least}) is above window ({self.window}): nothing would ever be said")
        return self


class Webhook(Section):
    """Where a person is told of what waits for one. Signed after Standard Webhooks."""

    url: str = Field(pattern=r"^https?://\S+$", description="An address of yours; http only on this machine")
    secret_env: str = Field(
        "TRADEWIND_WEBHOOK_SECRET", pattern=r"^[A-Z][A-Z0-9_]{0,99}$",
        description="The environment variable that holds the secret: whsec_ and 24 to 64 bytes in base64",
    )  # fmt: skip
    events: list[Literal["score_drift", "handoff"]] = Field(
        ["score_drift", "handoff"], min_length=1, description="What is told"
    )

    @model_validator(mode="after")
    def _sealed(self) -> Webhook:
        host = urlsplit(self.url).hostname
        if self.url.startswith("http:") and host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError(f"http to {host} is read by anybody on the way: write https")
        return self


class Serve(Section):
    plans: dict[str, Plan] = Field(default_factory=dict)
    machine_hour: PriceField | None = Field(
        None, description="Price of an hour of the machine that serves; with it no plan may sell a unit below its cost"
    )
    abstain_below: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Classification: below this confidence there is no answer, and no charge"
    )
    out_of_scope: OutOfScope | None = Field(
        None, description="Classification of texts: an answer for what belongs to no class"
    )
    precision: Literal["auto", "fp32", "int8", "int4"] = Field(
        "auto",
        description="Generation and translation: the precision that answers; int8 by default where the release has it",
    )
    max_tokens: Positive = Field(
        1024, description="Generation: longest answer, and tokens reserved, where a request does not say"
    )
    slots: Positive = Field(16, description="Generation: answers that are written at once")
    waiting: Positive = Field(
        256, description="Generation: answers that may wait for a slot; further requests are told to come back"
    )
    adapters: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")], str] = Field(
        default_factory=dict,
        description="Generation: name → release of an adapter alone (version, alias or folder); asked for as PRODUCT:NAME",
    )
    mark: Literal["none", "text"] = Field(
        "none",
        description="Generation: whether the text itself says that it was generated; replies carry metadata in any case",
    )
    mark_at: Literal["start", "end"] = Field("end", description="Generation: where that sentence stands")
    answers: Answers = Field(Answers(), description="Classification: the text that is said for each class")
    store: Store = Store()
    seller: Seller = Seller()
    drift: Drift = Drift()
    webhook: Webhook | None = Field(None, description="Where score_drift and handoff are told")
    conversation: ConversationField = Field(
        None, description="Whether it talks with people, and how; true for every default"
    )
    payments: str | None = Field(
        None, description="Who collects invoices: stripe, or another entry point of tradewind.payments"
    )

    @model_validator(mode="after")
    def _one_currency(self) -> Serve:
        hour = self.machine_hour
        for name, plan in self.plans.items():
            if hour is not None and plan.currency != hour.currency and not plan.below_cost:
                raise ValueError(
                    f"machine_hour is in {hour.currency} but the plan {name} in {plan.currency}: give both in one "
                    "currency, or say below_cost: true in the plan"
                )
        return self


class Keep(Section):
    """How long what was built from people's rows is kept; `serve` removes it by itself, and `run` makes it again."""

    datasets: DurationField | None = Field(None, description="Prepared rows: 90d, 2y; no end by default")
    runs: DurationField | None = Field(None, description="Training runs, with their checkpoints")
    reports: DurationField | None = Field(None, description="Reports, with a prediction for each test row")
    events: DurationField | None = Field(
        None, description="What users of a recommender met (/v1/events), by its own time"
    )
    items: DurationField | None = Field(
        None, description="Items that customers of a recommender brought (/v1/items), since they came last"
    )


class Privacy(Section):
    """What the privacy notice says beside what follows from the other sections (GDPR 13 and 14, PIPL 17)."""

    controller: str | None = Field(None, description="Who is responsible: name and address")
    contact: str | None = Field(None, description="Where people turn to; release.contact by default")
    officer: str | None = Field(None, description="The data protection officer, or the representative")
    purposes: list[str] = Field(default_factory=list, description="What data are used for, beside data.purpose")
    legal_basis: str | None = Field(None, description="Consent, a contract, a legal duty, a legitimate interest: which")
    categories: list[str] = Field(default_factory=list, description="Which data, in words: income, medical images")
    origin: str | None = Field(None, description="Where data come from that people did not give themselves")
    recipients: list[str] = Field(default_factory=list, description="Who receives data, or nobody")
    transfers: str | None = Field(None, description="To which countries, under which safeguards; or none")
    authority: str | None = Field(None, description="Where complaints go")
    required: str | None = Field(None, description="Whether people must give their data, and what follows if not")
    decisions: str | None = Field(None, description="What is decided by the model alone, and how a person reviews it")
    keep: Keep = Keep()

    @model_validator(mode="after")
    def _ends(self) -> Privacy:
        for name in ("datasets", "runs", "reports", "events", "items"):
            if getattr(self.keep, name) == NEVER:
                raise ValueError(f"keep.{name} is never, but without it nothing is built: write how long, as in 90d")
        return self
