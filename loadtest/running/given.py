"""A gateway that runs already, given by its URL and a key: what can be measured of it from outside."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import aiohttp
import msgspec
import psutil  # type: ignore[import-untyped]  # it ships no types

from loadtest.running.gateway import GatewayError

MAX_PAGES: Final = 20_000
_PAGE: Final = 200
_ASK: Final = aiohttp.ClientTimeout(total=15.0)
_WAITING_STATES: Final = frozenset(("scheduled", "queued"))
_OPEN_STATES: Final = _WAITING_STATES | {"submitted"}


class _Message(msgspec.Struct):
    id: str
    status: str


class _Page(msgspec.Struct):
    data: list[_Message]
    next_cursor: str | None = None


_read = msgspec.json.Decoder(_Page).decode


class GivenGateway:
    """Drives the API with the key; it is neither started, stopped nor broken by us."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self.is_ours = False
        self._http: aiohttp.ClientSession | None = None
        self._waiting: set[str] = set()

    async def check(self, http: aiohttp.ClientSession) -> None:
        """Raise GatewayError where the gateway cannot be reached or does not take the key."""
        self._http = http
        try:
            status, body = await self._get("/v1/messages?limit=1")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise GatewayError(
                f"the target {self.url} cannot be reached: {error or type(error).__name__}"
            ) from None
        if status != 200:
            raise GatewayError(
                f"the target {self.url} answered {status}: {body[:200].decode('utf-8', 'replace')}"
            )

    async def _get(self, path: str) -> tuple[int, bytes]:
        assert self._http is not None
        headers = {"Authorization": f"Bearer {self.key}"}
        async with self._http.get(self.url + path, headers=headers, timeout=_ASK) as answer:
            return answer.status, await answer.read()

    async def stop(self) -> None:
        """Leave it as it is."""

    def trouble(self) -> str:
        """Say nothing: what the requests of the load get is what can be known."""
        return ""

    async def roles(self, http: aiohttp.ClientSession) -> dict[str, dict[str, Any]]:  # noqa: ARG002 - as OwnGateway
        """Return nothing: its admin port is not ours."""
        return {}

    def pages(self, roles: dict[str, dict[str, Any]]) -> dict[str, str]:  # noqa: ARG002 - as OwnGateway
        """Return no metrics."""
        return {}

    def processes(self, roles: dict[str, dict[str, Any]]) -> dict[str, list[psutil.Process]]:  # noqa: ARG002 - as OwnGateway
        """Return no processes."""
        return {}

    async def signal(
        self, http: aiohttp.ClientSession, part: str, signum: signal.Signals
    ) -> Callable[[], None]:
        """Refuse."""
        del http, signum
        raise GatewayError(f"{part} of a gateway given by --target is not ours to break")

    async def finals(self, first_id: UUID) -> list[tuple[str, str, int]]:
        """Return (id, state, 0) of the key's final messages since then, newest first. Raises GatewayError."""
        at_ms = first_id.int >> 80
        since = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        path = f"/v1/messages?limit={_PAGE}&since={since}"
        found: list[tuple[str, str, int]] = []
        self._waiting.clear()
        for _ in range(MAX_PAGES):
            status, body = await self._get(path)
            if status != 200:
                raise GatewayError(f"GET {path} was answered {status}")
            page = _read(body)
            found += [(one.id, one.status, 0) for one in page.data if one.status not in _OPEN_STATES]
            self._waiting |= {one.id for one in page.data if one.status in _WAITING_STATES}
            if page.next_cursor is None:
                return found
            path = f"/v1/messages?limit={_PAGE}&cursor={page.next_cursor}"
        raise GatewayError(
            f"more than {MAX_PAGES * _PAGE} messages to list; start the gateway by the tool instead"
        )

    def waiting(self) -> set[str]:
        """Return the ids that were queued or scheduled when `finals` was read last."""
        return set(self._waiting)
