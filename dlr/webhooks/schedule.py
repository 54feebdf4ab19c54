"""When an event is tried again, and what an endpoint that fails is asked. Pure: time and randomness are arguments.

An event has a schedule of its own. An endpoint that fails every time has a circuit besides: nothing but a probe, one
event at a time, goes to it until it answers well again. So a dead endpoint costs one POST a minute and its events lose
no attempts, while one event that nobody can digest only hurts itself.
"""

from typing import Final

from gateway.ports.webhook_store import Health

SCHEDULE_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Waits before the second and each later attempt."""

JITTER: Final = 0.2
MAX_RETRY_AFTER_S: Final = 3_600
OPEN_AFTER: Final = 5
"""Failed POSTs in a row after which the circuit is open."""

PROBES_S: Final = (5, 10, 20, 40, 60)
"""Waits between the probes of an open circuit; the last one repeats."""

PULL_IN_ATTEMPTS: Final = 3
"""Events of up to so many attempts are due at once when their endpoint answers again."""


class Schedule:
    """The waits of one event, and of the probes of an endpoint; the default is what the API documents."""

    def __init__(
        self, waits_s: tuple[float, ...] = SCHEDULE_S, *, probes_s: tuple[float, ...] = PROBES_S
    ) -> None:
        self._waits_s = waits_s
        self.probes_s = probes_s

    @property
    def max_attempts(self) -> int:
        """POSTs of one event before it is given up."""
        return len(self._waits_s) + 1

    @property
    def length_ms(self) -> int:
        """From the first attempt to the last, with all its jitter."""
        return int(sum(self._waits_s) * (1 + JITTER) * 1000)

    def due_at(
        self, attempts: int, *, now_ms: int, random: float, retry_after_s: float | None = None
    ) -> int | None:
        """Return when an event that failed its attempt number `attempts` is due again, None when that was the last.

        `random` is from 0 to 1. `Retry-After` can only make it later, by at most an hour.
        """
        if attempts >= self.max_attempts:
            return None
        wait_s = self._waits_s[attempts - 1] * (1 - JITTER + 2 * JITTER * random)
        if retry_after_s is not None:
            wait_s = max(wait_s, min(retry_after_s, MAX_RETRY_AFTER_S))
        return now_ms + int(wait_s * 1000)


class Circuit:
    """What one endpoint's answers say of it. `closed` lets everything through, `open` one event at a time."""

    __slots__ = (
        "_due_at",
        "_endpoint_id",
        "_error",
        "_failing_since",
        "_failures",
        "_last_success_at",
        "_probes_s",
        "_rest_until",
    )

    def __init__(self, health: Health, *, probes_s: tuple[float, ...] = PROBES_S) -> None:
        self._probes_s = probes_s
        self._endpoint_id = health.endpoint_id
        self._failing_since = health.failing_since
        self._failures = health.failures
        self._due_at = health.due_at
        self._last_success_at = health.last_success_at
        self._error = health.last_error
        self._rest_until = 0

    def is_open(self, now_ms: int) -> bool:
        """True while only probes may go: it failed too often, or asked for a rest."""
        return self._failures >= OPEN_AFTER or now_ms < self._rest_until

    def may_probe(self, now_ms: int) -> bool:
        """True when a probe of an open circuit is due."""
        return now_ms >= max(self._due_at if self._failures >= OPEN_AFTER else 0, self._rest_until)

    def succeeded(self, now_ms: int) -> bool:
        """Note a success; True when the circuit was open or had failures, so that others should know."""
        was_failing = self._failing_since is not None or self._failures > 0
        self._failures = 0
        self._failing_since = None
        self._due_at = 0
        self._rest_until = 0
        self._last_success_at = now_ms
        return was_failing

    def failed(self, now_ms: int, *, error: str, random: float, retry_after_s: float | None = None) -> None:
        """Note a failed POST."""
        self._failures += 1
        self._error = error
        if self._failing_since is None:
            self._failing_since = now_ms
        step = min(max(self._failures - OPEN_AFTER, 0), len(self._probes_s) - 1)
        wait_s = self._probes_s[step] * (1 - JITTER + 2 * JITTER * random)
        self._due_at = now_ms + int(wait_s * 1000)
        if retry_after_s is not None:
            self._rest_until = now_ms + int(min(retry_after_s, MAX_RETRY_AFTER_S) * 1000)

    def fails_since(self) -> int | None:
        """Return when the first attempt failed after the last success."""
        return self._failing_since

    def health(self) -> Health:
        """Return what others should know."""
        return Health(
            self._endpoint_id,
            self._failing_since,
            self._failures,
            max(self._due_at, self._rest_until),
            self._last_success_at,
            self._error,
        )


def batch_limit(batch_max: int, attempts: int) -> int:
    """Return how many events may go together that were tried `attempts` times: ever fewer, so that a bad one is alone."""
    return max(1, batch_max >> (2 * attempts))
