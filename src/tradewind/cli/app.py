"""The command line's door: the table of verbs, and the one place where an error becomes an exit code.

A verb's module is imported when it is called, so that `tradewind --help` answers at once.

    0 done · 1 a gate or a check said no · 2 the input was wrong · 3 the environment failed · 130 interrupted
"""

from __future__ import annotations

import errno
import importlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from tradewind import __version__
from tradewind.cli import spin
from tradewind.errors import CheckFailed, EnvironmentFailure, GateFailed, InputError, TradewindError

spin.settle()  # before torch or LightGBM is loaded, which no verb has done yet

EXIT_CODES: dict[type[TradewindError], int] = {CheckFailed: 1, InputError: 2, EnvironmentFailure: 3}


@dataclass(frozen=True)
class Verb:
    module: str
    help: str
    panel: str
    light: str | None = None  # the module to use where the packages of the first are not installed
    extra: str = "train"  # what holds those packages


_BUILD, _USE, _SELL, _KEEP = "Build", "Use", "Sell", "Keep"
VERBS = {
    "init": Verb("init", "Begin a product: write a product file for your data.", _BUILD),
    "check": Verb("check", "Check the product file, or print its JSON Schema.", _BUILD),
    "estimate": Verb("estimate", "Parameters, memory, time and money of training, before any work.", _BUILD),
    "prepare": Verb("prepare", "Read, clean, split and encode the data.", _BUILD),
    "train": Verb("train", "Train the model on the prepared data.", _BUILD),
    "evaluate": Verb("evaluate", "Measure the model beside baselines; write the report.", _BUILD),
    "release": Verb("release", "Make a signed bundle that predicts without PyTorch.", _BUILD),
    "run": Verb("run", "All of these, as far as something changed.", _BUILD),
    "predict": Verb("predict", "Predict one row, or a file in bulk, from a release.", _USE, light="predict_rows"),
    "chat": Verb("chat", "Talk to a released language model in the terminal.", _USE, extra="serve"),
    "card": Verb(
        "card",
        "Print the model card of a release, its transparency report by a law's headings, or the privacy notice.",
        _USE,
        extra="serve",
    ),
    "serve": Verb("serve", "Serve releases over HTTP with keys, plans and exact metering.", _USE, extra="serve"),
    "stream": Verb(
        "stream",
        "Decide on transactions from a file that grows, from a pipe or from Kafka, as they come.",
        _USE,
        extra="serve",
    ),
    "account": Verb("account", "Customers: their members, plans and subscriptions.", _SELL, extra="serve"),
    "key": Verb(
        "key", "API keys of customers and of the operator; the key pair that signs releases.", _SELL, extra="serve"
    ),
    "plan": Verb(
        "plan", "Plans of the product file; last month's bills under other ones; top-up codes.", _SELL, extra="serve"
    ),
    "usage": Verb("usage", "What customers used, by account, meter and month; as CloudEvents.", _SELL, extra="serve"),
    "handoff": Verb(
        "handoff", "Conversations that a person takes over: list, take, reply, give back.", _SELL, extra="serve"
    ),
    "feedback": Verb(
        "feedback", "How satisfied people were with answers; judged messages to learn from.", _SELL, extra="serve"
    ),
    "invoice": Verb("invoice", "Draft, finalize, void, correct, show and export invoices.", _SELL, extra="serve"),
    "reviews": Verb(
        "reviews",
        "Decisions that wait for a person: list, claim, close; verdicts as rows to learn from.",
        _SELL,
        extra="serve",
    ),
    "verify": Verb(
        "verify", "Recompute figures, invoices and the audit log; check signatures.", _KEEP, light="verify_books"
    ),
    "erase": Verb("erase", "Take a person out of every store, with a signed receipt.", _KEEP, light="erase_stored"),
    "deidentify": Verb("deidentify", "Copy DICOM files without anybody's identity.", _KEEP, extra="dicom"),
    "export": Verb("export", "Collect everything that is held about a person into an archive.", _KEEP),
    "promote": Verb("promote", "Make a release the live one.", _KEEP),
    "rollback": Verb("rollback", "Go back to the release that was live before.", _KEEP),
}


class Verbs(TyperGroup):
    """Lists verbs from the table; imports a verb's module only when it is to run."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        return TyperCommand(name=cmd_name, help=verb.help, rich_help_panel=verb.panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return (name, load_verb(name), rest) if name in VERBS else (name, command, rest)


def load_verb(name: str) -> Any:
    """The verb as a command: its module's `command` function or its `actions`, named by the table."""
    verb = VERBS[name]
    if name == "serve":  # it forks, and a process with threads must not: linear algebra starts none of its own
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        module = importlib.import_module(f"tradewind.cli.{verb.module}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tradewind"):
            raise
        if verb.light is not None:
            return _as_command(name, importlib.import_module(f"tradewind.cli.{verb.light}"))
        raise EnvironmentFailure(
            f"tradewind {name} needs the package {error.name}, which is not installed.",
            code="package_missing",
            hint=f"Install it with: pip install 'tradewind[{verb.extra}]'.",
        ) from error
    return _as_command(name, module)


def _as_command(name: str, module: ModuleType) -> Any:
    if hasattr(module, "actions"):
        group = typer.main.get_command(module.actions)
        group.name = name
        return group
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(name=name)(module.command)
    command = typer.main.get_command(single)
    command.name = name
    return command


app = typer.Typer(
    cls=Verbs,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From your own data to a model that customers pay for.",
)


@app.callback()
def _root(version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True)) -> None:
    if version:
        typer.echo(f"tradewind {__version__}")
        raise typer.Exit


def exit_code(error: TradewindError) -> int:
    for kind, code in EXIT_CODES.items():
        if isinstance(error, kind):
            return code
    return 2


def main(arguments: list[str] | None = None) -> int:
    """Runs one verb and gives its exit code. No traceback for a user's mistake; one for ours, behind a plain sentence."""
    given = sys.argv[1:] if arguments is None else arguments
    # Libraries below speak through logging and warnings; on a user's terminal only our own words are wanted.
    logging.getLogger().setLevel(logging.ERROR)
    try:
        result = typer.main.get_command(app).main(args=given, prog_name="tradewind", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except GateFailed as error:
        _tell(given, error.code, str(error), outcome=error.outcome)
        code = exit_code(error)
    except TradewindError as error:
        _tell(given, error.code, str(error))
        code = exit_code(error)
    except typer.Abort:
        print("Interrupted.", file=sys.stderr)
        code = 130
    except KeyboardInterrupt:
        print("Interrupted. Run the same verb again to go on from the last checkpoint.", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except MemoryError:
        _tell(given, "environment.memory", "The machine is out of memory. Lower data.memory or train.batch.")
        code = 3
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        _tell(given, f"environment.{name.lower()}", f"{error.filename or 'The system'}: {error.strerror or error}.")
        code = 3
    except Exception as error:  # noqa: BLE001 - the process edge: what reaches it is our mistake
        code = _foreign(given, error)
    if arguments is None:
        sys.stdout.flush()
        sys.exit(code)
    return code


def _foreign(given: list[str], error: Exception) -> int:
    """Wrong usage, as the command-line library found it, or a mistake of ours."""
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        show = getattr(error, "show", None)
        if "--json" in given:
            _tell(given, "input.usage", error.format_message())
        elif show is not None:
            show()
        return 2
    if "TRADEWIND_DEBUG" in os.environ:
        traceback.print_exc()
    _tell(
        given,
        "internal",
        f"Tradewind made a mistake: {type(error).__name__}: {error}. Set TRADEWIND_DEBUG=1 for the trace.",
    )
    return 3


def _tell(given: list[str], code: str, message: str, *, outcome: Mapping[str, Any] | None = None) -> None:
    print(message, file=sys.stderr)
    if "--json" in given:
        print(json.dumps({"error": {"code": code, "message": message}, **(outcome or {})}, ensure_ascii=False))
