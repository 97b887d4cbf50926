"""Reading a product file: YAML with the line and column of every value, `--set`, and errors that say what to write.

Not here: the fields themselves (`product.py`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from tradewind.errors import EnvironmentFailure, ProductFileError, nearest
from tradewind.product import Answers, Place, Product

FILE_NAME = "tradewind.yaml"

# Words that teams use for a setting of ours; spelling alone would not find them.
_SYNONYMS = {
    "lr": "learning_rate", "batch_size": "batch", "weight_decay": "l2", "label": "target", "file": "path",
    "early_stopping": "stop_early", "patience": "stop_early", "optimiser": "optimizer", "val": "validation",
    "features": "only", "protected": "sensitive", "metrics": "gates", "name": "product", "dataset": "data",
}  # fmt: skip

_READABLE = {
    "bool_type": "true or false", "int_type": "a whole number", "int_parsing": "a whole number",
    "int_from_float": "a whole number", "float_type": "a number", "float_parsing": "a number",
    "string_type": "text", "list_type": "a list", "dict_type": "a mapping", "model_type": "a mapping",
}  # fmt: skip
# What a text must look like, by the pattern of its setting.
_FORMS = {
    r"^[a-z][a-z0-9-]{1,62}$": "2 to 63 lower-case letters, digits and hyphens, a letter first",
    r"^[a-z0-9][a-z0-9-]{0,62}$": "at most 63 lower-case letters, digits and hyphens, no hyphen first",
    r"^[a-z][a-z0-9_]{0,30}$": "at most 31 lower-case letters, digits and underscores, a letter first",
    r"^[A-Z][A-Z0-9_]{0,99}$": "the name of an environment variable: capitals, digits and underscores, a letter first",
    r"^https?://\S+$": "an address that begins with https:// or http://",
    r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$": "the code of a language: en, zh, pt-BR",
    r"^[^\s:.][^:.]*$": "a name without a point or a colon, no blank first",
    r"^(annex-iv|nist|china)\.\S+$": "annex-iv, nist or china, a point, and the name of a heading",
}  # fmt: skip


def load(path: Path, *, changes: Sequence[str] = ()) -> Product:
    """The product in `path` (a file, or the folder that holds tradewind.yaml), with `changes` (PATH=VALUE) applied.

    Raises ProductFileError with file, line and column for the first mistake; further ones stand in its hint.
    """
    file = path / FILE_NAME if path.is_dir() else path
    text = _read(file)
    content = _parse(text, str(file))
    for change in changes:
        _apply(content, change)
    changed = [tuple(change.partition("=")[0].strip().split(".")) for change in changes]
    product = _validated(content, str(file), changed=changed)
    named = product.serve.answers.file
    return product if named is None else _with_answers(product, file.parent / named)


def product_of(content: Mapping[str, Any]) -> Product:
    """The product in a resolved copy, as a run keeps it. Raises ProductFileError when it does not fit this version."""
    return _validated(content, "product.json")


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the product file, for editors."""
    schema = Product.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _with_answers(product: Product, file: Path) -> Product:
    """The product with the texts of the file that `serve.answers.file` names: class → text, or {en: …, zh: …}."""
    texts = _plain(_parse(_read(file), str(file)))
    given = product.serve.answers.model_dump(exclude={"file"})
    try:
        answers = Answers.model_validate({**given, "texts": texts})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(name) for name in first["loc"] if name != "texts")
        raise ProductFileError(
            f"{place}: {first['msg']}.",
            code="answers",
            where=str(file),
            hint="Write CLASS: TEXT, or CLASS: {en: TEXT, zh: TEXT}.",
        ) from None
    serve = product.serve.model_copy(update={"answers": answers})
    return product.model_copy(update={"serve": serve})


def _read(file: Path) -> str:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise ProductFileError(
            "There is no such file.",
            code="missing",
            where=str(file),
            hint=f"Run the verb in the folder of {FILE_NAME}, give -C FOLDER, or begin with `tradewind init`.",
        ) from None
    except IsADirectoryError:
        raise ProductFileError("It is a folder, not a file.", code="not_a_file", where=str(file)) from None
    except PermissionError as error:
        raise EnvironmentFailure("The file may not be read.", code="permission", where=str(file)) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ProductFileError(
            f"Byte 0x{data[error.start]:02x} is no UTF-8.",
            code="encoding",
            where=f"{file}:{line}",
            hint="Save the product file as UTF-8.",
        ) from None


def _parse(text: str, file: str) -> CommentedMap:
    yaml = YAML(typ="rt")
    try:
        content = yaml.load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        problem = (error.problem or "it cannot be read").split("\n")[0].strip()
        raise ProductFileError(
            f"This is no YAML: {problem}.",
            code="yaml",
            where=where,
            hint="Check the indentation, the colons and the quotes on this line and the one before it.",
        ) from None
    except (YAMLError, ValueError) as error:
        raise ProductFileError(f"This is no YAML: {str(error).splitlines()[0]}.", code="yaml", where=file) from None
    if content is None:
        raise ProductFileError(
            "The file is empty.", code="empty", where=file, hint="It needs at least product, task and data."
        )
    if not isinstance(content, CommentedMap):
        raise ProductFileError(
            f"Found a {type(content).__name__.removeprefix('Commented').lower()}, expected a mapping.",
            code="not_a_mapping",
            where=f"{file}:1:1",
            hint="It begins with product: NAME, task: TASK and data:.",
        )
    return content


def _apply(content: CommentedMap, change: str) -> None:
    path, separator, value = change.partition("=")
    names = path.strip().split(".")
    if not separator or not all(names):
        raise ProductFileError(
            f"{change!r} is no change.", code="set", where="--set", hint="Write PATH=VALUE: --set train.epochs=20."
        )
    yaml = YAML(typ="safe")
    try:
        parsed = yaml.load(io.StringIO(value)) if value.strip() else None
    except YAMLError:
        raise ProductFileError(f"{value!r} is no YAML value.", code="set", where=f"--set {path}") from None
    place: Any = content
    for name in names[:-1]:
        below = place.get(name)
        if isinstance(below, str) and name == "source":
            below = CommentedMap(path=below)
        place[name] = below if isinstance(below, Mapping) else CommentedMap()
        place = place[name]
    place[names[-1]] = parsed


def _validated(content: Mapping[str, Any], file: str, *, changed: Sequence[tuple[str, ...]] = ()) -> Product:
    try:
        return Product.model_validate(_plain(content))
    except ValidationError as error:
        every = error.errors(include_url=False)
        details = [item for item in every if not _is_echo(item, every)]
        # A misspelt setting explains the missing one: what is missing comes last.
        first, *rest = sorted(details, key=lambda item: (item["type"] == "missing", _position(content, item["loc"])))
        echoes = [item for item in every if _is_echo(item, every) and _named(item["loc"]) == _named(first["loc"])]
        failure = _explained(first, rest, echoes)
        place = _place_of(first)
        line, column = _position(content, place, key=first["type"] == "extra_forbidden")
        if any(place[: len(path)] == path for path in changed):
            failure.where = f"--set {'.'.join(map(str, place))}"
        else:
            failure.where = f"{file}:{line}:{column}" if line else file
        raise failure from None


def place(path: Path, setting: Sequence[int | str], *, key: bool = False) -> str:
    """File, line and column of a setting's value, or of its name (`key`); its dotted name where the file does not hold it."""
    file = path / FILE_NAME if path.is_dir() else path
    line, column = _position(_parse(_read(file), str(file)), setting, key=key) if file.is_file() else (0, 0)
    return f"{file}:{line}:{column}" if line else ".".join(map(str, setting))


# Settings that only some tasks ask for: the whole file misses them, but their place is known.
_PLACES: dict[str, Place] = {"target_missing": ("data", "target")}
_WEAK = {"literal_error", "string_type", "bool_type"}


def _place_of(item: ErrorDetails) -> Place:
    if item["type"] == "misplaced":
        return tuple(item["ctx"]["place"])
    return _PLACES.get(item["type"], _named(item["loc"]))


def _is_echo(item: ErrorDetails, every: Sequence[ErrorDetails]) -> bool:
    """Pydantic reports each branch of a union; the branch for a bare word or 'auto' only repeats the mistake."""
    place = _named(item["loc"])
    return item["type"] in _WEAK and any(
        other["type"] not in _WEAK and _named(other["loc"])[: len(place)] == place for other in every
    )


def _explained(item: ErrorDetails, rest: list[ErrorDetails], echoes: list[ErrorDetails]) -> ProductFileError:
    place = _place_of(item)
    kind = "missing" if item["type"] in _PLACES else item["type"]
    dotted = ".".join(map(str, place))
    hint = ""
    if kind == "extra_forbidden":
        known = _fields_at(place[:-1])
        word = str(place[-1])
        message = f"{dotted}: no such setting. Settings here: {', '.join(known)}."
        synonym = _SYNONYMS.get(word)
        hint = f"Did you mean {synonym}?" if synonym in known else nearest(word, known)
        code = "unknown_setting"
    elif kind == "missing":
        message = f"{dotted} is missing."
        hint = _MISSING_HINTS.get(dotted, "")
        code = "missing_setting"
    elif kind in {"literal_error", "enum"}:
        expected = str(item.get("ctx", {}).get("expected", "")).replace("'", "").replace(" or ", ", ")
        words = [word.strip() for word in expected.split(",")]
        message = f"{dotted} is {_shown(item['input'])}, expected one of {', '.join(words)}."
        hint = nearest(str(item["input"]), words)
        code = "value"
    elif kind == "misplaced":
        message = f"{dotted}: {item['ctx']['says']}."
        hint = item["ctx"]["hint"]
        code = "value"
    elif kind == "value_error":
        said = item["msg"].removeprefix("Value error, ").rstrip(".")
        message = f"{dotted}: {said}." if dotted else f"{said}."
        code = "value"
    elif kind in _READABLE:
        words = [str(echo["ctx"]["expected"]).replace("'", "") for echo in echoes if echo["type"] == "literal_error"]
        message = f"{dotted} is {_shown(item['input'])}, expected {' or '.join([_READABLE[kind], *words])}."
        code = "type"
    elif kind == "string_pattern_mismatch":
        pattern = str(item["ctx"]["pattern"])
        message = f"{dotted} is {_shown(item['input'])}, expected {_FORMS.get(pattern, f'the form {pattern}')}."
        code = "value"
    else:
        message = f"{dotted} is {_shown(item['input'])}: {item['msg'][0].lower()}{item['msg'][1:]}."
        code = "value"
    further = sorted({".".join(map(str, _named(other["loc"]))) for other in rest} - {dotted})
    if further:
        hint = f"{hint} Also wrong: {', '.join(further)}.".strip()
    return ProductFileError(message, code=code, hint=hint or None)


_MISSING_HINTS = {
    "product": "Name the product: product: my-product.",
    "task": "Say what is predicted: task: classification, or regression.",
    "data": "Say where the rows are: data: {source: data/rows.csv, target: COLUMN}.",
    "data.source": "Name a file, a folder or a URL: source: data/rows.csv.",
    "data.target": "Name the column to predict: target: COLUMN.",
}


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def _plain(value: Any) -> Any:
    """ruamel's containers as Python's own; its scalars (quoted text, hexadecimal numbers) too."""
    if isinstance(value, Mapping):
        return {(key if isinstance(key, str) else str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _named(place: Sequence[int | str]) -> Place:
    """The place without pydantic's names for branches of a union."""
    fields: type[BaseModel] | None = Product
    named: list[int | str] = []
    for step in place:
        if isinstance(step, int):
            named.append(step)
            continue
        if step.startswith(("function-", "literal[", "constrained", "lax-or-strict", "dict[", "list[", "nullable")):
            continue
        if step in {"str", "int", "float", "bool", "Source", "ColumnOptions"} or step.endswith("Augment"):
            if fields is not None and step in fields.model_fields:
                named.append(step)
            continue
        named.append(step)
    return tuple(named)


def _fields_at(place: Place) -> list[str]:
    model: Any = Product
    for step in place:
        field = model.model_fields.get(step) if isinstance(step, str) and hasattr(model, "model_fields") else None
        # Beyond a named mapping (columns, plans) the step is a user's own name: stay with the mapping's value type.
        found = _models_in(field.annotation) if field is not None else []
        if found:
            model = found[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _position(content: Any, place: Sequence[int | str], *, key: bool = False) -> tuple[int, int]:
    """Line and column, from 1, of the deepest part of `place` that stands in the file; (0, 0) where none does."""
    found = (0, 0)
    node = content
    for step in _named(place):
        try:
            if isinstance(node, CommentedMap) and step in node:
                at_key = key or isinstance(node[step], (CommentedMap, CommentedSeq))
                line, column = node.lc.key(step) if at_key else node.lc.value(step)
                found = (line + 1, column + 1)
                node = node[step]
            elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
                line, column = node.lc.item(step)
                found = (line + 1, column + 1)
                node = node[step]
            else:
                break
        except (KeyError, TypeError, AttributeError):
            # Values that came by --set have no place in the file.
            break
    return found
