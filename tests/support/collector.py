"""An OTLP/HTTP collector in the test's own loop: decodes what a gateway exports and keeps its spans."""

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """One span as it arrived, with what is said of the process that sent it."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[tuple[str, str], ...]
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    error: str
    resource: dict[str, Any]

    @property
    def role(self) -> str:
        return self.resource["caudal.role"]


class Collector:
    """Use `async with Collector() as collector`; `stop` and `start` let it be away."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self._news = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1/traces"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the port it had before."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/traces", self._export)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Be away."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def named(self, start: str, *, trace_id: str | None = None) -> list[Seen]:
        """Return the spans whose names begin so, of one trace or of all."""
        return [one for one in self.spans if one.name.startswith(start) and trace_id in (None, one.trace_id)]

    async def until(self, condition: Callable[[], Any], *, limit_s: float = 30.0) -> None:
        """Wait until the spans that arrived fulfil a condition."""
        try:
            async with asyncio.timeout(limit_s), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            names = sorted(one.name for one in self.spans)
            raise AssertionError(f"after {limit_s} s there are the spans {names}") from None

    async def _export(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if self.status == 200:
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
            self.bodies.append(body)
            async with self._news:
                self.spans += _decoded(body)
                self._news.notify_all()
        return web.Response(status=self.status, content_type="application/x-protobuf")


def _decoded(body: bytes) -> list[Seen]:
    found = []
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        of_process = _values(resource.resource.attributes)
        for scope in resource.scope_spans:
            found += [
                Seen(
                    span.name,
                    span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _values(span.attributes),
                    span.status.message if span.status.code == 2 else "",
                    of_process,
                )
                for span in scope.spans
            ]
    return found


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
