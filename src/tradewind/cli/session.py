"""What every stage of a product needs: the product, its workspace, and one voice on stderr. Holds no stage itself."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from tradewind import product_file
from tradewind.artifacts import Workspace
from tradewind.errors import DataError
from tradewind.product import Product
from tradewind.release.transparency.frames import check_answers

FolderOption = Annotated[Path, typer.Option("-C", "--directory", help="The product's folder.", show_default=False)]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="PATH=VALUE over the product file.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else there.")]
HERE = Path()


@dataclass
class Outcome:
    """What stages have made so far: the object behind `--json`. `below_cost` holds a sentence for each plan that sells a unit
    below what it was measured to cost, and may not."""

    artifacts: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    gates: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    below_cost: list[str] = field(default_factory=list)

    @property
    def may_release(self) -> bool:
        return all(gate["passed"] for gate in self.gates) and not self.below_cost

    def to_json(self) -> dict[str, Any]:
        return {
            "artifacts": self.artifacts,
            "metrics": self.metrics,
            "gates": self.gates,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
        }


class Voice:
    """Says on stderr what happens: bars on a terminal, a line at each step elsewhere, nothing when quiet."""

    def __init__(self, *, language: str = "en") -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.language = language
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._last = ("", -1.0, 0.0)

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """A heading, then progress below it until the block ends."""
        self.console.print(f"[bold]{title}[/bold]")
        if not self.console.is_terminal:
            yield
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as self._progress:
            self._task = self._progress.add_task("", total=1.0)
            try:
                yield
            finally:
                self._progress, self._task = None, None

    def progress(self, what: str, share: float) -> None:
        """`share` of the present stage that is done, 0 to 1, with a few words."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=min(max(share, 0.0), 1.0), description=what)
            return
        words, before, at = self._last
        now = time.monotonic()
        # Without a terminal a line every five seconds is enough to see that it lives.
        if what.split(" ")[0] != words or now - at > 5 or (share >= 1 > before):
            self._last = (what.split(" ")[0], share, now)
            self.console.print(f"  {share:4.0%} {what}", markup=False)

    def say(self, text: str) -> None:
        self.console.print(f"  {text}", markup=False)


@dataclass
class Session:
    """One call of a verb on one product."""

    folder: Path
    product: Product
    workspace: Workspace
    voice: Voice
    outcome: Outcome = field(default_factory=Outcome)
    changes: tuple[str, ...] = ()  # PATH=VALUE over the product file

    @classmethod
    def open(cls, folder: Path, changes: Sequence[str] | None = None) -> Session:
        """Reads `tradewind.yaml` in `folder`. Raises ProductFileError."""
        product = product_file.load(folder, changes=changes or ())
        check_answers(product.release.answers)
        base = (folder if folder.is_dir() else folder.parent).resolve()
        voice = Voice(language=product.language)
        return cls(base, _placed(product, base), Workspace.of(base), voice, changes=tuple(changes or ()))

    def place(self, setting: Sequence[int | str], *, key: bool = False) -> str:
        """File, line and column of a setting of this product, or of its name, for an error that only the data show."""
        dotted = ".".join(map(str, setting))
        for change in self.changes:
            path = change.partition("=")[0].strip()
            if f"{dotted}.".startswith(f"{path}."):
                return f"--set {path}"
        return product_file.place(self.folder, setting, key=key)

    @contextmanager
    def placed(self) -> Iterator[None]:
        """Errors in the data that name a setting of the product file, `data.sensitive.0`, name its line and column instead."""
        try:
            yield
        except DataError as error:
            if error.where is not None and error.where.startswith("data."):
                setting = [int(part) if part.isdigit() else part for part in error.where.split(".")]
                error.where = self.place(setting)
            raise

    @contextmanager
    def timed(self, stage: str, title: str) -> Iterator[None]:
        started = time.perf_counter()
        with self.voice.stage(title):
            yield
        self.outcome.seconds[stage] = time.perf_counter() - started


def _placed(product: Product, base: Path) -> Product:
    """The product with the folders of pretrained parts taken from its own folder, wherever the verb was called."""
    columns = {
        name: column.model_copy(update={"tokeniser": str(base / column.tokeniser)}) if column.tokeniser else column
        for name, column in product.data.columns.items()
    }
    model = product.model
    if model.pretrained is not None:
        model = model.model_copy(update={"pretrained": str(base / model.pretrained)})
    return product.model_copy(update={"data": product.data.model_copy(update={"columns": columns}), "model": model})


def emit(value: Mapping[str, Any]) -> None:
    """The one JSON object of `--json`."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n")
