"""`model`, `tokenizer` and `train`: what learns, and how.

Not here: what `auto` becomes for a given data set (`train/defaults.py`, `train/language_defaults.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tradewind.product.section import Positive, Section


class Model(Section):
    """Which network. `kind` chooses for the columns it suits; the four after it choose column kind by column kind."""

    kind: Literal["auto", "mlp", "tabm", "transformer", "cnn", "rnn", "resnet", "vit", "decoder", "sasrec"] = "auto"
    tabular: Literal["auto", "mlp", "tabm", "transformer"] = "auto"
    text: Literal["auto", "cnn", "rnn", "transformer", "pretrained"] = "auto"
    image: Literal["auto", "cnn", "resnet", "vit"] = "auto"
    audio: Literal["auto", "cnn", "transformer"] = "auto"
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
    context: Positive | Literal["auto"] = Field(
        "auto", description="Decoder: most tokens it sees at once; sasrec: latest events of a user"
    )
    factors: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto", description="Recommendation: factors of a linear model whose scores are added; 0 for none"
    )
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
    schedule: Literal["auto", "constant", "step", "exponential", "cosine", "inverse_sqrt", "plateau"] = "auto"
    warmup: float | Literal["auto"] = Field("auto", description="Share of all steps in which the rate grows")
    loss: Literal["auto", "cross_entropy", "focal", "mse", "mae", "huber", "sampled_softmax", "gbce"] = Field(
        "auto", description="Recommendation: cross_entropy is over all items, the last two over drawn ones"
    )
    negatives: Positive | Literal["auto"] = Field("auto", description="Recommendation: items drawn for a step")
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    huber_delta: Annotated[float, Field(gt=0)] = 1.0
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    undersample: Literal["none", "auto"] | Annotated[float, Field(ge=1)] = Field(
        "none",
        description="Classes: an epoch draws at most so many rows of one for each of the rarest (auto: 10), others each time; "
        "probabilities stay those of the rows as they come",
    )
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
