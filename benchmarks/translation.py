"""A translator from scratch on multi30k, English to German, test 2016: quality, and speed beside transformers.

    python benchmarks/translation.py [--only quality|step|translate] [--minutes 40] [--epochs N] [--threads N] [--folder DIR]

quality    `tradewind run` with default settings but as many epochs as the minutes have room for on this machine, timed first, or
           --epochs. BLEU and chrF of the report: the exported engine's beam search, beside the source itself and a table of words.
           Bar: BLEU 30 within 40 minutes on two cores; 39 is the published level. With --folder an interrupted training goes on
           when the command is given again; its minutes are those of all attempts.
step       the same batches of tokens and sizes through ours and through transformers' MarianMTModel, both with AdamW, label
           smoothing and dropout, each in the precision that ours chooses: seconds a step, turn by turn.
translate  200 sentences with the weights of `quality` (or of --folder): the release's precisions, and transformers' `generate`
           with the same beams, in batches of 32: sentences a second, and how many translations are the same.

Not here: GPUs, other corpora.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from transformers import AutoModelForSeq2SeqLM, MarianConfig, MarianMTModel

from tradewind.cli.app import main as tradewind
from tradewind.data.pair_batches import PairBatches
from tradewind.data.parallel import Parallel, load_parallel
from tradewind.engines.translation import TranslationEngine
from tradewind.model.seq2seq import Seq2Seq
from tradewind.model.seq2seq_config import Seq2SeqConfig
from tradewind.train.device import autocast
from tradewind.train.translation_defaults import precision_of

HERE = Path(__file__).parent
BAR, PUBLISHED = 30.0, 39.0
MOST_EPOCHS, TIMED_STEPS, ROOM = 60, 24, 0.9  # of the minutes, for validation and what the machine does beside
SMOOTHING, RATE, SENTENCES, BATCH = 0.1, 1e-3, 200, 32
PRODUCT = """\
product: captions
task: translation
translation: {{from: en, to: de}}
data:
  source: {data}/train
  split: {{validation: {data}/val, test: {data}/test_2016_flickr}}
train: {{threads: {threads}, checkpoint: {{minutes: 1}}}}
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", choices=("quality", "step", "translate"))
    arguments.add_argument("--data", type=Path, default=HERE.parent / "../shared/data")
    arguments.add_argument("--minutes", type=float, default=40.0)
    arguments.add_argument("--epochs", type=int)
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    arguments.add_argument("--folder", type=Path, help="where the work is kept; by default it is thrown away")
    arguments.add_argument("--rounds", type=int, default=3)
    asked = arguments.parse_args()
    data = (asked.data / "multi30k").resolve()
    if not (data / "train.en").is_file():
        sys.exit(f"{data}/train.en is not there: name the folder that holds multi30k/ with --data.")
    print(f"{platform.processor() or platform.machine()}, {asked.threads} threads, {time.strftime('%Y-%m-%d')}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        text = PRODUCT.format(data=data, threads=asked.threads)
        (folder / "tradewind.yaml").write_text(text, encoding="utf-8")
        called(["prepare", "-C", str(folder)])
        if asked.only in (None, "step"):
            step(newest_pairs(folder), threads=asked.threads, rounds=asked.rounds)
        if asked.only in (None, "quality", "translate"):
            epochs = asked.epochs or fitting(folder, minutes=asked.minutes)
            quality(folder, epochs=epochs, minutes=asked.minutes)
        if asked.only in (None, "translate"):
            translate(folder, threads=asked.threads, rounds=asked.rounds)


def called(words: list[str]) -> None:
    if code := tradewind(words):
        sys.exit(code)


def newest(folder: Path, kind: str) -> Path:
    """The newest finished artifact of a kind."""
    return max((folder / ".tradewind" / kind).glob("*/artifact.json"), key=lambda path: path.stat().st_mtime).parent


def newest_pairs(folder: Path) -> Parallel:
    return load_parallel(newest(folder, "datasets"))


# ---------------------------------------------------------------- quality


def fitting(folder: Path, *, minutes: float) -> int:
    """Epochs that the minutes have room for, by the pace of some first steps."""
    called(["train", "-C", str(folder), "--set", f"train.steps={TIMED_STEPS}"])
    summary = json.loads((newest(folder, "runs") / "summary.json").read_text())
    train = newest_pairs(folder).profile["splits"]["train"]
    epoch_s = (train["source_tokens"] + train["target_tokens"]) / summary["tokens_per_s"]
    epochs = max(1, min(MOST_EPOCHS, math.floor(ROOM * 60 * minutes / epoch_s)))
    print(f"an epoch takes some {epoch_s:.0f} s: {epochs} epochs")
    return epochs


def quality(folder: Path, *, epochs: int, minutes: float) -> None:
    called(["evaluate", "-C", str(folder), "--set", f"train.epochs={epochs}", "--set", f"train.max_minutes={minutes}"])
    report = json.loads((newest(folder, "reports") / "report.json").read_text())
    found = report["model"]
    print(
        f"{found['parameters']:,} parameters, {found['epochs']} epochs in {found['seconds'] / 60:.1f} minutes; translating "
        f"{report['timings']['sentences_per_s']:.0f} sentences/s"
    )
    print(f"{'':14}{'BLEU':>8}{'95 %':>16}{'chrF':>8}{'length':>8}")
    rows = {"model": report["figures"]["test"]} | {one["name"]: one["figures"] for one in report["baselines"]}
    for name, of in rows.items():
        bleu = of["bleu"]
        print(
            f"{name:14}{bleu['value']:8.2f}{bleu['low']:8.2f}{bleu['high']:8.2f}{of['chrf']['value']:8.2f}{of['length_ratio']['value']:8.3f}"
        )
    print(f"{'bar':14}{BAR:8.2f}\n{'published':14}{PUBLISHED:8.2f}\n{report['measures']['bleu']}")


# ---------------------------------------------------------------- seconds a step


def step(pairs: Parallel, *, threads: int, rounds: int) -> None:
    torch.set_num_threads(threads)
    frame = pairs.tokenizer.frame
    config = Seq2SeqConfig(
        pairs.tokenizer.vocabulary, 128, 4, 4, 4, 4, 256, 256, 512, start=frame.start[0], eos=frame.eos, pad=frame.pad, dropout=0.3
    )  # fmt: skip
    torch.manual_seed(0)
    ours = Seq2Seq(config).train()
    theirs = MarianMTModel(MarianConfig(
        vocab_size=config.vocabulary, decoder_vocab_size=config.vocabulary, d_model=128, encoder_layers=4, decoder_layers=4,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=256, decoder_ffn_dim=256, dropout=0.3,
        activation_dropout=0.3, activation_function="relu", scale_embedding=True, max_position_embeddings=512,
        pad_token_id=frame.pad, eos_token_id=frame.eos, decoder_start_token_id=frame.start[0], forced_eos_token_id=None,
    )).train()  # fmt: skip

    def our_loss(batch: Any) -> torch.Tensor:
        found = ours.loss(*tensors(batch), smoothing=SMOOTHING)
        return found.total / found.weight

    def their_loss(batch: Any) -> torch.Tensor:
        source, there, target, following = tensors(batch)
        logits = theirs(input_ids=source, attention_mask=there.long(), decoder_input_ids=target).logits
        return F.cross_entropy(logits.float().flatten(0, 1), following.flatten(), label_smoothing=SMOOTHING)

    ways: dict[str, tuple[torch.nn.Module, Callable[[Any], torch.Tensor]]] = {
        "ours": (ours, our_loss), "transformers": (theirs, their_loss)
    }  # fmt: skip
    movers = {name: torch.optim.AdamW(model.parameters(), lr=RATE, foreach=True) for name, (model, _) in ways.items()}
    precision = precision_of("auto", torch.device("cpu"), width=config.width)
    batches = PairBatches(*pairs.split("train"), tokens=4096, given=1, seed=0, shuffle=True)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    every = batches.epoch(0)
    for number in range(1 + 4 * rounds):
        batch = next(every)
        for name, (_, loss) in ways.items():
            began = time.perf_counter()
            with autocast(precision, torch.device("cpu")):
                value = loss(batch)
            value.backward()
            movers[name].step()
            movers[name].zero_grad()
            if number:
                taken[name].append(time.perf_counter() - began)
    print(f"a step of 4,096 tokens a side, width 128, 4 + 4 layers, {precision}, {4 * rounds} steps each")
    for name, times in taken.items():
        print(f"  {name:14} median {np.median(times):.3f} s, least {min(times):.3f} s")
    print(f"  transformers / ours: {np.median(taken['transformers']) / np.median(taken['ours']):.2f}")


def tensors(batch: Any) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(one) for one in (batch.source, batch.there, batch.target, batch.next))


# ---------------------------------------------------------------- sentences a second


def translate(folder: Path, *, threads: int, rounds: int) -> None:
    pairs = newest_pairs(folder)
    texts = [source for source, _ in pairs.texts("test")][:SENTENCES]
    place = newest(folder, "translators") / "translator"
    ways: dict[str, Callable[[], list[str]]] = {}
    for precision in ("fp32", "int8"):
        engine = TranslationEngine.open(place, precision=precision, threads=threads)
        ways[f"ours, {precision}"] = lambda engine=engine: [one.text for one in engine.translate(texts)]
    beams, penalty = engine.facts.beams, engine.facts.length_penalty
    model = AutoModelForSeq2SeqLM.from_pretrained(newest(folder, "runs") / "hf").eval()
    torch.set_num_threads(threads)

    def theirs() -> list[str]:
        said = []
        for begin in range(0, len(texts), BATCH):
            found = pairs.tokenizer.sources(texts[begin : begin + BATCH])
            width = max(map(len, found))
            ids = torch.full((len(found), width), pairs.tokenizer.frame.pad)
            for row, one in enumerate(found):
                ids[row, : len(one)] = torch.from_numpy(one.astype(np.int64))
            with torch.no_grad():
                written = model.generate(
                    ids, attention_mask=(torch.arange(width) < torch.tensor([len(one) for one in found])[:, None]).long(),
                    num_beams=beams, length_penalty=penalty, max_new_tokens=64, do_sample=False,
                )  # fmt: skip
            ends = {pairs.tokenizer.frame.eos, pairs.tokenizer.frame.pad}
            said += [pairs.tokenizer.decode([one for one in row.tolist() if one not in ends]) for row in written]
        return said

    ways["transformers"] = theirs
    taken: dict[str, list[float]] = {name: [] for name in ways}
    said: dict[str, list[str]] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            said[name] = way()
            taken[name].append(time.perf_counter() - began)
    print(f"{len(texts)} sentences, {beams} beams, {threads} threads, {rounds} rounds")
    for name, times in taken.items():
        same = sum(one == other for one, other in zip(said[name], said["transformers"], strict=True))
        print(
            f"  {name:14} {len(texts) / min(times):8.1f} sentences/s, {same} of {len(texts)} as transformers says, "
            f"{min(taken['transformers']) / min(times):.1f} times as fast"
        )


if __name__ == "__main__":
    main()
