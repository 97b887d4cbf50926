"""BentoML, one worker: `bentoml serve with_bentoml:Twenty --host 127.0.0.1 --port PORT`."""

import bentoml


@bentoml.service(workers=1)
class Twenty:
    def __init__(self) -> None:
        from graph import answer  # in the worker process, which has a session of its own

        self.answer = answer

    @bentoml.api
    def predict(self, row: dict[str, float]) -> dict[str, list[float]]:
        return {"p": self.answer(row)}
