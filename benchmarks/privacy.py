"""What a privacy budget costs on real data: the same product trained plainly and with DP-SGD, and the audit of both.

    python benchmarks/privacy.py --data ../shared/data [--only german-credit] [--epsilons 1,3,8] [--work FOLDER]

One line a run: epsilon spent, ROC-AUC on test, what the stronger of two membership attackers finds, seconds of training.
A folder of products (--work) is used again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from coverage import BENCHES, placed


def measure(name: str, data: Path, work: Path, epsilon: float | None) -> str:
    bench = next(one for one in BENCHES if one.name == name)
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    product = {
        "product": name,
        "task": bench.task,
        "data": placed(bench.data, data),
        "train": {} if epsilon is None else {"privacy": {"epsilon": epsilon}},
        "evaluate": {"baselines": False, "bootstrap": 0, "examine": ["membership"]},
    }
    (folder / "tradewind.yaml").write_text(json.dumps(product), encoding="utf-8")  # JSON is YAML
    command = [sys.executable, "-m", "tradewind.cli", "evaluate", "-C", str(folder), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: tradewind evaluate ended with {done.returncode}: {done.stdout}")
    made = json.loads(done.stdout)["artifacts"]
    report = json.loads((Path(made["report"]) / "report.json").read_text(encoding="utf-8"))
    seconds = json.loads((Path(made["run"]) / "summary.json").read_text(encoding="utf-8"))["seconds"]
    found, audit = report["figures"]["test"], report["trust"]["membership"]
    attack = audit["attacks"][audit["worst"]]
    auc, tpr = attack["auc"], attack["tpr"][1]
    spent = "–" if audit["private"] is None else f"{audit['private']['epsilon']:.3f}"
    few = "–" if tpr["value"] is None else f"{tpr['value']:.4f}"
    return (
        f"| {name} | {spent} | {found['roc_auc']['value']:.4f} | {auc['value']:.4f} ({auc['low']:.4f} to {auc['high']:.4f}) "
        f"| {few} | {audit['verdict']} | {seconds:.0f} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TRADEWIND_DATA", "../shared/data")))
    parser.add_argument("--only", default="german-credit,adult")
    parser.add_argument("--epsilons", default="1,3,8")
    parser.add_argument("--work", type=Path, default=None, help="folder for products; a temporary one by default")
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"{options.data}: no such folder; set TRADEWIND_DATA", file=sys.stderr)
        return 2
    print("| data set | epsilon | ROC-AUC | attack's area | found at 1 % false alarms | verdict | seconds |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only.split(","):
            for epsilon in (None, *map(float, options.epsilons.split(","))):
                print(measure(name, options.data, options.work or Path(folder), epsilon), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
