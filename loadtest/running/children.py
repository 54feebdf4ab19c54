"""Child processes of a run: started in sessions of their own, heard line by line, and never left behind."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

MAX_LINE_OCTETS: Final = 1 << 20
MAX_LAST_LINES: Final = 30
_PR_SET_PDEATHSIG: Final = 1


class ChildError(Exception):
    """A child that did not start; the text says which and what it said last."""


class Child:
    """One process. `on_line` gets every line that it prints, whole; what it prints as an error goes with it."""

    def __init__(self, name: str, on_line: Callable[[bytes], None]) -> None:
        self.name = name
        self._on_line = on_line
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self.last_lines: list[str] = []

    async def start(
        self,
        command: Sequence[str],
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it; it gets SIGTERM when we die and does not hear the terminal's Ctrl-C. Raises ChildError."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=MAX_LINE_OCTETS,
                preexec_fn=_end_with(os.getpid()),
            )
        except OSError as error:
            raise ChildError(f"{self.name}: {command[0]}: {error.strerror or error}") from None
        self._reader = asyncio.create_task(self._read(self._process), name=f"run.read.{self.name}")

    @property
    def pid(self) -> int:
        """The process; 0 before its start."""
        return 0 if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether it has not ended."""
        return self._process is not None and self._process.returncode is None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line beyond the limit
                continue
            if not line:
                return
            self.last_lines.append(line.decode("utf-8", "replace").rstrip())
            del self.last_lines[:-MAX_LAST_LINES]
            self._on_line(line)

    def say(self, what: Any) -> None:
        """Write one JSON line to it; nothing happens where it is gone."""
        if self._process is not None and self._process.stdin is not None and self.is_running:
            with suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(msgspec.json.encode(what) + b"\n")

    def send(self, signum: signal.Signals) -> None:
        """Send a signal to it alone."""
        if self._process is not None and self.is_running:
            with suppress(ProcessLookupError):
                self._process.send_signal(signum)

    async def wait(self, limit_s: float) -> int | None:
        """Return its exit code, with everything that it said heard; None where it runs on."""
        if self._process is None:
            return None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), limit_s)
            if self._reader is not None:
                await asyncio.wait({self._reader}, timeout=5.0)
        return self._process.returncode

    async def stop(self, *, limit_s: float = 10.0) -> None:
        """End it: SIGTERM, and SIGKILL to its whole session after `limit_s`."""
        if self._process is None:
            return
        if self.is_running:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            if await self.wait(limit_s) is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                await self.wait(5.0)
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    def trouble(self) -> str:
        """Return what it said last, for people."""
        code = self._process.returncode if self._process is not None else None
        ended = "runs" if code is None else f"ended with code {code}"
        return f"{self.name} {ended}; it said last:\n" + "\n".join(self.last_lines[-10:])


class Facts:
    """Waits for the first line of a child that is a JSON object with `event` being `wanted`."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self.heard = asyncio.Event()
        self.facts: dict[str, Any] = {}

    def feed(self, line: bytes) -> bool:
        """Look at a line; True when it is the one."""
        if self.heard.is_set() or not line.startswith(b"{"):
            return False
        with suppress(msgspec.DecodeError):
            said = msgspec.json.decode(line)
            if said.get("event") == self._wanted:
                self.facts = said
                self.heard.set()
                return True
        return False

    def hear(self, line: bytes) -> None:
        """Look at a line, for a child that says nothing else."""
        self.feed(line)

    async def wait(self, child: Child, limit_s: float) -> dict[str, Any]:
        """Return the line. Raises ChildError when the child ends before it, or says nothing for `limit_s`."""
        waits = {
            asyncio.create_task(self.heard.wait(), name="run.heard"),
            asyncio.create_task(child.wait(limit_s), name="run.ended"),
        }
        try:
            await asyncio.wait(waits, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        if not self.heard.is_set():
            raise ChildError(f"no {self._wanted!r} within {limit_s:.0f} s: {child.trouble()}")
        return self.facts


def _end_with(parent: int) -> Callable[[], None]:
    """Return what a child does first: a session of its own, and SIGTERM when its parent dies (Linux)."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None

    def prepare() -> None:
        os.setsid()
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died before prctl took effect
                os._exit(1)

    return prepare
