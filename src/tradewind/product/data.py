"""`data`: where rows come from, how they are cleaned, varied and split.

Not here: what `auto` becomes for a given data set (`train/defaults.py`).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from tradewind.product.events import Events
from tradewind.product.section import ColumnKind, Job, Positive, Section, Share, misplaced


def _source(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


class Source(Section):
    """Where rows come from, and what cannot be seen from the bytes."""

    path: str = Field(description="File, folder, fsspec URL (s3://, https://) or SQL URL")
    format: Literal["auto", "csv", "jsonl", "parquet", "excel", "images", "audio", "sql"] = "auto"
    header: list[str] | None = Field(None, description="Column names of a file that has no header row")
    encoding: str = Field("auto", description="auto, utf-8, utf-16, gb18030 …")
    delimiter: str = Field("auto", description="auto, or one character")
    missing: list[str] = Field(default_factory=list, description="Further words that mean a missing value")
    sheet: str | None = Field(None, description="Excel: name of the sheet; the first one by default")
    query: str | None = Field(None, description="SQL: the query; or name the table")
    table: str | None = Field(None, description="SQL: the table")
    target_path: str | None = Field(
        None, description="Translation: file of the target lines, where path names one of source lines"
    )
    licence: str | None = Field(None, description="Licence of the data, for the model card")
    # Left out of every digest: saying later how rows came about must not train a model again.
    collection: str | None = Field(
        None, exclude=True, description="How, where and when the rows came about, for the transparency report"
    )


SourceField = Annotated[Source, BeforeValidator(_source, json_schema_input_type=str | Source)]


class Quality(Section):
    """Generation: which documents are good enough. The bounds are those of web crawls made lenient: honest text passes."""

    action: Literal["drop", "report", "off"] = Field("drop", description="What happens to a document that fails a rule")
    least_characters: Annotated[int, Field(ge=1)] = Field(1, description="Letters, digits and signs, blanks aside")
    most_characters: Positive | None = Field(None, description="Characters of a document; no limit by default")
    repeated_lines: Annotated[float, Field(gt=0, le=1)] = Field(
        0.6, description="Share of its characters in lines that stood before (Gopher: 0.2)"
    )
    repeated_runs: Annotated[float, Field(gt=0, le=1)] = Field(
        0.6, description="Share of its runs of five words that stood before (Gopher: 0.15)"
    )
    symbols: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5, description="Share of signs that are neither letters, digits nor blanks"
    )
    languages: list[Literal["en", "de", "fr", "es", "zh", "ja", "ko", "ru", "ar", "other"]] = Field(
        default_factory=list, description="Keep documents of these languages alone; all by default"
    )


class Clean(Section):
    """Which repairs are done. Each is counted in the profile."""

    whitespace: bool = True
    units: bool = Field(True, description="Read 1,200 and ¥12.5 and 3.5万 and 40% as numbers")
    duplicates: Literal["keep", "exact", "near"] = Field(
        "exact", description="Which later copies are dropped; copies never stand on both sides of a split"
    )
    near_threshold: Share = Field(0.9, description="Jaccard similarity from which two texts count as copies")
    constant: Literal["drop", "keep"] = "drop"
    identifiers: Literal["drop", "keep"] = "drop"
    impossible: Literal["missing", "reject", "keep"] = Field("missing", description="Values no such column can have")
    outliers: Literal["keep", "clip", "missing"] = Field("keep", description="Numbers beyond 10 interquartile ranges")
    pii: Literal["report", "redact", "keep"] = Field("report", description="Personal data in text columns")
    leakage: Literal["refuse", "drop", "report"] = Field("report", description="A column that gives the target away")
    conflicts: Literal["keep", "drop"] = Field("keep", description="Equal rows with different labels")
    quality: Quality = Quality()
    contamination: Literal["drop", "report", "off"] = Field(
        "drop",
        description="Generation: training documents that share half of their runs of 13 words with test or validation",
    )


class ImageAugment(Section):
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    rotate: float = Field(0, ge=0, le=180, description="Degrees, either way")
    crop: float = Field(0, ge=0, lt=1, description="Share of the side that may be cut or shifted")
    scale: float = Field(0, ge=0, lt=1, description="Share by which size may change")
    brightness: float = Field(0, ge=0, lt=1)
    contrast: float = Field(0, ge=0, lt=1)
    erase: float = Field(0, ge=0, lt=1, description="Largest share of the picture that is blanked")


class TextAugment(Section):
    drop: float = Field(0, ge=0, lt=1, description="Share of tokens dropped")
    swap: float = Field(0, ge=0, lt=1, description="Share of neighbouring tokens exchanged")
    noise: float = Field(0, ge=0, lt=1, description="Share of characters dropped, doubled or exchanged")


class NumberAugment(Section):
    noise: float = Field(0, ge=0, description="Standard deviation of added noise, in units of the column's own")


class AudioAugment(Section):
    shift: float = Field(0, ge=0, lt=1, description="Share of the stretch by which it may begin earlier or later")
    speed: float = Field(0, ge=0, lt=1, description="Share by which it may be faster or slower, at the same pitch")
    level: float = Field(0, ge=0, le=40, description="Decibels by which all of it may be louder or softer")
    noise: float = Field(0, ge=0, le=1, description="Share of recordings that get noise")
    noise_db: float = Field(5, ge=-20, le=60, description="Least decibels from that noise up to the recording")
    mask_time: float = Field(0, ge=0, lt=1, description="Largest share of the stretch that is blanked, twice")
    mask_mels: float = Field(0, ge=0, lt=1, description="Largest share of the bands that is blanked, twice")


class Augment(Section):
    """Applied to the training split only, seeded."""

    image: ImageAugment | Literal["auto", "none"] = "auto"
    audio: AudioAugment | Literal["auto", "none"] = "auto"
    text: TextAugment | Literal["auto", "none"] = "auto"
    number: NumberAugment | Literal["auto", "none"] = "auto"
    mixup: float | Literal["auto"] = Field("auto", description="Beta parameter of mixup; 0 for none")
    oversample: bool = Field(False, description="Draw rows of rare classes more often")


class Split(Section):
    test: float | SourceField = Field(0.2, description="A share, or a source of its own")
    validation: float | SourceField = Field(0.1, description="A share of what is not test, or a source of its own")
    by: str = Field("random", description="random, time, or group:COLUMN, time:COLUMN, column:COLUMN")
    stratify: bool = True
    seed: int = 0

    @model_validator(mode="after")
    def _shares(self) -> Split:
        for name in ("test", "validation"):
            share = getattr(self, name)
            if isinstance(share, float) and not 0 < share < 1:
                raise ValueError(f"{name} is {share}, but a share lies between 0 and 1")
        if isinstance(self.test, float) and isinstance(self.validation, float) and self.test + self.validation >= 1:
            raise ValueError("test and validation leave nothing to train on")
        if not re.fullmatch(r"random|time|(group|time|column):.+", self.by):
            raise ValueError(f"by is {self.by!r}, but must be random, time, group:COLUMN, time:COLUMN or column:COLUMN")
        return self


class ColumnOptions(Section):
    """What inference cannot know about one column."""

    kind: ColumnKind | Literal["auto"] = "auto"
    normalise: Literal["auto", "standard", "minmax", "robust", "quantile", "none"] = "auto"
    minimum: float | None = Field(None, description="Smaller values are impossible; audio: seconds")
    maximum: float | None = Field(None, description="Larger values are impossible; audio: seconds")
    tokeniser: str | None = Field(None, description="Folder or file of a pretrained tokeniser")
    max_tokens: Positive | None = Field(None, description="Longer texts are cut")
    size: Positive | None = Field(None, description="Side of the square an image is brought to")
    frame: Literal["first", "middle"] | None = Field(
        None, description="Which frame of a DICOM file of several; the middle one by default"
    )
    seconds: Annotated[float, Field(gt=0)] | None = Field(None, description="Audio: the stretch that is heard")
    rate: Positive | None = Field(None, description="Audio: samples a second that it is brought to")
    mels: Positive | None = Field(None, description="Audio: bands of the spectrum")
    label: str | None = Field(None, description="Name to show to people")


def _column(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


ColumnField = Annotated[ColumnOptions, BeforeValidator(_column, json_schema_input_type=str | ColumnOptions)]


class Writing(Section):
    """Generation: pairs for jobs of writing are made from the documents, whose first line is their title."""

    jobs: Annotated[list[Job], Field(min_length=1)] = Field(
        ["continue", "title", "rewrite"], description="What the model learns to do, and `/v1/writing` offers"
    )
    seed: int = 0


# What of a DICOM header may become a column, and nothing else of it.
HeaderFact = Literal["age_band", "sex", "modality", "body_part", "view", "pixel_spacing"]


class Interactions(Section):
    """Recommendation: a row of the source is one event. Columns left out are found by their names."""

    user: str | None = Field(None, description="Column that says who")
    item: str | None = Field(None, description="Column that says what")
    time: str | None = Field(None, description="Column that says when; without one the order of the rows is the time")
    event: str | None = Field(None, description="Column with the kind of event, such as view or buy")
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Kind of event → how much it teaches; 0 leaves it out, as does a kind not named",
    )
    repeats: Literal["keep", "drop"] = Field(
        "drop", description="Events of one user with the item of the event before: a page loaded again says nothing new"
    )
    fewest_per_user: Positive = Field(1, description="Users with fewer events are left out")
    fewest_per_item: Positive = Field(1, description="Items with fewer events are left out")
    again: bool = Field(False, description="Items may be recommended to those who had them already")


class Entities(Section):
    """A table of users or items: its key, and columns that stand for those with few events or none."""

    source: SourceField
    key: str | None = Field(None, description="Column with the user or item; by default it is found by its name")
    columns: dict[str, ColumnField] = Field(default_factory=dict)
    only: list[str] | None = Field(None, description="The columns to use, and no other")
    drop: list[str] = Field(default_factory=list, description="Columns not to use")

    @model_validator(mode="after")
    def _together(self) -> Entities:
        if self.only is not None and self.drop:
            raise ValueError("only and drop exclude each other")
        return self


class Data(Section):
    source: SourceField
    target: str = Field("", description="The column to predict; generation has none")
    format: Literal["auto", "text", "chat", "instructions", "preferences"] = Field(
        "auto",
        description="Generation: documents, conversations, pairs of question and answer, or better and worse answers",
    )
    writing: Writing | None = Field(
        None,
        description="Generation: learn to continue, title and rewrite from the team's own documents; {} for all three",
    )
    columns: dict[str, ColumnField] = Field(default_factory=dict)
    dicom: dict[str, Annotated[list[HeaderFact], Field(min_length=1)]] = Field(
        default_factory=dict,
        description="Column of DICOM pictures → facts of their headers that become columns, as in scan.sex",
    )
    only: list[str] | None = Field(None, description="The columns to use, and no other")
    drop: list[str] = Field(default_factory=list, description="Columns not to use")
    sensitive: list[str] = Field(default_factory=list, description="Kept for fairness, never a model input")
    sensitive_as_input: bool = Field(False, description="Lets the model see the sensitive columns too")
    weight: str | None = Field(None, description="Column with the weight of a row")
    subject: str | None = Field(
        None, description="Column that says whom a row is about: never a model input; `erase` and exports go by it"
    )
    consent: str | None = Field(
        None, description="Column that says whether the subject agreed: rows without a yes are put aside"
    )
    purpose: str = Field("", description="What the subjects agreed to; kept with the dataset")
    events: Events | None = Field(
        None, description="Rows are events in time: columns that tell what a card, a customer, a device did before"
    )
    recommendation: Interactions = Interactions()
    users: Entities | None = Field(None, description="Recommendation: what is known of users")
    items: Entities | None = Field(None, description="Recommendation: what is known of items")
    clean: Clean = Clean()
    augment: Augment = Augment()
    split: Split = Split()
    fit_rows: Positive = Field(500_000, description="Columns are fitted on at most so many training rows, drawn evenly")
    memory: Positive = Field(2 << 30, description="Bytes that preparation may hold at once")

    @property
    def windows(self) -> tuple[str, ...]:
        """Names of the columns that are windows over events."""
        return tuple(self.events.windows) if self.events is not None else ()

    @model_validator(mode="after")
    def _together(self) -> Data:
        if self.only is not None and self.drop:
            raise ValueError("only and drop exclude each other")
        if self.target and self.target in self.drop:
            raise ValueError(f"the target {self.target} is dropped")
        if self.target and self.target in self.sensitive:
            raise ValueError(f"the target {self.target} cannot be sensitive")
        for name, column in (("subject", self.subject), ("consent", self.consent)):
            if column is not None and column in (self.target, self.weight, *self.sensitive):
                raise ValueError(f"{column} says {name} and can be neither target nor weight nor sensitive")
        if self.events is not None:
            for place, says in self.events.faults(target=self.target, columns=self.columns):
                raise misplaced(place, says)
        if self.subject is not None and self.subject == self.consent:
            raise ValueError(f"{self.subject} cannot be both subject and consent")
        return self


# ---------------------------------------------------------------- model and training
