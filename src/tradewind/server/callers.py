"""Who calls a route of accounts, and what the app keeps for those routes. Not here: the routes (`account.py`, `admin.py`).

The app's state holds: `authenticate(authorization: str | None) -> Access`, which raises house errors; `database`;
`plans`, the plans on sale by name; `settle()`, which brings what this machine served to the usage records; `issuer`, who
writes the invoices (the app's title where nobody is named).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Path, Request
from pydantic import AfterValidator, BaseModel, ConfigDict

from tradewind.business.database import Database
from tradewind.business.documents import Issuer
from tradewind.business.keys import Access
from tradewind.business.seller import Seller
from tradewind.clock import milliseconds
from tradewind.errors import InputError, nearest
from tradewind.privacy.retention import parse_duration
from tradewind.tariff import Plan


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("one line of printable characters was expected")
    return text


# PostgreSQL keeps no NUL, and nothing of ours has a line break in it.
Line = Annotated[str, AfterValidator(_one_line)]
NAME = r"^[A-Za-z0-9_.:-]+$"  # of ids, numbers and prefixes
Id = Annotated[str, Path(max_length=64, pattern=NAME)]


class Body(BaseModel):
    """What a request may say; anything else is refused."""

    model_config = ConfigDict(extra="forbid")


class Nothing(Body):
    """A body where none is needed."""


@dataclass(frozen=True)
class House:
    """The business behind the app."""

    database: Database
    plans: Mapping[str, Plan]
    settle: Callable[[], None]
    issuer: Issuer

    @property
    def now_ms(self) -> int:
        return milliseconds(self.database.clock)

    def plan(self, name: str) -> Plan:
        """Raises InputError `plan_unknown` with the nearest name."""
        if name in self.plans:
            return self.plans[name]
        known = ", ".join(self.plans) or "none"
        raise InputError(
            f"There is no plan {name}. Plans: {known}.", code="plan_unknown", hint=nearest(name, self.plans) or None
        )

    def lives_until_ms(self, duration: str | None) -> int | None:
        """From now on for a duration as in 90d. Raises InputError `duration`."""
        lives_ms = None if duration is None else parse_duration(duration)
        return None if lives_ms is None else self.now_ms + lives_ms


@dataclass(frozen=True)
class Customer:
    """A caller with a customer's key: every route below works on this account and no other."""

    account_id: str
    access: Access

    @property
    def actor(self) -> str:
        return self.access.key_id

    @property
    def role(self) -> str | None:
        """Of the member whose key it is; None for a key of the account itself."""
        return self.access.role


def house(request: Request) -> House:
    state = request.app.state
    return House(state.database, state.plans, state.settle, getattr(state, "issuer", Seller(request.app.title)))


def customer(request: Request) -> Customer:
    """Raises InputError as `keys.access` does, and `scope_missing` for a key that belongs to no account."""
    access = cast(Access, request.app.state.authenticate(request.headers.get("authorization")))
    if access.operator or access.account_id is None:
        raise InputError(
            "This key belongs to no account.", code="scope_missing", hint="Use the operator's routes: /admin/v1."
        )
    return Customer(access.account_id, access)


def private(caller: AnyKey) -> Customer:
    """Raises InputError `scope_missing` for a public key: what stands on a page opens nothing but a conversation."""
    if caller.access.public:
        raise InputError("This key may only converse.", code="scope_missing", hint="Use a key that is kept secret.")
    return caller


def needs(scope: str, *, public: bool = False) -> Callable[[Customer], Customer]:
    """A customer whose key may do `scope`; with `public` also one with a key that stands on a page. Raises InputError
    `scope_missing`."""

    def check(caller: AnyKey) -> Customer:
        caller = caller if public else private(caller)
        if not caller.access.may(scope):
            raise InputError(
                f"This key may not do this: it lacks the scope {scope}.",
                code="scope_missing",
                hint="Use another key, or let the operator issue one.",
            )
        return caller

    return check


def operator(request: Request) -> Access:
    """Raises InputError `operator_only` for a customer's key, whatever it asked for."""
    access = cast(Access, request.app.state.authenticate(request.headers.get("authorization")))
    if not access.operator or "operator" not in access.scopes:
        raise InputError("This route is for the operator.", code="operator_only")
    return access


AnyCustomer = Annotated[Customer, Depends(private)]
AnyKey = Annotated[Customer, Depends(customer)]  # a public one too
TheHouse = Annotated[House, Depends(house)]
Operator = Annotated[Access, Depends(operator)]
MayKeys = Annotated[Customer, Depends(needs("keys"))]
