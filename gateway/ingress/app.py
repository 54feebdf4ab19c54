"""The API application: hot endpoints as plain routes, the rest ordinary FastAPI, one document for all (D15).

Built by `gateway.runtime.wiring` from a `Deps`; its lifespan runs the intake's background tasks.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from gateway.ingress.auth import Gate
from gateway.ingress.callbacks import CALLBACK_METHODS, CALLBACK_PREFIX, CALLBACK_ROUTE, Callbacks
from gateway.ingress.carriers import CarrierDesk
from gateway.ingress.cursors import Cursors
from gateway.ingress.desk import Desk
from gateway.ingress.exchange import REQUEST_ID, Envelope, HttpMetrics
from gateway.ingress.fast import FastPath
from gateway.ingress.hot import RETRY_AFTER, UNAVAILABLE, HotEndpoint
from gateway.ingress.inbound import InboundReads
from gateway.ingress.media import Media
from gateway.ingress.messages import Reads
from gateway.ingress.openapi import openapi_builder
from gateway.ingress.optouts import OptOuts
from gateway.ingress.problems import CATALOGUE, ProblemError, problem_body
from gateway.ingress.receipts import OrphanReads
from gateway.ingress.reports import Reports
from gateway.ingress.routes import Routes
from gateway.ingress.webhook_desk import WebhookDesk
from gateway.ingress.webhooks import Webhooks
from gateway.intake.entry import BATCH_ROUTE, MESSAGES_ROUTE, Intake
from gateway.intake.metrics import IntakeMetrics
from gateway.intake.tracing import IntakeTracing
from gateway.policy.routing import RouteTable
from gateway.ports.clock import Clock
from gateway.ports.consent_store import ConsentStore
from gateway.ports.inbound_store import InboundViews
from gateway.ports.ingress_store import MessageViews, OrphanViews
from gateway.ports.intake_store import Authenticator, StoreUnavailableError
from gateway.ports.media_store import MediaStore
from gateway.ports.report_store import ReportViews

VALIDATE_ROUTE = "/v1/messages:validate"
_CODE_OF_STATUS = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


@dataclass(frozen=True, slots=True)
class Deps:
    """What the API needs. `cursor_secret` is the same in all processes; `not_ready` names what is missing, and why."""

    intake: Intake
    intake_metrics: IntakeMetrics
    authenticator: Authenticator
    views: MessageViews
    clock: Clock
    registry: CollectorRegistry
    cursor_secret: bytes
    not_ready: Callable[[], dict[str, str]] = dict
    max_body_octets: int = 10 * 1024 * 1024
    version: str = "0.1.0"
    desk: Desk | None = None
    routes: Callable[[], RouteTable] | None = None
    inbound: InboundViews | None = None
    webhooks: WebhookDesk | None = None
    orphans: OrphanViews | None = None
    consents: ConsentStore | None = None
    callbacks: Callbacks | None = None
    media: MediaStore | None = None
    max_media_octets: int = 1024 * 1024 * 1024
    reports: ReportViews | None = None
    new_id: Callable[[int], UUID] | None = None
    tracing: IntakeTracing | None = None


class Api(FastAPI):
    """FastAPI, with its hot POST endpoints reached before the router and five layers of middleware.

    They are ordinary routes as well, so 405 answers and mounting work; going straight saves a third of the cost of a
    single message. `fast` are those that a server may ask, by raw path, before it makes an ASGI scope.
    """

    hot: dict[str, Envelope]
    fast: dict[bytes, FastPath]
    callbacks: Envelope | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            path: str = scope["path"]
            endpoint = self.hot.get(path)
            if endpoint is None and path.startswith(CALLBACK_PREFIX):
                endpoint = self.callbacks
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def build_app(deps: Deps) -> Api:
    """Return the ASGI application; uvicorn's lifespan starts and stops the group commit with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(deps.intake.running())
            if deps.callbacks is not None:
                await stack.enter_async_context(deps.callbacks.running())
            yield

    app = Api(
        title="Caudal",
        version=deps.version,
        description="Messages in, carriers out: durable on acceptance, every change of state readable.",
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
        },  # metrics are ours; asking costs 5 us a request
    )
    metrics = HttpMetrics(deps.registry)
    gate = Gate(
        deps.authenticator, clock=deps.clock, on_denied=lambda: deps.intake_metrics.rejected(["auth"])
    )
    handlers = (
        (MESSAGES_ROUTE, deps.intake.accept),
        (BATCH_ROUTE, deps.intake.accept_batch),
        (VALIDATE_ROUTE, deps.intake.validate),
    )
    app.hot = {}
    for path, handle in handlers:
        endpoint = HotEndpoint(path, handle, gate=gate, max_body_octets=deps.max_body_octets)
        app.router.routes.append(Route(path, endpoint, methods=["POST"], include_in_schema=False))
        tracing = deps.tracing if path != VALIDATE_ROUTE else None
        app.hot[path] = Envelope(endpoint, metrics=metrics, route=path, tracing=tracing)
        metrics.touch(path, "POST", (200, 202, 422, 429, 500, 503))
    app.fast = {}
    if deps.tracing is None:  # what is traced goes the way that has a scope
        app.fast[MESSAGES_ROUTE.encode()] = FastPath(
            MESSAGES_ROUTE,
            deps.intake.single().begin,
            gate=gate,
            metrics=metrics,
            max_body_octets=deps.max_body_octets,
        )
    if deps.callbacks is not None:
        _add_callbacks(app, deps.callbacks, metrics)
    _add_resources(app, deps, gate)
    _add_health(app, deps.not_ready)
    _answer_errors_as_problems(app)
    app.add_middleware(Envelope, metrics=metrics)
    app.openapi = openapi_builder(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def _add_resources(app: Api, deps: Deps, gate: Gate) -> None:
    cursors = Cursors(deps.cursor_secret)
    reads = Reads(deps.views, gate=gate, cursors=cursors, clock=deps.clock)
    reads.register(app)
    if deps.desk is not None:
        CarrierDesk(deps.desk, gate=gate, cursors=cursors, clock=deps.clock).register(app)
    if deps.inbound is not None:
        InboundReads(deps.inbound, gate=gate, cursors=cursors).register(app)
    if deps.webhooks is not None:
        Webhooks(deps.webhooks, gate=gate, cursors=cursors).register(app)
    if deps.consents is not None:
        OptOuts(deps.consents, gate=gate, cursors=cursors, clock=deps.clock).register(app)
    if deps.orphans is not None:
        OrphanReads(deps.orphans, gate=gate, cursors=cursors).register(app)
    if deps.media is not None and deps.new_id is not None:
        Media(
            deps.media, gate=gate, clock=deps.clock, new_id=deps.new_id, max_octets=deps.max_media_octets
        ).register(app)
    if deps.reports is not None:
        Reports(deps.reports, gate=gate, cursors=cursors, clock=deps.clock).register(app)
    if deps.routes is not None:
        Routes(deps.routes, gate=gate, desk=deps.desk).register(app)


def _add_callbacks(app: Api, callbacks: Callbacks, metrics: HttpMetrics) -> None:
    methods = list(CALLBACK_METHODS)
    app.router.routes.append(Route(CALLBACK_ROUTE, callbacks, methods=methods, include_in_schema=False))
    app.callbacks = Envelope(callbacks, metrics=metrics, route=CALLBACK_ROUTE)
    metrics.touch(CALLBACK_ROUTE, "POST", (200, 400, 401, 503))


def _add_health(app: FastAPI, not_ready: Callable[[], dict[str, str]]) -> None:
    @app.get(
        "/healthz",
        tags=["health"],
        summary="The process answers",
        responses={200: {"content": {"application/json": {"example": {"status": "ok"}}}}},
    )
    async def healthz() -> Response:
        return _json({"status": "ok"})

    @app.get(
        "/readyz",
        tags=["health"],
        summary="The process can accept messages",
        responses={
            200: {"content": {"application/json": {"example": {"status": "ready", "reasons": {}}}}},
            503: {"description": "Not ready; `reasons` says why."},
        },
    )
    async def readyz() -> Response:
        reasons = not_ready()
        return _json(
            {"status": "not ready" if reasons else "ready", "reasons": reasons},
            status=503 if reasons else 200,
        )


def _json(document: dict[str, Any], *, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status_code=status, media_type="application/json")


def _problem(request: Request, error: ProblemError) -> Response:
    body = problem_body(
        error.code,
        detail=error.detail,
        instance=request.url.path,
        request_id=request.scope[REQUEST_ID],
        errors=error.errors,
    )
    response = Response(body, status_code=CATALOGUE[error.code].status, media_type="application/problem+json")
    response.raw_headers.extend(error.headers)
    return response


def _answer_errors_as_problems(app: FastAPI) -> None:
    """Replace every error answer of the framework by ours (http-api section 2)."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return _problem(request, error)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _CODE_OF_STATUS.get(error.status_code, "internal_error")
        if code == "method_not_allowed":
            allowed = ", ".join(_allowed_methods(request, app.routes))
            detail = f"{request.method} is not allowed here; allowed: {allowed}"
            return _problem(request, ProblemError(code, detail, headers=[(b"allow", allowed.encode())]))
        detail = "there is nothing at this path" if code == "not_found" else str(error.detail)
        return _problem(request, ProblemError(code, detail))

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = [
            {"parameter": str(one["loc"][-1])[:64], "detail": str(one["msg"]), "code": "invalid_parameter"}
            for one in error.errors()[:20]
        ]
        detail = f"{errors[0]['parameter']}: {errors[0]['detail']}"
        return _problem(request, ProblemError("validation_failed", detail, errors=errors))

    async def on_unavailable(request: Request, _: Exception) -> Response:
        return _problem(request, ProblemError("unavailable", UNAVAILABLE, headers=[RETRY_AFTER]))

    app.add_exception_handler(ProblemError, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(StoreUnavailableError, on_unavailable)
    app.add_exception_handler(TimeoutError, on_unavailable)


def _allowed_methods(request: Request, routes: list[BaseRoute]) -> list[str]:
    methods: set[str] = set()
    for route in routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)
