"""What payment providers report by themselves: `POST /v1/payments/{provider}/webhook`. Not here: charging (`business/payments.py`).

Nobody signs in: the provider's signature over the body is the proof. What was heard is taken in any order, any number of times.
"""

from __future__ import annotations

import os
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from tradewind.business import payments, providers
from tradewind.errors import InputError
from tradewind.server.callers import House, Id, TheHouse

router = APIRouter(prefix="/v1", tags=["payments"])


@router.post("/payments/{provider}/webhook", summary="For the payment provider: what became of a payment")
async def hear(provider: Id, request: Request, house: TheHouse) -> dict[str, Any]:
    """`known` says whether the event was about a payment of ours. 400 for a signature that is wrong, 404 for a provider
    that reports nothing."""
    body = await request.body()
    headers = {name.lower(): value for name, value in request.headers.items()}
    return await run_in_threadpool(_take_in, provider, body, headers, house)


def _take_in(provider: str, body: bytes, headers: dict[str, str], house: House) -> dict[str, Any]:
    try:
        answer = providers.heard(provider, body, headers, environment=os.environ, clock=house.database.clock)
    except InputError as error:
        if error.code != "input.plugin_unknown":
            raise
        raise InputError(f"No provider called {provider} reports payments.", code="route_unknown") from None
    if answer is None:
        return {"received": True, "known": False}
    payment = payments.record(house.database, provider, answer, actor=f"webhook:{provider}")
    return {"received": True, "known": payment is not None}
