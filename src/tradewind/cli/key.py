"""`tradewind key`: the API keys of customers and of the operator, and the key pair that signs releases.

Not here: how a key is checked (`business/keys.py`), what a signature covers (`release/signing.py`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from tradewind.artifacts import Workspace
from tradewind.business import fleet, keys, views
from tradewind.business.keys import SCOPES, Issued
from tradewind.cli.office import OPERATOR, Actions, Office, show
from tradewind.cli.office import actions as new_actions
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.privacy.retention import parse_duration
from tradewind.release.signing import fingerprint, make_key_pair

CUSTOMER_SCOPES = tuple(scope for scope in SCOPES if scope != keys.OPERATOR)


class _Kinds(Actions):
    sentence = "There is no key of kind {word}, nor such an action."


actions = new_actions("API keys of customers and of the operator; the key pair that signs releases.", kind=_Kinds)

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its id or its exact name.")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Its id or its prefix, as `key list` shows them.")]
NameOption = Annotated[str, typer.Option("--name", help="What the key is for.")]
ScopeOption = Annotated[
    list[str] | None,
    typer.Option("--scope", help=f"What it may do: {', '.join(CUSTOMER_SCOPES)}. All by default.", show_default=False),
]
ExpiresOption = Annotated[
    str | None, typer.Option("--expires", help="How long it lives: 90d, 12h.", show_default=False)
]


@actions.command("signing")
def signing(directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """Make the key pair that signs releases."""
    pair = make_key_pair(Workspace.of(directory).keys)
    if as_json:
        emit({"private": str(pair.private), "public": str(pair.public), "fingerprint": fingerprint(pair.public)})
        return
    typer.echo(f"Private key: {pair.private} (keep it; whoever has it can sign as you)")
    typer.echo(f"Public key:  {pair.public} (give it to whoever runs your releases)")
    typer.echo(f"Fingerprint: {fingerprint(pair.public)}")


@actions.command("add")
def add(
    account: AccountArgument,
    name: NameOption = "default",
    scope: ScopeOption = None,
    expires: ExpiresOption = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Make an API key for a customer. The secret is shown once and stored nowhere."""
    with Office.open(directory) as office:
        issued = keys.issue(
            office.database,
            office.account(account).id,
            name=name,
            scopes=scope or CUSTOMER_SCOPES,
            expires_ms=_expires_ms(office, expires),
            actor=OPERATOR,
        )
    _tell(issued, as_json)


@actions.command("operator")
def operator(
    name: NameOption = "operator",
    expires: ExpiresOption = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Make a key for the operator's routes (/admin/v1). It belongs to no customer."""
    with Office.open(directory) as office:
        expires_ms = _expires_ms(office, expires)
        issued = keys.issue(
            office.database, None, name=name, scopes=[keys.OPERATOR], expires_ms=expires_ms, actor=OPERATOR
        )
    _tell(issued, as_json)


@actions.command("list")
def list_keys(
    account: Annotated[
        str | None, typer.Argument(metavar="[ACCOUNT]", help="Its id or name; the operator's keys by default.")
    ] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """List the keys of an account, or of the operator, without their secrets."""
    with Office.open(directory) as office:
        found = keys.keys_of(office.database, office.account(account).id if account is not None else None)
        now_ms = office.now_ms
    if as_json:
        emit({"keys": [views.key(one, now_ms=now_ms) for one in found]})
        return
    rows = [
        (one["id"], one["prefix"], one["name"], ", ".join(one["scopes"]), one["state"], one["expires"] or "–")
        for one in (views.key(key, now_ms=now_ms) for key in found)
    ]
    show("Keys", ("key", "prefix", "name", "scopes", "state", "expires"), rows)


@actions.command("rotate")
def rotate(
    key: KeyArgument,
    grace: Annotated[str, typer.Option(help="How long the old one still works: 24h, 7d, or none.")] = "24h",
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Make a new key in the place of an old one, which works on for a time of grace."""
    grace_s = 0 if grace == "none" else (parse_duration(grace) or 0) // 1000
    with Office.open(directory) as office:
        issued = keys.rotate(office.database, keys.find(office.database, key).id, grace_s=grace_s, actor=OPERATOR)
    _tell(issued, as_json)


@actions.command("revoke")
def revoke(key: KeyArgument, directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """Refuse a key from now on."""
    with Office.open(directory) as office:
        found = keys.find(office.database, key)
        keys.revoke(office.database, found.id, actor=OPERATOR)
        fleet.wait_taken_in(office.database)
    if as_json:
        emit({"revoked": found.id, "prefix": found.prefix})
    else:
        typer.echo(f"{found.prefix}… is revoked.")


def _expires_ms(office: Office, expires: str | None) -> int | None:
    lives_ms = parse_duration(expires) if expires is not None else None
    return None if lives_ms is None else office.now_ms + lives_ms


def _tell(issued: Issued, as_json: bool) -> None:
    if as_json:
        key = issued.key
        content = {"key": issued.secret, "prefix": key.prefix, "id": key.id, "expires": views.moment(key.expires_ms)}
        emit(content | {"scopes": sorted(key.scopes)})
        return
    typer.echo(f"Key:    {issued.secret}")
    typer.echo(f"Prefix: {issued.key.prefix}")
    typer.echo("Keep it now: it is stored hashed and cannot be shown again.", err=True)
