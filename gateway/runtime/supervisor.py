"""`caudal serve`: one supervisor, its database, the simulator if asked for, and the roles as child processes.

SIGHUP: the configuration file is read again, and the roles follow what of it can change while they run.
Start: database, migrations, simulator, roles. A role that dies is started again with back-off. Stop (SIGTERM,
Ctrl-C): api first, so that nothing new comes in; then dispatch, which lets the windows empty; then back, which
records what is left; then simulator and database. A second signal ends everything at once.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from gateway.ports.clock import SystemClock
from gateway.ports.control_store import AuditEntry
from gateway.runtime.admin import AdminServer
from gateway.runtime.children import Child, authority, child_facts, scrape_targets, stop_child, tell
from gateway.runtime.database_watch import DatabaseWatch
from gateway.runtime.feed import settings_line
from gateway.runtime.log_levels import LEVEL_PATH, LevelDesk
from gateway.runtime.pidfile import PidFile
from gateway.runtime.process import die_with_parent, hangup_event, stop_event
from gateway.runtime.reload import (
    FOLLOWED,
    announce,
    audit_reload,
    follow,
    note_audit,
    read_again,
    refused,
)
from gateway.runtime.run_metrics import RunMetrics
from gateway.runtime.welcome import welcome
from gateway.settings import Settings, SettingsError
from gateway.settings.loading import DEMO_SOURCE
from gateway.store.embedded import EmbeddedPostgres
from gateway.store.migrate import migrate
from gateway.telemetry.logs import set_level
from gateway.telemetry.metrics import counter, gauge

ROLES: tuple[str, ...] = ("api", "dispatch", "back")
START_TIMEOUT_S = 60.0
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STABLE_S = 30.0
_READY = b'{"event": "ready"'

log = structlog.get_logger()


class StartError(Exception):
    """The gateway cannot start; the text says why and what to do."""


class Supervisor:
    """Owns the database and the children from `run` on until it returns."""

    def __init__(self, settings: Settings, *, source: str) -> None:
        self._settings = settings
        # As the file says, before free ports and the database's address were filled in.
        self._as_read = settings
        self._source = source
        self._postgres: EmbeddedPostgres | None = None
        self._children: dict[str, Child] = {}
        self._registry = CollectorRegistry()
        self._up = gauge(self._registry, "role_up")
        self._restarts = counter(self._registry, "role_restarts_total")
        self._run_metrics = RunMetrics(self._registry, role="supervisor", clock=SystemClock())
        self._draining = False
        self._admin_port = settings.admin_port(0)

    async def run(self) -> int:
        """Start everything, supervise, stop; return the exit code."""
        stop = stop_event()
        hung_up = hangup_event(stop)
        reloading: asyncio.Task[None] | None = None
        pid_file: PidFile | None = None
        levels = LevelDesk("supervisor", audit=self._note, others=self._role_addresses)
        admin = AdminServer(
            self._registry,
            host=self._settings.admin.host,
            port=self._settings.admin_port(0),
            not_ready=self._not_ready,
            pages={"/sd": self._discovery, "/roles": self._role_facts, LEVEL_PATH: levels.show},
            orders={LEVEL_PATH: levels.take},
        )
        self._admin_port = await admin.start()
        try:
            self._start_database()
            pid_file = self._take_pid_file()
            await migrate(self._settings.database_url or "")
            await self._start_simulator()
            self._run_metrics.runs(self._settings)
            for index, role in enumerate(ROLES, start=1):
                self._children[role] = Child(role, _role_command(role, index), index)
                for metric in (self._up, self._restarts):
                    metric.labels(role)
            await asyncio.gather(
                *(self._start(child) for child in self._children.values() if not child.is_running)
            )
            await self._wait_ready(stop)
            if not stop.is_set():
                self._keep_api_port()
                self._announce(admin.port)
            reloading = asyncio.create_task(self._reload_when_asked(hung_up), name="supervisor.reload")
            await self._supervise(stop)
        finally:
            self._draining = True
            if reloading is not None:
                reloading.cancel()
                await asyncio.gather(reloading, return_exceptions=True)
            if pid_file is not None:
                pid_file.release()
            await self._stop_all()
            await admin.stop()
        return 0

    def _start_database(self) -> None:
        """Start the embedded server, unless another is configured, and put its address into the settings."""
        if self._settings.database_url:
            return
        self._postgres = EmbeddedPostgres(self._settings.state_dir, bin_dir=self._settings.postgres_bin)
        dsn = self._postgres.start()
        self._settings = self._settings.model_copy(update={"database_url": dsn})

    async def _start_simulator(self) -> None:
        simulator = self._settings.simulator
        if not simulator.enabled:
            return
        port = simulator.smpp_port
        carrier = next((one for one in self._settings.smpp_carriers.values() if one.port == port), None)
        if carrier is None:
            raise StartError(
                f"simulator.smpp_port {simulator.smpp_port} is the port of no configured carrier"
            )
        command = [
            *(sys.executable, "-m", "loadtest.cli", "smsc", "--die-with-parent"),
            *("--port", str(simulator.smpp_port), "--http-port", str(simulator.http_port)),
            *("--system-id", carrier.system_id, "--password", carrier.resolved_password()),
            *("--receipt-delay", simulator.receipt_delay, "--latency", simulator.latency),
            *simulator.arguments,
        ]
        child = Child("simulator", command, passes_settings=False)
        self._children["simulator"] = child
        await self._start(child)
        await self._until_ready(child)
        port = child.facts.get("smpp_port", simulator.smpp_port)
        if port != simulator.smpp_port:  # it was asked to take a free one
            child.command[child.command.index("--port") + 1] = str(port)
            self._settings = self._with_simulator_port(self._settings)

    def _with_simulator_port(self, settings: Settings) -> Settings:
        """Fill in the port that the simulator took, wherever the configuration has that of the simulator."""
        asked = self._as_read.simulator.smpp_port
        facts = self._children["simulator"].facts if "simulator" in self._children else {}
        port = facts.get("smpp_port", asked)
        carriers = {
            name: one.model_copy(update={"port": port})
            for name, one in settings.smpp_carriers.items()
            if port != asked and one.port == asked
        }
        simulator = settings.simulator.model_copy(update={"smpp_port": port})
        return settings.model_copy(
            update={"carriers": {**settings.carriers, **carriers}, "simulator": simulator}
        )

    async def _start(self, child: Child) -> None:
        child.ready.clear()
        child.started_at = time.monotonic()
        child.process = await asyncio.create_subprocess_exec(
            *child.command,
            stdin=asyncio.subprocess.PIPE if child.passes_settings else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            limit=1024 * 1024,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        if child.passes_settings and child.process.stdin is not None:
            # Secrets go through a pipe, never through arguments or the environment.
            # It stays open: every later line is a reload.
            await tell(child.process.stdin, settings_line(self._settings))
        child.output = asyncio.create_task(
            self._relay(child, child.process), name=f"supervisor.output.{child.name}"
        )
        if child.name in ROLES:
            self._up.labels(child.name).set(1)

    async def _relay(self, child: Child, process: asyncio.subprocess.Process) -> None:
        """Pass the child's lines on; its first `ready` line carries the ports it took."""
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line beyond the limit; what was buffered is dropped
                continue
            if not line:
                return
            if line.startswith((_READY, b'{"event": "listening"', b'{"event":"listening"')):
                with suppress(ValueError):
                    child.facts = json.loads(line)
                child.ready.set()
            else:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()

    async def _until_ready(self, child: Child) -> None:
        assert child.process is not None
        waits = [
            asyncio.create_task(child.ready.wait(), name="supervisor.ready"),
            asyncio.create_task(child.process.wait(), name="supervisor.exit"),
        ]
        try:
            await asyncio.wait(waits, timeout=START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
        if not child.ready.is_set():
            if child.process.returncode is not None:
                raise StartError(f"{child.name} ended with code {child.process.returncode} while starting")
            raise StartError(f"{child.name} was not ready after {START_TIMEOUT_S:.0f} s")

    async def _wait_ready(self, stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait(), name="supervisor.stop")
        ready = asyncio.gather(*(self._until_ready(self._children[role]) for role in ROLES))
        try:
            waits: set[asyncio.Future[Any]] = {stopped, ready}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                ready.result()
        finally:
            stopped.cancel()
            ready.cancel()
            with suppress(asyncio.CancelledError, StartError):
                await ready

    async def _supervise(self, stop: asyncio.Event) -> None:
        watchers = [
            asyncio.create_task(self._keep_alive(child), name=f"supervisor.watch.{child.name}")
            for child in self._children.values()
        ]
        watch = DatabaseWatch(self._postgres) if self._postgres is not None else None
        stopped = asyncio.create_task(stop.wait(), name="supervisor.stop")
        try:
            while not stopped.done():
                await asyncio.wait({stopped}, timeout=1.0)
                if watch is not None and not stopped.done():
                    watch.look(now_s=time.monotonic())
        finally:
            stopped.cancel()
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    async def _keep_alive(self, child: Child) -> None:
        """Start the child again whenever it ends, waiting longer each time until one run lasts."""
        while True:
            assert child.process is not None
            code = await child.process.wait()
            if child.name in ROLES:
                self._up.labels(child.name).set(0)
            if time.monotonic() - child.started_at > STABLE_S:
                child.restarts = 0
            wait_s = BACKOFF_S[min(child.restarts, len(BACKOFF_S) - 1)]
            child.restarts += 1
            log.error("role.died", child=child.name, exit_code=code, restart_in_s=wait_s)
            await asyncio.sleep(wait_s)
            if child.name in ROLES:
                self._restarts.labels(child.name).inc()
            await self._start(child)

    async def _reload_when_asked(self, hung_up: asyncio.Event) -> None:
        while True:
            await hung_up.wait()
            hung_up.clear()
            try:
                await self._reload()
            except SettingsError as error:
                refused(error)
            except Exception:
                log.exception("config.reload_failed")

    async def _reload(self) -> None:
        """Read the file again and hand what changed to the roles; SettingsError where it cannot be used."""
        reload = follow(self._as_read, read_again(self._source))
        self._as_read = reload.settings
        followed = self._with_simulator_port(reload.settings)
        self._settings = self._settings.model_copy(
            update={name: getattr(followed, name) for name in FOLLOWED}
        )
        set_level(self._settings.log_level)
        self._run_metrics.runs(self._settings)
        announce(reload, source=self._source)
        line = settings_line(self._settings)
        for child in self._children.values():
            # One that does not run now gets them when it starts.
            if child.passes_settings and child.is_running and child.process and child.process.stdin:
                await tell(child.process.stdin, line)
        await audit_reload(self._settings.database_url or "", reload, actor="sighup", source=self._source)

    def _take_pid_file(self) -> PidFile | None:
        """Let `caudal config reload` find this process."""
        folder = self._settings.state_dir
        source = self._source if self._source == DEMO_SOURCE else str(Path(self._source).resolve())
        try:
            pid_file = PidFile.take(folder, source=source, admin_port=self._admin_port)
        except OSError as error:
            log.warning("pid_file.not_written", folder=str(folder), error=error.strerror)
            return None
        if pid_file is None:
            log.warning("pid_file.taken", folder=str(folder), why="another `caudal serve` runs on it")
        return pid_file

    async def _stop_all(self) -> None:
        """End the children in the order that loses nothing, then the database."""
        limit_s = self._settings.drain_s + 15.0
        for name in (*ROLES, "simulator"):
            child = self._children.get(name)
            if child is not None:
                await stop_child(child, limit_s=limit_s)
        if self._postgres is not None:
            self._postgres.stop()

    def _keep_api_port(self) -> None:
        """Let an api that is started again take the ports that customers already know."""
        facts = self._children["api"].facts
        update: dict[str, Any] = {"api": self._settings.api.model_copy(update={"port": facts["port"]})}
        if "smpp_port" in facts:
            port = facts["smpp_port"]
            update["smpp_server"] = self._settings.smpp_server.model_copy(update={"port": port})
        self._settings = self._settings.model_copy(update=update)

    def _not_ready(self) -> dict[str, str]:
        reasons = {
            child.name: "starting" if child.is_running else "not running"
            for child in self._children.values()
            if not (child.is_running and child.ready.is_set())
        }
        if self._draining:
            reasons["supervisor"] = "draining"
        return reasons

    def _discovery(self) -> list[dict[str, Any]]:
        """Prometheus HTTP service discovery: one target a process."""
        return scrape_targets(self._children, host=self._settings.admin.host, own_port=self._admin_port)

    def _role_facts(self) -> dict[str, Any]:
        return {name: child_facts(child) for name, child in self._children.items()}

    def _role_addresses(self) -> dict[str, str]:
        host = self._settings.admin.host
        return {
            child.name: f"http://{authority(host, child.facts['admin_port'])}"
            for child in self._children.values()
            if child.index and child.is_running and "admin_port" in child.facts
        }

    async def _note(self, entry: AuditEntry) -> None:
        await note_audit(self._settings.database_url or "", entry)

    def _announce(self, admin_port: int) -> None:
        settings, facts = self._settings, {name: child.facts for name, child in self._children.items()}
        base = f"http://{settings.api.host}:{facts['api'].get('port', settings.api.port)}"
        welcome(settings, source=self._source, api_url=base, admin_port=admin_port, facts=facts)
        log.info("up", api=base, admin_port=admin_port, pid=os.getpid())


def _role_command(role: str, index: int) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", "run", role, "--settings-from-stdin", "--index", str(index)]


def serve(settings: Settings, *, source: str) -> int:
    """Run the supervisor to its end; return the exit code."""
    state_dir = settings.state_dir
    if not settings.database_url:
        _check_state_dir(state_dir)
    return asyncio.run(Supervisor(settings, source=source).run())


def _check_state_dir(state_dir: Path) -> None:
    if state_dir.exists() and not os.access(state_dir, os.R_OK | os.W_OK | os.X_OK):
        owner = state_dir.stat().st_uid
        raise SettingsError(
            f"state directory {state_dir} belongs to uid {owner}; run as that user or set state_dir"
        )


__all__: Sequence[str] = ("ROLES", "StartError", "Supervisor", "serve")
