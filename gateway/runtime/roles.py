"""One role as a process: build its part, serve its admin port, say that it is ready, follow reloads, drain at SIGTERM.

New settings come through the supervisor's pipe, or, where the role runs alone, from its own file at SIGHUP.
"""

import asyncio
import gc
import json
import os
import sys
from typing import Any

import structlog
import uvloop

from gateway.runtime.admin import AdminServer
from gateway.runtime.feed import SettingsFeed
from gateway.runtime.log_levels import LEVEL_PATH, LevelDesk
from gateway.runtime.process import hangup_event, stop_event
from gateway.runtime.reload import Reloader, announce, audit_reload, follow, read_again, refused
from gateway.runtime.run_metrics import RunMetrics
from gateway.runtime.wiring import build
from gateway.runtime.wiring.parts import Base, Part, open_base
from gateway.runtime.wiring.topics import make_topics
from gateway.settings import Settings, SettingsError
from gateway.store.controls import PostgresControls

_READY_POLL_S = 0.02
# Thresholds of the garbage collector. Batches of thousands of small objects live for one turn and make no cycles; with
# the defaults looking at them cost a tenth of the back role. Dispatch paces carriers, so its pauses stay at 3 ms.
_COLLECT_AFTER = {"api": (20_000, 20, 50), "dispatch": (3_000, 3, 100), "back": (20_000, 20, 50)}

log = structlog.get_logger()

SettingsSource = SettingsFeed | str
"""Where later settings come from: the supervisor's pipe, or the name of a configuration file."""


def run_role(role: str, settings: Settings, *, index: int, source: SettingsSource) -> int:
    """Run one role to its end; return the exit code."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(role, settings, index, source))


async def _run(role: str, settings: Settings, index: int, source: SettingsSource) -> int:
    stop = stop_event()
    hung_up = hangup_event(stop)  # also under a supervisor, whom the signal is for: it must not end the role
    # What the imports made stays for ever: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER[role])
    slot = f"{os.getppid()}.{index}" if isinstance(source, SettingsFeed) else ""
    async with open_base(settings, role, slot=slot) as base:
        part = build(role, base)
        explain = getattr(part, "explain", None)  # of dispatch alone
        alone = not isinstance(source, SettingsFeed)
        levels = LevelDesk(role, audit=PostgresControls(base.db).note if alone else None)
        run_metrics = RunMetrics(base.registry, role=role, clock=base.clock)
        run_metrics.runs(settings)
        pages = {LEVEL_PATH: levels.show, **({"/explain": explain} if explain is not None else {})}
        admin = AdminServer(
            base.registry,
            host=settings.admin.host,
            port=settings.admin_port(index),
            not_ready=lambda: {role: "draining"} if stop.is_set() else part.not_ready(),
            pages=pages,
            orders={LEVEL_PATH: levels.take},
        )
        await admin.start()
        running = asyncio.create_task(part.run(), name=f"role.{role}")
        stopping = asyncio.create_task(stop.wait(), name="role.stop")
        beside = [
            asyncio.create_task(_announce(part, role, admin.port), name="role.announce"),
            asyncio.create_task(
                _follow(part, base, source, hung_up, role=role, run_metrics=run_metrics), name="role.reload"
            ),
        ]
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            part.stop()
            await running
        finally:
            await _end(*beside, stopping)
            await admin.stop()
    if not stop.is_set():
        log.error("role.ended_by_itself", role=role)
        return 1
    return 0


async def _end(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            log.error("role.task_failed", error=repr(ended))


async def _announce(part: Part, role: str, admin_port: int) -> None:
    await _until_ready(part)
    line = {"event": "ready", "role": role, "pid": os.getpid(), "admin_port": admin_port, **part.facts()}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _until_ready(part: Part) -> None:
    while part.not_ready():  # noqa: ASYNC110 - parts answer the question, they have no event for it
        await asyncio.sleep(_READY_POLL_S)


async def _follow(
    part: Part,
    base: Base,
    source: SettingsSource,
    hung_up: asyncio.Event,
    *,
    role: str,
    run_metrics: RunMetrics,
) -> None:
    """Bring the part to every new configuration until cancelled."""

    async def apply(settings: Settings) -> None:
        await make_topics(base.bus, settings)  # before anything is routed there
        await part.reload(settings)
        run_metrics.runs(settings)

    reloader = Reloader(apply)
    async with asyncio.TaskGroup() as group:
        group.create_task(reloader.run(), name="role.reloader")
        if isinstance(source, SettingsFeed):
            async for settings in source.later():
                reloader.offer(settings)
        else:
            await _read_own_file(base, source, hung_up, reloader, role=role)


async def _read_own_file(
    base: Base, source: str, hung_up: asyncio.Event, reloader: Reloader, *, role: str
) -> None:
    running = base.settings
    while True:
        await hung_up.wait()
        hung_up.clear()
        try:
            wanted = read_again(source)
        except SettingsError as error:
            refused(error)
            continue
        if not wanted.database_url:  # that of the embedded server was filled in at the start
            wanted = wanted.model_copy(update={"database_url": running.database_url})
        reload = follow(running, wanted)
        running = reload.settings
        announce(reload, source=source)
        reloader.offer(running)
        await audit_reload(running.database_url or "", reload, actor=f"sighup:{role}", source=source)
