"""From evidence to statements: what was prepared, trained and released, and what the product file states.

Pure: the same evidence gives the same statements, which is how `verify` makes them again. Not here: words and layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradewind.release.transparency.document import By, Kind, Statement, derived, flattened
from tradewind.release.transparency.evidence import (
    DATA,
    PREVIOUS,
    RELEASE,
    REPORT,
    STATED,
    TRAINING,
    Json,
    reference,
    resolve,
)

# Fields that only people can fill; each is listed as missing where nobody did.
PEOPLE = (
    "description", "intended_use", "excluded_use", "limitations", "risks", "oversight", "provider", "contact", "licence",
)  # fmt: skip
_GIVEN_OTHERWISE = ("checkpoint", "sinks")
_WORST = 5
_BASELINES = 8
_MOST_OF_A_ROOM = 1_500  # statements of one room's section; what is beyond them stands in report.json
_DRAWN = ("calibration", "curve", "curves", "points", "bands", "grid")  # pictures in the report, no tables here
_MOST_ENTRIES = 40


class Says:
    """Gathers statements. A reference that leads nowhere says nothing, but for `asked`, which is then missing."""

    def __init__(self, files: Mapping[str, Json]) -> None:
        self.files = files
        self.statements: list[Statement] = []

    def found(self, file: str, *path: str | int) -> Json:
        """The value, or None."""
        try:
            return resolve(self.files, reference(file, *path))
        except KeyError:
            return None

    def same(self, key: str, file: str, *path: str | int, unit: str | None = None) -> None:
        value = self.found(file, *path)
        if value is not None:
            self.statements.append(Statement(key, value, (reference(file, *path),), unit=unit))

    def asked(self, key: str, file: str, *path: str | int) -> None:
        """A text of the product file that belongs here, filled in or not."""
        value = self.found(file, *path)
        self.statements.append(Statement(key, value or None, (reference(file, *path),)))

    def follows(self, key: str, by: By, *references: str, unit: str | None = None) -> None:
        value = derived(by, [resolve(self.files, one) for one in references])
        self.statements.append(Statement(key, value, references, by, unit))


def statements_of(files: Mapping[str, Json], kind: Kind) -> tuple[Statement, ...]:
    """All that the evidence says."""
    says = Says(files)
    _stated(says)
    _released(says, kind)
    _data(says)
    _training(says)
    _figures(says, kind)
    _changes(says)
    keys = [one.key for one in says.statements]
    assert len(keys) == len(set(keys)), "one key is one statement"
    return tuple(says.statements)


def _stated(says: Says) -> None:
    says.same("product", STATED, "product")
    says.same("task", STATED, "task")
    for name in PEOPLE:
        says.asked(f"stated.{name}", STATED, "release", name)
    for name in sorted(says.found(STATED, "release", "answers") or {}):
        says.same(f"answers.{name}", STATED, "release", "answers", name)


def _released(says: Says, kind: Kind) -> None:
    for name in ("made_with", "target", "classes", "positive", "threshold", "temperature", "graph", "graph_int8", "family",
                 "context", "vocabulary", "width", "trained_from", "meters"):  # fmt: skip
        says.same(f"release.{name}", RELEASE, name)
    says.same("release.parity", RELEASE, "parity", "largest_difference")
    says.same("release.parity_tolerance", RELEASE, "parity", "tolerance")
    for parent in ("dataset", "run", "report"):
        says.same(f"parents.{parent}", RELEASE, "parents", parent)
        says.same(f"parents.{parent}.made", RELEASE, "made", parent)
    for name in says.found(RELEASE, "precisions") or {}:
        for part, unit in (("bytes", "bytes"), ("bits_per_byte", None), ("loss", "share"), ("golden_difference", None)):
            says.same(f"precisions.{name}.{part}", RELEASE, "precisions", name, part, unit=unit)
    for name, value in (says.found(RELEASE, "int8") or {}).items():
        if isinstance(value, (int, float)):
            says.same(f"int8.{name}", RELEASE, "int8", name)
    file = RELEASE if says.found(RELEASE, "cost") else REPORT
    for name in ("alone_seconds", "bulk_seconds", "prompt_seconds"):
        says.same(f"cost.{name}", file, "cost", "request", name, unit="s")
    for name in ("processor", "how"):
        says.same(f"cost.{name}", file, "cost", "request", name)
    for name in ("alone", "bulk"):
        says.same(f"cost.{name}", file, "cost", name)
    says.same("serving.abstain_below", STATED, "serve", "abstain_below")
    for name in ("inputs", "outputs", "consent"):
        says.same(f"serving.store.{name}", STATED, "serve", "store", name)
    if kind == "language":
        says.same("serving.mark", STATED, "serve", "mark")
        says.same("serving.mark_at", STATED, "serve", "mark_at")


def _data(says: Says) -> None:
    for at, source in enumerate(says.found(DATA, "sources") or ()):
        for name, unit in (
            ("uri", None),
            ("format", None),
            ("split", None),
            ("files", "files"),
            ("bytes", "bytes"),
            ("digest", None),
        ):
            says.same(f"data.sources.{at}.{name}", DATA, "sources", at, name, unit=unit)
        if source.get("licence"):
            says.same(f"data.sources.{at}.licence", DATA, "sources", at, "licence")
    says.asked("data.licence", STATED, "data", "source", "licence")
    says.asked("data.collection", STATED, "data", "source", "collection")
    if says.found(STATED, "data", "split", "test") is not None:
        says.asked("data.test.licence", STATED, "data", "split", "test", "licence")
        says.asked("data.test.collection", STATED, "data", "split", "test", "collection")
    for name in ("read", "rejected", "train", "validation", "test"):
        says.same(f"data.rows.{name}", DATA, "rows", name, unit="rows")
    for split, counts in (says.found(DATA, "splits") or {}).items():
        for name, unit in (("documents", "documents"), ("tokens", "tokens"), ("bytes", "bytes")):
            if name in counts:
                says.same(f"data.splits.{split}.{name}", DATA, "splits", split, name, unit=unit)
    for split, classes in (says.found(DATA, "classes") or {}).items():
        for name in classes:
            says.same(f"data.classes.{split}.{name}", DATA, "classes", split, name, unit="rows")
    for name in says.found(DATA, "languages") or {}:
        says.same(f"data.languages.{name}", DATA, "languages", name, unit="documents")
    by = "split_by" if says.found(DATA, "split_by") is not None else "split"
    says.same("data.split_by", DATA, *(("split_by",) if by == "split_by" else ("split", "by")))
    for part, kinds in (says.found(DATA, "columns") or {}).items():
        for kind in kinds:
            says.same(f"data.columns.{part}.{kind}", DATA, "columns", part, kind, unit="columns")
    for name in says.found(DATA, "dropped") or {}:
        says.same(f"data.dropped.{name}", DATA, "dropped", name)
    for at, rule in enumerate(says.found(DATA, "cleaning", "rules") or ()):
        family = "data.personal" if str(rule["rule"]).startswith("pii_") else "data.cleaning"
        key = f"{family}.{rule['rule'].removeprefix('pii_')}.{rule['column']}".rstrip(".")
        if key not in {one.key for one in says.statements}:
            says.same(key, DATA, "cleaning", "rules", at, "count")
    for name in says.found(DATA, "cleaning", "rejected") or {}:
        says.same(f"data.rejected.{name}", DATA, "cleaning", "rejected", name, unit="rows")
    says.same("data.personal_documents", DATA, "personal_data", "documents", unit="documents")
    for name in says.found(DATA, "personal_data", "findings") or {}:
        says.same(f"data.personal.{name}", DATA, "personal_data", "findings", name)
    says.same("data.pii_rule", STATED, "data", "clean", "pii")
    for name in ("sensitive", "sensitive_as_input", "subject", "consent", "purpose"):
        if says.found(STATED, "data", name):
            says.same(f"data.{name}", STATED, "data", name)
    for name in ("consent", "subjects"):
        for path, value in flattened(says.found(DATA, name) or {}):
            if path and isinstance(value, (int, float, str)):
                says.same(".".join(("data", f"{name}_found", *path)), DATA, name, *path)


def _training(says: Says) -> None:
    says.same("training.model", REPORT, "model", "name")
    says.same("training.parameters", TRAINING, "summary", "parameters", "total")
    says.same("training.learnt_parameters", TRAINING, "summary", "parameters", "learn")
    for name in (
        "objective",
        "adapt",
        "rows",
        "steps",
        "epochs",
        "best_epoch",
        "best_step",
        "tokens",
        "stopped",
        "resumed",
    ):
        says.same(f"training.{name}", TRAINING, "summary", name)
    says.same("training.refit_epochs", TRAINING, "summary", "refit", "epochs")
    spent = [reference(TRAINING, "summary", *path) for path in (("seconds",), ("refit", "seconds"))
             if says.found(TRAINING, "summary", *path) is not None]  # fmt: skip
    if spent:
        says.follows("training.seconds", "sum", *spent, unit="s")
    for name in ("epsilon", "delta", "clip", "accountant"):
        says.same(f"training.privacy.{name}", TRAINING, "summary", "privacy", name)
    says.same("training.processor_seconds", TRAINING, "summary", "cpu_s", unit="s")
    says.same("training.operations", TRAINING, "summary", "estimate", "operations")
    for name in ("device", "machine", "processors", "threads", "system", "python", "torch"):
        says.same(f"training.environment.{name}", TRAINING, "environment", name)
    _energy(says, spent)
    for part in ("model", "train", "augment"):
        for path, value in flattened(says.found(TRAINING, part) or {}):
            if value is not None and value not in ([], {}) and path[0] not in _GIVEN_OTHERWISE:
                says.same(".".join(("settings", part, *path)), TRAINING, part, *path)


def _energy(says: Says, spent: list[str]) -> None:
    """Measured seconds times watts: those that the processors' own counters gave in training, where it ran on them alone,
    else those of the product file. Without either there is no estimate, and the field is missing."""
    watts: tuple[str, tuple[Any, ...]] = (STATED, ("release", "watts"))
    if says.found(TRAINING, "environment", "device") == "cpu" and says.found(TRAINING, "summary", "power", "watts"):
        watts = (TRAINING, ("summary", "power", "watts"))
        says.same("training.watts_source", TRAINING, "summary", "power", "source")
    file, path = watts
    value = says.found(file, *path)
    says.statements.append(Statement("training.watts", value, (reference(file, *path),), unit="W"))
    if value is not None and spent:
        says.follows("training.energy", "kwh", *spent, reference(file, *path), unit="kWh")


def _changes(says: Says) -> None:
    """Which release came before; what differs from it is told apart (`Document.changes`)."""
    says.same("changes.since_version", PREVIOUS, "version")
    says.same("changes.since_digest", PREVIOUS, "digest")
    says.same("changes.since_created", PREVIOUS, "created")


# ---------------------------------------------------------------- report.json


def _figures(says: Says, kind: Kind) -> None:
    """Nothing where there is no report, as for an encoder: its figures are those of training."""
    if kind == "encoder":
        for name in ("loss", "bits_per_byte"):
            says.same(f"figures.validation.{name}", TRAINING, "summary", name)
        return
    says.same("figures.primary", REPORT, "primary")
    for name in says.found(REPORT, "figures", "test") or {}:
        _figure(says, f"figures.test.{name}", "figures", "test", name)
    for name in says.found(REPORT, "further") or {}:
        if ":" in name:  # of one column or class: it stands in the section of its room
            continue
        _figure(says, f"further.{name}", "further", name)
    says.same("figures.test.rows", REPORT, "splits", "test", "rows", unit="rows")
    _baselines(says)
    says.same("calibration.temperature", REPORT, "calibration", "temperature")
    for when in ("before", "after"):
        for name in says.found(REPORT, "calibration", when, "test") or {}:
            says.same(f"calibration.{when}.{name}", REPORT, "calibration", when, "test", name)
    says.same("threshold.rule", REPORT, "threshold", "rule")
    for at, gate in enumerate(says.found(REPORT, "gates") or ()):
        for part in ("rule", "value", "passed"):
            says.same(f"gates.{gate['name']}.{part}", REPORT, "gates", at, part)
    for at, one in enumerate((says.found(REPORT, "slices", "worst") or ())[:_WORST]):
        for part in ("column", "value", "rows", "gap", "clear"):
            if not isinstance(one.get(part), Mapping):
                says.same(f"weakest.{at}.{part}", REPORT, "slices", "worst", at, part)
    for name in ("verbatim", "longest", "affected", "samples"):
        says.same(f"repetition.{name}", REPORT, "repetition", name)
    for name in ("samples", "affected"):
        says.same(f"generated_pii.{name}", REPORT, "pii", name)
    for name in says.found(REPORT, "trust") or {}:
        _room(says, name)


def _figure(says: Says, key: str, *path: str) -> None:
    """Value and both ends of its interval; a figure that does not exist, or that no verdict may rest on, with the reason."""
    for part, suffix in (
        ("value", ""),
        ("low", ".low"),
        ("high", ".high"),
        ("absent", ".absent"),
        ("unsure", ".unsure"),
    ):
        says.same(key + suffix, REPORT, *path, part)


def _baselines(says: Says) -> None:
    primary = says.found(REPORT, "primary")
    for at, one in enumerate((says.found(REPORT, "baselines") or ())[:_BASELINES]):
        name = one["name"]
        figures = "figures", "test", primary
        path = figures if says.found(REPORT, "baselines", at, *figures) is not None else ("figures", primary)
        for part, suffix in (("value", ""), ("low", ".low"), ("high", ".high")):
            says.same(f"baselines.{name}{suffix}", REPORT, "baselines", at, *path, part)
        says.same(f"baselines.{name}.verdict", REPORT, "baselines", at, "verdict")
    says.same("baselines.best", REPORT, "lead_over")
    for part, suffix in (("value", ""), ("low", ".low"), ("high", ".high")):
        says.same(f"lead{suffix}", REPORT, "lead", part)


def _room(says: Says, room: str) -> None:
    """Each number, word and verdict of a room's section but for runs of numbers, which are drawn in the report."""
    before = len(says.statements)

    def walk(value: Any, path: tuple[str | int, ...]) -> None:
        if len(says.statements) - before >= _MOST_OF_A_ROOM:
            return
        if isinstance(value, Mapping):
            for key, one in value.items():
                if key not in _DRAWN:
                    walk(one, (*path, str(key)))
        elif isinstance(value, list):
            if any(isinstance(one, (Mapping, list)) for one in value):
                for at, one in enumerate(value[:_MOST_ENTRIES]):
                    walk(one, (*path, at))
            elif value and all(isinstance(one, str) for one in value):
                says.same(".".join(map(str, ("trust", *path))), REPORT, "trust", *path)
        elif value is not None and value != "":
            says.same(".".join(map(str, ("trust", *path))), REPORT, "trust", *path)

    walk(says.found(REPORT, "trust", room), (room,))
