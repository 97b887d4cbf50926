"""The two sides of each speed benchmark. Run as a program it prepares a CSV, our way or pandas' way, as one process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

NUMBERS, CATEGORIES = 12, 6


def write_big_csv(path: Path, megabytes: int) -> None:
    """Twelve numbers (two with gaps), six categories, a date and a target; about `megabytes` in all."""
    import pandas as pd

    draw = np.random.default_rng(0)
    block_rows = 100_000
    written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < megabytes * 1_000_000:
            frame = pd.DataFrame({f"n{i}": np.round(draw.normal(50, 20, block_rows), 3) for i in range(NUMBERS)})
            for name in ("n1", "n2"):
                frame.loc[draw.random(block_rows) < 0.05, name] = np.nan
            for i in range(CATEGORIES):
                frame[f"c{i}"] = np.char.add(f"value_{i}_", draw.integers(0, 5 * (i + 1) ** 2, block_rows).astype(str))
            frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.integers(0, 900, block_rows), unit="D")
            odds = 1 / (1 + np.exp(-(frame["n0"] - 50) / 20))
            frame["target"] = np.where(draw.random(block_rows) < odds, "yes", "no")
            frame.to_csv(file, index=False, header=written == 0)
            written = file.tell()


def prepare_tradewind(path: Path) -> None:
    """Types inferred, cleaned, copies found, split, fitted, encoded, written: the whole of `tradewind prepare`."""
    from tradewind.artifacts import Workspace
    from tradewind.data.dataset import prepare
    from tradewind.product import Product

    product = Product.model_validate(
        {"product": "big", "task": "classification", "data": {"source": path.name, "target": "target"}}
    )
    prepare(product, base=path.parent, workspace=Workspace(path.parent / ".tradewind"), progress=None)


def prepare_pandas(path: Path) -> None:
    """The same work as most teams write it: read, drop copies, split, impute, scale, encode, save."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder, StandardScaler

    frame = pd.read_csv(path, parse_dates=["when"]).drop_duplicates()
    when = frame.pop("when")
    frame["when"] = when.astype("int64") / 1e9
    frame["month"], frame["weekday"] = when.dt.month, when.dt.day_of_week
    y = (frame.pop("target") == "yes").to_numpy()
    train, test, y_train, y_test = train_test_split(frame, y, test_size=0.2, stratify=y, random_state=0)
    train, validation, y_train, y_validation = train_test_split(
        train, y_train, test_size=0.1, stratify=y_train, random_state=0
    )
    words = [f"c{i}" for i in range(CATEGORIES)]
    numbers = [name for name in frame.columns if name not in words]
    transform = make_column_transformer(
        (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), numbers),
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), words),
    ).fit(train)
    for name, part, target in (
        ("train", train, y_train),
        ("validation", validation, y_validation),
        ("test", test, y_test),
    ):
        np.save(path.parent / f"{name}.npy", transform.transform(part).astype(np.float32))
        np.save(path.parent / f"{name}_y.npy", target)
        part.to_parquet(path.parent / f"{name}.parquet")


def finished_product(work: Path) -> Path:
    """A product on scikit-learn's breast cancer cases after `tradewind run`."""
    folder = work / "product"
    if not folder.exists():
        demo = Path(__file__).parents[1] / "examples" / "breast-cancer" / "demo.py"
        subprocess.run(
            [sys.executable, str(demo), str(folder)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    return folder


def predict_once(work: Path, calls: int = 2000) -> tuple[float, float]:
    """Median seconds of one raw row through the engine, and of the bare graph on the same encoded row, in turn."""
    import onnxruntime as ort

    from tradewind.engines.loading import load
    from tradewind.features.feature_set import input_name

    (release,) = (finished_product(work) / ".tradewind" / "releases").iterdir()
    predictor = load(release).predictor
    golden = json.loads((release / "golden.json").read_text())["columns"]
    row = {name: values[0] for name, values in golden.items()}
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(release / "model.onnx"), options, providers=["CPUExecutionProvider"])
    wanted = {item.name for item in session.get_inputs()}
    encoded = {input_name(name): array for name, array in predictor.features.encode_rows([row]).items()}
    feed = {name: array for name, array in encoded.items() if name in wanted}
    ours, floor = [], []
    for _ in range(calls):
        started = time.perf_counter()
        predictor.predict_rows([row])
        between = time.perf_counter()
        session.run(None, feed)
        floor.append(time.perf_counter() - between)
        ours.append(between - started)
    return median(ours), median(floor)


def training_step(work: Path, rounds: int = 12) -> tuple[float, float]:
    """Median seconds of one step: our loop, and a plain loop written by hand, same module, batch and optimizer, in turn.

    Both run the default network over the demo's cases, without averaging or clipping, which the plain loop lacks.
    """
    import torch

    from tradewind.data import dataset as datasets
    from tradewind.data.batches import Batches
    from tradewind.model.assemble import assemble
    from tradewind.product_file import load
    from tradewind.train.defaults import Facts, resolve
    from tradewind.train.loop import fit
    from tradewind.train.objectives import Objective
    from tradewind.train.tasks import SupervisedTask

    torch.set_num_threads(1)
    folder = finished_product(work)
    changes = [
        "train.average=none",
        "train.clip=none",
        "train.epochs=40",
        "train.optimizer=adamw",
        "train.stop_early=never",
    ]
    product = load(
        folder, changes=[*changes, "train.schedule=constant", "train.warmup=0", "train.checkpoint.minutes=60"]
    )
    (place,) = (folder / ".tradewind" / "datasets").glob("[!.]*")
    dataset = datasets.load(place)
    features, split = dataset.features, dataset.split("train")
    product = resolve(product, Facts.of(features.layout, rows=split.rows, validation_rows=0, classes=2))
    size, rate, decay = product.train.batch, product.train.learning_rate, product.train.l2
    assert isinstance(size, int)
    assert isinstance(rate, float)
    assert isinstance(decay, float)
    settings = product.train.model_copy(update={"threads": 1, "precision": "float32", "stop_early": "never"})

    def ours(trial: int) -> float:
        model = assemble(product, features, seed=0)
        device = torch.device("cpu")
        task = SupervisedTask(
            model=model,
            objective=Objective("cross_entropy"),
            device=device,
            validation=None,
            monitor="log_loss",
            unit=None,
        )
        batches = Batches(split, size=size, seed=0, shuffle=True)
        place = work / f"steps-{trial}"
        place.mkdir()
        started = time.perf_counter()
        done = fit(
            model,
            task,
            batches,
            settings=settings,
            folder=place,
            fingerprint="",
            device=device,
            precision="float32",
            overrides=model.parameter_groups(),
        )
        return (time.perf_counter() - started) / done.steps

    def plain() -> float:
        model = assemble(product, features, seed=0).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
        inputs = {name: torch.from_numpy(np.array(array)) for name, array in split.arrays.items()}
        target = torch.from_numpy(np.array(split.target))
        generator = torch.Generator().manual_seed(0)
        steps = 0
        started = time.perf_counter()
        for _ in range(40):
            for places in torch.randperm(len(target), generator=generator).split(size):
                logits_BMK = model({name: array[places] for name, array in inputs.items()})
                members = logits_BMK.shape[1]
                loss = torch.nn.functional.cross_entropy(
                    logits_BMK.flatten(0, 1), target[places].repeat_interleave(members)
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                steps += 1
        return (time.perf_counter() - started) / steps

    pairs = [(ours(trial), plain()) for trial in range(rounds)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


if __name__ == "__main__":
    {"tradewind": prepare_tradewind, "pandas": prepare_pandas}[sys.argv[1]](Path(sys.argv[2]))
