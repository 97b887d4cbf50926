"""`tradewind serve`: releases behind an HTTP API with keys, plans and exact metering. Not here: a worker (`server/worker.py`)."""

from __future__ import annotations

import importlib
import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tradewind import product_file
from tradewind.cli.answer_texts import check_answers
from tradewind.cli.prices import refuse_below_cost, released_below_cost
from tradewind.cli.releases import release_folder
from tradewind.cli.session import HERE, FolderOption, Session
from tradewind.errors import ArtifactError, EnvironmentFailure, InputError, ProductFileError, nearest
from tradewind.release.registry import Registry

_BACKLOG = 2048
# What every worker needs and what starts no thread: imported once, before they are forked.
_COMMON = ("fastapi", "uvicorn", "uvloop", "httptools", "msgspec", "sqlalchemy", "tradewind.business.ledger",
           "tradewind.features.feature_set", "tradewind.release.bundle")  # fmt: skip


def command(
    directory: FolderOption = HERE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Worker processes.")] = 1,
    also: Annotated[list[Path] | None, typer.Option(help="Folder of a further product.", show_default=False)] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate, PEM.", show_default=False)] = None,
    private_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.", show_default=False)] = None,
    open_to_all: Annotated[bool, typer.Option("--open", help="No key, no bill: for development.")] = False,
    access_log: Annotated[bool, typer.Option(help="A JSON line for each request on stderr.")] = False,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that running requests have after SIGTERM.")] = 30.0,
) -> None:
    """Serve releases over HTTP with keys, plans and exact metering."""
    # 1. What is served: the product file and at least one release in each folder.
    sessions = [Session.open(folder) for folder in [directory, *(also or [])]]
    for session in sessions:
        _check_released(session)
        check_answers(session)
        _check_writer(session, [one.product.product for one in sessions])
        if not open_to_all:
            # The first product's plans are on sale, for each product that they do not leave out.
            name, serve = session.product.product, sessions[0].product.serve
            refuse_below_cost(released_below_cost(session.workspace, serve, product=name))
    _check_tls(certificate, private_key)
    if os.environ.get("TRADEWIND_FONT"):  # told now, not when the first invoice is wanted
        _load("tradewind.typeface").chosen()
    # 2. The socket, before anything heavy: a port in use is told at once.
    listening = _listen(host, port)
    # 3. The rooms behind it.
    for name in _COMMON:
        _load(name)
    database = _load("tradewind.business.database").Database.open(
        url := _database_url(sessions[0]), clock=sessions[0].workspace.clock
    )
    # What is due goes also where the product file asks for nothing to be kept any more.
    _load("tradewind.business.requests").sweep_all(database)
    _load("tradewind.business.conversation_keeping").sweep_all(database)
    database.close()
    supervisor = _load("tradewind.server.supervisor")
    shown = listening.getsockname()
    address = f"{'https' if certificate else 'http'}://{host}:{shown[1]}"

    def work(number: int, ready: Any) -> int:
        worker = _load("tradewind.server.worker")
        serving = _load("tradewind.server.serving")
        site = worker.Site(
            places=tuple(_place(serving, one) for one in sessions),
            home=sessions[0].workspace.home,
            database=url,
            plans=sessions[0].product.serve.plans,
            retentions={one.product.product: _retention(one) for one in sessions},
            kept=tuple(_kept(one) for one in sessions),
            notices=tuple(_load("tradewind.cli.notice").notice_of(one.product) for one in sessions),
            hooks={
                one.product.product: hook
                for one in sessions
                if (hook := _load("tradewind.cli.alerts").hook_of(one.product))
            },
            scripts=tuple(script for one in sessions if (script := _script(one)) is not None),
            issuer=sessions[0].product.serve.seller if sessions[0].product.serve.seller.name else None,
            open_to_all=open_to_all,
            certificate=certificate,
            private_key=private_key,
            grace_s=grace,
            access_log=access_log,
        )
        status: int = worker.work(site, [listening], ready)
        return status

    # 4. Workers, until SIGTERM.
    names = ", ".join(session.product.product for session in sessions)
    status = supervisor.Supervisor(
        work=work,
        workers=workers,
        grace_s=grace + 5,
        on_ready=lambda: print(f"Serving {names} on {address} (docs: {address}/docs)", file=sys.stderr, flush=True),
        on_drain=listening.close,
        say=lambda text: print(text, file=sys.stderr, flush=True),
    ).run()
    raise typer.Exit(status)


def _check_released(session: Session) -> None:
    if not Registry.open(session.workspace).versions:
        raise ArtifactError(
            f"{session.product.product} has no release yet.",
            code="nothing_to_serve",
            where=str(session.folder),
            hint="Make one: tradewind run.",
        )


def _place(serving: Any, session: Session) -> Any:
    serve = session.product.serve
    marking = _load("tradewind.server.marks").Marking(
        provider=serve.seller.name, producer=serve.seller.tax_id, explicit=serve.mark == "text", at=serve.mark_at,
        language=session.product.language,
    )  # fmt: skip
    writing = _load("tradewind.server.served_language").Writing(
        precision=serve.precision, max_tokens=serve.max_tokens, marking=marking, slots=serve.slots, waiting=serve.waiting,
        adapters={name: _adapter(session, name, where) for name, where in serve.adapters.items()},
    )  # fmt: skip
    said, scope = serve.answers, serve.out_of_scope
    texts = _load("tradewind.server.answer_texts").AnswerTexts(said, session.product.language)
    return serving.Place(
        session.workspace, abstain_below=serve.abstain_below, writing=writing,
        texts=texts if said.texts or said.fallback else None,
        drift=_load("tradewind.cli.alerts").bounds_of(session.product),
        outside=None if scope is None else scope.label, accept=0.95 if scope is None else scope.accept,
    )  # fmt: skip


def _adapter(session: Session, name: str, where: str) -> Path:
    """The release of an adapter alone. Raises InputError, ArtifactError."""
    folder = release_folder(where if "/" not in where else str(session.folder / where), session.folder)
    if not folder.is_dir():
        raise ArtifactError("There is no such release.", code="missing", where=f"serve.adapters.{name}: {where}")
    return folder


def _retention(session: Session) -> Any:
    store = session.product.serve.store
    written = {"inputs": store.inputs, "outputs": store.outputs}
    return _load("tradewind.privacy.retention").Retention.of(written, consent=store.consent)


def _check_writer(session: Session, served: list[str]) -> None:
    """Raises ProductFileError where passages are to be put into words by a product that is not served beside this one."""
    talk = session.product.serve.conversation
    if talk is None or talk.answer.model is None or talk.answer.model in served:
        return
    raise ProductFileError(
        f"serve.conversation.answer.model is {talk.answer.model}, but served are {', '.join(served)}.",
        code="writer_missing", where=product_file.place(session.folder, ("serve", "conversation", "answer", "model")),
        hint=nearest(talk.answer.model, served) or f"Serve it too: tradewind serve --also FOLDER of {talk.answer.model}.",
    )  # fmt: skip


def _script(session: Session) -> Any:
    """How the product talks with people, None where it does not."""
    serve = session.product.serve
    if serve.conversation is None:
        return None
    talk = _load("tradewind.server.dialogue.talk")
    return talk.Script(session.product.product, serve.conversation, dict(serve.answers.texts))


def _kept(session: Session) -> Any:
    duration = _load("tradewind.privacy.retention").parse_duration
    keep = session.product.privacy.keep
    ends = {"dataset": keep.datasets, "run": keep.runs, "report": keep.reports}
    limits = {kind: duration(text) for kind, text in ends.items() if text is not None}
    events_ms, items_ms = (None if one is None else duration(one) for one in (keep.events, keep.items))
    return _load("tradewind.server.keeping").Kept(session.workspace, limits, events_ms=events_ms, items_ms=items_ms)


def _check_tls(certificate: Path | None, private_key: Path | None) -> None:
    if (certificate is None) != (private_key is None):
        raise InputError("TLS needs both --certificate and --private-key.", code="tls")
    for path in (certificate, private_key):
        if path is not None and not path.is_file():
            raise InputError("There is no such file.", code="tls", where=str(path))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise EnvironmentFailure(
            f"{host}:{port} cannot be listened on: {error.strerror}.",
            code="address",
            hint="Choose another --port, or end what listens there.",
        ) from error
    listening.listen(_BACKLOG)
    return listening


def _database_url(session: Session) -> str:
    url: str = _load("tradewind.business.database").default_url(session.workspace.home)
    return url


def _load(name: str) -> Any:
    """A module of the server's packages, only when the verb runs: `tradewind --help` must not wait for them."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tradewind"):
            raise
        raise EnvironmentFailure(
            f"tradewind serve needs the package {error.name}, which is not installed.",
            code="package_missing",
            hint="Install it with: pip install 'tradewind[serve]'.",
        ) from error
