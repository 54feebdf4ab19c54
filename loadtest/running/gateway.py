"""The gateway under test: one that a run starts for itself and takes away again, or one that runs already.

Black boxes both: configuration file, command line, HTTP, signals, and the database as any operator may read it.
"""

import asyncio
import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
import psutil  # type: ignore[import-untyped]  # it ships no types

from loadtest.running.carriers import PASSWORD, Carrier
from loadtest.running.children import Child, ChildError, Facts
from loadtest.running.sink import FINAL_TYPES

ACCOUNT: Final = "loadtest"
ROLES: Final = ("api", "dispatch", "back")
START_S: Final = 300.0  # a machine that others keep busy takes its time
STOP_S: Final = 60.0
COMMAND_S: Final = 120.0
SIGNALLED_S: Final = 5.0
SIGNALLED_LOOK_S: Final = 0.05
MAX_LOG_OCTETS: Final = 32 << 20
_BIN: Final = Path(sys.executable).parent
_ASK: Final = aiohttp.ClientTimeout(total=3.0)
_DATABASE: Final = "caudal"

_STATES: Final = """
SELECT m.id, m.state, coalesce(m.final_at, 0) AS final_at
FROM messages AS m WHERE m.id >= $1 AND m.state_rank = 3
"""
_OPEN: Final = (
    "SELECT count(*) FILTER (WHERE state_rank = 3) AS final, count(*) AS known FROM messages WHERE id >= $1"
)
_WAITING: Final = "SELECT id FROM messages WHERE id >= $1 AND state_rank < 2"
# A submit without an answer, or what a process that was killed had claimed: nobody knows whether it was sent.
_IN_DOUBT: Final = """
SELECT found.id, max(found.at) AS at
FROM (
    SELECT message_id AS id, submitted_at AS at FROM submissions WHERE message_id >= $1 AND outcome = 'ambiguous'
    UNION ALL
    SELECT message_id, at FROM message_events WHERE message_id >= $1 AND type = 'in_doubt'
) AS found JOIN messages AS m ON m.id = found.id
WHERE m.state_rank < 3 GROUP BY found.id
"""
_DEFERRED: Final = "SELECT message_id AS id FROM deferred WHERE message_id >= $1"


class GatewayError(Exception):
    """A gateway that cannot be started or reached; the run is INVALID."""


class OwnGateway:
    """`caudal serve` with the scenario's carriers, in a folder of its own. Call `start` once and `stop` always."""

    def __init__(self, folder: Path, *, command: str | None, log_path: Path) -> None:
        self.folder = folder
        self.is_ours = True
        self._command = shlex.split(command) if command else [str(_BIN / "caudal"), "serve"]
        self._log_path = log_path
        self._child: Child | None = None
        self._log_octets = 0
        self._restarts: dict[str, int] = {}
        self.api_port = free_port()
        self.url = f"http://127.0.0.1:{self.api_port}"
        self.key = ""
        self.admin = ""
        self.settings_text = ""

    async def start(self, carriers: Sequence[Carrier]) -> None:
        """Write the configuration, start, and make account and key. Raises GatewayError."""
        tree: dict[str, Any] = {
            "api": {"port": self.api_port},
            "admin": {"port": 0},
            "webhooks": {"allow_loopback": True},
            "carriers": {one.settings.id: one.gateway_settings() for one in carriers},
        }
        self.settings_text = toml_text(tree)
        (self.folder / "caudal.toml").write_text(self.settings_text, encoding="utf-8")
        log = self._log_path.open("ab")
        facts = Facts("up")

        def hear(line: bytes) -> None:
            facts.feed(line)
            if self._log_octets < MAX_LOG_OCTETS:
                self._log_octets += len(line)
                log.write(line)
                log.flush()

        self._child = Child("gateway", hear)
        try:
            await self._child.start(self._command, folder=self.folder, environment=_environment())
            said = await facts.wait(self._child, START_S)
        except ChildError as error:
            raise GatewayError(str(error)) from None
        self.admin = f"http://127.0.0.1:{said['admin_port']}"
        self.key = await self.caudal("keys", "create", "--account", ACCOUNT)

    @property
    def masked_settings(self) -> str:
        """Return the configuration without its secrets."""
        return self.settings_text.replace(json.dumps(PASSWORD), '"***"')

    @property
    def settings_digest(self) -> str:
        """Return what tells two configurations apart; ports differ by run, so they are left out."""
        lines = [line for line in self.settings_text.splitlines() if "port" not in line and "url" not in line]
        return sha256("\n".join(lines).encode()).hexdigest()[:16]

    async def subscribe(self, url: str, *, batch: int) -> None:
        """Have the account told of final states at `url`. Raises GatewayError."""
        types = [part for one in FINAL_TYPES for part in ("--type", one)]
        await self.caudal(
            "webhooks", "create", "--account", ACCOUNT, "--url", url, "--batch-max", str(batch), *types
        )

    async def hold(self, carrier: str, *, is_held: bool) -> None:
        """Have nothing submitted to a carrier, or go on. Raises GatewayError."""
        await self.caudal("carriers", "pause" if is_held else "resume", carrier, "--reason", "load test")

    async def caudal(self, *arguments: str) -> str:
        """Run a `caudal` command in the gateway's folder; return what it printed. Raises GatewayError."""
        process = await asyncio.create_subprocess_exec(
            str(_BIN / "caudal"),
            *arguments,
            cwd=self.folder,
            env=_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), COMMAND_S)
        except BaseException as error:
            with suppress(ProcessLookupError):
                process.kill()
            if isinstance(error, TimeoutError):
                raise GatewayError(f"caudal {arguments[0]} took longer than {COMMAND_S:.0f} s") from None
            raise
        if process.returncode != 0:
            raise GatewayError(f"caudal {' '.join(arguments[:2])}: {err.decode().strip()[-500:]}")
        return out.decode().strip()

    async def stop(self) -> None:
        """End it, with its database."""
        if self._child is None:
            return
        await self._child.stop(limit_s=STOP_S)
        for process in self._postgres():  # only where the supervisor had to be killed
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)

    # -- looking -----------------------------------------------------------------------------------

    def trouble(self) -> str:
        """Return why it does not run any more; empty while it does."""
        return "" if self._child is None or self._child.is_running else self._child.trouble()

    async def roles(self, http: aiohttp.ClientSession) -> dict[str, dict[str, Any]]:
        """Return pid and ports of each part. Raises OSError, TimeoutError."""
        async with http.get(f"{self.admin}/roles", timeout=_ASK) as answer:
            return dict(await answer.json())

    def pages(self, roles: dict[str, dict[str, Any]]) -> dict[str, str]:
        """Return the URL of each part's metrics."""
        return {
            name: f"http://127.0.0.1:{facts['admin_port']}/metrics"
            for name, facts in roles.items()
            if facts.get("ready") and "admin_port" in facts
        }

    def processes(self, roles: dict[str, dict[str, Any]]) -> dict[str, list[psutil.Process]]:
        """Return the processes of each part; the database server is one part of many."""
        found: dict[str, list[psutil.Process]] = {}
        for name, facts in roles.items():
            with suppress(psutil.Error, TypeError, KeyError):
                found[name] = [psutil.Process(facts["pid"])]
        if self._child is not None and self._child.is_running:
            with suppress(psutil.Error):
                found["supervisor"] = [psutil.Process(self._child.pid)]
        server = self._postgres()
        if server:
            found["postgres"] = server
        return found

    def _postgres(self) -> list[psutil.Process]:
        """Return the database server's processes, the postmaster first; empty while there is none."""
        with suppress(OSError, ValueError, IndexError, psutil.Error):
            pid = int((self.folder / "var" / "data" / "postmaster.pid").read_text().split()[0])
            postmaster = psutil.Process(pid)
            return [postmaster, *postmaster.children(recursive=True)]
        return []

    # -- breaking ----------------------------------------------------------------------------------

    async def signal(
        self, http: aiohttp.ClientSession, part: str, signum: signal.Signals
    ) -> Callable[[], None]:
        """Send a signal to a part and see it obeyed; return what sends SIGCONT to the same processes. Raises GatewayError."""
        if part == "postgres":
            targets = self._postgres()
            if signum == signal.SIGKILL:
                targets = targets[:1]  # its children end with it, as after a crash
        else:
            targets = self.processes(await self.roles(http)).get(part, [])
        if not targets:
            raise GatewayError(f"the gateway has no part {part!r} that runs")

        def go_on() -> None:
            for process in targets:
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGCONT)

        try:
            for process in targets:
                with suppress(psutil.Error):
                    process.send_signal(signum)
            await until_signalled(targets, signum, part=part)
        except BaseException:
            go_on()  # nobody would know what to let go on
            raise
        return go_on

    # -- what became of the messages -----------------------------------------------------------------

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        lines = (self.folder / "var" / "data" / "postmaster.pid").read_text().splitlines()
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            host=lines[4].strip(), port=5432, user=_DATABASE, database=_DATABASE, timeout=10
        )
        return connection

    async def progress(self, first_id: Any) -> tuple[int, int]:
        """Return how many messages since `first_id` are final, and how many are known. Raises OSError, asyncpg's."""
        connection = await self._connect()
        try:
            row = await connection.fetchrow(_OPEN, first_id, timeout=60)
            return (0, 0) if row is None else (row["final"], row["known"])
        finally:
            await connection.close(timeout=5)

    async def finals(self, first_id: Any) -> list[tuple[Any, str, int]]:
        """Return (id, state, epoch ms) of every final message since `first_id`. Raises OSError, asyncpg's."""
        connection = await self._connect()
        try:
            async with connection.transaction(readonly=True):
                return [
                    (row["id"], row["state"], row["final_at"])
                    async for row in connection.cursor(_STATES, first_id, prefetch=5_000)
                ]
        finally:
            await connection.close(timeout=5)

    async def in_doubt(self, first_id: Any) -> list[tuple[Any, int]]:
        """Return (id, epoch ms of the end) of open messages whose submit was never answered. Raises OSError, asyncpg's."""
        connection = await self._connect()
        try:
            return [
                (row["id"], row["at"]) for row in await connection.fetch(_IN_DOUBT, first_id, timeout=120)
            ]
        finally:
            await connection.close(timeout=5)

    async def waiting(self, first_id: Any, *, has_empty_lanes: bool) -> set[Any]:
        """Return the ids that wait for a carrier. Raises OSError, asyncpg's.

        Where nothing is left in the lanes only what is put off to a later time waits; queued alone means nothing then.
        """
        connection = await self._connect()
        try:
            statement = _DEFERRED if has_empty_lanes else _WAITING
            return {row["id"] for row in await connection.fetch(statement, first_id, timeout=120)}
        finally:
            await connection.close(timeout=5)


async def until_signalled(processes: Sequence[psutil.Process], signum: signal.Signals, *, part: str) -> None:
    """Wait until SIGKILL has ended, or SIGSTOP has stopped, every process. Raises GatewayError where it has not."""
    for _ in range(int(SIGNALLED_S / SIGNALLED_LOOK_S)):
        if all(_obeys(one, signum) for one in processes):
            return
        await asyncio.sleep(SIGNALLED_LOOK_S)
    raise GatewayError(f"{part} went on for {SIGNALLED_S:.0f} s after {signum.name}")


def _obeys(process: psutil.Process, signum: signal.Signals) -> bool:
    try:
        status = process.status()
    except psutil.Error:
        return True  # it is gone
    if signum == signal.SIGSTOP:
        return bool(status in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE))
    return bool(status in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)) or not process.is_running()


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def toml_text(tree: dict[str, Any], prefix: str = "") -> str:
    """Write a tree of tables and plain values as TOML."""
    plain, tables = [], []
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            tables.append(f"\n[{path}]\n" + toml_text(value, f"{path}."))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            tables.extend(f"\n[[{path}]]\n" + toml_text(one, f"{path}.") for one in value)
        else:
            plain.append(f"{key} = {json.dumps(value)}\n")
    return "".join(plain) + "".join(tables)


def _environment() -> dict[str, str]:
    """Return our environment without settings that are meant for another gateway."""
    return {key: value for key, value in os.environ.items() if not key.startswith("CAUDAL_")}
