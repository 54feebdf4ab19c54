"""The supervisor's children: what is known of one, how it is told its settings, how it is ended."""

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

_OUTPUT_S = 2.0
TELL_S = 5.0

log = structlog.get_logger()


@dataclass(slots=True)
class Child:
    """One supervised process. `restarts` counts failures since it last ran for STABLE_S, `index` is 0 for no role."""

    name: str
    command: list[str]
    index: int = 0
    passes_settings: bool = True
    process: asyncio.subprocess.Process | None = None
    started_at: float = 0.0
    restarts: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    facts: dict[str, Any] = field(default_factory=dict)
    output: asyncio.Task[None] | None = None
    stopping: bool = False

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None


def authority(host: str, port: int) -> str:
    """Return host and port as a URL has them (RFC 3986 §3.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def scrape_targets(children: Mapping[str, Child], *, host: str, own_port: int) -> list[dict[str, Any]]:
    """Return the targets as Prometheus HTTP service discovery wants them: the supervisor, then a process each."""
    own = {"targets": [authority(host, own_port)], "labels": {"role": "supervisor", "index": "0"}}
    return [own] + [
        {
            "targets": [authority(host, child.facts["admin_port"])],
            "labels": {"role": child.name, "index": str(child.index)},
        }
        for child in children.values()
        if child.index and "admin_port" in child.facts
    ]


def child_facts(child: Child) -> dict[str, Any]:
    """Return pid, readiness and ports, for people and tests."""
    return {
        "pid": child.process.pid if child.is_running and child.process else None,
        "ready": child.is_running and child.ready.is_set(),
        **{key: value for key, value in child.facts.items() if key.endswith("port")},
    }


async def stop_child(child: Child, *, limit_s: float) -> None:
    process = child.process
    if process is None:
        return
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), limit_s)
        except TimeoutError:
            log.warning("role.killed", child=child.name, after_s=limit_s)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if child.output is not None:
        with suppress(TimeoutError):
            await asyncio.wait_for(child.output, _OUTPUT_S)


async def tell(pipe: asyncio.StreamWriter, line: bytes) -> None:
    """Write settings into a child's pipe; one that died, or reads nothing, gets them at its next start."""
    with suppress(ConnectionError, TimeoutError):
        pipe.write(line)
        async with asyncio.timeout(TELL_S):
            await pipe.drain()
