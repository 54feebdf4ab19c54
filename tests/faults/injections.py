"""The harm: each function does it to a rig, undoes it, and returns when it is over."""

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Awaitable, Callable, Iterable
from random import Random

import asyncpg
import psutil

from tests.faults.rig import Rig
from tests.support.ledger import database
from tests.support.stack import until

Injection = Callable[[Rig, Random], Awaitable[str | None]]
"""Returns what it chose to do, where that says more than its name."""

# Of files on the disk; PostgreSQL's shared memory is in files too, which a full disk leaves alone, and they are smaller.
_POSTGRES_OCTETS = 4 * 1024 * 1024
_BROKER_OCTETS = 64 * 1024
_MAX_CONNECTIONS = 500


# -- roles -----------------------------------------------------------------------------------------------------------


def kill(role: str) -> Injection:
    """kill -9 a role; the supervisor starts it again."""

    async def inject(rig: Rig, pick: Random) -> None:
        del pick
        pid = await rig.stack.kill(role)
        await rig.stack.until_ready(role, not_pid=pid)

    return inject


def pause(role: str, *spans: tuple[float, float]) -> Injection:
    """SIGSTOP a role for a while: it wakes up with old ideas of the time."""

    async def inject(rig: Rig, pick: Random) -> str:
        pid = (await rig.stack.roles())[role]["pid"]
        seconds = pick.uniform(*pick.choice(spans))
        with _stopped([psutil.Process(pid)]):
            await asyncio.sleep(seconds)
        return f"for {seconds:.1f} s"

    return inject


async def kill_gateway(rig: Rig, pick: Random) -> None:
    """kill -9 everything, the database included, and start it again on what is left."""
    process = rig.stack.process
    assert process is not None
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    await rig.stack.stop()
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, timeout=30)
    assert alive == []
    await asyncio.sleep(pick.uniform(0.0, 1.0))
    await rig.stack.start()


async def restart_gateway(rig: Rig, pick: Random) -> None:
    """Stop everything in order, as for an update, and start it again."""
    assert await rig.stack.stop() == 0
    await asyncio.sleep(pick.uniform(0.0, 1.0))
    await rig.stack.start()


@contextlib.contextmanager
def _stopped(processes: Iterable[psutil.Process]):  # type: ignore[no-untyped-def]
    stopped = []
    try:
        for one in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                os.kill(one.pid, signal.SIGSTOP)
                stopped.append(one)
        yield
    finally:
        for one in stopped:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                os.kill(one.pid, signal.SIGCONT)


# -- PostgreSQL ------------------------------------------------------------------------------------------------------


async def kill_postgres(rig: Rig, pick: Random) -> None:
    """kill -9 the postmaster: everything of it goes; the supervisor starts it again."""
    await _until_postgres_is_another(rig, signal.SIGKILL)
    await asyncio.sleep(pick.uniform(0.0, 1.0))


async def restart_postgres(rig: Rig, pick: Random) -> None:
    """A fast shutdown, as of an operator; the supervisor starts it again."""
    await _until_postgres_is_another(rig, signal.SIGINT)
    await asyncio.sleep(pick.uniform(0.0, 1.0))


async def _until_postgres_is_another(rig: Rig, signum: signal.Signals) -> None:
    before = rig.postgres()[0].pid
    os.kill(before, signum)

    async def is_back() -> bool:
        with contextlib.suppress(AssertionError, OSError, asyncpg.PostgresError):
            connection = await database(rig.stack)
            await connection.close()
            return rig.postgres()[0].pid != before
        return False

    await until(is_back, limit_s=60)


async def stop_postgres(rig: Rig, pick: Random) -> None:
    """SIGSTOP every process of the server: connections stay up and nothing moves."""
    with _stopped(rig.postgres()):
        await asyncio.sleep(pick.uniform(2.0, 6.0))


async def lock_tables(rig: Rig, pick: Random) -> None:
    """Hold the locks that every writer needs."""
    await _hold(rig, pick, "LOCK TABLE messages, submissions, bus_position IN ACCESS EXCLUSIVE MODE")


async def lock_heads(rig: Rig, pick: Random) -> None:
    """Hold the rows of the bus that every append moves."""
    await _hold(rig, pick, "SELECT 1 FROM bus_partition ORDER BY id FOR UPDATE")


async def _hold(rig: Rig, pick: Random, statement: str) -> None:
    connection = await database(rig.stack)
    hold_s = pick.uniform(2.0, 5.0)
    try:
        while True:
            # Of two that wait for each other crosswise the server refuses one; where it is us, the harm is still to do.
            with contextlib.suppress(asyncpg.DeadlockDetectedError):
                async with connection.transaction():
                    await connection.execute(statement)
                    await asyncio.sleep(hold_s)
                    return
    finally:
        await connection.close()


async def exhaust_postgres(rig: Rig, pick: Random) -> None:
    """End the gateway's connections and take every one that the server gives, for some seconds."""
    held: list[asyncpg.Connection] = []
    loop = asyncio.get_running_loop()
    try:
        await _take_connections(rig, held)
        with contextlib.suppress(asyncpg.PostgresError, OSError, IndexError):
            await held[0].execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'caudal%'"
            )
        over = loop.time() + pick.uniform(1.0, 3.0)
        while loop.time() < over:
            await _take_connections(rig, held)
            await asyncio.sleep(0.02)
    finally:
        for one in held:
            one.terminate()


async def _take_connections(rig: Rig, held: list[asyncpg.Connection]) -> None:
    with contextlib.suppress(asyncpg.PostgresError, OSError, AssertionError):
        while len(held) < _MAX_CONNECTIONS:
            held.append(await database(rig.stack))


async def fill_postgres_disk(rig: Rig, pick: Random) -> None:
    """No file of the server can grow beyond some megabytes, the write-ahead log least of all: it ends, and cannot start
    until there is room again.
    """
    process = rig.stack.process
    assert process is not None
    supervisor = psutil.Process(process.pid)
    # The next server inherits the limit from who starts it.
    _limit([supervisor], _POSTGRES_OCTETS)
    try:
        for _ in range(3):  # and again, for those that were just being forked
            _limit(rig.postgres(), _POSTGRES_OCTETS)
        await asyncio.sleep(pick.uniform(2.0, 5.0))
    finally:
        for _ in range(5):
            _limit([supervisor, *supervisor.children(recursive=True)], resource.RLIM_INFINITY)
            await asyncio.sleep(0.1)
    await rig.fetch("SELECT 1")


def _limit(processes: Iterable[psutil.Process], octets: int) -> None:
    """Limit the size of files that processes write; a write beyond it fails, as on a full disk."""
    for one in processes:
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(one.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(one.pid, resource.RLIMIT_FSIZE, (octets if octets >= 0 else hard, hard))


# -- the carrier's link ----------------------------------------------------------------------------------------------


async def cut_link(rig: Rig, pick: Random) -> None:
    """Reset the carrier's connections, some times in a row, refusing new ones for a moment."""
    for _ in range(pick.randrange(1, 4)):
        rig.chaos.is_refusing = True
        rig.chaos.cut()
        await asyncio.sleep(pick.uniform(0.1, 0.8))
        rig.chaos.is_refusing = False
        await asyncio.sleep(pick.uniform(0.2, 1.0))


async def half_open_link(rig: Rig, pick: Random) -> None:
    """Nothing passes, nobody is told: until the probe of the link finds out."""
    rig.chaos.freeze()
    await asyncio.sleep(pick.uniform(3.0, 8.0))
    rig.chaos.cut()
    rig.chaos.thaw()


async def slice_link(rig: Rig, pick: Random) -> None:
    """Every write arrives in pieces of a few octets."""
    # Pieces much smaller would keep this proxy from forwarding at all.
    rig.chaos.slice_octets = pick.randrange(5, 40)
    await asyncio.sleep(pick.uniform(2.0, 4.0))
    rig.chaos.slice_octets = 0


async def corrupt_link(rig: Rig, pick: Random) -> None:
    """Some writes arrive with a bit flipped: no length and no field can be trusted."""
    rig.chaos.corrupt_share = 0.05
    await asyncio.sleep(pick.uniform(2.0, 4.0))
    rig.chaos.corrupt_share = 0.0
    rig.chaos.cut()


async def stop_carrier(rig: Rig, pick: Random) -> None:
    """SIGSTOP the carrier: its system still takes octets, nobody reads them, and then all is answered late."""
    with _stopped([psutil.Process(rig.smsc.pid)]):
        await asyncio.sleep(pick.uniform(1.0, 7.0))


# -- the broker ------------------------------------------------------------------------------------------------------


async def kill_broker(rig: Rig, pick: Random) -> None:
    """kill -9 the broker and start it again on its data."""
    assert rig.broker is not None
    await asyncio.to_thread(rig.broker.server.kill)
    await asyncio.sleep(pick.uniform(0.5, 3.0))
    await asyncio.to_thread(rig.broker.server.start)


async def stop_broker(rig: Rig, pick: Random) -> None:
    """SIGSTOP the broker for a while."""
    assert rig.broker is not None
    rig.broker.server.stop_for_a_while()
    try:
        await asyncio.sleep(pick.uniform(2.0, 6.0))
    finally:
        rig.broker.server.go_on()


async def slow_broker(rig: Rig, pick: Random) -> None:
    """Everything to and from the broker takes some tenths of a second."""
    assert rig.broker is not None
    rig.broker.chaos.delay_s = pick.uniform(0.1, 0.4)
    await asyncio.sleep(pick.uniform(2.0, 5.0))
    rig.broker.chaos.delay_s = 0.0


async def cut_broker(rig: Rig, pick: Random) -> None:
    """Reset every connection to the broker, some times in a row: what was being appended is in doubt."""
    assert rig.broker is not None
    for _ in range(pick.randrange(2, 5)):
        rig.broker.chaos.cut()
        await asyncio.sleep(pick.uniform(0.1, 1.0))


async def half_open_broker(rig: Rig, pick: Random) -> None:
    """Nothing passes to or from the broker, and nobody is told; then the connections are gone."""
    assert rig.broker is not None
    rig.broker.chaos.freeze()
    await asyncio.sleep(pick.uniform(2.0, 6.0))
    rig.broker.chaos.cut()
    rig.broker.chaos.thaw()


async def fill_broker_disk(rig: Rig, pick: Random) -> None:
    """No file of the broker can grow: it gives up, and is started again when there is room."""
    assert rig.broker is not None
    server = rig.broker.server
    process = psutil.Process(server.pid)
    _limit([process], _BROKER_OCTETS)
    try:
        await asyncio.sleep(pick.uniform(2.0, 4.0))
    finally:
        _limit([process], resource.RLIM_INFINITY)
    # Whether it ended by itself or hangs without a disk: an operator makes room and starts it again.
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


# -- clocks ----------------------------------------------------------------------------------------------------------

_STEPS_S = (45, 300, 3_600, 5 * 3_600)


def step(*whose: str) -> Injection:
    """Step clocks by minutes or hours, ahead or back, and after some seconds to the true time again."""

    async def inject(rig: Rig, pick: Random) -> str:
        assert rig.clocks is not None
        offset_s = pick.choice(_STEPS_S) * pick.choice((-1, 1))
        for one in whose:
            rig.clocks.set(one, offset_s)
        await asyncio.sleep(pick.uniform(1.5, 4.0))
        for one in whose:
            rig.clocks.set(one, 0)
        return f"{offset_s:+d} s"

    return inject
