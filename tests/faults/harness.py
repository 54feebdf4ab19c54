"""One fault under load, then the books: what was accepted, lost, doubled, and how soon work went on.

`python -m tests.faults --runs 20` (`make faults`) is the long form: every fault, seeded, as a table.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg

from tests.scenarios.posting import numbered
from tests.support.chaos import Chaos
from tests.support.kafka import KafkaServer
from tests.support.ledger import database
from tests.support.smsc import Smsc
from tests.support.stack import Stack, until

MPS = 400
BINDS, WINDOW = 2, 100
BATCH = 20
BOUND_PER_CRASH = BINDS * WINDOW + MPS // 4
"""P2: what one crash puts in doubt: the windows, and a quarter of a second of the rate."""


@dataclass
class Run:
    """What a fault gets to work on."""

    stack: Stack
    smsc: Smsc
    chaos: Chaos
    broker: KafkaServer | None
    pick: random.Random


@dataclass(frozen=True)
class Fault:
    """`inject` does the harm and undoes it. `crashes` says how often the duplicate bound is granted."""

    name: str
    inject: Callable[[Run], Awaitable[None]]
    crashes: int = 1
    buses: tuple[str, ...] = ("postgres", "kafka")
    garbles: bool = False


@dataclass
class Outcome:
    """One run's books."""

    fault: str
    bus: str
    seed: int
    accepted: int = 0
    lost: int = 0
    doubled: int = 0
    bound: int = 0
    in_doubt: int = 0
    recovery_s: float = 0.0
    states: dict[str, int] = field(default_factory=dict)

    def check(self) -> None:
        """Raise AssertionError where a promise is broken."""
        assert self.accepted > 0, self
        assert self.lost == 0, self
        assert self.doubled <= self.bound, self


async def under_fault(
    fault: Fault,
    *,
    seed: int = 1,
    bus: str = "postgres",
    seconds: float = 8,
    broker: KafkaServer | None = None,
) -> Outcome:
    """Post steadily, do the harm at a random moment, wait until all is settled, and account for every message."""
    pick = random.Random(f"{fault.name}:{seed}")
    outcome = Outcome(fault.name, bus, seed, bound=fault.crashes * BOUND_PER_CRASH)
    async with (
        Smsc("--latency", "20ms", "--receipt-delay", "200ms") as smsc,
        Chaos(smsc.port, seed=seed) as chaos,
        _gateway(chaos.port, broker=broker, prefix=f"f{seed}{random.getrandbits(24):x}.") as stack,
    ):
        run = Run(stack, smsc, chaos, broker, pick)
        accepted: dict[str, str] = {}
        posting = asyncio.create_task(_post(stack, accepted, seconds=seconds, tag=fault.name, seed=seed))
        await asyncio.sleep(pick.uniform(1.0, 3.0))
        await fault.inject(run)
        lifted = time.monotonic()
        await _probe(stack, number=900_000 + seed)
        outcome.recovery_s = round(time.monotonic() - lifted, 2)
        await posting
        outcome.accepted = len(accepted)
        await _settle(stack, outcome)
        await _account(stack, smsc, accepted, outcome, garbles=fault.garbles)
    return outcome


@contextlib.asynccontextmanager
async def _gateway(port: int, *, broker: KafkaServer | None, prefix: str) -> AsyncIterator[Stack]:
    carrier = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "caudal",
        "password": "demo",
        "rate": f"{MPS}/s",
        "binds": BINDS,
        "window": WINDOW,
        # Seconds instead of tens of seconds, so that a run sees what follows.
        "profile": {"enquire_link_s": 2.0, "response_timeout_s": 5.0},
    }
    tree: dict[str, Any] = {"api": {"port": 0}, "admin": {"port": 0}, "carriers": {"telco": carrier}}
    if broker is not None:
        tree["kafka"] = {"bootstrap": broker.bootstrap, "prefix": prefix}
    async with Stack(tree) as stack:
        yield stack


async def _post(stack: Stack, accepted: dict[str, str], *, seconds: float, tag: str, seed: int) -> None:
    """Post small batches at two thirds of the rate, each until it is answered, with a key that makes it one request."""
    started = time.monotonic()
    index = 0
    async with asyncio.TaskGroup() as group:
        while (passed := time.monotonic() - started) < seconds:
            if passed * MPS * 2 / 3 < index + BATCH:
                await asyncio.sleep(0.02)
                continue
            messages = list(numbered(BATCH, start=index))
            group.create_task(_post_one(stack, messages, accepted, key=f"{tag}-{seed}-{index}"))
            index += BATCH


async def _post_one(
    stack: Stack, messages: list[dict[str, Any]], accepted: dict[str, str], *, key: str
) -> None:
    body = {"defaults": {"from": "CAUDAL", "class": "transactional"}, "messages": messages}
    for _ in range(240):
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(20):
                status, answer = await stack.request(
                    "POST", "/v1/messages:batch", json=body, headers={"Idempotency-Key": key}
                )
            if status == 202:
                for result, message in zip(answer["results"], messages, strict=True):
                    accepted[result["id"]] = message["to"].lstrip("+")
                return
            assert status in (409, 503), (status, answer)
        await asyncio.sleep(0.25)
    raise AssertionError("the gateway took nothing for a minute")


async def _probe(stack: Stack, *, number: int) -> None:
    """Send one message when the fault is over and wait for its delivery."""
    [message] = numbered(1, start=number)
    accepted: dict[str, str] = {}
    await _post_one(stack, [message], accepted, key=f"probe-{number}-{time.monotonic_ns()}")
    [message_id] = accepted

    async def is_delivered() -> bool:
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(10):
                status, body = await stack.request("GET", f"/v1/messages/{message_id}")
            return status == 200 and body["status"] == "delivered"
        return False

    await until(is_delivered, limit_s=60, every_s=0.1)


async def _settle(stack: Stack, outcome: Outcome) -> None:
    """Wait until nothing is queued and the number of open messages has stood still for three seconds."""
    still_since, last = time.monotonic(), None
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            connection = await database(stack)
            try:
                rows = await connection.fetch("SELECT state, count(*) AS n FROM messages GROUP BY state")
            finally:
                await connection.close()
            states = {row["state"]: row["n"] for row in rows}
            if states != last:
                last, still_since = states, time.monotonic()
            waiting = states.get("queued", 0) + states.get("scheduled", 0)
            if sum(states.values()) > outcome.accepted and not waiting and not states.get("submitted", 0):
                break
            if not waiting and time.monotonic() - still_since > 6:
                break
        await asyncio.sleep(0.3)
    outcome.states = last or {}


async def _account(
    stack: Stack, smsc: Smsc, accepted: dict[str, str], outcome: Outcome, *, garbles: bool
) -> None:
    from gateway.domain.ids import format_id

    connection = await database(stack)
    try:
        rows = await connection.fetch("SELECT id, state FROM messages")
    finally:
        await connection.close()
    states = {format_id("msg", row["id"]): row["state"] for row in rows}
    received = Counter(one["destination"] for one in await smsc.messages() if one["status"] == "ESME_ROK")
    wanted = set(accepted.values())
    outcome.in_doubt = sum(state == "submitted" for state in states.values())
    outcome.doubled = sum(count - 1 for to, count in received.items() if to in wanted)
    # Lost is what the gateway promised and does not know, has not finished, or counts as sent without the carrier.
    outcome.lost = sum(
        message_id not in states
        or states[message_id] in ("queued", "scheduled")
        or (not garbles and states[message_id] == "delivered" and not received[to])
        or (not garbles and states[message_id] not in ("delivered", "submitted"))
        for message_id, to in accepted.items()
    )


# -- the faults ------------------------------------------------------------------------------------------------------


def kill(role: str) -> Callable[[Run], Awaitable[None]]:
    """kill -9 a role; the supervisor starts it again."""

    async def inject(run: Run) -> None:
        pid = await run.stack.kill(role)
        await run.stack.until_ready(role, not_pid=pid)

    return inject


def pause(role: str, least_s: float, most_s: float) -> Callable[[Run], Awaitable[None]]:
    """SIGSTOP a role for a while: it wakes up with old ideas of the time."""

    async def inject(run: Run) -> None:
        pid = (await run.stack.roles())[role]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(run.pick.uniform(least_s, most_s))
        finally:
            os.kill(pid, signal.SIGCONT)

    return inject


async def kill_postgres(run: Run) -> None:
    """kill -9 the database server with all its processes; the supervisor starts it again."""
    pid_file = next((run.stack.folder / "var").rglob("postmaster.pid"))
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
    await asyncio.sleep(run.pick.uniform(0.5, 2.0))


async def lock_postgres(run: Run) -> None:
    """Hold the locks that every writer needs."""
    connection = await database(run.stack)
    try:
        async with connection.transaction():
            await connection.execute(
                "LOCK TABLE messages, submissions, bus_position IN ACCESS EXCLUSIVE MODE"
            )
            await asyncio.sleep(run.pick.uniform(2.0, 5.0))
    finally:
        await connection.close()


async def exhaust_postgres(run: Run) -> None:
    """Take every connection that the server still gives, and end those that the gateway has."""
    held: list[asyncpg.Connection] = []
    try:
        with contextlib.suppress(asyncpg.PostgresError, OSError):
            while len(held) < 500:
                held.append(await database(run.stack))
        with contextlib.suppress(asyncpg.PostgresError, OSError, IndexError):
            await held[0].execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'caudal%'"
            )
        for _ in range(20):
            with contextlib.suppress(asyncpg.PostgresError, OSError):
                held.append(await database(run.stack))
            await asyncio.sleep(run.pick.uniform(0.05, 0.15))
    finally:
        for one in held:
            with contextlib.suppress(asyncpg.PostgresError, OSError):
                await one.close()


async def cut_link(run: Run) -> None:
    """Reset the carrier's connections, some times in a row, refusing new ones for a moment."""
    for _ in range(run.pick.randrange(1, 4)):
        run.chaos.is_refusing = True
        run.chaos.cut()
        await asyncio.sleep(run.pick.uniform(0.1, 0.8))
        run.chaos.is_refusing = False
        await asyncio.sleep(run.pick.uniform(0.2, 1.0))


async def half_open_link(run: Run) -> None:
    """Nothing passes, nobody is told: until the probe of the link finds out."""
    run.chaos.freeze()
    await asyncio.sleep(run.pick.uniform(3.0, 8.0))
    run.chaos.cut()
    run.chaos.thaw()


async def slice_link(run: Run) -> None:
    """Every write arrives in pieces of a few octets."""
    run.chaos.slice_octets = run.pick.randrange(1, 8)
    await asyncio.sleep(run.pick.uniform(2.0, 4.0))
    run.chaos.slice_octets = 0


async def corrupt_link(run: Run) -> None:
    """Some writes arrive with a bit flipped: no length and no field can be trusted."""
    run.chaos.corrupt_share = 0.05
    await asyncio.sleep(run.pick.uniform(2.0, 4.0))
    run.chaos.corrupt_share = 0.0
    run.chaos.cut()


async def kill_broker(run: Run) -> None:
    """kill -9 the broker and start it again on its data."""
    assert run.broker is not None
    await asyncio.to_thread(run.broker.kill)
    await asyncio.sleep(run.pick.uniform(0.5, 3.0))
    await asyncio.to_thread(run.broker.start)


async def slow_broker(run: Run) -> None:
    """SIGSTOP the broker for a while."""
    assert run.broker is not None
    run.broker.stop_for_a_while()
    try:
        await asyncio.sleep(run.pick.uniform(2.0, 6.0))
    finally:
        run.broker.go_on()


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("kill api", kill("api"), crashes=0),
        Fault("kill dispatch", kill("dispatch")),
        Fault("kill back", kill("back"), crashes=0),
        Fault("stop api", pause("api", 1, 5), crashes=0),
        # Beyond the lease of 10 s: it must not go on with what is another's, or was given up.
        Fault("stop dispatch", pause("dispatch", 3, 14)),
        Fault("stop back", pause("back", 1, 6), crashes=0),
        Fault("kill postgres", kill_postgres),
        Fault("lock postgres", lock_postgres),
        Fault("exhaust postgres", exhaust_postgres),
        Fault("cut link", cut_link, crashes=3),
        Fault("half-open link", half_open_link),
        Fault("slice link", slice_link),
        Fault("corrupt link", corrupt_link, crashes=10, garbles=True),
        Fault("kill broker", kill_broker, buses=("kafka",)),
        Fault("slow broker", slow_broker, buses=("kafka",)),
    )
}
