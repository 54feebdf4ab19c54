"""What accounts do with their webhook endpoints, apart from HTTP: made, changed, tried out, replayed, deleted.

Used by `gateway.ingress.webhooks` and by `caudal webhooks`. Who delivers is `dlr.webhooks`, which reads the same
tables; a test is the one POST that is made here.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from gateway.domain.ids import format_id, uuid7_time_ms
from gateway.domain.instants import rfc3339
from gateway.domain.notices import ANY_TYPE, TEST_TYPE, TYPES, event_json
from gateway.ports.clock import Clock
from gateway.ports.webhook_store import (
    BY_ACCOUNT,
    DELIVERED,
    EXHAUSTED,
    Attempt,
    Endpoint,
    EndpointSettings,
    LiveEndpoint,
    Replayed,
    ReplayFilter,
    WebhookStore,
)

MAX_BATCH: Final = 100
MAX_IN_FLIGHT: Final = 100
MAX_DESCRIPTION: Final = 200
MAX_REPLAY: Final = 10_000
DEFAULT_REPLAY: Final = 1_000
MAX_OVERLAP_S: Final = 7 * 86_400
DEFAULT_OVERLAP_S: Final = 86_400
REPLAYABLE: Final = (EXHAUSTED, DELIVERED)


class WishError(ValueError):
    """A value that an endpoint cannot have. `field` names it."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


class NotLiveError(Exception):
    """The endpoint is disabled, so nothing is sent to it."""


class Probe(NamedTuple):
    """How one POST ended. `status_code` None: no answer; `error` is "" for a 2xx."""

    status_code: int | None
    duration_ms: int
    error: str


class Prober(Protocol):
    """Sends one signed event to one endpoint now, as delivery would; `gateway.runtime.wiring` brings it."""

    async def live(self, endpoint_id: str) -> LiveEndpoint | None:
        """Return the endpoint with its secrets, None when it is disabled."""

    async def post(self, live: LiveEndpoint, *, event_id: UUID, body: bytes) -> Probe:
        """Post the body and note the attempt; never raises for what the endpoint does."""


class Wish(NamedTuple):
    """What an account wants of an endpoint; None leaves a setting as it is."""

    url: str | None = None
    types: Sequence[str] | None = None
    description: str | None = None
    batch_max: int | None = None
    max_in_flight: int | None = None


class TestOutcome(NamedTuple):
    """What came of a test event."""

    event_id: UUID
    probe: Probe


class WebhookDesk:
    """One per process. `check_url` raises ValueError for a URL that webhooks never go to, naming what is wrong."""

    def __init__(
        self,
        store: WebhookStore,
        *,
        check_url: Callable[[str], Awaitable[object]],
        prober: Prober,
        clock: Clock,
        new_id: Callable[[int], UUID],
        new_secret: Callable[[], str],
    ) -> None:
        self.store = store
        self._check_url = check_url
        self._prober = prober
        self._clock = clock
        self._new_id = new_id
        self._new_secret = new_secret

    async def create(self, account_id: str, wish: Wish) -> tuple[Endpoint, str]:
        """Make an endpoint; return it with its secret, which is shown this once. WishError, EndpointLimitError."""
        if not wish.url:
            raise WishError("url", "url is missing")
        settings = await self._settings(EndpointSettings(wish.url), wish)
        now_ms = self._clock.now_ms()
        secret = self._new_secret()
        endpoint_id = format_id("whk", self._new_id(now_ms))
        endpoint = await self.store.create(account_id, endpoint_id, settings, secret=secret, now_ms=now_ms)
        return endpoint, secret

    async def change(self, account_id: str, endpoint_id: str, wish: Wish) -> Endpoint | None:
        """Change what the wish names; None for an unknown endpoint, WishError."""
        endpoint = await self.store.get(account_id, endpoint_id)
        if endpoint is None:
            return None
        settings = await self._settings(endpoint.settings, wish)
        return await self.store.update(account_id, endpoint_id, settings, now_ms=self._clock.now_ms())

    async def rotate_secret(
        self, account_id: str, endpoint_id: str, *, overlap_s: int = DEFAULT_OVERLAP_S
    ) -> tuple[Endpoint, str] | None:
        """Make a new secret; the one until now signs beside it for `overlap_s`. None for an unknown endpoint."""
        if not 0 <= overlap_s <= MAX_OVERLAP_S:
            raise WishError("overlap_s", f"overlap_s {overlap_s} is outside 0..{MAX_OVERLAP_S}")
        now_ms = self._clock.now_ms()
        secret = self._new_secret()
        endpoint = await self.store.rotate_secret(
            account_id, endpoint_id, secret=secret, old_until=now_ms + overlap_s * 1000, now_ms=now_ms
        )
        return None if endpoint is None else (endpoint, secret)

    async def disable(self, account_id: str, endpoint_id: str) -> Endpoint | None:
        """Send nothing more to it; None for an unknown endpoint."""
        return await self.store.disable(
            account_id, endpoint_id, reason=BY_ACCOUNT, now_ms=self._clock.now_ms()
        )

    async def enable(self, account_id: str, endpoint_id: str) -> Endpoint | None:
        """Send again; None for an unknown endpoint."""
        return await self.store.enable(account_id, endpoint_id, now_ms=self._clock.now_ms())

    async def test(self, account_id: str, endpoint_id: str) -> TestOutcome | None:
        """Send a signed event now; None for an unknown endpoint, NotLiveError for a disabled one."""
        if await self.store.get(account_id, endpoint_id) is None:
            return None
        live = await self._prober.live(endpoint_id)
        if live is None or live.endpoint.account_id != account_id:
            raise NotLiveError
        now_ms = self._clock.now_ms()
        event_id = self._new_id(now_ms)
        data = {"webhook_id": endpoint_id, "text": "A test of this endpoint."}
        body = msgspec.json.encode(event_json(event_id, TEST_TYPE, now_ms, data))
        return TestOutcome(event_id, await self._prober.post(live, event_id=event_id, body=body))

    async def replay(
        self, account_id: str, endpoint_id: str, which: ReplayFilter, *, limit: int = DEFAULT_REPLAY
    ) -> Replayed | None:
        """Send events again; None for an unknown endpoint, WishError."""
        if not 1 <= limit <= MAX_REPLAY:
            raise WishError("limit", f"limit {limit} is outside 1..{MAX_REPLAY}")
        if unknown := sorted(set(which.states) - set(REPLAYABLE)):
            raise WishError("status", f"status {unknown[0]!r} is not one of {', '.join(REPLAYABLE)}")
        _check_types(which.types)
        if which.until is not None and which.until <= which.since:
            raise WishError("until", "until is not after since")
        if await self.store.get(account_id, endpoint_id) is None:
            return None
        return await self.store.replay(
            account_id, endpoint_id, which, limit=limit, now_ms=self._clock.now_ms()
        )

    async def _settings(self, now: EndpointSettings, wish: Wish) -> EndpointSettings:
        changes: dict[str, Any] = {name: value for name, value in wish._asdict().items() if value is not None}
        if "types" in changes:
            changes["types"] = _check_types(changes["types"], may_be_empty=False)
        for name, limit in (("batch_max", MAX_BATCH), ("max_in_flight", MAX_IN_FLIGHT)):
            if name in changes and not 1 <= changes[name] <= limit:
                raise WishError(name, f"{name} {changes[name]} is outside 1..{limit}")
        description = changes.get("description", "")
        if len(description) > MAX_DESCRIPTION or "\x00" in description:
            raise WishError(
                "description", f"description is at most {MAX_DESCRIPTION} characters, without NUL"
            )
        if "url" in changes:
            try:
                await self._check_url(changes["url"])
            except ValueError as error:
                raise WishError("url", str(error)) from None
        return replace(now, **changes)


def event_filter(event_id: UUID) -> ReplayFilter:
    """Return the filter of one event, however it ended."""
    # Ids of events are as old as their message, so nothing about it is older.
    return ReplayFilter(since=uuid7_time_ms(event_id), states=REPLAYABLE, event_ids=(event_id,))


def endpoint_json(
    endpoint: Endpoint, *, waiting: int | None = None, secret: str | None = None
) -> dict[str, Any]:
    """Return an endpoint as API and command line show it; the secret only where it is given."""

    def time(time_ms: int | None) -> str | None:
        return None if time_ms is None else rfc3339(time_ms)

    settings = endpoint.settings
    shown: dict[str, Any] = {
        "id": endpoint.id,
        "url": settings.url,
        "types": list(settings.types),
        "description": settings.description,
        "batch_max": settings.batch_max,
        "max_in_flight": settings.max_in_flight,
        "status": "live" if endpoint.is_live else "disabled",
        "disabled_reason": endpoint.disabled_reason or None,
        "disabled_at": time(endpoint.disabled_at),
        "failing_since": time(endpoint.failing_since),
        "last_success_at": time(endpoint.last_success_at),
        "last_error": endpoint.last_error or None,
        "old_secret_until": time(endpoint.old_secret_until),
        "created_at": rfc3339(endpoint.created_at),
        "updated_at": rfc3339(endpoint.updated_at),
    }
    if waiting is not None:
        shown["waiting_events"] = waiting
    if secret is not None:
        shown["secret"] = secret
    return shown


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    """Return one attempt as API and command line show it."""
    is_message = attempt.type.startswith("message.")
    return {
        "at": rfc3339(attempt.at),
        "event_id": format_id("evt", attempt.event_id),
        "type": attempt.type,
        "message_id": format_id("msg", attempt.subject_id) if is_message else None,
        "attempt": attempt.attempt,
        "status": attempt.state,
        "status_code": attempt.status_code,
        "dur_ms": attempt.duration_ms,
        "error": attempt.error or None,
    }


def test_json(outcome: TestOutcome) -> dict[str, Any]:
    """Return what came of a test as API and command line show it."""
    probe = outcome.probe
    return {
        "event_id": format_id("evt", outcome.event_id),
        "type": TEST_TYPE,
        "is_ok": not probe.error,
        "status_code": probe.status_code,
        "dur_ms": probe.duration_ms,
        "error": probe.error or None,
    }


def replayed_json(replayed: Replayed) -> dict[str, Any]:
    """Return what a replay came to; `next_since` goes on where there is more."""
    return {
        "events": replayed.events,
        "is_complete": replayed.is_complete,
        "next_since": None if replayed.is_complete else rfc3339(replayed.next_since),
    }


def _check_types(types: Sequence[str], *, may_be_empty: bool = True) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(types))
    if not wanted and not may_be_empty:
        raise WishError("types", f"types is empty; give {ANY_TYPE} for all, or some of {', '.join(TYPES)}")
    for one in wanted:
        if one != ANY_TYPE and one not in TYPES:
            raise WishError("types", f"type {one[:64]!r} is not one of {ANY_TYPE}, {', '.join(TYPES)}")
    if ANY_TYPE in wanted and len(wanted) > 1:
        raise WishError("types", f"{ANY_TYPE} means every type: it stands alone")
    return wanted
