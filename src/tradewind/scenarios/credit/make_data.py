"""Sample data: applications for small loans and whether each was paid back, some 16 % not. Nobody's: everything is drawn by code.

What makes a loan fail is what it would be in truth: payments too large for the income, late payments, many requests in a
short time, little time in the job. Sex and age have no part in it, and what the model sees is spread alike in both sexes.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

APPLICATIONS = 6000
PURPOSES = ("car", "furniture", "repairs", "studies", "travel")
COLUMNS = (
    "income", "other_payments", "amount", "months", "job_months", "late_payments", "requests", "home", "purpose", "sex", "age_band",
    "outcome",
)  # fmt: skip


def make(folder: Path, *, seed: int = 0) -> None:
    """Writes `data/applications.csv` below `folder`."""
    random = np.random.default_rng(seed)
    n = APPLICATIONS
    income = np.round(random.lognormal(8.3, 0.45, n), -1)  # a month
    other = np.round(income * random.beta(1.5, 8, n), -1)  # what is paid on other loans a month
    amount = np.round(random.lognormal(9.3, 0.6, n), -2)
    months = random.choice([12, 24, 36, 48, 60], n, p=[0.2, 0.25, 0.3, 0.15, 0.1])
    job = np.floor(random.gamma(1.4, 40, n)).astype(int)
    late = random.poisson(np.where(random.random(n) < 0.25, 1.8, 0.15))
    requests = random.poisson(np.where(random.random(n) < 0.2, 3.0, 0.6))
    home = np.where(random.random(n) < 0.35, "own", "rent")
    odds = (
        -3.7 + 5.0 * (other + amount / months) / income + 0.75 * late + 0.28 * requests
        - 0.9 * np.minimum(job, 60) / 60 - 0.35 * (home == "own")
    )  # fmt: skip
    outcome = np.where(random.random(n) < 1 / (1 + np.exp(-odds)), "default", "paid")
    sex = random.choice(["f", "m"], n)
    age = random.choice(["18-29", "30-49", "50+"], n, p=[0.3, 0.45, 0.25])
    purpose = random.choice(PURPOSES, n)
    _write(folder, (income, other, amount, months, job, late, requests, home, purpose, sex, age, outcome))


def _write(folder: Path, columns: tuple[NDArray[np.generic], ...]) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    with (folder / "data" / "applications.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows(zip(*(column.tolist() for column in columns), strict=True))


if __name__ == "__main__":
    make(Path())
