"""`tradewind key`: the API keys of customers and of the operator, the key pair that signs releases, and the keys that seal
what is stored of requests.

Not here: how a key is checked (`business/keys.py`), what a signature covers (`release/signing.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tradewind.artifacts import Workspace
from tradewind.business import accounts, conversation_keeping, customer_texts, fleet, keys, requests, reviews, views
from tradewind.business.keys import SCOPES, Issued
from tradewind.cli.office import OPERATOR, Actions, Office, show
from tradewind.cli.office import actions as new_actions
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.errors import InputError
from tradewind.privacy.retention import parse_duration
from tradewind.privacy.vault import KeyFacts, Vault
from tradewind.release.signing import fingerprint, make_key_pair

CUSTOMER_SCOPES = tuple(scope for scope in SCOPES if scope != keys.OPERATOR)


class _Kinds(Actions):
    sentence = "There is no key of kind {word}, nor such an action."


actions = new_actions(
    "API keys of customers and of the operator; the keys that sign releases and seal stored requests.", kind=_Kinds
)

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its id or its exact name.")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Its id or its prefix, as `key list` shows them.")]
NameOption = Annotated[str, typer.Option("--name", help="What the key is for.")]
ScopeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        help=f"What it may do: {', '.join(CUSTOMER_SCOPES)}. All by default; converse alone for a key that stands on a page.",
        show_default=False,
    ),
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
    member: Annotated[
        str | None,
        typer.Option(
            "--member", help="Whose it is, by id or address: it may do no more than their role.", show_default=False
        ),
    ] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Make an API key for a customer. The secret is shown once and stored nowhere."""
    with Office.open(directory) as office:
        found = office.account(account)
        issued = keys.issue(
            office.database,
            found.id,
            member_id=accounts.find_member(office.database, found.id, member).id if member is not None else None,
            name=name,
            scopes=scope or keys.USUAL,
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


@actions.command("vault")
def show_vault(directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """List the keys that seal what is stored of requests; never the keys themselves."""
    vault, _ = _vault(directory)
    found = vault.all_keys() if vault is not None else ()
    if as_json:
        emit({"keys": [_facts(one) for one in found]})
        return
    rows = [
        (one.key_id, "seals" if one.newest else "opens", "–" if one.promised is None else one.promised) for one in found
    ]
    show("Vault keys", ("key", "state", "seals promised"), rows)


@actions.command("rotate-vault")
def rotate_vault(
    reseal: Annotated[bool, typer.Option("--reseal", help="Bring what is stored under the new key.")] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="After resealing, destroy the older keys: backups sealed by them close.")
    ] = False,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Make a new key that seals what is stored from now on; servers that run take it up by themselves."""
    vault, home = _vault(directory)
    if vault is None:
        raise InputError(
            "Nothing was ever sealed here: there is no vault.",
            code="vault_missing",
            where=str(home),
            hint="A server makes it where serve.store keeps something.",
        )
    new = vault.rotate()
    resealed, dropped = None, []
    if reseal or drop_old:
        with Office.open(directory) as office:
            resealed = _reseal(office, vault)
            if drop_old:
                # Whoever sealed with the older key in the moment of rotating has stored it by the second round.
                resealed += _reseal(office, vault)
    if drop_old:
        for one in vault.all_keys():
            if not one.newest:
                vault.drop(one.key_id)
                dropped.append(one.key_id)
    if as_json:
        emit({"key": new, "resealed": resealed, "dropped": dropped, "keys": [_facts(one) for one in vault.all_keys()]})
        return
    typer.echo(f"{new} seals from now on.")
    if resealed is not None:
        typer.echo(f"{resealed:,} stored requests, texts and messages were brought under it.")
    if dropped:
        typer.echo(f"Destroyed: {', '.join(dropped)}.")
    typer.echo(f"Back up {vault.folder}, apart from the database.", err=True)


def _vault(directory: Path) -> tuple[Vault | None, Path]:
    """The vault of a product's folder, None where none was made, and where it stands."""
    folder = Workspace.of(directory if directory.is_dir() else directory.parent).home / "vault"
    return (Vault.open(folder) if any(folder.glob("*.key")) else None), folder


def _reseal(office: Office, vault: Vault) -> int:
    """Brings every record, every text of a customer and every message under the newest key; gives how many were under an older one."""
    after: str | None = ""
    changed = (
        customer_texts.reseal(office.database, vault)
        + reviews.reseal(office.database, vault)
        + conversation_keeping.reseal_all(office.database, vault)
    )
    while after is not None:
        step = requests.reseal(office.database, vault, after=after)
        changed, after = changed + step.changed, step.after
    return changed


def _facts(one: KeyFacts) -> dict[str, object]:
    return {"key": one.key_id, "newest": one.newest, "promised": one.promised}


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
