"""Traces of one process: from `[tracing]` to what the parts of a role are given, None where traces are off."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from random import Random
from typing import Final

from prometheus_client import CollectorRegistry

from gateway.intake.tracing import IntakeTracing
from gateway.ports.clock import Clock
from gateway.runtime.admin import VERSION
from gateway.settings import Settings, SettingsError
from gateway.telemetry.sampling import Sampler
from gateway.telemetry.spans import SpanMetrics, Spans

_PACKAGES: Final = {
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
}


def check_tracing(settings: Settings) -> None:
    """Raise SettingsError where traces are wanted and cannot be had: a package or the headers are missing."""
    if not settings.tracing.enabled:
        return
    missing = [name for module, name in _PACKAGES.items() if not _is_there(module)]
    if missing:
        raise SettingsError(
            f"tracing.enabled is true and {' and '.join(missing)} is not installed: "
            "install caudal with its extra `tracing`, or switch traces off"
        )
    settings.tracing.resolved_headers()


@asynccontextmanager
async def open_spans(
    settings: Settings, registry: CollectorRegistry, *, role: str, owner: str
) -> AsyncIterator[Spans | None]:
    """Yield where this process puts its spans, None where traces are off; at the end send what waits."""
    metrics = SpanMetrics(registry)
    tracing = settings.tracing
    if not tracing.enabled:
        yield None
        return
    check_tracing(settings)
    # Only now: it takes a tenth of a second and 11 MB.
    from gateway.telemetry.otlp import otlp_export

    export = otlp_export(
        tracing.endpoint,
        headers=tracing.resolved_headers(),
        timeout_s=tracing.timeout_s,
        version=VERSION,
        resource={
            "service.name": tracing.service_name,
            "service.version": VERSION,
            "service.instance.id": owner,
            "caudal.role": role,
        },
    )
    spans = Spans(export, metrics=metrics, queue_spans=tracing.queue_spans)
    spans.start()
    try:
        yield spans
    finally:
        await asyncio.to_thread(spans.close, deadline_s=tracing.shutdown_s)


def intake_tracing(settings: Settings, spans: Spans | None, *, clock: Clock) -> IntakeTracing | None:
    """Return what begins traces in the role `api`."""
    if spans is None:
        return None
    random = Random(secrets.randbits(256))
    sampler = Sampler(settings.tracing.sample_ratio, max_per_s=settings.tracing.max_per_s, random=random)
    return IntakeTracing(spans, sampler=sampler, clock=clock, random=random)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is missing
        return False
