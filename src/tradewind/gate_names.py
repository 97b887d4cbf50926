"""Which figures the report of a product can have, by name: a gate on any other is refused before anything is trained.

Not here: how a gate is written and which contradict each other (`gate_rules.py`), how a figure is computed (`evaluate/`,
where `gates.py` asserts that each one is named here).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from tradewind.errors import nearest
from tradewind.gate_rules import FAIRNESS, TOGETHER

BEATS = "beats_baseline"
Fault = tuple[str, str, str]  # the gate, why its figure will not be there, the next step


@dataclass(frozen=True)
class Facts:
    """What of a product decides which figures its report has. `rooms` are those of evaluate.examine, None for all; `settings`
    the paths of `FAMILIES` that the product file fills; `tasks` the names of evaluate.tasks."""

    task: str
    rooms: Sequence[str] | None = None
    settings: frozenset[str] = frozenset()
    sensitive: Sequence[str] = ()
    at: Sequence[int] = ()
    specificity: float | None = None
    sensitivity: float | None = None
    tasks: Sequence[str] = ()
    baselines: bool = True


@dataclass(frozen=True)
class Family:
    """Figures of the tasks `of`; with a `room`, only where it is examined, and with `needs`, only beside that setting."""

    of: tuple[str, ...]
    names: tuple[str, ...]
    room: str = ""
    needs: str = ""


_CLASSES, _VALUES, _TABLES = ("classification",), ("regression",), ("classification", "regression")
_SEARCHED = ("retrieval_recall@1", "retrieval_recall@5", "retrieval_mrr")
FAMILIES = (
    Family(_CLASSES, ("roc_auc", "pr_auc", "accuracy", "precision", "recall", "f1", "precision_macro", "recall_macro",
                      "f1_macro", "f1_micro", "f1_weighted", "log_loss", "brier", "ece")),
    Family(_VALUES, ("rmse", "mae", "mse", "r2")),
    Family(_TABLES, ("robust_number_noise", "robust_out_of_range", "robust_missing", "robust_typing", "robust_homophones",
                     "robust_lookalikes", "robust_synonyms", "robust_image_noise", "robust_blur", "robust_contrast",
                     "robust_rotation", "robust_audio_noise", "robust_gain", "robust_time_shift", "robust_pace",
                     "domain_auroc", "domain_alarms"), room="robustness"),
    Family(_TABLES, ("faithfulness", "surrogate_fidelity"), room="explanations"),
    Family(_TABLES, ("coverage", "coverage_gap", "abstention_area"), room="uncertainty"),
    Family(_CLASSES, ("set_size",), room="uncertainty"),
    Family(_VALUES, ("interval_width",), room="uncertainty"),
    Family(_TABLES, ("membership_auc", "membership_advantage", "membership_tpr"), room="membership"),
    Family(_TABLES, ("epsilon",), room="membership", needs="train.privacy"),
    Family(_CLASSES, ("recall_fpr_0.1", "recall_fpr_1"), room="actions"),
    Family(_CLASSES, ("precision_alerts",), room="actions", needs="evaluate.alerts"),
    Family(_CLASSES, ("cost_per_row", "saving"), room="actions", needs="evaluate.costs"),
    Family(_TABLES, ("column_drift",), room="drift"),
    Family(_CLASSES, ("few_shot_accuracy", "few_shot_cost", "scope_auroc", "scope_false_accept"), room="intents"),
    Family(_TABLES, (*_SEARCHED, *(f"{name}_words" for name in _SEARCHED)), room="retrieval", needs="knowledge"),
    Family(("generation",), ("loss", "perplexity", "bits_per_byte", "verbatim_share", "longest_verbatim", "pii_share", "stops",
                             "secrets_kept", "injections_withstood", "jailbreaks_refused", "preference_accuracy",
                             "preference_margin")),
    Family(("generation",), ("title_rouge_l", "title_rouge_l_lead", "title_chrf", "rewrite_distance", "rewrite_gain",
                             "continue_bits_per_byte", "continue_lead"), needs="data.writing"),
    Family(("translation",), ("bleu", "chrf", "length_ratio", "empty", "copied", "repeated", "shared", "cut")),
    Family(("translation",), ("terms_kept",), needs="translation.glossary"),
)  # fmt: skip
NEEDED = tuple(sorted({family.needs for family in FAMILIES if family.needs}))

RANKED = tuple(f"{protocol}{name}" for protocol in ("", "sampled_") for name in ("ndcg", "hit", "recall", "mrr"))
RANKED += ("coverage", "novelty", "popularity", "gini")
_RANKED = re.compile(rf"(?:{'|'.join(RANKED)})@(\d+)")
_HELD = re.compile(
    r"(?:sensitivity_at_(specificity)|specificity_at_(sensitivity)|(specificity|sensitivity)_reached)_(\d+(?:_\d+)?)"
)
_TASK = re.compile(r"accuracy:(.+)", re.DOTALL)
_PATTERNS: Mapping[str, re.Pattern[str]] = {"recommendation": _RANKED, "classification": _HELD, "generation": _TASK}


def held_names(held: str, share: float) -> tuple[str, str]:
    """Where `held`, a sensitivity or specificity, is fixed at a share: the figure of the other one, and what test rows reached."""
    other = "sensitivity" if held == "specificity" else "specificity"
    label = f"{100 * share:g}".replace(".", "_")
    return f"{other}_at_{held}_{label}", f"{held}_reached_{label}"


def named(name: str, *, task: str) -> bool:
    """Whether a report of this task may have the figure, whatever else its product file says."""
    if name == BEATS or FAIRNESS.get(name.partition(":")[0]) == task:
        return True
    pattern = _PATTERNS.get(task)
    return (pattern is not None and pattern.fullmatch(name) is not None) or _family(name, task) is not None


def fault(gates: Mapping[str, str | bool], facts: Facts) -> Fault | None:
    """The first gate that nothing can meet: on a figure that the report of this product will not have, or without a
    comparison; None where all can be met."""
    for name, rule in gates.items():
        if rule is False:
            continue
        if name == BEATS:
            if facts.baselines:
                continue
            return name, f"{BEATS} is asked for, but evaluate.baselines is false", "Leave one of the two out."
        of_groups = name.partition(":")[0] in FAIRNESS
        found = _of_groups(name, facts) if of_groups else _of_product(name, facts)
        if found is None and rule is True:
            found = name, f"{name} needs a comparison", "Write one, as in '>= 0.77': true is for beats_baseline."
        if found is not None:
            return found
    return None


def _of_product(name: str, facts: Facts) -> Fault | None:
    known = list(_names(facts))
    if name in known:
        return None
    if not named(name, task=facts.task):
        some = ", ".join(known[:6])
        return (
            name,
            f"{name} is no figure of {facts.task}",
            nearest(name, [*known, BEATS]) or f"Some that there are: {some}.",
        )
    family = _family(name, facts.task)
    room = (
        "screening" if family is None and facts.task == "classification" else family.room if family is not None else ""
    )
    if room and not _examined(room, facts):
        return name, f"{name} is asked for, but evaluate.examine leaves {room} out", f"Add {room} to it."
    if family is not None:
        return name, f"{name} is asked for, but the product file has no {family.needs}", f"Add {family.needs}."
    return (name, *_missing(name, facts))


def _missing(name: str, facts: Facts) -> tuple[str, str]:
    """Why a figure with a number or a file in its name is not there, and the next step."""
    if found := _RANKED.fullmatch(name):
        lengths = ", ".join(map(str, facts.at))
        return f"{name} is asked for, but evaluate.at has no {found[1]}", f"Add it: at: [{lengths}, {found[1]}]."
    if found := _HELD.fullmatch(name):
        held, share = found[1] or found[2] or found[3], float(found[4].replace("_", ".")) / 100
        return f"{name} is asked for, but evaluate.{held} does not say {share:g}", f"Add {held}: {share:g}."
    task = name.partition(":")[2]
    hint = nearest(task, facts.tasks) or f"Add its file: tasks: [{task}.jsonl]."
    return f"{name} is asked for, but evaluate.tasks has no {task}", hint


def _of_groups(name: str, facts: Facts) -> Fault | None:
    figure, _, column = name.partition(":")
    if not facts.sensitive:
        return name, f"{figure} compares groups, but data.sensitive names no column", "Name one: sensitive: [COLUMN]."
    if FAIRNESS[figure] != facts.task:
        known = [other for other, of in FAIRNESS.items() if of == facts.task]
        return name, f"{figure} is no figure of {facts.task}", f"Figures here: {', '.join(known)}." if known else ""
    if not _examined("fairness", facts):
        return name, f"{figure} is asked for, but evaluate.examine leaves fairness out", "Add fairness to it."
    sensitive = facts.sensitive
    columns = [*sensitive, *(TOGETHER.join(pair) for pair in combinations(sensitive, 2)), TOGETHER.join(sensitive)]
    if column and column not in columns:
        hint = nearest(column, columns) or f"Sensitive columns: {', '.join(sensitive)}."
        return name, f"{column} is none of data.sensitive", hint
    return None


def _names(facts: Facts) -> Iterator[str]:
    """All that the report can have, but for figures of groups: of families, then those with a number or a name in theirs."""
    for family in FAMILIES:
        there = not family.room or _examined(family.room, facts)
        if facts.task in family.of and there and (not family.needs or family.needs in facts.settings):
            yield from family.names
    if facts.task == "recommendation":
        yield from (f"{name}@{k}" for k in facts.at for name in RANKED)
    if facts.task == "classification" and _examined("screening", facts):
        for held, share in (("specificity", facts.specificity), ("sensitivity", facts.sensitivity)):
            yield from held_names(held, share) if share is not None else ()
    if facts.task == "generation":
        yield from (f"accuracy:{name}" for name in facts.tasks)


def _family(name: str, task: str) -> Family | None:
    return next((family for family in FAMILIES if task in family.of and name in family.names), None)


def _examined(room: str, facts: Facts) -> bool:
    return facts.rooms is None or room in facts.rooms
