"""What a member of an account may do: roles, the scopes that a key of theirs can have, and who may change whom.
Not here: the members themselves (`accounts.py`).

A key that belongs to nobody is the account's own, as a service uses it: it may what an admin may.
"""

from __future__ import annotations

from tradewind.errors import InputError

_ALL = frozenset({"predict", "converse", "usage", "keys", "invoices"})

# The scopes that a member's key has at most, whatever it was made with.
SCOPES_OF: dict[str, frozenset[str]] = {
    "owner": _ALL,
    "admin": _ALL,
    "member": frozenset({"predict", "converse", "usage", "keys"}),
    "billing": frozenset({"usage", "invoices"}),
    "viewer": frozenset({"usage"}),
}
ROLES = tuple(SCOPES_OF)

_RANK = {"owner": 2, "admin": 1}
_ACCOUNTS_OWN = "admin"


def rank(role: str | None) -> int:
    """2 for an owner, 1 for an admin and for the account's own key (None), 0 for the rest."""
    return _RANK.get(_ACCOUNTS_OWN if role is None else role, 0)


def bounded(scopes: frozenset[str], role: str | None) -> frozenset[str]:
    """What is left of a key's scopes in the hands of a member."""
    return scopes if role is None else scopes & SCOPES_OF[role]


def require_over(role: str | None, *others: str | None) -> None:
    """Raises InputError `scope_missing` unless a caller of this role manages people and may change those of the others'."""
    if rank(role) < 1 or any(rank(other) > rank(role) for other in others):
        raise InputError(
            f"A key of {'the account' if role is None else f'the role {role}'} may not do this.",
            code="scope_missing",
            hint="Ask an owner of the account, or the operator.",
        )
