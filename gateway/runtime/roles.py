"""One role as a process: build its part, serve its admin port, say that it is ready, drain at SIGTERM."""

import asyncio
import gc
import json
import os
import sys
from contextlib import suppress

import structlog
import uvloop

from gateway.runtime.admin import AdminServer
from gateway.runtime.process import stop_event
from gateway.runtime.wiring import DispatchPart, Part, build, open_base
from gateway.settings import Settings

_READY_POLL_S = 0.02
# Thresholds of the garbage collector. Batches of thousands of small objects live for one turn and make no cycles; with
# the defaults looking at them cost a tenth of the back role. Dispatch paces carriers, so its pauses stay at 3 ms.
_COLLECT_AFTER = {"api": (20_000, 20, 50), "dispatch": (3_000, 3, 100), "back": (20_000, 20, 50)}

log = structlog.get_logger()


def run_role(role: str, settings: Settings, *, index: int) -> int:
    """Run one role to its end; return the exit code."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(role, settings, index))


async def _run(role: str, settings: Settings, index: int) -> int:
    stop = stop_event()
    # What the imports made stays for ever: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER[role])
    async with open_base(settings, role) as base:
        part = build(role, base)
        pages = {"/explain": part.explain} if isinstance(part, DispatchPart) else {}
        admin = AdminServer(
            base.registry,
            host=settings.admin.host,
            port=settings.admin_port(index),
            not_ready=part.not_ready,
            pages=pages,
        )
        await admin.start()
        running = asyncio.create_task(part.run(), name=f"role.{role}")
        announcing = asyncio.create_task(_announce(part, role, admin.port), name="role.announce")
        stopping = asyncio.create_task(stop.wait(), name="role.stop")
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            part.stop()
            await running
        finally:
            for task in (announcing, stopping):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await admin.stop()
    if not stop.is_set():
        log.error("role.ended_by_itself", role=role)
        return 1
    return 0


async def _announce(part: Part, role: str, admin_port: int) -> None:
    while part.not_ready():  # noqa: ASYNC110 - parts answer the question, they have no event for it
        await asyncio.sleep(_READY_POLL_S)
    line = {"event": "ready", "role": role, "pid": os.getpid(), "admin_port": admin_port, **part.facts()}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
