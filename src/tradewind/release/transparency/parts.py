"""The parts of the report: overview, data, training, figures, limits, changes, evidence. Each says nothing where nothing is known.

Not here: what the rooms of trust found (`rooms.py`), or where a part stands (`frames.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tradewind.release.transparency.page import Block, Bullets, Cell, Table, Text
from tradewind.release.transparency.rooms import ROOMS, SOME, further, room, rooms, sensitive, verdicts
from tradewind.release.transparency.view import View

Part = Callable[[View], list[Block]]
_SPLITS = ("train", "validation", "test")


def _overview(view: View) -> list[Block]:
    names = ("target", "classes", "positive", "threshold", "family", "context", "vocabulary", "width")
    rows = [
        ("product", "product"),
        ("task", "task"),
        ("model", "training.model"),
        ("parameters", "training.parameters"),
    ]
    rows += [(name, f"release.{name}") for name in names]
    rows += [("made_with", "release.made_with"), ("follows", "changes.since_version")]
    return view.facts([(view.words(label), key) for label, key in rows], code=("release.target", "product"))


def _named(prefix: str, *names: str, words: str = "", code: bool = False) -> Part:
    """A table of the statements PREFIX.NAME, labelled by the words of their names."""

    def part(view: View) -> list[Block]:
        rows = [(view.words(words + name), f"{prefix}.{name}") for name in names]
        return view.facts(rows, code=[key for _, key in rows] if code else ())

    return part


def _said(key: str) -> Part:
    return lambda view: view.said(f"stated.{key}")


def _people(label: str, key: str) -> Part:
    return lambda view: view.facts([(view.words(label), f"stated.{key}")])


def _sources(view: View) -> list[Block]:
    words = view.words
    places = sorted({int(rest.split(".")[0]) for rest, _ in view.below("data.sources")})
    heads = (words("source"), words("licence"), words("files"), words("bytes"), words("digest"))
    rows = tuple(
        (
            view.cell(f"data.sources.{at}.uri", code=True),
            view.cell(f"data.sources.{at}.licence"),
            view.cell(f"data.sources.{at}.files"),
            view.cell(f"data.sources.{at}.bytes"),
            view.cell(f"data.sources.{at}.digest", code=True),
        )
        for at in places
    )
    blocks: list[Block] = [Table(heads, rows)] if rows else []
    labels = ("licence", "collection", "test.licence", "test.collection")
    return blocks + view.facts([(words(label), f"data.{label}") for label in labels])


def _rows(view: View) -> list[Block]:
    words = view.words
    if view.value("data.rows.read") is not None:
        return [
            Table(
                (words("split"), words("rows")),
                tuple(
                    (view.plain(words.name(name)), view.cell(f"data.rows.{name}"))
                    for name in ("read", "rejected", *_SPLITS)
                    if view.value(f"data.rows.{name}") is not None
                ),
            )
        ]
    rows = tuple(
        (view.plain(words.name(split)), *(view.cell(f"data.splits.{split}.{name}") for name in ("documents", "tokens", "bytes")))
        for split in _SPLITS
        if view.value(f"data.splits.{split}.tokens") is not None
    )  # fmt: skip
    heads = (words("split"), words("documents"), words("tokens"), words("bytes"))
    return [Table(heads, rows)] if rows else []


def _splits(view: View) -> list[Block]:
    words = view.words
    blocks = view.facts([(words("split_by"), "data.split_by"), (words("test_rows"), "figures.test.rows")])
    classes = list(dict.fromkeys(rest.partition(".")[2] for rest, _ in view.below("data.classes")))
    rows = tuple(
        (view.plain(name), *(view.cell(f"data.classes.{split}.{name}") for split in _SPLITS)) for name in classes[:50]
    )
    if rows:
        blocks.append(Table((words("class"), *(words(split) for split in _SPLITS)), rows))
    languages = tuple((view.plain(name), view.cell(one.key)) for name, one in view.below("data.languages"))
    return blocks + ([Table((words("language"), words("documents")), languages)] if languages else [])


def _columns(view: View) -> list[Block]:
    words = view.words
    rows = tuple(
        (view.plain(words.name(part)), view.plain(words.name(kind)), view.cell(one.key))
        for rest, one in view.below("data.columns")
        for part, _, kind in [rest.partition(".")]
    )
    blocks: list[Block] = [Table((words("part"), words("kind"), words("columns")), rows)] if rows else []
    dropped = tuple((view.plain(name), view.cell(one.key)) for name, one in view.below("data.dropped"))
    return blocks + ([Table((words("dropped"), words("what")), dropped)] if dropped else [])


def _cleaning(view: View) -> list[Block]:
    words = view.words
    repairs = tuple(
        (view.plain(words.name(rule) + (f"{words.colon}{column}" if column else "")), view.cell(one.key))
        for rest, one in view.below("data.cleaning")
        for rule, _, column in [rest.partition(".")]
    )
    rejected = tuple((view.plain(words.name(rest)), view.cell(one.key)) for rest, one in view.below("data.rejected"))
    blocks: list[Block] = [Table((words("repair"), words("count")), repairs)] if repairs else []
    blocks += [Table((words("rejected"), words("count")), rejected)] if rejected else []
    return blocks or view.remark("none_cleaned")


def _personal(view: View) -> list[Block]:
    words = view.words
    rows = tuple(
        (view.plain(words.name(kind) + (f"{words.colon}{column}" if column else "")), view.cell(one.key))
        for rest, one in view.below("data.personal")
        for kind, _, column in [rest.partition(".")]
    )
    if rows:
        return [Table((words("found"), words("count")), rows)]
    if view.value("data.pii_rule") == "keep":
        return view.remark("personal_off")
    texts = any(True for _ in view.below("data.splits")) or "data.columns.input.text" in view.statements
    return view.remark("none_personal" if texts else "no_texts")


def _compute(view: View) -> list[Block]:
    words = view.words
    names = ("seconds", "processor_seconds", "operations", "tokens", "steps", "epochs", "best_epoch", "best_step", "refit_epochs",
             "stopped", "resumed")  # fmt: skip
    rows = [(words(name), f"training.{name}") for name in names]
    rows += [(words.name(name), f"training.privacy.{name}") for name in ("epsilon", "delta", "clip", "accountant")]
    places = ("device", "machine", "processors", "threads", "system", "python", "torch")
    return view.facts(rows + [(words(name), f"training.environment.{name}") for name in places])


def _energy(view: View) -> list[Block]:
    words = view.words
    if view.value("training.energy") is None:
        return [Text(Cell(words("no_energy"), "training.watts"))] if "training.watts" in view.statements else []
    how = "energy_rapl" if view.value("training.watts_source") else "energy_stated"
    facts = view.facts([(words("energy"), "training.energy"), (words("watts"), "training.watts")])
    return [*facts, *view.remark(how)]


def _pretrained(view: View) -> list[Block]:
    rows = [("trained_from", "settings.model.pretrained"), ("adapt", "training.adapt")]
    if view.value("settings.model.pretrained") is None:
        return view.remark("no_pretrained")
    return view.facts([(view.words(label), key) for label, key in rows])


def _settings(view: View) -> list[Block]:
    words = view.words
    rows = tuple((Cell(name, code=True), view.cell(one.key, code=True)) for name, one in view.below("settings"))
    return [Table((words("setting"), words("value")), rows)] if rows else []


def _figures(view: View) -> list[Block]:
    words = view.words
    rows = []
    for split in ("test", "validation"):
        for name, one in view.below(f"figures.{split}"):
            if one.is_figure:
                low, high = view.interval(one.key)
                label = Cell(words.figure(name), code=words.language == "en")
                rows.append((label, view.cell(one.key), low, high))
        if rows:
            break
    heads = (words("figure"), words("value"), words("low"), words("high"))
    return [Table(heads, tuple(rows)), *view.remark("interval_note")] if rows else []


def _lead(view: View) -> list[Block]:
    words = view.words
    names = list(dict.fromkeys(rest.split(".")[0] for rest, _ in view.below("baselines")))
    rows = [
        (view.plain(name.replace("_", " ")), view.cell(f"baselines.{name}"), *view.interval(f"baselines.{name}"),
         view.plain(words.name(str(view.value(f"baselines.{name}.verdict")))))
        for name in names
        if name != "best" and view.value(f"baselines.{name}") is not None
    ]  # fmt: skip
    if view.value("lead") is not None:
        rows.append((view.word("lead"), view.cell("lead"), *view.interval("lead"), view.plain("")))
    head = f"{words('baseline')}{words.colon}{view.value('figures.primary')}"
    return [Table((head, words("value"), words("low"), words("high"), words("verdict")), tuple(rows))] if rows else []


def _calibration(view: View) -> list[Block]:
    words = view.words
    rows = [(words("temperature"), "calibration.temperature")]
    for when in ("before", "after"):
        rows += [(f"{name}{words.colon}{words('before' if when == 'before' else 'now')}", one.key)
                 for name, one in view.below(f"calibration.{when}")]  # fmt: skip
    return view.facts(rows)


def _gates(view: View) -> list[Block]:
    words = view.words
    names = [rest.removesuffix(".rule") for rest, _ in view.below("gates") if rest.endswith(".rule")]
    rows = tuple(
        (
            Cell(name, code=True),
            view.cell(f"gates.{name}.rule", code=True),
            view.cell(f"gates.{name}.value"),
            Cell(words("passed") if view.value(f"gates.{name}.passed") else words("failed"), f"gates.{name}.passed"),
        )
        for name in names
    )
    heads = (words("figure"), words("gate"), words("measured"), words("verdict"))
    return [Table(heads, rows)] if rows else view.remark("no_gates")


def _weakest(view: View) -> list[Block]:
    words = view.words
    places = sorted({int(rest.split(".")[0]) for rest, _ in view.below("weakest")})
    rows = tuple(
        (
            view.plain(f"{view.value(f'weakest.{at}.column')} = {view.value(f'weakest.{at}.value')}"),
            view.cell(f"weakest.{at}.rows"),
            view.cell(f"weakest.{at}.gap"),
            view.cell(f"weakest.{at}.clear"),
        )
        for at in places
    )
    return [Table((words("where"), words("rows"), words("gap"), words("clear")), rows)] if rows else []


def _repetition(view: View) -> list[Block]:
    words = view.words
    rows = [("verbatim", "repetition.verbatim"), ("longest", "repetition.longest"), ("affected", "repetition.affected"),
            ("samples", "repetition.samples"), ("pii_samples", "generated_pii.affected")]  # fmt: skip
    return view.facts([(words(label), key) for label, key in rows])


def _precisions(view: View) -> list[Block]:
    words = view.words
    names = list(dict.fromkeys(rest.split(".")[0] for rest, _ in view.below("precisions")))
    parts = ("bytes", "bits_per_byte", "loss")
    rows = tuple((view.plain(name), *(view.cell(f"precisions.{name}.{part}") for part in parts)) for name in names)
    if rows:
        return [Table((words("precision"), words("bytes"), words("bits_per_byte"), words("loss")), rows)]
    return view.facts([(name, one.key) for name, one in view.below("int8")])


def _cost(view: View) -> list[Block]:
    words = view.words
    language = view.value("cost.prompt_seconds") is not None
    labels = ("written_alone", "written_beside", "read") if language else ("one_row", "bulk_row", "")
    rows = tuple(
        (view.word(label), view.cell(f"cost.{key}"), view.cell(f"cost.{price}") if price else view.plain(""))
        for label, key, price in zip(labels, ("alone_seconds", "bulk_seconds", "prompt_seconds"), ("alone", "bulk", ""), strict=True)
        if label and view.value(f"cost.{key}") is not None
    )  # fmt: skip
    if not rows:
        return []
    facts = view.facts([(words("processor"), "cost.processor"), (words("how"), "cost.how")])
    return [Table((words("what"), words("seconds_of_one"), words("price")), rows), *facts]


def _marking(view: View) -> list[Block]:
    """Of generated text: what a reader sees of its origin."""
    mark = view.value("serving.mark")
    if mark is None:
        return view.remark("predicts")
    return [Text(Cell(view.words("explicit_none" if mark == "none" else "explicit_text"), "serving.mark"))]


def _implicit(view: View) -> list[Block]:
    return view.remark("predicts" if view.value("serving.mark") is None else "implicit")


def _changes(view: View) -> list[Block]:
    words, document = view.words, view.document
    if view.value("changes.since_version") is None:
        return view.remark("first_release")
    if document.changes is None:
        return view.remark("nothing_to_compare")
    rows = tuple(
        (
            Cell(change.key, change.key, code=True),
            Cell(_short(view, change.before), change.key),
            Cell(_short(view, change.now), change.key),
            Cell("" if change.difference is None else _signed(view, change.difference), change.key, number=True),
        )
        for change in document.changes
    )
    if not rows:
        return view.remark("no_changes")
    return [Table((words("what"), words("before"), words("now"), words("difference")), rows)]


def _short(view: View, value: object) -> str:
    text = view.words("not_there") if value is None else view.shown(value)
    return text if len(text) <= 160 else text[:159] + "…"


def _signed(view: View, value: float) -> str:
    text = view.shown(int(value) if value == int(value) else value)
    return text if value < 0 else f"+{text}"


def _missing(view: View) -> list[Block]:
    missing = view.document.missing
    if not missing:
        return view.remark("nothing_missing")
    items = tuple(Cell(one.field, one.key, code=True) for one in missing)
    return [*view.remark("missing_note"), Bullets(items)]


def _evidence(view: View) -> list[Block]:
    words = view.words
    rows = tuple(
        (Cell(name, code=True), Cell(digest, name, code=True)) for name, digest in view.document.evidence.items()
    )
    return [*view.remark("evidence_note"), Table((words("file"), words("digest")), rows)]


PARTS: Mapping[str, Part] = MappingProxyType({
    "description": _said("description"), "overview": _overview, "intended": _said("intended_use"), "excluded": _said("excluded_use"),
    "limitations": _said("limitations"), "risks": _said("risks"), "oversight": _said("oversight"),
    "people": lambda view: view.facts([
        (view.words("provider"), "stated.provider"), (view.words("contact"), "stated.contact"), (view.words("stated_licence"), "stated.licence")]),
    "provider": _people("provider", "provider"), "contact": _people("contact", "contact"), "licence": _people("stated_licence", "licence"),
    "sources": _sources, "rows": _rows, "splits": _splits, "columns": _columns, "cleaning": _cleaning, "personal": _personal,
    "sensitive": sensitive, "model": _named("training", "model", "parameters", "learnt_parameters", "objective", "adapt"),
    "pretrained": _pretrained, "compute": _compute, "energy": _energy, "settings": _settings, "primary": _named("figures", "primary", code=True),
    "figures": _figures, "further": further, "rooms": rooms, "verdicts": verdicts, "lead": _lead, "calibration": _calibration, "gates": _gates,
    "weakest": _weakest, "repetition": _repetition, "precisions": _precisions, "cost": _cost, "marking": _marking, "implicit": _implicit,
    "parity": _named("release", "parity", "parity_tolerance"), "forms": _named("release", "graph", "graph_int8", "meters"),
    "software": lambda view: view.facts([(view.words(name), key) for name, key in (
        ("made_with", "release.made_with"), ("python", "training.environment.python"), ("torch", "training.environment.torch"))]),
    "parents": lambda view: view.facts([(view.words(name), f"parents.{name}") for name in ("dataset", "run", "report")],
                                       code=[f"parents.{name}" for name in ("dataset", "run", "report")]),
    "serving": _named("serving", "abstain_below"), "store": _named("serving", "store.inputs", "store.outputs", "store.consent"),
    "since": lambda view: view.facts([(view.words("follows"), "changes.since_version")]), "changes": _changes, "missing": _missing,
    "evidence": _evidence,
    **{f"room:{name}": room(name) for name in (*ROOMS, *SOME)},
})  # fmt: skip
