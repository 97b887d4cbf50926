"""The files of a tokeniser folder in Hugging Face's layout: reading them, what they say about special tokens, writing them.

Not here: encoding (`language.py`), the language of the template (`template.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradewind.errors import DataError
from tradewind.files import digest_bytes, digest_json, write_bytes

TOKENIZER, CONFIG, SPECIALS_MAP, TEMPLATE = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
_ROLES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")


@dataclass(frozen=True)
class TokenizerFiles:
    """What a folder holds. `tokenizer` is the text of tokenizer.json, `config` of tokenizer_config.json without the
    template, `ends` the numbers that generation_config.json calls ends of an answer.
    """

    tokenizer: str
    config: Mapping[str, Any]
    template: str | None
    ends: tuple[int, ...] = ()

    @property
    def words(self) -> dict[str, str]:
        """Special tokens by role, as a template sees them: `eos_token` and so on."""
        return {role: word for role in _ROLES if (word := _word(self.config.get(role))) is not None}

    @property
    def fingerprint(self) -> str:
        return digest_json(
            {
                "tokenizer": digest_bytes(self.tokenizer.encode()),
                "config": digest_json(self.config),
                "template": None if self.template is None else digest_bytes(self.template.encode()),
            }
        )

    def write(self, folder: Path) -> None:
        write_bytes(folder / TOKENIZER, self.tokenizer.encode())
        write_bytes(folder / CONFIG, _shown(self.config))
        write_bytes(folder / SPECIALS_MAP, _shown(self.words))
        if self.template is not None:
            write_bytes(folder / TEMPLATE, self.template.encode())
        if self.ends and not (folder / "generation_config.json").exists():
            write_bytes(folder / "generation_config.json", _shown({"eos_token_id": list(self.ends)}))


def read_files(folder: Path) -> TokenizerFiles:
    """Raises DataError tokeniser_missing or tokeniser_broken."""
    file = folder / TOKENIZER
    if not file.is_file():
        raise DataError(
            f"There is no {TOKENIZER} in this folder." if folder.is_dir() else "There is no such folder.",
            code="tokeniser_missing", where=str(folder),
            hint=f"Name a Hugging Face folder that has a {TOKENIZER}; convert a SentencePiece model with transformers first.",
        )  # fmt: skip
    config = _object(folder / CONFIG)
    special = _object(folder / SPECIALS_MAP)
    for role in _ROLES:
        if role not in config and _word(special.get(role)) is not None:
            config[role] = _word(special[role])
    template = _template_of(config.pop("chat_template", None))
    if (folder / TEMPLATE).is_file():
        template = _text(folder / TEMPLATE)
    ends = _ends(_object(folder / "generation_config.json")) or _ends(_object(folder / "config.json"))
    return TokenizerFiles(_text(file), config, template, ends)


def _word(value: Any) -> str | None:
    """A special token is written as text or as an object with `content`."""
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) and value else None


def _template_of(value: Any) -> str | None:
    if isinstance(value, list):
        named = {one["name"]: one["template"] for one in value if isinstance(one, Mapping)}
        value = named.get("default")
    return value if isinstance(value, str) else None


def _ends(config: Mapping[str, Any]) -> tuple[int, ...]:
    ends = config.get("eos_token_id")
    found = ends if isinstance(ends, list) else [ends]
    return tuple(one for one in found if isinstance(one, int))


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise _broken(file, f"the byte at {error.start} is not UTF-8") from error
    except OSError as error:
        raise _broken(file, error.strerror or str(error)) from error


def _object(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        value = json.loads(_text(file))
    except ValueError as error:
        raise _broken(file, str(error)) from error
    if not isinstance(value, dict):
        raise _broken(file, "a JSON object was expected")
    return value


def _broken(file: Path, reason: str) -> DataError:
    return DataError(f"This is no tokeniser that can be read ({reason}).", code="tokeniser_broken", where=str(file),
                     hint="Take the file again from where the model was published.")  # fmt: skip


def broken(folder: Path, reason: str) -> DataError:
    """The error for a tokenizer.json that is JSON but no tokeniser."""
    return _broken(folder / TOKENIZER, reason)


def _shown(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()
