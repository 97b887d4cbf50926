"""A language model of somebody else, behind OpenAI's API: asked because the product file names it, within a time, once.
Not here: what it is asked (`writing.py`), nor what follows when it does not answer (`talk.py`).

Its key comes from the environment and goes into one header; neither the key nor what is sent stands in any log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import httpx

from tradewind.errors import EnvironmentFailure
from tradewind.product.conversation import Outside
from tradewind.server.desk import Work
from tradewind.server.dialogue.writing import Prompt

_MOST_BYTES = 1 << 20


class OutsideModel:
    """Asks a model for one answer. `environment` holds its key; `client` is for tests."""

    def __init__(
        self, settings: Outside, environment: Mapping[str, str], *, client: httpx.AsyncClient | None = None
    ) -> None:
        self._settings = settings
        self._client = client or httpx.AsyncClient(timeout=settings.seconds, trust_env=False, follow_redirects=False)
        self._headers: dict[str, str] = {}
        if settings.key_env is not None:
            key = environment.get(settings.key_env)
            if not key:
                raise EnvironmentFailure(
                    f"The environment variable {settings.key_env} is not set.", code="key_missing",
                    where="serve.conversation.answer.outside.key_env",
                    hint="Set it to the key of the outside model, or leave key_env out.",
                )  # fmt: skip
            self._headers["authorization"] = f"Bearer {key}"

    async def write(self, work: Work, prompts: Sequence[Prompt], *, max_tokens: int) -> str:
        """The answer to the first prompt: how much it takes is known to itself alone.

        Raises EnvironmentFailure `outside_model`, whose words name the host and nothing that was sent.
        """
        body = {
            "model": self._settings.model, "messages": list(prompts[0].messages), "max_tokens": max_tokens, "temperature": 0,
        }  # fmt: skip
        try:
            async with self._client.stream(
                "POST", f"{self._settings.url.rstrip('/')}/chat/completions", json=body, headers=self._headers
            ) as reply:
                data = b""
                async for part in reply.aiter_bytes():
                    data += part
                    if len(data) > _MOST_BYTES:
                        raise self._failed("its answer is too long")
            if reply.status_code != 200:
                raise self._failed(f"status {reply.status_code}")
            text = httpx.Response(200, content=data).json()["choices"][0]["message"]["content"]
        except httpx.HTTPError as error:
            raise self._failed(type(error).__name__) from None
        except (ValueError, KeyError, IndexError, TypeError):
            raise self._failed("its answer has another shape") from None
        if not isinstance(text, str):
            raise self._failed("its answer has no text")
        return text

    async def close(self) -> None:
        await self._client.aclose()

    def _failed(self, why: str) -> EnvironmentFailure:
        return EnvironmentFailure(f"The model at {self._settings.host} did not answer: {why}.", code="outside_model")
