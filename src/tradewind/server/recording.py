"""Hands answered requests to the sealed record, beside the way of the reply. Not the record itself (`business/requests.py`).

What is kept, how long, and whether the account must have agreed, says the product file (`serve.store`); a product that
keeps nothing costs nothing here. The record is no ground for a bill: when its thread cannot keep up, or the database is
away, entries are dropped and counted.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tradewind.business import consent, requests
from tradewind.business.database import Database
from tradewind.business.requests import RequestRecord, put
from tradewind.clock import milliseconds
from tradewind.errors import TradewindError
from tradewind.privacy.retention import Retention
from tradewind.privacy.vault import Vault
from tradewind.server.ticker import Ticker

_MOST = 10_000
_BATCH = 200
_WRITE_S = 0.5
_SWEEP_S = 60.0


class Recorder:
    """`note` is called in the event loop and only remembers; a thread seals and stores (`start`, `stop`).

    Every `sweep_s` seconds another ends what is due. `retentions` is by product. `log` gets one mapping where records were
    lost, or could not be ended.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        *,
        retentions: Mapping[str, Retention],
        sweep_s: float = _SWEEP_S,
        log: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._database = database
        self._vault = vault
        self._retentions = {product: retention for product, retention in retentions.items() if retention}
        self._log = log or (lambda event: None)
        self._waiting: deque[RequestRecord] = deque()
        self._ticker = Ticker("record", self.store, every_s=_WRITE_S)
        self._sweeper = Ticker("sweep", self.sweep, every_s=sweep_s)
        self.dropped = 0

    def wants(self, product: str) -> bool:
        return product in self._retentions

    def note(
        self,
        request_id: str,
        account_id: str,
        product: str,
        *,
        release: str,
        inputs: Any,
        outputs: Any,
        subjects: Sequence[str] = (),
    ) -> None:
        """Remembers an answered request of a product that `wants` it, with keyed hashes of whom it is about. `inputs` and `outputs` must not change any more."""
        if len(self._waiting) >= _MOST:
            self.dropped += 1
            return
        at_ms = milliseconds(self._database.clock)
        self._waiting.append(
            RequestRecord(request_id, account_id, product, release, at_ms, inputs, outputs, tuple(subjects))
        )

    def start(self) -> None:
        self._ticker.start()
        self._sweeper.start()

    def stop(self) -> None:
        """Stores what still waits and ends the thread."""
        self._sweeper.stop()
        self._ticker.stop()
        self.store()

    def store(self) -> None:
        """Seals and stores what waits, a product at a time."""
        while self._waiting:
            batch = [_written(self._waiting.popleft()) for _ in range(min(_BATCH, len(self._waiting)))]
            for product in dict.fromkeys(record.product for record in batch):
                mine = [record for record in batch if record.product == product]
                retention = self._retentions[product]
                try:
                    mine = self._agreed(mine, retention)
                    put(self._database, self._vault, records=mine, retention=retention)
                except Exception as error:  # noqa: BLE001  the edge of the thread: the next records have their chance
                    self.dropped += len(mine)
                    code = error.code if isinstance(error, TradewindError) else type(error).__name__
                    self._log({"event": "records_lost", "product": product, "count": len(mine), "code": code})

    def sweep(self) -> None:
        """Ends what is due. What fails is done in the next round."""
        try:
            requests.sweep_all(self._database)
        except Exception as error:  # noqa: BLE001  the edge of the thread
            code = error.code if isinstance(error, TradewindError) else type(error).__name__
            self._log({"event": "records_not_swept", "code": code})

    def _agreed(self, records: list[RequestRecord], retention: Retention) -> list[RequestRecord]:
        """Those whose account lets them be kept, asked at the moment of storing: a withdrawal counts from when it is
        recorded."""
        if retention.consent == "not_needed":
            return records
        said = consent.answers(self._database, {one.account_id for one in records}, purpose=consent.STORE)
        return [one for one in records if retention.allowed(said[one.account_id])]


def _written(record: RequestRecord) -> RequestRecord:
    """With base64 for the bytes of pictures, which JSON cannot hold."""
    rows = [
        {name: b64encode(value).decode() if isinstance(value, bytes) else value for name, value in row.items()}
        for row in record.inputs
    ]
    return replace(record, inputs=rows)
