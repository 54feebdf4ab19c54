"""Who is told of what: the live endpoints of all accounts, kept in memory and looked up for every event.

One per process of the role `back`: the recorder asks it which accounts want notices, delivery where they go. A change
of an endpoint is notified and seen within milliseconds; without notifications within two seconds.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, Protocol

import structlog

from dlr.webhooks.payloads import Event
from dlr.webhooks.signing import SecretError, key_of
from gateway.domain.notices import ANY_TYPE, INBOUND_TYPE, MESSAGE_TYPE_BY_STATE, TEST_TYPE, TYPES
from gateway.ports.clock import Clock
from gateway.ports.webhook_store import CHANNEL, DeliveryStore, LiveEndpoint

_log = structlog.get_logger()

_LOOK_EVERY_S: Final = 2.0
_LOAD_EVERY_NS: Final = 30_000_000_000
"""The grace of an old secret ends without a change of version."""

_TOLD_BY_OTHERS: Final = frozenset((*MESSAGE_TYPE_BY_STATE.values(), INBOUND_TYPE, ANY_TYPE))
"""What the recorder and `gateway.inbound` make notices of; the other types are made here."""


class Notifications(Protocol):
    """Where wake-ups come from; `gateway.store.pool.Database` is one."""

    async def listen(self, channel: str, callback: Callable[[str], None]) -> None:
        """Call back with each payload, and with "" whenever some may have been missed."""


class Destination(NamedTuple):
    """A live endpoint as delivery needs it."""

    endpoint_id: str
    account_id: str
    url: str
    types: frozenset[str]
    batch_max: int
    max_in_flight: int
    keys: tuple[bytes, ...]

    def wants(self, event: Event) -> bool:
        """Tell whether this endpoint gets the event."""
        if event.endpoint_id is not None and event.endpoint_id != self.endpoint_id:
            return False
        return event.type in self.types or ANY_TYPE in self.types or event.type == TEST_TYPE

    def __repr__(self) -> str:
        """Leave the keys out."""
        return f"Destination({self.endpoint_id})"


class Directory:
    """See the module. `run` keeps it fresh; what is asked before the first load loads it."""

    def __init__(
        self, store: DeliveryStore, *, clock: Clock, notifications: Notifications | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._notifications = notifications
        self._version: int | None = None
        self._loaded_ns = 0
        self._by_account: dict[str, list[Destination]] = {}
        self._by_id: dict[str, Destination] = {}
        self._by_type: dict[tuple[str, str], list[Destination]] = {}
        self._subscriptions: dict[str, frozenset[str]] = {}
        self._loading = asyncio.Lock()
        self._woken = asyncio.Event()
        self._is_stopping = False
        self.disabled_count = 0
        """Endpoints disabled for what they answered, at the last load."""

    async def subscriptions(self) -> Mapping[str, AbstractSet[str]]:
        """Return the types of message events that are wanted, by account."""
        if self._version is None:
            await self.refresh()
        return self._subscriptions

    def destinations(self, event: Event) -> list[Destination]:
        """Return the endpoints that get an event."""
        if event.endpoint_id is not None:
            return [one for one in self._by_account.get(event.account_id, ()) if one.wants(event)]
        key = (event.account_id, event.type)
        found = self._by_type.get(key)
        if found is None:
            found = [one for one in self._by_account.get(event.account_id, ()) if one.wants(event)]
            if found and event.type in TYPES:  # two closed sets, so it does not grow
                self._by_type[key] = found
        return found

    def get(self, endpoint_id: str) -> Destination | None:
        """Return a live endpoint."""
        return self._by_id.get(endpoint_id)

    @property
    def ids(self) -> Sequence[str]:
        """The live endpoints."""
        return list(self._by_id)

    def others(self, account_id: str, event_type: str) -> bool:
        """Tell whether any endpoint of the account wants this type."""
        return any(
            event_type in one.types or ANY_TYPE in one.types for one in self._by_account.get(account_id, ())
        )

    async def refresh(self) -> bool:
        """Load the endpoints if they changed; True when they were loaded."""
        async with self._loading:
            version = await self._store.version()
            now_ns = self._clock.monotonic_ns()
            if version == self._version and now_ns < self._loaded_ns + _LOAD_EVERY_NS:
                return False
            live = await self._store.live(now_ms=self._clock.now_ms())
            self.disabled_count = await self._store.disabled_count()
            self._take(live)
            self._version = version
            self._loaded_ns = now_ns
            return True

    def wake(self, _payload: str = "") -> None:
        """Look at once."""
        self._woken.set()

    async def run(self) -> None:
        """Keep what is known fresh until `stop`."""
        if self._notifications is not None:
            await self._notifications.listen(CHANNEL, self.wake)
        while not self._is_stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 - the database may be away; what is known still holds
                _log.warning("webhooks.refresh_failed", error=type(error).__name__)
                await asyncio.sleep(0.2)

    def stop(self) -> None:
        """End `run`."""
        self._is_stopping = True
        self._woken.set()

    def _take(self, live: Sequence[LiveEndpoint]) -> None:
        by_account: dict[str, list[Destination]] = {}
        for endpoint, secrets in live:
            chosen = endpoint.settings
            try:
                keys = tuple(key_of(secret) for secret in secrets)
            except SecretError as error:
                _log.error("webhooks.bad_secret", webhook=endpoint.id, error=str(error))
                continue
            by_account.setdefault(endpoint.account_id, []).append(
                Destination(
                    endpoint.id,
                    endpoint.account_id,
                    chosen.url,
                    frozenset(chosen.types),
                    chosen.batch_max,
                    chosen.max_in_flight,
                    keys,
                )
            )
        self._by_account = by_account
        self._by_type = {}
        self._by_id = {one.endpoint_id: one for group in by_account.values() for one in group}
        wanted = {
            account_id: frozenset().union(*(one.types for one in group)) & _TOLD_BY_OTHERS
            for account_id, group in by_account.items()
        }
        self._subscriptions = {account_id: types for account_id, types in wanted.items() if types}
