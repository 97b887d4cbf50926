"""What a product must say of its purpose before it is built to be released: of a medical one, for whom it is and for whom not.

Not here: where it is shown (`release/transparency/`, the API's documentation).
"""

from __future__ import annotations

from tradewind.errors import GateFailed
from tradewind.product import Product
from tradewind.product_file import FILE_NAME

_ASKED = {
    "intended_use": "which finding, in which pictures, of which patients, for which staff",
    "excluded_use": "what it must not be used for: other ages, other devices, a diagnosis without a doctor",
    "oversight": "who looks at its answers, and how they overrule one",
}


def refuse_unstated(product: Product) -> None:
    """Raises GateFailed that names every text a medical product lacks. Verbs that release ask it before any work."""
    if product.domain != "medical":
        return
    missing = [name for name in _ASKED if not (getattr(product.release, name) or "").strip()]
    if missing:
        wanted = "; ".join(f"{name}: {_ASKED[name]}" for name in missing)
        raise GateFailed(
            f"A medical product is not released without {', '.join(missing)}.", code="purpose_unstated",
            where=f"{FILE_NAME}: release", hint=f"Write below release: {wanted}.",
        )  # fmt: skip
