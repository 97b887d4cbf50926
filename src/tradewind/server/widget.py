"""`/widget.js`, the chat window for somebody's page, `/widget`, a page to try it, and `/handoff`, the page of the people who take
over. Not here: the window itself (`widget.js`), what they ask (`conversations.py`, `handoffs.py`).
"""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

router = APIRouter(tags=["conversations"])

_SCRIPT = files("tradewind.server").joinpath("widget.js").read_bytes()
_PAGE, _PEOPLE = (
    files("tradewind.server").joinpath(name).read_text(encoding="utf-8") for name in ("widget.html", "handoff.html")
)
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/widget.js", include_in_schema=False)
def script() -> Response:
    """Any page may load the script: it holds nothing. What it may ask is decided by its key and the page's origin."""
    headers = {
        "cache-control": "public, max-age=300", "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "cross-origin",
    }  # fmt: skip
    return Response(_SCRIPT, media_type="text/javascript; charset=utf-8", headers=headers)


@router.get("/widget", include_in_schema=False)
def page() -> HTMLResponse:
    return _shown(_PAGE)


@router.get("/handoff", include_in_schema=False)
def people() -> HTMLResponse:
    """Anybody may load it: what it shows, it asks with the key that is typed in."""
    return _shown(_PEOPLE)


def _shown(content: str) -> HTMLResponse:
    headers = {
        "content-security-policy": _PAGE_POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
    }  # fmt: skip
    return HTMLResponse(content, headers=headers)
