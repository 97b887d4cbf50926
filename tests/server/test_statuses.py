"""Every error code that a request can meet has a status: one that somebody chose, or that of its family.

Read from the source, so that a new code cannot come without one.
"""

import ast
from importlib.util import find_spec
from pathlib import Path

import tradewind
import tradewind.errors
from tradewind.errors import InputError, TradewindError
from tradewind.server.gate import Refused
from tradewind.server.problems import FAMILIES, STATUS, status_of

ROOT = Path(tradewind.__file__).parent
# Raised through a function that takes the code, and the error that it makes of it.
MAKERS = {"named": InputError, "_one_of": InputError}
# Codes put together at run time, spelled out.
MADE = {"f'{tokens.kind}_limited'": ("requests_limited", "units_limited")}
# Handed on as they came: the callers are found by MAKERS, or stand in a table of their own.
HANDED_ON = {"code"}


def file_of(module):
    found = find_spec(module)
    return Path(found.origin) if found is not None and found.origin else None


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tradewind":
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names if (ROOT.parent / Path(*node.module.split("."))).is_dir())  # fmt: skip
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "tradewind")


def reachable():
    """Source files that the server imports, by any way: no other can raise into a request."""
    waiting = list((ROOT / "server").glob("*.py"))
    seen = set(waiting)
    while waiting:
        for module in imports(waiting.pop()):
            path = file_of(module)
            if path is not None and path not in seen:
                seen.add(path)
                waiting.append(path)
    return sorted(seen)


def kinds():
    found = {name: one for name, one in vars(tradewind.errors).items() if isinstance(one, type)}
    return {name: one for name, one in found.items() if issubclass(one, TradewindError)} | {"Refused": Refused} | MAKERS


def raised():
    """(error class, code, place) of every code that is written down."""
    known = kinds()
    for path in reachable():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for word in node.keywords:
                if word.arg != "code" or (name not in known and not isinstance(word.value, ast.Constant)):
                    continue
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                if isinstance(word.value, ast.Constant):
                    yield known.get(name), str(word.value.value), place
                elif (text := ast.unparse(word.value)) in MADE:
                    yield from ((known.get(name), code, place) for code in MADE[text])
                else:
                    assert text in HANDED_ON, f"{place}: {text} is no code that this test can read"


CODES = [(kind, code, place) for kind, code, place in raised() if kind is not None]


def test_the_walk_reaches_what_a_request_can_meet():
    places = {place.split(":")[0] for _, _, place in CODES}
    assert {"server/supply.py", "business/keys.py", "business/journal.py", "features/feature_set.py"} <= places
    assert len({(kind.family, code) for kind, code, _ in CODES}) > 80


def test_each_input_code_has_a_status_in_the_table():
    missing = {
        f"{kind.family}.{code}": place
        for kind, code, place in CODES
        if kind.family == "input" and f"{kind.family}.{code}" not in STATUS
    }
    assert missing == {}, "choose a status for each in server/problems.py"


def test_each_other_family_has_one_status():
    assert {kind.family for kind, _, _ in CODES} <= set(FAMILIES)


def test_the_table_names_no_code_that_nobody_raises():
    written = {f"{kind.family}.{code}" for kind, code, _ in CODES}
    assert sorted(set(STATUS) - written) == []


def test_a_caller_is_to_blame_for_input_alone_and_only_the_environment_passes():
    for kind, code, place in CODES:
        status = status_of(kind("x", code=code))
        if kind.family == "data":
            assert 400 <= status < 500, place
        elif kind.family == "environment":
            assert status in (503, 504), place
        elif kind.family != "input":
            assert status == 500, place
