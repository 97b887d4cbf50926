"""The product file: what a product is, section by section, with every default. The waist of the house.

Not here: reading the YAML and saying where a mistake stands (`product_file.py`); what `auto` becomes for a given
dataset (`train/defaults.py`).
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tradewind.gate_names import NEEDED, Facts, fault
from tradewind.product.answers import Answers
from tradewind.product.data import (
    AudioAugment,
    Augment,
    Clean,
    ColumnOptions,
    Data,
    Entities,
    ImageAugment,
    Interactions,
    NumberAugment,
    Quality,
    Source,
    Split,
    TextAugment,
    Writing,
)
from tradewind.product.delivery import Privacy, Release, Serve
from tradewind.product.events import Events
from tradewind.product.judging import Costs, Evaluate, Explain
from tradewind.product.knowledge import KnowledgeBase
from tradewind.product.learning import Model, Tokenizer, Train
from tradewind.product.section import ColumnKind, Place, Section, Task, misplaced
from tradewind.product.translation import Translation

__all__ = [
    "Answers",
    "AudioAugment",
    "Augment",
    "Clean",
    "ColumnKind",
    "ColumnOptions",
    "Costs",
    "Data",
    "Entities",
    "Evaluate",
    "Events",
    "Explain",
    "ImageAugment",
    "Interactions",
    "KnowledgeBase",
    "Model",
    "NumberAugment",
    "Place",
    "Privacy",
    "Product",
    "Quality",
    "Release",
    "Serve",
    "Source",
    "Split",
    "Task",
    "TextAugment",
    "Tokenizer",
    "Train",
    "Translation",
    "Writing",
]


class Product(Section):
    """One product: what is built from which data, how it is judged and how it is sold."""

    product: str = Field(pattern=r"^[a-z][a-z0-9-]{1,62}$", description="Its name: lower case, digits, hyphens")
    task: Task
    language: Literal["en", "zh"] = Field("en", description="Language of the report")
    domain: Literal["general", "medical"] = Field(
        "general", description="medical: no release without intended_use, excluded_use and oversight below release"
    )
    data: Data
    translation: Translation | None = Field(None, description="Translation: languages and columns")
    tokenizer: Tokenizer = Tokenizer()
    model: Model = Model()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    explain: Explain = Explain()
    knowledge: KnowledgeBase | None = Field(None, description="Documents that are searched and cited beside the model")
    release: Release = Release()
    serve: Serve = Serve()
    privacy: Privacy = Privacy()

    @model_validator(mode="after")
    def _suits_the_task(self) -> Product:
        if self.task in ("classification", "regression") and not self.data.target:
            raise PydanticCustomError("target_missing", "target is missing")
        if self.task == "generation" and self.data.target:
            raise ValueError("generation has no target: leave data.target out")
        self._suits_recommendation()
        self._suits_translation()
        self._suits_writing()
        if self.task in ("generation", "translation") and self.train.privacy is not None:
            raise ValueError("language models are not trained privately yet: leave train.privacy out")
        if self.task in ("generation", "translation") and (self.data.subject or self.data.consent):
            # Documents have no columns: to say nothing would let people believe that consent is asked for.
            raise ValueError(
                "documents have no columns: data.subject and data.consent are for tables. Leave out documents of people "
                "who did not agree, and strike names with `tradewind erase NAME --redact`"
            )
        if self.task != "classification" and self.serve.answers != Answers():
            raise misplaced(("serve", "answers"), f"texts are said for classes, but the task is {self.task}")
        if self.task == "regression" and isinstance(self.explain.favourable, str | bool):
            raise misplaced(
                ("explain", "favourable"), "the target is a number: say from which value on an answer is good"
            )
        if self.serve.conversation is not None and self.task not in ("classification", "generation"):
            raise misplaced(
                ("serve", "conversation"), f"a conversation needs intents or text, but the task is {self.task}"
            )
        if self.train.undersample != "none":
            if self.task != "classification":
                raise misplaced(("train", "undersample"), f"classes are undersampled, but the task is {self.task}")
            if self.data.augment.oversample or self.train.class_weights != "none":
                raise misplaced(
                    ("train", "undersample"), "oversample and class_weights balance classes too: choose one"
                )
        costs = self.evaluate.costs
        if costs is not None and self.task != "classification":
            raise misplaced(("evaluate", "costs"), f"costs are for two classes, but the task is {self.task}")
        if costs is not None and costs.false_negative in (self.data.target, *self.data.drop):
            raise misplaced(
                ("evaluate", "costs", "false_negative"),
                f"{costs.false_negative} is dropped or the target: a service must see what a transaction may cost",
            )
        for place, says in self.explain.faults(sensitive=self.data.sensitive, target=self.data.target):
            raise misplaced(place, says)
        if self.train.fairness != "none":
            if self.task not in ("classification", "regression"):
                raise misplaced(
                    ("train", "fairness"), f"fairness compares predictions of groups, but the task is {self.task}"
                )
            if not self.data.sensitive:
                raise misplaced(("train", "fairness"), "fair groups are asked for, but data.sensitive names no column")
        return self

    def _suits_translation(self) -> None:
        if (self.task == "translation") != (self.translation is not None):
            if self.translation is None:
                raise misplaced(
                    ("task",), "translation needs its languages", hint="Add translation: {from: en, to: de}."
                )
            raise misplaced(("translation",), f"it belongs to task: translation, but the task is {self.task}")
        if self.task == "translation" and self.data.target:
            raise misplaced(("data", "target"), "translation has no target: name its columns under translation")

    def _suits_recommendation(self) -> None:
        data = self.data
        if self.task != "recommendation":
            # By value: the resolved copy of a product says every field.
            said = {"recommendation": data.recommendation != Interactions(), "users": data.users, "items": data.items}
            for name, given in said.items():
                if given:
                    raise misplaced(("data", name), f"{name} is for recommendation, but the task is {self.task}")
            return
        if data.target:
            raise misplaced(("data", "target"), "recommendation has no target: what comes next is it")
        if data.subject or data.consent:
            raise misplaced(
                ("data", "subject" if data.subject else "consent"),
                "events are not kept by subject yet, so that nobody could be erased from them",
                hint="Leave out people who did not agree before; users may be given as numbers that only you can trace.",
            )
        if (
            data.split.by != "random"
            or isinstance(data.split.test, Source)
            or isinstance(data.split.validation, Source)
        ):
            raise misplaced(("data", "split"), "each user's last event is the test and the one before it validation")
        if self.train.privacy is not None:
            raise misplaced(("train", "privacy"), "recommenders are not trained privately yet")

    def _suits_writing(self) -> None:
        if self.data.writing is not None and (self.task != "generation" or self.data.format not in ("auto", "text")):
            raise misplaced(
                ("data", "writing"), "pairs for writing are made from documents of text, by task: generation"
            )
        if self.data.writing is not None and self.train.objective not in ("auto", "sft"):
            raise misplaced(("train", "objective"), "a writing model learns answers: leave the objective out")

    @model_validator(mode="after")
    def _gates_on_figures(self) -> Product:
        judged = self.evaluate
        if judged.gates and self.train.objective == "mlm":
            raise misplaced(("evaluate", "gates"), "an encoder of masked words has no report that a gate could read")
        facts = Facts(
            task=self.task, rooms=None if judged.examine == "auto" else judged.examine,
            settings=frozenset(path for path in NEEDED if self._fills(path)), sensitive=self.data.sensitive, at=judged.at,
            specificity=judged.specificity, sensitivity=judged.sensitivity,
            tasks=[PurePath(name).stem for name in judged.tasks if ":" not in name], baselines=judged.baselines,
        )  # fmt: skip
        found = fault(judged.gates, facts)
        if found is not None:
            name, says, hint = found
            raise misplaced(("evaluate", "gates", name), says, hint=hint)
        return self

    def _fills(self, path: str) -> bool:
        """Whether the product file says anything at a dotted path."""
        found: Any = self
        for part in path.split("."):
            found = getattr(found, part, None)
        return found is not None

    def resolved(self) -> dict[str, Any]:
        """Every field with its value, as JSON: what a run keeps."""
        return self.model_dump(mode="json", by_alias=True)
