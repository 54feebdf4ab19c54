"""Third-party SMPP peers as processes. A missing one fails the run in CI and is said aloud elsewhere."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Self

import pytest

NPM = Path(__file__).parent.parent / "conformance" / "npm"
PATIENCE_S = 10.0


def _missing(what: str, reason: str) -> NoReturn:
    """Fail in CI, skip with a reason elsewhere."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"the peer {what} is required: {reason}")
    pytest.skip(f"LEFT OUT: conformance with {what}: {reason}")


def need_npm_smpp() -> None:
    """Install the npm peer if it is missing; fail in CI, skip with a reason elsewhere, if that cannot be done."""
    if (NPM / "node_modules" / "smpp").is_dir() and shutil.which("node"):
        return
    reason = "node and npm are not installed (Debian: apt-get install nodejs npm)"
    if shutil.which("node") and shutil.which("npm"):
        done = subprocess.run(
            ["npm", "ci", "--silent"], cwd=NPM, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode == 0:
            return
        reason = f"npm ci failed: {done.stderr[-300:]}"
    _missing("npm smpp", reason)


def need_command(command: str, *, package: str) -> str:
    """Return the path of a command of a Debian package; fail in CI, skip with a reason elsewhere, without it."""
    # Debian puts daemons where the PATH of ordinary users does not look.
    path = shutil.which(command, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        _missing(command, f"it is not installed (Debian: apt-get install {package})")
    return path


class Peer:
    """One peer process that takes orders and tells what it hears, both as JSON lines."""

    def __init__(self, *command: str, cwd: Path) -> None:
        self._command = command
        self._cwd = cwd
        self.lines: list[dict[str, Any]] = []
        self.port = 0
        self._rounds = 0
        self._news = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=self._cwd,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        assert self._process.stdout is not None
        first = json.loads(await asyncio.wait_for(self._process.stdout.readline(), 20))
        self.port = first.get("port", 0)
        self._reader = asyncio.create_task(self._read(), name="peer.reader")
        return self

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines.append(json.loads(line))
            self._news.set()

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._reader is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await self._process.stdin.wait_closed()
        if self._process.returncode is None:
            self._process.terminate()
        await asyncio.wait_for(self._process.wait(), 10)
        await self._reader

    def tell(self, do: str, **details: Any) -> None:
        """Give the peer an order; it answers with events."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one kind."""
        return [line for line in self.lines if line["event"] == event]

    async def caught_up(self, *, limit_s: float = PATIENCE_S) -> None:
        """Wait until all that the peer heard up to now is in `lines`, so that an absence or a count can be asserted."""
        self._rounds += 1
        rounds = self._rounds
        self.tell("caught_up")
        await self.until(
            lambda: sum(line.get("do") == "caught_up" for line in self.of("done")) >= rounds, limit_s=limit_s
        )

    async def until(self, condition: Callable[[], Any], *, limit_s: float = PATIENCE_S) -> None:
        """Wait for a condition on what the peer said."""
        try:
            async with asyncio.timeout(limit_s):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pytest.fail(f"not within {limit_s} s; last heard of the peer: {self.lines[-5:]}")

    async def heard(self, event: str, count: int = 1, *, limit_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """Wait until the peer told of an event `count` times; return these lines."""
        await self.until(lambda: len(self.of(event)) >= count, limit_s=limit_s)
        return self.of(event)


def npm_message_centre(*, password: str = "demo", receipt_delay_ms: int = 20) -> Peer:
    """Return the npm package `smpp` as message centre."""
    need_npm_smpp()
    return Peer("node", "mc.js", password, str(receipt_delay_ms), cwd=NPM)


def npm_esme(port: int) -> Peer:
    """Return the npm package `smpp` as ESME that will connect to `port` of this machine."""
    need_npm_smpp()
    return Peer("node", "esme.js", str(port), cwd=NPM)
