"""Ten thousand generated requests to a real server: by the schema and against it, on every route that /openapi.json
names, as the operator, as a customer and as nobody. No answer may be a 5xx but a 503 that was meant (its code begins
with `environment.`), no worker may die, nothing may stay reserved, and the books must hold afterwards.

    python benchmarks/generated.py [--requests 10000] [--seconds 900] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from sqlalchemy import func, select

from faults import children, customer, serving
from serving import make, tradewind
from tradewind.artifacts import Workspace
from tradewind.business import audit, derive, meters
from tradewind.business.database import Database, default_url
from tradewind.business.tables import leases, quotas
from tradewind.clock import SystemClock

_REPLY_S = 40
_SHOWN = 20


@dataclass
class Caller:
    """Who asks, and real names for the path parameters: a generated one is nearly always unknown."""

    name: str
    session: requests.Session
    known: dict[str, list[str]] = field(default_factory=dict)

    def share(self, path: str) -> float:
        """Of the requests to a route: most come from whom it is for."""
        return 0.8 if (self.name == "operator") == path.startswith("/admin/") and self.name != "nobody" else 0.1


@dataclass
class Tally:
    known: int = 0  # routes that the schema names
    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)  # 2xx, by caller
    meant: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, caller: Caller, route: str, reply: requests.Response) -> None:
        self.requests += 1
        self.statuses[reply.status_code] += 1
        self.routes[route] += 1
        self.answered[caller.name] += reply.status_code < 300
        if reply.status_code < 500:
            return
        code = _code(reply)
        if reply.status_code == 503 and code.startswith("environment."):
            self.meant[code] += 1
        else:
            self.fault(caller, route, f"{reply.status_code} {code}", reply.request)

    def fault(self, caller: Caller, route: str, what: str, request: Any) -> None:
        url, body = getattr(request, "url", ""), getattr(request, "body", None)
        self.faults.append(f"{what}: {caller.name}, {route}: {url} {body!r:.500}")


def _code(reply: requests.Response) -> str:
    try:
        return str(reply.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return "?"


def caller(name: str, secret: str | None, known: dict[str, list[str]] | None = None) -> Caller:
    session = requests.Session()
    session.trust_env = False  # no proxy lies before loopback
    if secret is not None:
        session.auth = Bearer(secret)
    return Caller(name, session, known or {})


class Bearer(requests.auth.AuthBase):
    """Puts the key on last: the generator takes it off again where it generates requests without one."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["authorization"] = f"Bearer {self._secret}"
        return request


def callers(base: str, folder: Path) -> list[Caller]:
    """The operator and a customer, each with the ids of a second account that may be spoiled; and nobody."""
    directory = ("-C", str(folder))
    secret = json.loads(tradewind("key", "operator", *directory, "--json"))["key"]
    _, own = customer(folder, "first", "pro")
    victim, _ = customer(folder, "second", "pro")
    spare = json.loads(tradewind("key", "add", "first", "--name", "spare", *directory, "--json"))
    operator = caller("operator", secret)
    prefixes = json.loads(tradewind("key", "list", victim, *directory, "--json"))["keys"]
    drafted = operator.session.post(f"{base}/admin/v1/accounts/{victim}/invoices", json={}, timeout=_REPLY_S).json()
    operator.known = {
        "account_id": [victim, "second"],
        "invoice_id": [str(drafted.get("id", "inv_0"))],
        "key_id": [str(one.get("id", one["prefix"])) for one in prefixes],
        "form": ["html", "pdf", "csv"],
    }
    return [operator, caller("customer", own, {"key_id": [spare["prefix"]]}), caller("nobody", None)]


def drive(base: str, everyone: list[Caller], *, wanted: int, seconds: float, start: int) -> Tally:
    """Rounds over all routes and callers until `wanted` requests were answered, or the time is over."""
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    tally = Tally(known=len(operations))
    deadline = time.monotonic() + seconds
    turn = 0
    while tally.requests < wanted and time.monotonic() < deadline:
        each = (wanted - tally.requests) / len(operations)
        for operation in operations:
            for who in everyone:
                if tally.requests >= wanted or time.monotonic() >= deadline:
                    break
                turn += 1
                examples = max(2, math.ceil(each * who.share(operation.path)))
                ask(base, who, operation, tally, examples=examples, number=start + turn)
        print(f"  {tally.requests:,} requests, {len(tally.faults)} faults", flush=True)
    return tally


def ask(base: str, who: Caller, operation: Any, tally: Tally, *, examples: int, number: int) -> None:
    route = f"{operation.method.upper()} {operation.path}"
    draw = random.Random(number)

    @seed(number)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)))
    def one(case: Any) -> None:
        for name in case.path_parameters or {}:
            if name in who.known and draw.random() < 0.5:
                case.path_parameters[name] = draw.choice(who.known[name])
        try:
            reply = case.call(base_url=base, session=who.session, timeout=_REPLY_S, allow_redirects=False)
        except requests.RequestException as error:
            tally.fault(who, route, f"no reply ({type(error).__name__})", error.request)
        else:
            tally.add(who, route, reply)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the generator's own transport
        run: Callable[[], None] = one
        run()


def left_reserved(database: Database) -> int:
    with database.reading() as connection:
        granted = int(connection.execute(select(func.sum(quotas.c.granted))).scalar() or 0)
        return granted + int(connection.execute(select(func.sum(leases.c.units))).scalar() or 0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Generated requests on every route.")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given_ = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make(folder)
        with serving(folder, given_.workers) as (url, pid):
            parts = urlsplit(url)
            base = f"{parts.scheme}://{parts.netloc}"
            everyone = callers(base, folder)
            before = set(children(pid))
            started = time.monotonic()
            tally = drive(base, everyone, wanted=given_.requests, seconds=given_.seconds, start=given_.seed)
            took = time.monotonic() - started
            died = before - set(children(pid))
        database = Database.open(default_url(Workspace.of(folder).home), clock=SystemClock())
        reserved = left_reserved(database)
        wrong = [*audit.verify(database), *derive.verify(database), *meters.agree(database)]
        database.close()
        log = (folder / "serve.log").read_text()
    classes = Counter({f"{status // 100}xx": 0 for status in (200, 300, 400, 500)})
    for status, count in tally.statuses.items():
        classes[f"{status // 100}xx"] += count
    print(
        f"\n{tally.requests:,} requests over {len(tally.routes)} of {tally.known} routes in {took:.0f} s: {json.dumps(classes)}"
    )
    print(f"by status: {json.dumps({str(one): count for one, count in sorted(tally.statuses.items())})}")
    print(
        f"503 that were meant: {json.dumps(tally.meant)}; faults: {len(tally.faults)}; workers that died: {len(died)}"
    )
    print(f"units left reserved: {reserved}; the books: {'; '.join(wrong) or 'they hold'}")
    print(f"2xx by caller: {json.dumps(tally.answered)}")
    for line in tally.faults[:_SHOWN]:
        print(f"  {line}")
    failures = [line for line in log.splitlines() if '"failure"' in line]
    for line in failures[:_SHOWN]:
        print(f"  log: {line:.400}")
    short = tally.requests < given_.requests
    if short:
        print(f"Only {tally.requests:,} of {given_.requests:,} requests fitted into {given_.seconds:.0f} s.")
    if tally.faults or died or reserved or wrong or short:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
