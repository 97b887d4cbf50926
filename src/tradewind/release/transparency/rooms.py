"""What the rooms of trust found, as tables: their figures, their verdicts, and each room's section row by row.

It knows no room: a section is JSON, and entries of a list become rows, named by what tells them apart. So a new room is shown as
soon as it stands in the report. Not here: the other parts (`parts.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tradewind.release.transparency.page import Block, Cell, Table
from tradewind.release.transparency.view import View

# What tells the entries of a list apart, the first that there is; these stand in the name of a row, not in its columns.
_NAMES = (
    "strength",
    "column",
    "group",
    "name",
    "class",
    "attack",
    "test",
    "kind",
    "figure",
    "method",
    "feature",
    "label",
    "share",
)
_OWN_NAMES = ("robustness", "membership")  # rooms whose entries have names of ours, not of the data
_MOST_COLUMNS = 8


def sensitive(view: View) -> list[Block]:
    words = view.words
    names = ("sensitive", "sensitive_as_input", "subject", "consent", "purpose")
    blocks = view.facts([(words(name), f"data.{name}") for name in names if view.value(f"data.{name}") is not None])
    found = view.facts(
        [(rest, one.key) for part in ("consent_found", "subjects_found") for rest, one in view.below(f"data.{part}")]
    )
    return [*blocks, *found] or view.remark("no_sensitive")


ROOMS = ("fairness", "screening", "robustness", "explanations", "uncertainty", "membership")
SOME = (
    "actions",
    "drift",
    "intents",
    "retrieval",
)  # of products that decide, talk or search: told where they found something


def rooms(view: View) -> list[Block]:
    """Which examinations there are, and which of them this release did not pass through."""
    words = view.words
    seen = [name for name in (*ROOMS, *SOME) if any(True for _ in view.below(f"trust.{name}"))]
    rows = tuple(
        (view.word(name), view.word("examined" if name in seen else "not_measured"))
        for name in (*ROOMS, *SOME)
        if name in ROOMS or name in seen
    )
    return [Table((words("room"), words("state")), rows)]


def further(view: View) -> list[Block]:
    """The figures that rooms of trust add to those of quality."""
    words = view.words
    rows: list[tuple[Cell, ...]] = []
    for name, one in view.below("further"):
        if one.is_figure:
            low, high = view.interval(one.key)
            unsure = view.cell(f"{one.key}.unsure")
            rows.append((Cell(words.figure(name), code=words.language == "en"), view.cell(one.key), low, high, unsure))
    if not rows:
        return []
    heads = [words("figure"), words("value"), words("low"), words("high"), words("not enough data")]
    if not any(row[-1].text for row in rows):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    return [Table(tuple(heads), tuple(rows))]


def verdicts(view: View) -> list[Block]:
    """Every verdict of every room, with what it is about; the rest of a section stands in the whole report."""
    words = view.words
    rows = []
    for rest, one in view.below("trust"):
        path = rest.split(".")
        if path[-1] == "verdict" and isinstance(one.value, str):
            parent = "trust." + ".".join(path[:-1])
            rows.append((
                view.plain(_name(view, path[:-1])), view.cell(f"{parent}.value"), view.cell(f"{parent}.bound"),
                _shown(view, one.key),
            ))  # fmt: skip
    return [Table((words("what"), words("value"), words("bound"), words("verdict")), tuple(rows))] if rows else []


def room(name: str) -> Callable[[View], list[Block]]:
    """The section of one room; says so where the release was not examined."""

    def part(view: View) -> list[Block]:
        groups: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, str]]] = {}
        for rest, one in view.below(f"trust.{name}"):
            *parent, leaf = rest.split(".")
            kind = tuple("*" if step.isdigit() else step for step in parent)
            # Rows of one table differ by their places in lists, and by the last name where many stand beside each other.
            groups.setdefault(kind[:-1] if len(kind) > 2 and kind[-1] != "*" else kind, {}).setdefault(
                tuple(parent), {}
            )[leaf] = one.key
        blocks: list[Block] = []
        for rows in groups.values():
            blocks += _table(view, name, rows)
        if name in SOME:
            return blocks
        return blocks or view.remark(
            "no_sensitive" if name == "fairness" and not view.value("data.sensitive") else "not_examined"
        )

    return part


def _table(view: View, name: str, rows: dict[tuple[str, ...], dict[str, str]]) -> list[Block]:
    words = view.words
    if set(rows) == {()}:
        facts = tuple((view.plain(words.said_by(name, leaf)), _shown(view, key)) for leaf, key in rows[()].items())
        return [Table((words("what"), words("value")), facts)]
    leaves = list(dict.fromkeys(leaf for found in rows.values() for leaf in found))
    own = {leaf for leaf in leaves if all(_names(found) == leaf for found in rows.values() if leaf in found)}
    shown = [leaf for leaf in leaves if leaf not in own][:_MOST_COLUMNS]
    if not shown:
        return []
    cells = tuple(
        (view.plain(_name(view, [name, *parent])), *(_shown(view, found.get(leaf)) for leaf in shown))
        for parent, found in rows.items()
        if any(leaf in found for leaf in shown)
    )
    return [Table((words("what"), *(words.said_by(name, leaf) for leaf in shown)), cells)]


def _names(found: Mapping[str, str]) -> str | None:
    """What an entry is called by, of all that it says."""
    return next((leaf for leaf in _NAMES if leaf in found), None)


def _shown(view: View, key: str | None) -> Cell:
    if key is None:
        return Cell("")
    value = view.value(key)
    if isinstance(value, str) and (known := view.words.known(value)) is not None:
        return Cell(known, key, view.evidence(view.statements[key]))
    return view.cell(key)


def _name(view: View, path: list[str]) -> str:
    """`sex · equalized_odds_difference`: an entry of a list by what it calls itself, everything else by its key."""
    parts: list[str] = []
    for at, step in enumerate(path):
        here = "trust." + ".".join(path[: at + 1])
        if step.isdigit():
            found = next((one for name in _NAMES if (one := view.value(f"{here}.{name}")) is not None), None)
            said = str(int(step) + 1) if found is None else view.shown(found)
            parts.append(view.words.step(said) if path[0] in _OWN_NAMES else said)
        elif at > 0 and at == len(path) - 1:
            parts.append(view.words.step(step))
    return " · ".join(parts) or path[-1]
