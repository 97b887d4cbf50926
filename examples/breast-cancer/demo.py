"""The main job on real cases: raw CSV to a signed release, then one prediction made from the release."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

from sklearn.datasets import load_breast_cancer

HERE = Path(__file__).parent


def write_data(path: Path) -> dict[str, str]:
    """Writes the cases as CSV and returns one of them without its diagnosis."""
    cases = load_breast_cancer()
    names = [name.replace(" ", "_") for name in cases.feature_names]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "diagnosis"])
        for row, target in zip(cases.data, cases.target, strict=True):
            writer.writerow([*(f"{value:g}" for value in row), cases.target_names[target]])
    return dict(zip(names, (f"{value:g}" for value in cases.data[0]), strict=True))


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    case = write_data(folder / "data" / "biopsies.csv")
    shutil.copyfile(HERE / "tradewind.yaml", folder / "tradewind.yaml")
    tradewind = [sys.executable, "-m", "tradewind.cli"]
    subprocess.run([*tradewind, "run", "-C", str(folder)], check=True)
    print("\nOne case, asked of the signed release:")
    subprocess.run(
        [*tradewind, "predict", "candidate", "-C", str(folder), "--row", json.dumps(case), "--reasons", "3"], check=True
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
