"""The product file: what a product is, field by field, with every default. The waist of the house.

Not here: reading the YAML and saying where a mistake stands (`product_file.py`); what `auto` becomes for a given
dataset (`train/defaults.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from tradewind.errors import InputError
from tradewind.gate_rules import contradiction, groundless, parse
from tradewind.privacy.retention import NEVER, parse_duration
from tradewind.tariff import Plan, PriceField

Task = Literal["classification", "regression", "recommendation", "generation", "translation"]
ColumnKind = Literal["number", "category", "date", "text", "image", "identifier"]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(gt=0)]


Place: TypeAlias = tuple[int | str, ...]  # of a setting: names, and numbers in a list


def misplaced(place: Place, says: str, *, hint: str = "") -> PydanticCustomError:
    """A mistake that only settings together show, with the place where it is mended. `says` has no full stop."""
    return PydanticCustomError("misplaced", "{says}", {"place": place, "says": says, "hint": hint})


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


# ---------------------------------------------------------------- data


def _source(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


class Source(Section):
    """Where rows come from, and what cannot be seen from the bytes."""

    path: str = Field(description="File, folder, fsspec URL (s3://, https://) or SQL URL")
    format: Literal["auto", "csv", "jsonl", "parquet", "excel", "images", "sql"] = "auto"
    header: list[str] | None = Field(None, description="Column names of a file that has no header row")
    encoding: str = Field("auto", description="auto, utf-8, utf-16, gb18030 …")
    delimiter: str = Field("auto", description="auto, or one character")
    missing: list[str] = Field(default_factory=list, description="Further words that mean a missing value")
    sheet: str | None = Field(None, description="Excel: name of the sheet; the first one by default")
    query: str | None = Field(None, description="SQL: the query; or name the table")
    table: str | None = Field(None, description="SQL: the table")
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


class Augment(Section):
    """Applied to the training split only, seeded."""

    image: ImageAugment | Literal["auto", "none"] = "auto"
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
    minimum: float | None = Field(None, description="Smaller values are impossible")
    maximum: float | None = Field(None, description="Larger values are impossible")
    tokeniser: str | None = Field(None, description="Folder or file of a pretrained tokeniser")
    max_tokens: Positive | None = Field(None, description="Longer texts are cut")
    size: Positive | None = Field(None, description="Side of the square an image is brought to")
    label: str | None = Field(None, description="Name to show to people")


def _column(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


ColumnField = Annotated[ColumnOptions, BeforeValidator(_column, json_schema_input_type=str | ColumnOptions)]


class Data(Section):
    source: SourceField
    target: str = Field("", description="The column to predict; generation has none")
    format: Literal["auto", "text", "chat", "instructions", "preferences"] = Field(
        "auto",
        description="Generation: documents, conversations, pairs of question and answer, or better and worse answers",
    )
    columns: dict[str, ColumnField] = Field(default_factory=dict)
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
    clean: Clean = Clean()
    augment: Augment = Augment()
    split: Split = Split()
    fit_rows: Positive = Field(500_000, description="Columns are fitted on at most so many training rows, drawn evenly")
    memory: Positive = Field(2 << 30, description="Bytes that preparation may hold at once")

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
        if self.subject is not None and self.subject == self.consent:
            raise ValueError(f"{self.subject} cannot be both subject and consent")
        return self


# ---------------------------------------------------------------- model and training


class Model(Section):
    """Which network. `kind` chooses for the columns it suits; the three after it choose column kind by column kind."""

    kind: Literal["auto", "mlp", "tabm", "transformer", "cnn", "rnn", "resnet", "vit", "decoder"] = "auto"
    tabular: Literal["auto", "mlp", "tabm", "transformer"] = "auto"
    text: Literal["auto", "cnn", "rnn", "transformer", "pretrained"] = "auto"
    image: Literal["auto", "cnn", "resnet", "vit"] = "auto"
    numbers: Literal["auto", "linear", "piecewise", "periodic"] = Field("auto", description="How numbers are embedded")
    width: Positive | Literal["auto"] = "auto"
    depth: Positive | Literal["auto"] = "auto"
    members: Positive | Literal["auto"] = Field(
        "auto", description="Networks side by side whose answers are averaged; from scratch, over one kind of column"
    )
    heads: Positive | Literal["auto"] = "auto"
    preset: Literal["1m", "10m", "50m", "110m", "350m", "1b", "7b"] | None = Field(
        None, description="Decoder: its size; width, depth and heads change a part of it"
    )
    context: Positive | Literal["auto"] = Field("auto", description="Decoder: most tokens it sees at once")
    kv_heads: Positive | Literal["auto"] = Field(
        "auto", description="Decoder: heads of keys and values; heads share them"
    )
    qk_norm: bool | Literal["auto"] = Field("auto", description="Decoder: normalised queries and keys, as Qwen3 has")
    tied: bool | Literal["auto"] = Field("auto", description="Decoder: one table for tokens read and tokens written")
    dropout: float | Literal["auto"] = Field("auto")
    cell: Literal["lstm", "gru"] = "lstm"
    ngrams: bool | Literal["auto"] = Field("auto", description="Text: a jointly trained bag of n-grams beside the net")
    gradients: bool | Literal["auto"] = Field(
        "auto", description="Images: a jointly trained part over edges and their directions beside the net"
    )
    pretrained: str | None = Field(None, description="Folder of a Hugging Face text encoder")
    adapt: Literal["frozen", "full", "lora"] = "frozen"
    lora_rank: Positive = 8

    @model_validator(mode="after")
    def _fits(self) -> Model:
        if self.preset is not None and self.pretrained is not None:
            raise ValueError("preset and pretrained exclude each other")
        if self.text == "pretrained" and self.pretrained is None:
            raise ValueError("text is pretrained, but pretrained names no folder")
        if isinstance(self.dropout, float) and not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}, but lies between 0 and 1")
        return self


class Tokenizer(Section):
    """Generation: how text becomes tokens."""

    kind: Literal["auto", "bpe", "char", "pretrained"] = Field(
        "auto", description="Byte-level pairs learnt from the corpus, single characters, or a tokeniser folder"
    )
    vocabulary: Positive | Literal["auto"] = Field("auto", description="Tokens of a tokeniser learnt from the corpus")
    path: str | None = Field(None, description="Folder with tokenizer.json; that of model.pretrained by default")

    @model_validator(mode="after")
    def _fits(self) -> Tokenizer:
        if self.path is not None and self.kind not in ("auto", "pretrained"):
            raise ValueError(f"path names a folder, but kind is {self.kind}")
        return self


class Checkpoint(Section):
    steps: Positive | None = None
    minutes: Annotated[float, Field(gt=0)] | None = 2.0
    keep: Positive = 2


class DifferentialPrivacy(Section):
    """How much one row may tell: the budget is kept, and written into the report."""

    epsilon: Annotated[float, Field(gt=0)]
    delta: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] = Field(
        "auto", description="1 / (10 x rows) by default"
    )
    clip: Annotated[float, Field(gt=0)] = Field(1.0, description="Norm that the gradient of a row is cut to")


class Train(Section):
    objective: Literal["auto", "pretrain", "sft", "dpo", "mlm"] = Field(
        "auto",
        description="Generation: next tokens, answers of conversations, preferences, or masked words of an encoder",
    )
    steps: Positive | Literal["auto"] = Field(
        "auto", description="Generation: steps of the optimizer, in place of epochs"
    )
    dpo_beta: Annotated[float, Field(gt=0)] = 0.1
    compile: bool | Literal["auto"] = Field("auto", description="Generation: torch.compile, where it pays")
    recompute: bool = Field(False, description="Generation: activations are computed twice instead of being kept")
    optimizer: Literal["auto", "gd", "sgd", "momentum", "adam", "adamw", "muon"] = "auto"
    learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    batch: Positive | Literal["auto", "full"] = "auto"
    epochs: Positive | Literal["auto"] = "auto"
    max_minutes: Annotated[float, Field(gt=0)] | None = None
    schedule: Literal["auto", "constant", "step", "exponential", "cosine", "plateau"] = "auto"
    warmup: float | Literal["auto"] = Field("auto", description="Share of all steps in which the rate grows")
    loss: Literal["auto", "cross_entropy", "focal", "mse", "mae", "huber"] = "auto"
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    huber_delta: Annotated[float, Field(gt=0)] = 1.0
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = "auto"
    l1: Annotated[float, Field(ge=0)] = 0.0
    l2: Annotated[float, Field(ge=0)] | Literal["auto"] = Field("auto", description="Weight decay")
    clip: Annotated[float, Field(gt=0)] | Literal["auto", "none"] = Field("auto", description="Norm of the gradient")
    accumulate: Positive = Field(1, description="Batches per step of the optimizer")
    stop_early: Positive | Literal["auto", "never"] = Field("auto", description="Epochs without improvement")
    monitor: str = Field("auto", description="Validation figure that chooses the best weights")
    keep: Literal["auto", "best", "last"] = Field("auto", description="Weights of the best epoch, or of the last one")
    refit: bool | Literal["auto"] = Field(
        "auto", description="Train again on training and validation rows, as long as was best"
    )
    beta2: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] = Field(
        "auto", description="Adam: decay of the second moment"
    )
    average: Literal["auto", "none", "ema", "swa"] = Field("auto", description="Averaging of weights")
    average_decay: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Positive | Literal["auto"] = "auto"
    fairness: Literal["none", "demographic_parity", "equalized_odds"] = Field(
        "none", description="What is to be alike in the groups of data.sensitive"
    )
    fairness_by: Literal["auto", "reweighing", "penalty", "adversarial", "thresholds"] = Field(
        "auto",
        description="How: weights of rows, a penalty while training, an adversary, or a threshold for each group",
    )
    fairness_gap: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="The largest difference between groups that training aims at, on validation"
    )
    fairness_strength: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto", description="Weight of penalty or adversary; by default a ladder is tried, which the report shows"
    )
    robustness: Literal["none", "fgsm", "pgd", "noise", "group_dro"] = Field(
        "none", description="Adversarial examples in training (FGSM, PGD), noise, or weight for the worst group"
    )
    robustness_radius: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        "auto",
        description="Largest change of an input: standard deviations of numbers, share of full brightness of pixels",
    )
    robustness_steps: Positive = Field(7, description="Steps of PGD")
    privacy: DifferentialPrivacy | None = Field(None, description="Differentially private training (DP-SGD)")
    seed: int = 0
    checkpoint: Checkpoint = Checkpoint()
    sinks: list[Literal["tensorboard", "mlflow"]] = Field(default_factory=list)


# ---------------------------------------------------------------- evaluate, release, serve


def _gate(value: object) -> object:
    parse(value if isinstance(value, (bool, str)) else str(value))
    return value


def _possible(gates: dict[str, str | bool]) -> dict[str, str | bool]:
    found = contradiction(gates)
    if found is not None:
        name, says = found
        raise misplaced(("evaluate", "gates", name), says)
    return gates


Gate = Annotated[str | bool, BeforeValidator(_gate, json_schema_input_type=str | bool)]
Gates = Annotated[dict[str, Gate], AfterValidator(_possible)]


class Evaluate(Section):
    gates: Gates = Field(default_factory=dict)
    threshold: Literal["auto", "half", "accuracy", "f1", "balanced_accuracy"] | float = Field(
        "auto", description="How the probability from which a row counts as positive is chosen, on validation"
    )
    positive: str | None = Field(
        None, description="The class that counts as positive, of two; the rarer one by default"
    )
    calibrate: bool = True
    baselines: bool = True
    bootstrap: Annotated[int, Field(ge=0)] = Field(500, description="Resamples behind each interval")
    slices: list[str] | Literal["auto"] = "auto"
    examine: Literal["auto"] | list[Literal["fairness", "robustness", "explanations", "uncertainty", "membership"]] = (
        Field("auto", description="What is examined beside quality; all that applies by default")
    )
    fairness_least: Positive = Field(
        10, description="Rows that a group must have behind each of its rates before a verdict rests on it"
    )
    fairness_bound: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="Difference between groups up to which a verdict holds, where no gate says another"
    )
    synonyms: str | None = Field(
        None, description="Robustness: a file with words of like meaning, a group a line; a small lexicon by default"
    )
    coverage: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.9, description="Promise of the sets and intervals that come beside predictions (conformal)"
    )
    tasks: list[str] = Field(
        default_factory=list,
        description="Generation: JSONL files of questions with choices or prompts with an answer, or lm_eval:TASK",
    )
    attacks: str | None = Field(
        None, description="Generation: a JSONL file of attacks in words beside those that Tradewind has"
    )
    shots: Annotated[int, Field(ge=0)] = Field(0, description="Generation: examples in the prompt of each question")
    samples: Annotated[int, Field(ge=0)] = Field(
        16, description="Generation: texts that the model writes for the report"
    )
    sample_tokens: Positive = Field(200, description="Generation: most tokens of such a text")
    most_tokens: Positive = Field(
        1_000_000, description="Generation: tokens of a split that are scored, the first ones"
    )
    seed: int = 0


class Explain(Section):
    """Reasons in words, and what a person could change."""

    reasons: dict[str, str] = Field(
        default_factory=dict, description="Column → the sentence of an adverse-action notice when it counted against"
    )
    favourable: str | bool | float | None = Field(
        None, description="The class, or the value from which on, an answer is the good one for the person asked about"
    )
    may_change: list[str] | Literal["auto"] = Field(
        "auto", description="Columns that a counterfactual may change; all but sensitive ones by default"
    )
    only: dict[str, Literal["up", "down"]] = Field(
        default_factory=dict, description="Columns that may change in one direction alone"
    )
    most: Annotated[int, Field(ge=1, le=32)] = Field(4, description="Reasons of one answer")

    def faults(self, *, sensitive: Collection[str], target: str) -> Iterator[tuple[Place, str]]:
        """What cannot be meant, whatever the data hold: where, and a sentence."""
        moving = [] if self.may_change == "auto" else list(self.may_change)
        for at, name in enumerate(moving):
            if name in sensitive:
                yield ("explain", "may_change", at), f"{name} is sensitive: nobody is told to change it"
            if name == target:
                yield ("explain", "may_change", at), f"{name} is the target, which follows from the others"
            if name in moving[:at]:
                yield ("explain", "may_change", at), f"{name} stands twice"
        for name in self.only:
            if name in sensitive:
                yield ("explain", "only", name), f"{name} is sensitive: nobody is told to change it"
            elif self.may_change != "auto" and name not in moving:
                yield ("explain", "only", name), f"{name} has a direction, but may_change leaves it out"
        for name in self.reasons:
            if name == target:
                yield ("explain", "reasons", name), f"{name} is the target, which is no reason for itself"
            if not self.reasons[name].strip():
                yield ("explain", "reasons", name), f"the sentence for {name} is empty"


class Release(Section):
    int8: bool = Field(False, description="Also ships an 8-bit graph, with its measured loss of quality")
    precisions: list[Literal["fp32", "int8", "int4"]] = Field(
        ["fp32", "int8", "int4"], min_length=1, description="Generation: the graphs that are shipped"
    )
    quantization_loss: dict[Literal["int8", "int4"], Annotated[float, Field(ge=0)]] = Field(
        {"int8": 0.03, "int4": 0.08},
        description="Generation: the share of bits per byte that a precision may lose; more is refused",
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


def _duration(value: object) -> object:
    try:
        parse_duration(str(value))
    except InputError as error:
        raise ValueError(str(error)) from error
    return str(value).strip()


DurationField = Annotated[str, BeforeValidator(_duration, json_schema_input_type=str)]


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


class Serve(Section):
    plans: dict[str, Plan] = Field(default_factory=dict)
    machine_hour: PriceField | None = Field(
        None, description="Price of an hour of the machine that serves; with it no plan may sell a unit below its cost"
    )
    abstain_below: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Classification: below this confidence there is no answer, and no charge"
    )
    precision: Literal["auto", "fp32", "int8", "int4"] = Field(
        "auto", description="Generation: the precision that answers; int8 by default where the release has it"
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
    store: Store = Store()
    seller: Seller = Seller()
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
        for name in ("datasets", "runs", "reports"):
            if getattr(self.keep, name) == NEVER:
                raise ValueError(f"keep.{name} is never, but without it nothing is built: write how long, as in 90d")
        return self


class Product(Section):
    """One product: what is built from which data, how it is judged and how it is sold."""

    product: str = Field(pattern=r"^[a-z][a-z0-9-]{1,62}$", description="Its name: lower case, digits, hyphens")
    task: Task
    language: Literal["en", "zh"] = Field("en", description="Language of the report")
    data: Data
    tokenizer: Tokenizer = Tokenizer()
    model: Model = Model()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    explain: Explain = Explain()
    release: Release = Release()
    serve: Serve = Serve()
    privacy: Privacy = Privacy()

    @model_validator(mode="after")
    def _suits_the_task(self) -> Product:
        if self.task in ("classification", "regression") and not self.data.target:
            raise PydanticCustomError("target_missing", "target is missing")
        if self.task == "generation" and self.data.target:
            raise ValueError("generation has no target: leave data.target out")
        if self.task == "generation" and self.train.privacy is not None:
            raise ValueError("language models are not trained privately yet: leave train.privacy out")
        if self.task == "generation" and (self.data.subject or self.data.consent):
            # Documents have no columns: to say nothing would let people believe that consent is asked for.
            raise ValueError(
                "documents have no columns: data.subject and data.consent are for tables. Leave out documents of people "
                "who did not agree, and strike names with `tradewind erase NAME --redact`"
            )
        if self.task == "regression" and isinstance(self.explain.favourable, str | bool):
            raise misplaced(
                ("explain", "favourable"), "the target is a number: say from which value on an answer is good"
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

    @model_validator(mode="after")
    def _fair_gates(self) -> Product:
        gates, examine = self.evaluate.gates, self.evaluate.examine
        examined = examine == "auto" or "fairness" in examine
        found = groundless(gates, task=self.task, sensitive=self.data.sensitive, examined=examined)
        if found is not None:
            name, says, hint = found
            raise misplaced(("evaluate", "gates", name), says, hint=hint)
        return self

    def resolved(self) -> dict[str, Any]:
        """Every field with its value, as JSON: what a run keeps."""
        return self.model_dump(mode="json", by_alias=True)
