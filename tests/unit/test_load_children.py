"""Children of a run: heard line by line, named when they fail, and never left behind."""

import asyncio
import sys
from contextlib import suppress

import psutil
import pytest

from loadtest.running.children import Child, ChildError, Facts

READY = 'import json,sys; print(\'{"event": "ready", "port": 7}\', flush=True); '


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_a_child_tells_its_facts_and_hears_what_is_said_to_it() -> None:
    lines: list[bytes] = []
    facts = Facts("ready")

    def hear(line: bytes) -> None:
        if not facts.feed(line):
            lines.append(line)

    child = Child("echo", hear)
    await child.start(
        python("print('warming up', flush=True); " + READY + "print(sys.stdin.readline(), flush=True)")
    )
    assert (await facts.wait(child, 60))["port"] == 7
    child.say({"go": True})
    assert await child.wait(60) == 0
    assert lines[0] == b"warming up\n"
    assert b'{"go":true}\n' in lines
    assert not child.is_running
    await child.stop()


async def test_a_child_that_ends_before_it_is_ready_is_told_with_its_last_words() -> None:
    facts = Facts("ready")
    child = Child("broken", facts.hear)
    await child.start(python("print('no room', flush=True); raise SystemExit(4)"))
    with pytest.raises(ChildError, match=r"(?s)broken ended with code 4.*no room"):
        await facts.wait(child, 60)
    await child.stop()


async def test_a_program_that_is_not_there_is_named() -> None:
    child = Child("gateway", lambda _: None)
    with pytest.raises(ChildError, match="gateway: /no/such/program"):
        await child.start(["/no/such/program"])


async def test_a_child_that_will_not_end_is_killed_with_its_session() -> None:
    facts = Facts("ready")
    code = (
        "import json, signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "print(json.dumps({'event': 'ready', 'pid': inner.pid}), flush=True); inner.wait(); inner.wait()"
    )
    child = Child("stubborn", facts.hear)
    await child.start(python(code))
    inner = psutil.Process((await facts.wait(child, 60))["pid"])
    await child.stop(limit_s=0.2)
    assert not child.is_running
    async with asyncio.timeout(30):
        with suppress(psutil.NoSuchProcess):  # it may go between the two questions
            while inner.is_running() and inner.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
