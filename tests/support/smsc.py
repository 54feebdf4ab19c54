"""A carrier of its own for tests: `loadtest smsc` as a process, beside the one that a gateway may bring along."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Self

import aiohttp

BIN = Path(sys.executable).parent


class Smsc:
    """One running simulator. Use `async with Smsc("--mps", "200") as smsc`."""

    command: tuple[str, ...] = (
        "smsc",
        *("--port", "0", "--http-port", "0", "--system-id", "caudal", "--password", "demo"),
    )
    ports: tuple[str, str] = ("smpp_port", "http_port")

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self._http: aiohttp.ClientSession | None = None
        self.port = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            str(BIN / "loadtest"),
            *self.command,
            "--die-with-parent",
            *self._arguments,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        while True:
            line = await asyncio.wait_for(self._process.stdout.readline(), 30)
            assert line, "the simulator ended while starting"
            if line.startswith(b"{") and (facts := json.loads(line)).get("event") == "listening":
                break
        self.port, control_port = (facts[name] for name in self.ports)
        self.url = f"http://127.0.0.1:{control_port}"
        self._http = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.close()
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        await asyncio.wait_for(self._process.wait(), 30)

    def carrier(self, **settings: Any) -> dict[str, Any]:
        """Return the settings of a carrier that this is."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "system_id": "caudal",
            "password": "demo",
            "window": 100,
            **settings,
        }

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    async def get(self, path: str) -> Any:
        """Fetch a page of its HTTP API."""
        assert self._http is not None
        async with self._http.get(self.url + path) as answer:
            return await answer.json(content_type=None)

    async def faults(self, **faults: Any) -> Any:
        """Change its behaviour."""
        assert self._http is not None
        async with self._http.post(self.url + "/faults", json=faults) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def originate(self, **wish: Any) -> None:
        """Let it send a deliver_sm of our making."""
        assert self._http is not None
        async with self._http.post(self.url + "/mo", json=wish) as answer:
            assert answer.status == 200, await answer.text()

    async def reset(self) -> None:
        """Forget what it has recorded."""
        assert self._http is not None
        async with self._http.post(self.url + "/reset") as answer:
            assert answer.status == 200

    async def messages(self, *, after: int = -1) -> list[dict[str, Any]]:
        """Return its record, whole or from behind a number on."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.get(f"/messages?after={after}&limit=10000")
            assert page["forgotten"] == 0
            found += page["messages"]
            if not page["has_more"]:
                return found
            after = page["next_after"]
