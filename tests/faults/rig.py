"""What faults are done to: a carrier behind a proxy, a gateway, and with Kafka a broker behind another proxy.

A rig lives through many runs; `tests.faults.harness` keeps the books of each.
"""

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import psutil

from tests.faults.clocks import Clocks
from tests.support.chaos import Chaos
from tests.support.kafka import KafkaServer, need_java
from tests.support.ledger import database
from tests.support.smsc import Smsc
from tests.support.stack import Stack

if TYPE_CHECKING:
    from tests.faults.books import Outcome
    from tests.faults.load import Load

MPS = 400
BINDS, WINDOW = 2, 100
NUMBERS_A_RUN = 100_000
_RECONNECT_S = 60.0


@dataclass
class Broker:
    """A Kafka that is reached through a proxy alone: its advertised address is the proxy's."""

    server: KafkaServer
    chaos: Chaos

    @property
    def bootstrap(self) -> str:
        """The address to give to a gateway."""
        return f"127.0.0.1:{self.chaos.port}"


@contextlib.asynccontextmanager
async def a_broker() -> AsyncIterator[Broker]:
    """Run a Kafka on data of its own; see `need_java` for what happens where there can be none."""
    need_java()
    state = Path(tempfile.mkdtemp(prefix="cdlkafka"))
    server = KafkaServer(state)
    try:
        async with Chaos(server.port) as chaos:
            server.advertised_port = chaos.port
            await asyncio.to_thread(server.start)
            yield Broker(server, chaos)
    finally:
        server.kill()  # at once: a suite that is being ended awaits nothing more
        shutil.rmtree(state, ignore_errors=True)


@dataclass
class Rig:
    """`received` counts what the carrier took by recipient, over all `runs`; `sequence` is how many were begun."""

    stack: Stack
    smsc: Smsc
    chaos: Chaos
    broker: Broker | None
    clocks: Clocks | None
    sequence: int = 0
    runs: list[tuple["Outcome", "Load"]] = field(default_factory=list)
    received: Counter[str] = field(default_factory=Counter)
    _last_row: int = -1
    _database: asyncpg.Connection | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def bus(self) -> str:
        """The name of the bus."""
        return "postgres" if self.broker is None else "kafka"

    @property
    def var(self) -> Path:
        """The gateway's state directory."""
        return self.stack.folder / "var"

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Ask the gateway's database, connecting again while it comes back."""
        deadline = time.monotonic() + _RECONNECT_S
        while True:
            try:
                async with self._asking:
                    if self._database is None or self._database.is_closed():
                        self._database = await database(self.stack)
                    return await self._database.fetch(statement, *arguments, timeout=20)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, AssertionError):
                if time.monotonic() > deadline:
                    raise
                if self._database is not None:
                    self._database.terminate()
                await asyncio.sleep(0.1)

    async def new_rows(self) -> list[dict[str, Any]]:
        """Return what the carrier took since the last call, and count it."""
        rows = await self.smsc.messages(after=self._last_row)
        if rows:
            self._last_row = rows[-1]["number"]
        self.received.update(row["destination"] for row in rows if row["status"] == "ESME_ROK")
        return rows

    async def look_ahead(self) -> list[dict[str, Any]]:
        """Return the same without counting it: the next call of `new_rows` has it too."""
        return await self.smsc.messages(after=self._last_row)

    def postgres(self) -> list[psutil.Process]:
        """Return the database server's processes, the postmaster first; empty while there is none."""
        with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
            pid_file = self.var / "data" / "postmaster.pid"
            postmaster = psutil.Process(int(pid_file.read_text().split()[0]))
            return [postmaster, *postmaster.children(recursive=True)]
        return []

    async def close(self) -> None:
        """End our own connection."""
        if self._database is not None:
            with contextlib.suppress(asyncpg.PostgresError, OSError, TimeoutError):
                await self._database.close(timeout=5)


@contextlib.asynccontextmanager
async def a_rig(*, seed: int, broker: Broker | None = None, clocked: bool = False) -> AsyncIterator[Rig]:
    """Run a gateway with a carrier; `clocked` gives each role, and the database, a clock that can be set."""
    async with (
        Smsc("--latency", "20ms", "--receipt-delay", "200ms") as smsc,
        Chaos(smsc.port, seed=seed) as chaos,
    ):
        folder = Path(tempfile.mkdtemp(prefix="cdl"))
        clocks = Clocks(folder / "clocks") if clocked else None
        stack = Stack(
            _tree(chaos.port, broker=broker, clocks=clocks),
            folder=folder,
            serve=clocks.serve if clocks else None,
        )
        rig = Rig(stack, smsc, chaos, broker, clocks)
        try:
            async with _started(stack):
                yield rig
        finally:
            await rig.close()
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def _started(stack: Stack) -> AsyncIterator[None]:
    """Run it; one more try where the first fails: a broker that a fault has just left makes topics slowly."""
    try:
        await stack.start()
    except AssertionError as error:
        print(f"started again: {str(error)[-300:]}", flush=True)
        await stack.stop()
        await stack.start()
    try:
        stack.key = await stack.caudal("keys", "create", "--account", "demo")
        yield
    finally:
        await stack.stop()


def _tree(port: int, *, broker: Broker | None, clocks: Clocks | None) -> dict[str, Any]:
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
        tree["kafka"] = {"bootstrap": broker.bootstrap, "prefix": f"f{time.time_ns():x}."}
    if clocks is not None:
        tree["postgres_bin"] = str(clocks.postgres_bin)
    return tree
