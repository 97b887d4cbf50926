"""LitServe, one worker, no batches: `python with_litserve.py PORT`."""

# No postponed annotations here: LitServe makes a route of the annotation of `decode_request`.
import sys
from typing import Any

import litserve


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        from graph import answer  # in the worker process, which has a session of its own

        self.answer = answer

    def decode_request(self, request: dict[str, float]) -> dict[str, float]:
        return request

    def predict(self, x: dict[str, float]) -> list[float]:
        return self.answer(x)

    def encode_response(self, output: list[float]) -> dict[str, Any]:
        return {"p": output}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
