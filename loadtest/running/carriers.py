"""The simulated carriers of a run: started here or given by their control API; their counts, faults and records."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import msgspec

from loadtest.running.children import Child, Facts
from loadtest.running.figures import burst
from loadtest.scenario import CarrierSettings

SYSTEM_ID: Final = "caudal"
PASSWORD: Final = "secret"  # noqa: S105 - of a simulator
START_S: Final = 120.0
_ASK: Final = aiohttp.ClientTimeout(total=5.0)
_READ: Final = aiohttp.ClientTimeout(total=120.0)
_PAGE: Final = 10_000
_THROTTLED: Final = frozenset(
    ("ESME_RTHROTTLED", "ESME_RMSGQFUL", "TOO_MANY_MESSAGES", "THROTTLED", "throttled")
)


class Counts(msgspec.Struct):
    """What a carrier counted since its start: segments taken, throttled, refused; binds that are up now.

    `closed` connections and `binds_refused` count what faults do to connections, `unanswered` submits will never get a
    response, `held` receipts are kept back now, `fallen` is how often each share of the simulator's faults fell.
    """

    taken: int = 0
    throttled: int = 0
    refused: int = 0
    submits: int = 0
    bound: int = 0
    statuses: dict[str, int] = {}
    next_number: int = 0
    closed: int = 0
    binds_refused: int = 0
    unanswered: int = 0
    held: int = 0
    fallen: dict[str, int] = {}

    @property
    def failed(self) -> int:
        """Return the submits that were answered and not taken."""
        return self.throttled + self.refused

    def since(self, base: "Counts") -> "Counts":
        """Return what was counted since `base`; what is so now stays."""
        return Counts(
            taken=self.taken - base.taken,
            throttled=self.throttled - base.throttled,
            refused=self.refused - base.refused,
            submits=self.submits - base.submits,
            bound=self.bound,
            statuses=_grown(self.statuses, base.statuses),
            next_number=self.next_number,
            closed=self.closed - base.closed,
            binds_refused=self.binds_refused - base.binds_refused,
            unanswered=self.unanswered - base.unanswered,
            held=self.held,
            fallen=_grown(self.fallen, base.fallen),
        )


def _grown(now: dict[str, int], base: dict[str, int]) -> dict[str, int]:
    return {name: count - base.get(name, 0) for name, count in now.items() if count > base.get(name, 0)}


class Place(msgspec.Struct):
    """Where a segment stands in its message."""

    sequence: int = 1


class Row(msgspec.Struct):
    """A segment (smpp) or message (json) in a carrier's record, as far as a run reads it."""

    number: int
    arrival_ns: int
    arrival_unix_ns: int
    status: str | None = None
    is_taken: bool | None = None
    text: str | None = None
    ref: str | None = None
    receipt_ns: int | None = None
    concatenation: Place | None = None


class _Page(msgspec.Struct):
    messages: list[Row]
    next_after: int
    has_more: bool
    forgotten: int


_read_page = msgspec.json.Decoder(_Page).decode


class Carrier:
    """One simulator. `settings` are the scenario's; `control` is the URL of its control API."""

    def __init__(self, settings: CarrierSettings, *, control: str = "") -> None:
        self.settings = settings
        self.control = control
        self.is_ours = not control
        self.port = 0
        self.child: Child | None = None
        self._first = 0

    async def start(self, *, seed: int, record_limit: int, callback_url: str) -> None:
        """Start a simulator with the faults that stand from the start. Raises ChildError."""
        facts = Facts("listening")
        self.child = Child(self.settings.id, facts.hear)
        await self.child.start(self._command(seed=seed, record_limit=record_limit, callback_url=callback_url))
        said = await facts.wait(self.child, START_S)
        is_smpp = self.settings.kind == "smpp"
        self.port = said["smpp_port" if is_smpp else "port"]
        self.control = f"http://127.0.0.1:{said['http_port' if is_smpp else 'control_port']}"

    def _command(self, *, seed: int, record_limit: int, callback_url: str) -> list[str]:
        settings, receipts = self.settings, self.settings.receipts
        faults: dict[str, Any] = {
            "magic": False,
            "latency": settings.latency,
            "receipt_delay": receipts.delay,
            "receipts_lost": receipts.lost,
            "receipts_duplicated": receipts.duplicated,
            "receipts_reordered": receipts.out_of_order,
            "fail": 1 - receipts.delivered,
            "errors": settings.errors,
            "mps": settings.limit,
        }
        shared = ["--die-with-parent", "--seed", str(seed), "--record-limit", str(record_limit)]
        for name, value in faults.items():
            shared += ["--fault", f"{name}={msgspec.json.encode(value).decode()}"]
        tool = [sys.executable, "-m", "loadtest.cli"]
        if settings.kind == "smpp":
            account = ["--system-id", SYSTEM_ID, "--password", PASSWORD, "--receipt-limit", "5000000"]
            return [*tool, "smsc", "--port", "0", "--http-port", "0", *account, *shared]
        account = ["--token", PASSWORD, "--secret", PASSWORD, "--callback-url", callback_url]
        return [*tool, "http-carrier", "--port", "0", "--control-port", "0", *account, *shared]

    def gateway_settings(self) -> dict[str, Any]:
        """Return the gateway's settings of this carrier."""
        settings = self.settings
        shared = {
            "rate": f"{settings.mps:.10g}/s",
            "burst": burst(settings.mps),
            "binds": settings.binds,
            "window": settings.window,
        }
        if settings.kind == "json":
            return {**shared, **_json_settings(self.port)}
        smpp = {"host": "127.0.0.1", "port": self.port, "system_id": SYSTEM_ID, "password": PASSWORD}
        return {"protocol": "smpp", **smpp, **shared}

    # -- its control API ---------------------------------------------------------------------------

    async def begin(self, http: aiohttp.ClientSession) -> None:
        """Note where its record stands: what came before is not of this run. Raises OSError or TimeoutError."""
        self._first = (await self.counts(http)).next_number

    async def counts(self, http: aiohttp.ClientSession) -> Counts:
        """Return its counts. Raises OSError, TimeoutError or ValueError (aiohttp's errors are among them)."""
        async with http.get(f"{self.control}/stats", timeout=_ASK) as answer:
            answer.raise_for_status()
            said = msgspec.json.decode(await answer.read())
        statuses: dict[str, int] = said["statuses"] if self.settings.kind == "smpp" else said["codes"]
        taken = statuses.get("ESME_ROK", 0) if self.settings.kind == "smpp" else said["taken"]
        throttled = sum(count for name, count in statuses.items() if name in _THROTTLED)
        if self.settings.kind == "json":
            statuses = {**{f"HTTP_{code}": n for code, n in said["statuses"].items()}, **statuses}
        submits = said["submits" if self.settings.kind == "smpp" else "messages"]
        answered = sum(said["statuses"].values()) if self.settings.kind == "smpp" else submits
        bound = said["bound"].values() if self.settings.kind == "smpp" else [said["connections"]["open"]]
        return Counts(
            taken=taken,
            throttled=throttled,
            refused=max(0, answered - taken - throttled),
            submits=submits,
            bound=sum(bound),
            statuses=statuses,
            next_number=said["record"]["next_number"],
            unanswered=said["unanswered"],
            fallen=said.get("fallen", {}),
            **(_of_centre(said) if self.settings.kind == "smpp" else _of_http(said)),
        )

    async def reset(self, http: aiohttp.ClientSession) -> None:
        """Have it forget its record and counts. Raises OSError or TimeoutError."""
        async with http.post(f"{self.control}/reset", timeout=_READ) as answer:
            answer.raise_for_status()

    async def set_timeline(self, http: aiohttp.ClientSession, steps: list[dict[str, Any]]) -> None:
        """Begin these faults now; an empty list ends all. Raises OSError, TimeoutError or ValueError."""
        async with http.post(f"{self.control}/timeline", json=steps, timeout=_ASK) as answer:
            if answer.status != 200:
                raise ValueError(f"carrier {self.settings.id}: {(await answer.text())[:300]}")

    async def rows(self, http: aiohttp.ClientSession) -> AsyncIterator[list[Row]]:
        """Yield what it recorded since `begin`, in pages. Raises ValueError where it has forgotten some of it."""
        after = self._first - 1
        while True:
            url = f"{self.control}/messages?after={after}&limit={_PAGE}"
            async with http.get(url, timeout=_READ) as answer:
                answer.raise_for_status()
                page = _read_page(await answer.read())
            if page.forgotten:
                raise ValueError(
                    f"the simulator of {self.settings.id} has forgotten {page.forgotten} segments: "
                    "give it a larger --record-limit"
                )
            yield page.messages
            if not page.has_more:
                return
            after = page.next_after
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """End the simulator where we started it."""
        if self.child is not None:
            await self.child.stop(limit_s=5.0)


def _of_centre(said: dict[str, Any]) -> dict[str, int]:
    """Return what a message centre says of its connections and receipts."""
    binds: dict[str, int] = said["binds"]
    return {
        "closed": sum(said["closes"].values()),
        "binds_refused": sum(binds.values()) - binds.get("ESME_ROK", 0),
        "held": said["waiting"]["receipts_held"],
    }


def _of_http(said: dict[str, Any]) -> dict[str, int]:
    """Return the same of a carrier over HTTP."""
    connections = said["connections"]
    return {
        "closed": connections["made"] - connections["open"],
        "held": (said["callbacks"] or {}).get("waiting", 0),
    }


def _json_settings(port: int) -> dict[str, Any]:
    """Return how the gateway speaks to a simulator of kind json, receipts by signed callbacks."""
    return {
        "protocol": "http",
        "url": f"http://127.0.0.1:{port}/sms/2/messages",
        "auth": {"type": "bearer", "secret": PASSWORD},
        "request": {"body": {"to": "{to_plus}", "from": "{from}", "text": "{text}", "ref": "{message_id}"}},
        "response": {
            "id": ["/messages/0/id"],
            "code": ["/messages/0/status/code", "/error/code"],
            "rules": [
                {"code": ["4", "TOO_MANY_REQUESTS"], "class": "throttle"},
                {"code": ["5"], "class": "retry_later"},
                {"code": ["1", "2", "3", "6"], "class": "permanent"},
            ],
        },
        "callbacks": {
            "auth": {
                "hmac": {
                    "header": "X-Signature",
                    "prefix": "sha256=",
                    "signed": "{timestamp}.{body}",
                    "timestamp_header": "X-Timestamp",
                    "secret": PASSWORD,
                }
            },
            "receipt": {
                "items": ["/events", ""],
                "when": {"field": "/event", "equals": ["receipt"]},
                "id": "/id",
                "state": "/status/name",
                "error": "/status/code",
                "time": "/at",
                "states": {name: name for name in ("DELIVERED", "UNDELIVERABLE", "REJECTED", "EXPIRED")},
            },
        },
    }
