"""`GET /privacy`: the privacy notice of what is served, as a page; `/privacy/PRODUCT` of each. No key is asked for.
Not here: what it says (`privacy/notice.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from tradewind.errors import InputError
from tradewind.privacy.notice import LANGUAGES, Language, Notice, render


def router(notices: Sequence[Notice]) -> APIRouter:
    """`lang=en` or `lang=zh` chooses the language, else `accept-language`. The first notice is that of `/privacy`."""
    routes = APIRouter(tags=["privacy"])
    pages = {(one.product, language): render(one, language) for one in notices for language in LANGUAGES}

    def page(request: Request, product: str) -> HTMLResponse:
        language = _language(request)
        found = pages.get((product, language))
        if found is None:
            raise InputError(f"There is no product {product[:80]} here.", code="model_unknown", where="product")
        return HTMLResponse(found, headers={"content-language": language, "vary": "accept-language"})

    @routes.get("/privacy", response_class=HTMLResponse, summary="The privacy notice")
    def first(request: Request) -> HTMLResponse:
        return page(request, notices[0].product)

    @routes.get("/privacy/{product}", response_class=HTMLResponse, summary="The privacy notice of one product")
    def of_product(request: Request, product: str) -> HTMLResponse:
        return page(request, product)

    return routes


def _language(request: Request) -> Language:
    """The one that was asked for; English where nothing was."""
    wanted = request.query_params.get("lang") or request.headers.get("accept-language", "")
    for part in wanted.lower().replace(";", ",").split(","):
        for language in LANGUAGES:
            if part.strip().startswith(language):
                return language
    return "en"
