"""Who may bind: password, network, number of binds, and how many wrong guesses an address has (sms-domain H13)."""

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import structlog

from adapters.smpp.wire import constants as c
from gateway.ports.clock import Clock
from gateway.ports.smpp_store import Credentials, SmppCredential
from gateway.smppd.metrics import ServerMetrics

_log = structlog.get_logger()

FAILURE_ANSWER_S: Final = 1.0
"""A bind that is refused for its credentials is answered this long after it came: a guess costs a second, and the time tells nothing."""

MAX_FAILURES: Final = 10
"""Wrong binds a minute from one address as one system_id: a customer who is configured wrongly locks out himself."""
MAX_FAILURES_OF_ADDRESS: Final = 60
"""Wrong binds a minute from one address as anybody."""
FAILURES_WITHIN_MS: Final = 60_000
MAX_KEYS: Final = 10_000
_REPORT_EVERY_MS: Final = 1_000


class Refused:
    """No: the command_status, and why, for metrics and the operator; a customer is told the status alone."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason


class FailedBinds:
    """Counts wrong binds by key in windows of a minute; the number of keys is bounded."""

    def __init__(self, *, limit: int, max_keys: int = MAX_KEYS) -> None:
        self._limit = limit
        self._max_keys = max_keys
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def is_spent(self, key: str, *, now_ms: int) -> bool:
        """Tell whether all guesses of this minute are made."""
        count, since = self._counts.get(key, (0, now_ms))
        return count >= self._limit and 0 <= now_ms - since < FAILURES_WITHIN_MS

    def note(self, key: str, *, now_ms: int) -> None:
        """Count one wrong guess."""
        count, since = self._counts.get(key, (0, now_ms))
        if not 0 <= now_ms - since < FAILURES_WITHIN_MS:
            count, since = 0, now_ms
        self._counts[key] = (count + 1, since)
        self._counts.move_to_end(key)
        while len(self._counts) > self._max_keys:
            self._counts.popitem(last=False)


class BindGate:
    """Judges binds. Everything that would tell a guesser more has one answer: ESME_RINVPASWD."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        clock: Clock,
        metrics: ServerMetrics,
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._metrics = metrics
        self._by_address = FailedBinds(limit=MAX_FAILURES_OF_ADDRESS)
        self._by_name = FailedBinds(limit=MAX_FAILURES)
        self._unreported = 0
        self._report_due_ms = 0

    async def judge(self, system_id: str, password: str, *, address: str) -> SmppCredential | Refused:
        """Return the credential that binds, or why not; raises nothing."""
        now_ms = self._clock.now_ms()
        name = f"{address} {system_id}"
        if self._by_address.is_spent(address, now_ms=now_ms) or self._by_name.is_spent(name, now_ms=now_ms):
            return self._refuse(c.ESME_RINVPASWD, "too_many_failures", address)
        try:
            credential = await self._credentials.find(system_id, now_ms=now_ms)
        except Exception as error:  # noqa: BLE001 - without the database nobody is known; the customer tries again
            _log.warning("smppd.bind_unavailable", error=type(error).__name__)
            return self._refuse(c.ESME_RSYSERR, "unavailable", address)
        is_right = self._credentials.matches(credential, system_id=system_id, password=password)
        if credential is None or not is_right or not credential.enabled:
            self._by_address.note(address, now_ms=now_ms)
            self._by_name.note(name, now_ms=now_ms)
            return self._refuse(c.ESME_RINVPASWD, "credentials", address)
        if not is_allowed(address, credential.allowed_networks):
            self._by_address.note(address, now_ms=now_ms)
            self._by_name.note(name, now_ms=now_ms)
            return self._refuse(c.ESME_RINVPASWD, "network", address)
        return credential

    def _refuse(self, status: int, reason: str, address: str) -> Refused:
        self._metrics.bound(reason)
        self._unreported += 1
        now_ms = self._clock.now_ms()
        if now_ms >= self._report_due_ms or now_ms < self._report_due_ms - _REPORT_EVERY_MS:
            # One line a second: a customer with a wrong password tries for ever.
            _log.warning("smppd.bind_refused", reason=reason, address=address, count=self._unreported)
            self._unreported, self._report_due_ms = 0, now_ms + _REPORT_EVERY_MS
        return Refused(status, reason)


def is_allowed(address: str, networks: tuple[str, ...]) -> bool:
    """Tell whether an address is in one of the networks; no network allows every address."""
    if not networks:
        return True
    try:
        found = _plain(address)
    except ValueError:
        return False
    return any(found in _network(network) for network in networks)


def _plain(address: str) -> IPv4Address | IPv6Address:
    """Return the address; one of IPv4 that came over an IPv6 socket as what it is."""
    found = ip_address(address.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


_network = lru_cache(maxsize=4096)(ip_network)
