"""A span for each finished request, where somebody collects them. Not here: counters and lines (`observe.py`).

Names are those of OpenTelemetry's semantic conventions for HTTP servers and, where they fit, for generative AI. No input,
no key, no account is in a span. Nothing of OpenTelemetry is imported unless it is asked for.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from tradewind import __version__

_EXPORTER = "OTEL_TRACES_EXPORTER"
_OTLP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_LAST_S = 3.0
_OPERATIONS = {
    "/v1/chat/completions": "chat", "/v1/responses": "chat", "/v1/completions": "text_completion", "/v1/embeddings": "embeddings",
}  # fmt: skip


class Tracing:
    """Over a TracerProvider of OpenTelemetry's SDK. `own`: nobody else ends it."""

    def __init__(self, provider: Any, *, own: bool = False) -> None:
        api = import_module("opentelemetry.trace")
        self._provider, self._own = provider, own
        self._tracer = provider.get_tracer("tradewind", __version__)
        self._kind = api.SpanKind.SERVER
        self._error = api.Status(api.StatusCode.ERROR)
        self._context = import_module("opentelemetry.trace.propagation.tracecontext").TraceContextTextMapPropagator()

    def record(
        self, end_ms: int, route: str, product: str, status: int, seconds: float, *, rows: int, request_id: str, release: str,
        tokens: tuple[int, int] | None = None, traceparent: str | None = None,
    ) -> None:  # fmt: skip
        """A span made after the fact: one object a request, and none of it lies on the way of the reply.

        It continues the trace that `traceparent` names (W3C Trace Context); one that is malformed begins a new trace.
        """
        end_ns = end_ms * 1_000_000
        attributes: dict[str, Any] = {
            "http.route": route,
            "http.response.status_code": status,
            "tradewind.request_id": request_id,
        }
        operation = _OPERATIONS.get(route, "predict")
        if product:
            attributes |= {
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": "tradewind",
                "gen_ai.request.model": product,
                "gen_ai.response.model": f"{product}@{release}" if release else product,
                "tradewind.rows": rows,
            }
        if tokens is not None:
            attributes |= {"gen_ai.usage.input_tokens": tokens[0], "gen_ai.usage.output_tokens": tokens[1]}
        name = f"{operation} {product}" if product else route
        start_ns = end_ns - int(seconds * 1e9)
        parent = self._context.extract({"traceparent": traceparent}) if traceparent else None
        span = self._tracer.start_span(name, parent, kind=self._kind, start_time=start_ns, attributes=attributes)
        if status >= 500:
            span.set_status(self._error)
        span.end(end_time=end_ns)

    def stop(self) -> None:
        """Sends what still waits. A collector that does not answer holds nobody up for longer than three seconds."""
        end = self._provider.shutdown if self._own else self._provider.force_flush
        last = threading.Thread(target=end, name="traces", daemon=True)
        last.start()
        last.join(_LAST_S)


def configured(environment: Mapping[str, str], log: Callable[[Mapping[str, Any]], None]) -> Tracing | None:
    """Where a provider was set in this process, or OTEL_TRACES_EXPORTER names `otlp` or `console`; None otherwise.

    Where to send, how many to sample and the rest say OpenTelemetry's own variables. What cannot be used is told to `log`
    and stops nobody.
    """
    loaded = sys.modules.get("opentelemetry.sdk.trace")
    if loaded is not None:
        present = import_module("opentelemetry.trace").get_tracer_provider()
        if isinstance(present, loaded.TracerProvider):
            return Tracing(present)
    name = environment.get(_EXPORTER, "").strip() or "none"
    if name == "none":
        return None
    if name not in ("otlp", "console"):
        log({"event": "no_traces", "reason": f"{_EXPORTER} is {name!r:.40}; known are otlp, console and none."})
        return None
    try:
        return Tracing(_provider(environment, name), own=True)
    except ImportError as error:
        reason = f"{_EXPORTER}={name} needs the package {error.name}. Install it: pip install 'tradewind[trace]'."
        log({"event": "no_traces", "reason": reason})
        return None


def _provider(environment: Mapping[str, str], exporter: str) -> Any:
    sdk = import_module("opentelemetry.sdk.trace")
    processors = import_module("opentelemetry.sdk.trace.export")
    resources = import_module("opentelemetry.sdk.resources")
    named = "OTEL_SERVICE_NAME" in environment or "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    about = {"service.version": __version__} | ({} if named else {"service.name": "tradewind"})
    provider = sdk.TracerProvider(resource=resources.Resource.create(about), shutdown_on_exit=False)
    sender = (
        processors.ConsoleSpanExporter(out=sys.stderr)
        if exporter == "console"
        else import_module(_OTLP).OTLPSpanExporter()
    )
    provider.add_span_processor(processors.BatchSpanProcessor(sender))
    return provider
