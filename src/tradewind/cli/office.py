"""What every verb of the business needs: the database behind a product's folder, its plans, and tables for people.
Not here: any verb.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from tradewind import product_file
from tradewind.artifacts import Workspace
from tradewind.business import accounts
from tradewind.business.accounts import Account
from tradewind.business.database import Database, default_url
from tradewind.business.documents import Issuer
from tradewind.business.seller import Seller
from tradewind.clock import Clock, SystemClock, milliseconds
from tradewind.errors import InputError, nearest
from tradewind.money import Money
from tradewind.product import Product
from tradewind.tariff import Plan

OPERATOR = "operator"  # who did it, in the audit log, when it was done from the command line


class Actions(TyperGroup):
    """A verb with actions (`account add`). An unknown one is answered as every wrong input is."""

    sentence = "There is no action {word} here."

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0]
        if word not in self.commands and not word.startswith("-"):
            hint = nearest(word, self.commands) or f"Write one of: {', '.join(self.commands)}."
            raise InputError(self.sentence.format(word=word), code="action_unknown", hint=hint)
        return super().resolve_command(ctx, args)


def actions(help_text: str, *, kind: type[Actions] = Actions) -> typer.Typer:
    """An empty set of actions, to be filled by the verb's module."""
    return typer.Typer(
        cls=kind, help=help_text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )


@dataclass(frozen=True)
class Office:
    """The business of the product in `folder`."""

    folder: Path
    workspace: Workspace
    database: Database

    @classmethod
    @contextmanager
    def open(cls, folder: Path, *, clock: Clock | None = None) -> Iterator[Office]:
        """Opens (and at first makes) the database: TRADEWIND_DATABASE, or a file in the workspace.

        Raises InputError where `folder` is no product's folder, EnvironmentFailure as the database does.
        """
        base = folder if folder.is_dir() else folder.parent
        workspace = Workspace.of(base)
        if not (base / product_file.FILE_NAME).is_file() and not database_exists(workspace):
            product_file.load(folder)  # says what is missing, where, and how to begin
        database = Database.open(default_url(workspace.home), clock=clock or SystemClock())
        try:
            yield cls(folder, workspace, database)
        finally:
            database.close()

    @property
    def now_ms(self) -> int:
        return milliseconds(self.database.clock)

    def product(self, changes: Sequence[str] | None = None) -> Product:
        """The product file with `changes` over it. Raises ProductFileError."""
        return product_file.load(self.folder, changes=changes or ())

    def plan(self, name: str) -> Plan:
        """The terms of the plan called `name` in the product file. Raises InputError for an unknown one."""
        return plan_of(self.product().serve.plans, name)

    def issuer(self) -> Issuer:
        """Who writes the invoices: as the product file says, else under the product's name."""
        if not (self.folder.is_file() or (self.folder / product_file.FILE_NAME).is_file()):
            return Seller(self.folder.resolve().name)
        product = self.product()
        return product.serve.seller if product.serve.seller.name else Seller(product.product)

    def account(self, name: str) -> Account:
        """By id or exact name. Raises InputError."""
        return accounts.find(self.database, name)


def database_exists(workspace: Workspace) -> bool:
    """Whether somebody named a database, or one was made in the workspace."""
    url = default_url(workspace.home)
    return not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///")).is_file()


def plan_of(plans: Mapping[str, Plan], name: str) -> Plan:
    """Raises InputError with the nearest name for a plan that the product file does not have."""
    if name in plans:
        return plans[name]
    known = ", ".join(plans) or "none yet"
    raise InputError(
        f"There is no plan {name}. Plans: {known}.",
        code="plan_unknown",
        where="serve.plans",
        hint=nearest(name, plans) or "Write it into the product file under serve.plans.",
    )


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout. Numbers stand to the right."""
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(columns):
        right = bool(rows) and all(isinstance(row[index], (int, Money)) for row in rows)
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    console = Console(highlight=False)
    # A pipe has no width of its own: lines are not broken for it.
    (console if console.is_terminal else Console(highlight=False, width=200)).print(table)


def facts(pairs: Mapping[str, object]) -> None:
    """Names and values on stdout, one line each."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        typer.echo(f"{name:<{width}}  {value}")
