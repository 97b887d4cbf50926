"""A decoder as a Hugging Face folder, read and written: config.json, safetensors (one file or shards), the tokeniser's files.

What is saved opens in `AutoModelForCausalLM.from_pretrained` with the same logits; folders of the Llama, Mistral, Qwen2 and
Qwen3 families open here. No code of a folder runs, nothing is unpickled, no network is asked.

Not here: the settings in config.json (`decoder_config.py`), text encoders (`pretrained.py`, `masked.py`), adapters
(`adapters.py`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tradewind.errors import ArtifactError, ModelError, nearest, writing
from tradewind.features.language import LanguageTokenizer
from tradewind.files import write_json
from tradewind.model.decoder import Decoder, DecoderConfig
from tradewind.model.weights import save_tensors

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
GENERATION = "generation_config.json"
# All that may stand beside tokenizer.json; LanguageTokenizer writes the first four.
TOKENISER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "added_tokens.json",
    "vocab.json", "merges.txt", "tokenizer.model",
)  # fmt: skip
_HINT = "Name a folder with config.json, model.safetensors and tokenizer.json."
_CONVERT = "Pickled weights are never loaded: convert them with save_pretrained of transformers."
_DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


def open_folder(path: Path, *, dtype: torch.dtype = torch.float32) -> tuple[Decoder, DecoderConfig]:
    """The decoder of a folder, on the CPU in evaluation mode, its weights turned into `dtype`.

    Raises ModelError when it is no folder of a family that can be opened, or its tokeniser has more tokens than the
    weights; ArtifactError when a shard is missing or broken, or a tensor is missing, unknown, misshapen or not finite.
    """
    config = DecoderConfig.from_hf(read_config(path), where=str(path / CONFIG))
    check_tokeniser(path, config.vocabulary)
    found: dict[str, Tensor] = {}
    place: dict[str, Path] = {}
    for file, name, tensor in _tensors(_files(path), listed=_index(path)):
        if name.endswith("rotary_emb.inv_freq"):  # early Llama folders carry their rotations
            continue
        _check_finite(name, tensor, file)
        found[name], place[name] = tensor.to(dtype), file
    config = _as_tied(config, found)
    with torch.device("meta"):  # no memory: the tensors of the files become the weights
        model = Decoder(config)
    own = model.state_dict()
    for name, tensor in found.items():
        if name not in own:
            raise _mismatch(f"The tensor {name} is not in this model.", place[name], hint=nearest(name, own))
        if tensor.shape != own[name].shape:
            shapes = f"{tuple(tensor.shape)}, but {tuple(own[name].shape)} is expected"
            raise _mismatch(f"The tensor {name} has the shape {shapes}.", place[name])
    if missing := sorted(set(own) - set(found)):
        raise _mismatch(
            f"The tensor {missing[0]} is missing from the weights ({len(missing)} missing of {len(own)}).", path
        )
    model.load_state_dict(found, assign=True)
    model.requires_grad_(True)
    return model.eval(), config


def save_folder(
    model: Decoder,
    folder: Path,
    *,
    tokenizer: Path | None,
    shard_bytes: int = 5_000_000_000,
    dtype: torch.dtype | None = None,
) -> None:
    """Writes config.json, generation_config.json, the weights in shards of at most `shard_bytes`, and the files of the
    folder `tokenizer`. `dtype` is that of the weights on disk, by default as they are. A merged adapter is in the weights;
    one that is not merged is left out.

    Raises ModelError when the tokeniser has more tokens than the model, DataError when it cannot be read,
    EnvironmentFailure when the disk says no.
    """
    with writing(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        for old in (folder / INDEX, folder / WEIGHTS, *folder.glob("model-*-of-*.safetensors")):
            old.unlink(missing_ok=True)  # an index that stayed would lead to old weights
    if tokenizer is not None:
        check_tokeniser(tokenizer, model.config.vocabulary)
        copy_tokeniser(tokenizer, folder)
    dtype = dtype or model.model.embed_tokens.weight.dtype
    written = {**model.config.to_hf(), "dtype": _DTYPES[dtype], "torch_dtype": _DTYPES[dtype]}
    ends = _ends(tokenizer) if tokenizer is not None else {}
    write_json(folder / CONFIG, {**written, **ends})
    write_json(folder / GENERATION, ends)
    tensors = {name: tensor.to(dtype) for name, tensor in model.state_dict().items() if ".lora_" not in name}
    shards = _split(tensors, shard_bytes)
    if len(shards) == 1:
        save_tensors(folder / WEIGHTS, tensors, metadata={"format": "pt"})
        return
    where: dict[str, str] = {}
    for number, names in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_tensors(folder / file, {name: tensors[name] for name in names}, metadata={"format": "pt"})
        where |= dict.fromkeys(names, file)
    total = sum(tensor.nbytes for tensor in tensors.values())
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": where})


def read_config(path: Path) -> dict[str, Any]:
    """`config.json` of a folder. Raises ModelError when there is none, or it is no JSON object."""
    file = path / CONFIG
    if not file.is_file():
        raise ModelError("There is no config.json.", code="pretrained_missing", where=str(path), hint=_HINT)
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"config.json cannot be read ({error}).", code="pretrained_config", where=str(file)) from error
    if not isinstance(config, dict):
        raise ModelError("config.json holds no object.", code="pretrained_config", where=str(file), hint=_HINT)
    return config


def check_tokeniser(folder: Path, vocabulary: int) -> None:
    """Raises ModelError when `tokenizer.json`, where there is one, has an id that the weights have no row for."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        return
    largest = max(_token_ids(file).values(), default=-1)
    if largest >= vocabulary:
        raise ModelError(
            f"The tokeniser's largest id is {largest}, but the model knows {vocabulary} tokens, 0 to {vocabulary - 1}.",
            code="pretrained_vocabulary",
            where=str(file),
            hint="Take the tokeniser that the weights were trained with.",
        )


def weights_of(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Name and tensor of everything that the files of a folder hold, one at a time.

    Raises ModelError where there are no safetensors, ArtifactError when one is missing, broken or holds no finite numbers.
    """
    for file, name, tensor in _tensors(_files(path), listed=_index(path)):
        _check_finite(name, tensor, file)
        yield name, tensor


def _token_ids(file: Path) -> dict[str, int]:
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        vocabulary = settings["model"]["vocab"]
        # A unigram model lists its pieces in order; the other kinds map them to ids.
        ids = dict(vocabulary) if isinstance(vocabulary, dict) else {e[0]: i for i, e in enumerate(vocabulary)}
        return ids | {token["content"]: int(token["id"]) for token in settings.get("added_tokens") or ()}
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(
            f"The tokeniser cannot be read ({error}).", code="pretrained_tokeniser", where=str(file)
        ) from error


def _files(path: Path) -> list[Path]:
    """The files of weights. One that the index names and that is not there is an ArtifactError."""
    listed = _index(path)
    if listed is not None:
        files = [path / name for name in sorted(set(listed.values()))]
        if missing := [file.name for file in files if not file.is_file()]:
            raise ArtifactError(
                f"{len(missing)} of {len(files)} shards of the weights are missing: {', '.join(missing[:3])}.",
                code="shard_missing",
                where=str(path),
                hint="Copy the missing files into the folder.",
            )
        return files
    if (path / WEIGHTS).is_file():
        return [path / WEIGHTS]
    if any(path.glob("*.safetensors")):
        raise ArtifactError(
            f"There are safetensors, but neither {WEIGHTS} nor {INDEX}.",
            code="shard_missing",
            where=str(path),
            hint=f"Copy {INDEX}, which says what is in which file.",
        )
    pickled = sorted(file.name for kind in ("*.bin", "*.pt", "*.pth") for file in path.glob(kind))
    raise ModelError(
        f"There are no weights in safetensors{f', only {pickled[0]}' if pickled else ''}.",
        code="pretrained_weights",
        where=str(path),
        hint=_CONVERT if pickled else _HINT,
    )


def _index(path: Path) -> dict[str, str] | None:
    file = path / INDEX
    if not file.is_file():
        return None
    try:
        listed = {str(name): str(place) for name, place in json.loads(file.read_text("utf-8"))["weight_map"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"The index cannot be read ({error}).", code="weights_broken", where=str(file)) from error
    if wrong := next((place for place in listed.values() if Path(place).name != place), None):
        raise ArtifactError(
            f"The index names the file {wrong}, which is not in the folder.", code="weights_broken", where=str(file)
        )
    return listed


def _tensors(files: list[Path], *, listed: Mapping[str, str] | None) -> Iterator[tuple[Path, str, Tensor]]:
    """One tensor at a time, so that the weights stand in memory once."""
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 - it is no mapping
                    if listed is None or listed.get(name) == file.name:
                        yield file, name, opened.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise ArtifactError(
                f"The weights cannot be read ({error}).",
                code="weights_broken",
                where=str(file),
                hint="The file is cut off or damaged: copy it again.",
            ) from error


def _check_finite(name: str, tensor: Tensor, file: Path) -> None:
    # A sum is finite unless a value is not, or it overflows: the slow look comes only then.
    if bool(torch.isfinite(tensor.sum(dtype=torch.float32))):
        return
    if broken := int((~torch.isfinite(tensor)).sum()):
        raise ArtifactError(
            f"The tensor {name} holds {broken} values that are not finite numbers.",
            code="weights_not_finite",
            where=str(file),
            hint="The weights were written by a run that diverged, or are damaged: take an earlier copy.",
        )


def _as_tied(config: DecoderConfig, found: dict[str, Tensor]) -> DecoderConfig:
    """Where the settings tie two tables and the file holds both, they are one only if they are equal: what transformers
    does. One table alone is both."""
    table, head = "model.embed_tokens.weight", "lm_head.weight"
    if not config.tied or head not in found:
        return config
    if table in found and not torch.equal(found[table], found[head]):
        return replace(config, tied=False)
    found.setdefault(table, found[head])
    del found[head]
    return config


def _mismatch(message: str, where: Path, *, hint: str = "") -> ArtifactError:
    return ArtifactError(message, code="weights_mismatch", where=str(where), hint=hint or None)


def _split(tensors: Mapping[str, Tensor], shard_bytes: int) -> list[list[str]]:
    """Names by shard, in order; a tensor larger than a shard has one of its own."""
    shards: list[list[str]] = [[]]
    filled = 0
    for name, tensor in tensors.items():
        if shards[-1] and filled + tensor.nbytes > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += tensor.nbytes
    return shards


def copy_tokeniser(source: Path, folder: Path) -> None:
    """Copies the files of a tokeniser that there are."""
    if source.resolve() == folder.resolve():
        return
    with writing(str(folder)):
        for name in TOKENISER_FILES:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)


def _ends(tokenizer: Path) -> dict[str, int | list[int]]:
    """The special ids under their names in Hugging Face's settings; `eos_token_id` is all that ends an answer."""
    specials = LanguageTokenizer.open(tokenizer).specials
    ends: dict[str, int | list[int]] = {"pad_token_id": specials.pad}
    if specials.bos is not None:
        ends["bos_token_id"] = specials.bos
    stops = [specials.eos, *(stop for stop in specials.stops if stop != specials.eos)]
    ends["eos_token_id"] = stops if len(stops) > 1 else specials.eos
    return ends
