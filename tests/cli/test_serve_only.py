"""A machine with `tradewind[serve]` alone answers a prediction: neither torch nor Polars is there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SCRIPT = """
import importlib.util, json, sys
absent = ("torch", "polars", "transformers", "sklearn", "pyarrow", "onnx", "pandas", "lightgbm")
from pathlib import Path
from tradewind.engines.loading import load
loaded = load(Path(sys.argv[1]), public_key=Path(sys.argv[2]))
answer = loaded.predictor.predict_rows([{"tenure": 3, "plan": "pro", "spend": 41.5}]).to_rows()
print(json.dumps({"answer": answer, "found": [name for name in absent if importlib.util.find_spec(name)]}))
"""


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of a new virtual environment that holds tradewind[serve], built from source, and what it asks for, each file
    linked from where it is installed here; nothing else."""
    folder = tmp_path_factory.mktemp("serving")
    source = folder / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copyfile(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*install, "--disable-pip-version-check", "--target", packages, source], check=True)
    for one in _asked_for("tradewind[serve]") - {"tradewind"}:
        for file in distribution(one).files or ():
            if file.suffix != ".pyc" and ".." not in file.parts:
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                (packages / file).symlink_to(file.locate())
    return folder / "venv" / "bin" / "python"


def _asked_for(requirement: str) -> set[str]:
    """Names of the distributions that a requirement brings, its own among them."""
    names: set[str] = set()
    waiting, seen = [Requirement(requirement)], set()
    while waiting:
        asked = waiting.pop()
        if str(asked) in seen:
            continue
        seen.add(str(asked))
        names.add(canonicalize_name(asked.name))
        for further in map(Requirement, distribution(asked.name).requires or ()):
            extras = asked.extras | {""}
            if further.marker is None or any(further.marker.evaluate({"extra": one}) for one in extras):
                waiting.append(further)
    return names


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "TRADEWIND_HOME")}


@pytest.mark.slow
def test_a_release_predicts_where_torch_and_polars_are_absent(serving: Path, released: Path, tmp_path: Path):
    (release,) = (released / ".tradewind" / "releases").iterdir()
    key = released / ".tradewind" / "keys" / "signing.pub.pem"
    done = subprocess.run(
        [serving, "-c", SCRIPT, release, key], capture_output=True, text=True, cwd=tmp_path, env=_clean(), check=False
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["found"] == []
    assert set(content["answer"][0]["probabilities"]) == {"yes", "no"}


@pytest.mark.slow
def test_the_verb_answers_a_row_there_and_says_what_a_file_would_need(serving: Path, released: Path, tmp_path: Path):
    verb = [serving, "-m", "tradewind.cli", "predict", "candidate", "-C", released]
    row = subprocess.run([*verb, "--row", '{"tenure": 3}'], capture_output=True, text=True, env=_clean(), check=False)
    assert row.returncode == 0, row.stderr
    assert json.loads(row.stdout)["label"] in ("yes", "no")
    train = subprocess.run(
        [serving, "-m", "tradewind.cli", "train", "-C", released],
        capture_output=True,
        text=True,
        env=_clean(),
        check=False,
    )
    assert train.returncode == 3
    assert "tradewind[train]" in train.stderr
