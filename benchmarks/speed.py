"""Speed beside the floor or a peer's usual way, both sides in one run: `make bench`.

    python benchmarks/speed.py [--only help,predict,prepare,step] [--megabytes 1000]

help     `tradewind --help` as a whole process; bound: under 0.3 s
predict  one row through the engine against the bare ONNX Runtime call; bound: 1.5 times that plus 100 µs
step     a training step of ours against a plain PyTorch loop on the same module and batch; bound: 1.15 times
prepare  a CSV of 1 GB against pandas and scikit-learn doing the same; bound: a third of the time, 2 GiB resident
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import speed_parts

BENCHES: dict[str, Callable[[Path, int], tuple[str, float, float, str]]] = {}


def bench(
    function: Callable[[Path, int], tuple[str, float, float, str]],
) -> Callable[[Path, int], tuple[str, float, float, str]]:
    BENCHES[function.__name__.strip("_")] = function
    return function


@bench
def help_(work: Path, megabytes: int) -> tuple[str, float, float, str]:
    seconds = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "tradewind.cli", "--help"], stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - started)
    return "`tradewind --help`, median of 7", statistics.median(seconds), 0.3, "s"


@bench
def predict(work: Path, megabytes: int) -> tuple[str, float, float, str]:
    ours, floor = speed_parts.predict_once(work)
    print(f"  one row: engine {ours * 1e6:.0f} µs, bare ONNX Runtime {floor * 1e6:.0f} µs")
    return "one prediction through the engine, µs", ours * 1e6, floor * 1.5e6 + 100, "µs"


@bench
def step(work: Path, megabytes: int) -> tuple[str, float, float, str]:
    ours, plain = speed_parts.training_step(work)
    print(f"  a step: ours {ours * 1e3:.3f} ms, plain loop {plain * 1e3:.3f} ms")
    return "training step, ours / plain loop", ours / plain, 1.15, "x"


@bench
def prepare(work: Path, megabytes: int) -> tuple[str, float, float, str]:
    path = work / "big.csv"
    speed_parts.write_big_csv(path, megabytes)
    commands = {
        "Tradewind": [sys.executable, str(Path(speed_parts.__file__)), "tradewind", str(path)],
        "pandas + scikit-learn": [sys.executable, str(Path(speed_parts.__file__)), "pandas", str(path)],
    }
    found = {}
    for name, command in commands.items():
        started = time.perf_counter()
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{name} ended with {status}")
        found[name] = (time.perf_counter() - started, usage.ru_maxrss / 1024)
        print(f"  {name}: {found[name][0]:.1f} s, {found[name][1]:,.0f} MiB at most resident", flush=True)
    ratio = found["Tradewind"][0] / found["pandas + scikit-learn"][0]
    print(f"  resident bound 2,048 MiB: {'holds' if found['Tradewind'][1] <= 2048 else 'MISSED'}")
    return f"preparing {path.stat().st_size / 1e6:,.0f} MB of CSV, ours / pandas + scikit-learn", ratio, 1 / 3, "x"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--megabytes", type=int, default=1000)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, function in BENCHES.items():
            if not options.only or name in options.only.split(","):
                rows.append(function(Path(folder), options.megabytes))
    print("\n| what | measured | bound | holds |\n|---|---|---|---|")
    for what, measured, bound, unit in rows:
        print(f"| {what} | {measured:.3g} {unit} | {bound:.3g} {unit} | {'yes' if measured <= bound else 'no'} |")
    return 0 if all(measured <= bound for _, measured, bound, _ in rows) else 1


if __name__ == "__main__":
    np.random.seed(0)
    sys.exit(main())
