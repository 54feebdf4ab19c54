"""What webhooks keep in the database: endpoints, events that wait, attempts that were made.

Implemented by `gateway.store.webhooks` (endpoints, what people read, replay) and `gateway.store.webhook_delivery` (what
`dlr.webhooks` writes). Times are integer milliseconds since the Unix epoch (UTC). The rules:

1. An endpoint of another account is invisible: the answer is the same as for one that does not exist.
2. `version` changes with every change of an endpoint, in the same transaction.
3. Secrets are given to who delivers (`live`) and to nobody else; they are in no list and no view.
4. An event waits at most once for an endpoint, whatever is written twice. Events of one subject are delivered in the
   order of `place`, their offset on the bus (0 for a replay: it goes first).
5. An event waits, or is over: `delivered` or `exhausted`. One that is exhausted keeps its body until the retention
   takes it, so that it can be replayed.
6. Lists have a `limit` of at most 1,000 and go on from the last `id` seen.
7. Events that an endpoint took at their first attempt may be kept several to a row (`PostRow`); lists, timelines and
   replays show each of them as an attempt of its own.
8. Every call has a deadline of its own and raises `TimeoutError` past it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import unpack
from typing import NamedTuple, Protocol
from uuid import UUID

from gateway.ports.bus import Transaction
from gateway.ports.record_store import DeadRow

POST_SLOT_MS = 4_000
"""All events of a `PostRow` are about messages of one such span (by the time in their ids); a day is a number of them."""

MAX_ENDPOINTS = 20
"""Most endpoints of one account."""

CHANNEL = "caudal_webhooks"
"""Notified when an endpoint changed, so that who delivers looks at once."""

GONE = "gone"
FAILING = "failing"
BY_ACCOUNT = "by_account"
"""Reasons of a disabled endpoint: it answered 410, it failed for days, or its account (or an operator) said so."""

DELIVERED = "delivered"
FAILED = "failed"
EXHAUSTED = "exhausted"
"""States of an attempt: taken, to be tried again, given up."""


class EndpointLimitError(Exception):
    """The account has as many endpoints as it may; the text names the limit."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """What an account chooses. `types` are of `gateway.domain.notices.TYPES`, or `*` alone.

    `batch_max` is how many events one POST may carry (1: the event itself is the body), `max_in_flight` how many POSTs
    may wait for their answers.
    """

    url: str
    types: tuple[str, ...] = ("*",)
    description: str = ""
    batch_max: int = 1
    max_in_flight: int = 4


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint as its account sees it. `id` is the text `whk_...`.

    `disabled_reason` is "" while it is live. `failing_since` is when the first attempt failed after the last success,
    None while it answers well. `old_secret_until` is set while two secrets sign.
    """

    id: str
    account_id: str
    settings: EndpointSettings
    created_at: int
    updated_at: int
    disabled_at: int | None = None
    disabled_reason: str = ""
    old_secret_until: int | None = None
    failing_since: int | None = None
    last_success_at: int | None = None
    last_error: str = ""

    @property
    def is_live(self) -> bool:
        """True when events are sent to it."""
        return self.disabled_at is None


class LiveEndpoint(NamedTuple):
    """An endpoint with what signing needs: `secrets` are `whsec_...`, the newest first. Never logged, never listed."""

    endpoint: Endpoint
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        """Leave the secrets out."""
        return f"LiveEndpoint({self.endpoint.id}, {len(self.secrets)} secrets)"


class Attempt(NamedTuple):
    """One POST of one event to one endpoint, as the timeline and the list of attempts show it.

    `id` is a UUIDv7 of the time it was over. `subject_id` is the message (or reply) that the event is about. `attempt`
    counts from 1; 0 when the event was given up without a POST. `status_code` is None without an answer; `error` is ""
    for a success, else a word of the metric label `outcome` and what was wrong.
    """

    id: UUID
    at: int
    endpoint_id: str
    event_id: UUID
    type: str
    subject_id: UUID
    attempt: int
    state: str
    status_code: int | None
    duration_ms: int
    error: str


class Waiting(NamedTuple):
    """One event that waits for its next attempt. `attempts` were made already."""

    id: int
    endpoint_id: str
    event_id: UUID
    type: str
    subject_id: UUID
    attempts: int
    waits_since: int
    due_at: int
    last_error: str


@dataclass(frozen=True, slots=True)
class ReplayFilter:
    """Which events to send again: those over since `since` and before `until`, of `types` (empty: all), in `states`.

    `event_ids` narrows it to these. Without `until` it goes to now.
    """

    since: int
    until: int | None = None
    types: tuple[str, ...] = ()
    states: tuple[str, ...] = (EXHAUSTED,)
    event_ids: tuple[UUID, ...] = ()


class Replayed(NamedTuple):
    """How many events wait again. `is_complete` False: there are more; call again with `since` = `next_since`."""

    events: int
    is_complete: bool
    next_since: int


class WebhookStore(Protocol):
    """What the API, the command line and the timeline use. See the numbered rules above."""

    async def create(
        self, account_id: str, endpoint_id: str, settings: EndpointSettings, *, secret: str, now_ms: int
    ) -> Endpoint:
        """Add a live endpoint; EndpointLimitError past `MAX_ENDPOINTS`."""

    async def list_endpoints(self, account_id: str) -> list[Endpoint]:
        """Return the account's endpoints, the oldest first."""

    async def get(self, account_id: str, endpoint_id: str) -> Endpoint | None:
        """Return one endpoint."""

    async def update(
        self, account_id: str, endpoint_id: str, settings: EndpointSettings, *, now_ms: int
    ) -> Endpoint | None:
        """Replace what the account chose; None for an unknown endpoint."""

    async def rotate_secret(
        self, account_id: str, endpoint_id: str, *, secret: str, old_until: int, now_ms: int
    ) -> Endpoint | None:
        """Sign with a new secret, and with the one until now until `old_until`; None for an unknown endpoint."""

    async def disable(
        self, account_id: str, endpoint_id: str, *, reason: str, now_ms: int
    ) -> Endpoint | None:
        """Send nothing more; one that is disabled already keeps its reason. None for an unknown endpoint."""

    async def enable(self, account_id: str, endpoint_id: str, *, now_ms: int) -> Endpoint | None:
        """Send again, as if it had never failed; None for an unknown endpoint."""

    async def delete(self, account_id: str, endpoint_id: str) -> bool:
        """Forget the endpoint; what waits for it is dropped later. False for an unknown endpoint."""

    async def account_of(self, endpoint_id: str) -> str | None:
        """Return whose endpoint it is; for operators, not for accounts."""

    async def attempts(
        self,
        account_id: str,
        endpoint_id: str,
        *,
        states: Sequence[str] = (),
        types: Sequence[str] = (),
        limit: int,
        before: UUID | None = None,
    ) -> list[Attempt]:
        """Return attempts, the newest first, with ids below `before`."""

    async def attempts_of(self, subject_id: UUID, *, limit: int) -> list[Attempt]:
        """Return the attempts of a message's events at all its account's endpoints, the oldest first."""

    async def waiting(
        self, account_id: str, endpoint_id: str, *, limit: int, after: int = 0
    ) -> list[Waiting]:
        """Return what waits for this endpoint with ids behind `after`, by id."""

    async def backlog(self, account_id: str, *, at_most: int = 10_000) -> dict[str, int]:
        """Return how many events wait by endpoint, counting no further than `at_most` each."""

    async def replay(
        self, account_id: str, endpoint_id: str, which: ReplayFilter, *, limit: int, now_ms: int
    ) -> Replayed:
        """Let up to `limit` events wait again, oldest first, with their first ids; one that waits already is left."""


class EventRow(NamedTuple):
    """An event as it waits: `body` is the JSON that goes into the POST.

    `shard` is the partition of `webhook.due` whose owner delivers it, `place` the offset there; `at` is when it came
    about.
    """

    shard: int
    place: int
    endpoint_id: str
    account_id: str
    event_id: UUID
    subject_id: UUID
    type: str
    at: int
    body: bytes
    attempts: int
    waits_since: int
    due_at: int
    last_error: str


class DueRow(NamedTuple):
    """A waiting event with the id of its row."""

    id: int
    row: EventRow


class AttemptRow(NamedTuple):
    """One row of `webhook_deliveries`, in the order of its columns. `body` is kept of exhausted events alone."""

    id: UUID
    message_id: UUID
    endpoint_id: str
    account_id: str
    event_id: UUID
    type: str
    attempt: int
    state: str
    status_code: int | None
    duration_ms: int
    error: str
    event_at: int
    body: bytes | None


class PostRow(NamedTuple):
    """One row of `webhook_posts`, in the order of its columns: events of one type and slot that one POST brought home.

    They were taken at their first attempt. Event n (from 0) of the row has the attempt id `id` + n, so the last octet of
    `id` is 0 and a row has at most 256. `first_message_id` is the smallest of `message_ids`; these and `event_ids` are 16
    octets for each event, `event_ats` 8 (milliseconds since the epoch, most significant first).
    """

    id: UUID
    first_message_id: UUID
    endpoint_id: str
    account_id: str
    type: str
    status_code: int
    duration_ms: int
    message_ids: bytes
    event_ids: bytes
    event_ats: bytes

    def events(self) -> Iterator[tuple[UUID, UUID, UUID, int]]:
        """Return (attempt id, message id, event id, time) of each event."""
        number, message_ids, event_ids = self.id.int, self.message_ids, self.event_ids
        for place, at in enumerate(unpack(f">{len(event_ids) // 16}q", self.event_ats)):
            octets = slice(place * 16, place * 16 + 16)
            yield UUID(int=number + place), UUID(bytes=message_ids[octets]), UUID(bytes=event_ids[octets]), at


class Delay(NamedTuple):
    """A failed attempt's event: when it is due again."""

    id: int
    attempts: int
    due_at: int
    last_error: str


class Health(NamedTuple):
    """What is known of an endpoint beyond its account's wishes. `failures` counts in a row, `due_at` is the next probe."""

    endpoint_id: str
    failing_since: int | None
    failures: int
    due_at: int
    last_success_at: int | None
    last_error: str


class DeliveryStore(Protocol):
    """What `dlr.webhooks` reads and writes. See the numbered rules above."""

    async def version(self) -> int:
        """Return a number that changes with every change of the endpoints."""

    async def live(self, *, now_ms: int) -> list[LiveEndpoint]:
        """Return every endpoint that is not disabled, with the secrets that sign at `now_ms`."""

    async def healths(self) -> list[Health]:
        """Return what is known of endpoints that were tried."""

    async def note_health(self, tx: Transaction, rows: Sequence[Health]) -> None:
        """Replace what is known of these endpoints."""

    async def disabled_count(self) -> int:
        """Return how many endpoints are disabled for what they answered (not by their account)."""

    async def disable_failing(self, endpoint_id: str, *, reason: str, now_ms: int) -> bool:
        """Disable an endpoint on its own account; False when it is disabled or gone already."""

    async def add(self, tx: Transaction, rows: Sequence[EventRow]) -> None:
        """Let events wait, in this order; one that waits already is left as it is."""

    async def record(self, tx: Transaction, rows: Sequence[AttemptRow]) -> None:
        """Write attempts."""

    async def record_posts(self, tx: Transaction, rows: Sequence[PostRow]) -> None:
        """Write what was taken at the first attempt."""

    async def remove(self, tx: Transaction, ids: Sequence[int]) -> None:
        """Take events out that need no more attempts."""

    async def delay(self, tx: Transaction, delays: Sequence[Delay]) -> None:
        """Let events wait until their next attempt."""

    async def subjects_waiting(
        self, endpoint_ids: Sequence[str], subject_ids: Sequence[UUID]
    ) -> set[tuple[str, UUID]]:
        """Return those pairs (position by position) of endpoint and subject that an event waits for."""

    async def due(self, shard: int, endpoint_id: str, *, now_ms: int, limit: int) -> list[DueRow]:
        """Return events that are due, the longest due first; of one subject only the first that waits."""

    async def pull_in(self, shard: int, endpoint_id: str, *, max_attempts: int, now_ms: int) -> int:
        """Make events due now that had up to `max_attempts`; for an endpoint that answers again."""

    async def next_due(self, shard: int, endpoint_ids: Sequence[str]) -> dict[str, int]:
        """Return the earliest due time of each endpoint that anything waits for."""

    async def counts(self, shard: int) -> dict[str, int]:
        """Return how many events wait, by endpoint."""

    async def over(self, shard: int, endpoint_id: str, *, before_ms: int, limit: int) -> list[DueRow]:
        """Return events that were due before `before_ms` already."""

    async def strangers(self, shard: int, live_ids: Sequence[str]) -> list[str]:
        """Return the endpoints that something waits for and that are not among `live_ids`."""

    async def exists(self, endpoint_id: str) -> bool:
        """Tell whether the endpoint is there, disabled or not."""

    async def bury(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep records that could not be read."""

    async def drop(self, shard: int, endpoint_id: str, *, limit: int) -> int:
        """Forget up to `limit` events of an endpoint that was deleted; return how many."""
