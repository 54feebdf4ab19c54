"""A whole gateway for tests: `caudal serve` with its own state directory and free ports, driven from outside."""

import asyncio
import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import aiohttp

BIN = Path(sys.executable).parent
START_S = 90.0


def toml(tree: dict[str, Any], prefix: str = "") -> str:
    """Write a tree of tables and plain values as TOML."""
    plain, tables = [], []
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            tables.append(f"\n[{path}]\n" + toml(value, f"{path}."))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            tables.extend(f"\n[[{path}]]\n" + toml(one, f"{path}.") for one in value)
        else:
            plain.append(f"{key} = {json.dumps(value)}\n")
    return "".join(plain) + "".join(tables)


def demo_tree(*, rate: str = "2000/s", binds: int = 2, window: int = 100, **simulator: Any) -> dict[str, Any]:
    """Return the configuration of the demo, with free ports."""
    carrier = {"host": "127.0.0.1", "port": 0, "system_id": "caudal", "password": "demo", "rate": rate}
    return {
        "api": {"port": 0},
        "admin": {"port": 0},
        "simulator": {"enabled": True, "smpp_port": 0, "http_port": 0, **simulator},
        "carriers": {"simulator": {**carrier, "binds": binds, "window": window}},
    }


@lru_cache(maxsize=1)
def new_cluster() -> Path:
    """Make a migrated cluster as `caudal serve` would, once for all stacks; return its state directory."""
    folder = Path(tempfile.mkdtemp(prefix="cdlnew"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = subprocess.run(
        [sys.executable, "-c", _MAKE_CLUSTER, str(folder / "var")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return folder / "var"


_MAKE_CLUSTER = """
import asyncio, sys
from pathlib import Path
from gateway.store.embedded import EmbeddedPostgres
from gateway.store.migrate import migrate

server = EmbeddedPostgres(Path(sys.argv[1]))
try:
    asyncio.run(migrate(server.start()))
finally:
    server.stop()
"""


def copy_cluster(state_dir: Path) -> None:
    """Give a stack a cluster of its own: copying it takes a tenth of a second, making it two."""
    state_dir.mkdir(mode=0o700)
    # Owners too: run as root, the server belongs to somebody else.
    subprocess.run(["cp", "-a", str(new_cluster() / "data"), str(state_dir / "data")], check=True)


class Stack:
    """One running gateway. Use `async with Stack(tree) as stack`."""

    def __init__(
        self,
        tree: dict[str, Any] | None = None,
        *,
        folder: Path | None = None,
        serve: list[str] | None = None,
    ) -> None:
        self._serve = serve or [str(BIN / "caudal"), "serve"]
        self._tree = demo_tree() if tree is None else tree
        self._own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="cdl"))
        self.process: asyncio.subprocess.Process | None = None
        self.lines: list[str] = []
        self.api = ""
        self.admin = ""
        self.key = ""
        self._http: aiohttp.ClientSession | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        self.key = await self.caudal("keys", "create", "--account", "demo")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith("CAUDAL_")}

    async def start(self) -> None:
        """Start `caudal serve` and wait until it says that it is up."""
        (self.folder / "caudal.toml").write_text(toml(self._tree))
        if "database_url" not in self._tree and not (self.folder / "var").exists():
            await asyncio.to_thread(copy_cluster, self.folder / "var")
        self.process = await asyncio.create_subprocess_exec(
            *self._serve,
            cwd=self.folder,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1024 * 1024,
        )
        up = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(up), name="stack.reader")
        facts = await asyncio.wait_for(up, START_S)
        self.api, self.admin = facts["api"], f"http://127.0.0.1:{facts['admin_port']}"
        if self._http is None:
            self._http = aiohttp.ClientSession()

    async def _read(self, up: asyncio.Future[dict[str, Any]]) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip()
            self.lines.append(line)
            if not up.done() and line.startswith("{") and json.loads(line).get("event") == "up":
                up.set_result(json.loads(line))
        if not up.done():
            up.set_exception(AssertionError("the gateway did not start:\n" + "\n".join(self.lines[-30:])))

    async def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Stop the gateway; return its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signum)
        code = await asyncio.wait_for(self.process.wait(), 60)
        if self._reader is not None:
            await asyncio.wait_for(asyncio.gather(self._reader, return_exceptions=True), 10)
        if self._http is not None:
            await self._http.close()
            self._http = None
        return code

    async def caudal(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run a `caudal` command in the gateway's folder; return what it printed."""
        process = await asyncio.create_subprocess_exec(
            str(BIN / "caudal"),
            *arguments,
            cwd=self.folder,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin), 60)
        assert process.returncode == 0, err.decode()
        return out.decode().strip()

    async def request(self, method: str, path: str, **kwargs: Any) -> tuple[int, Any]:
        """Send one API request with the key; return status and decoded body."""
        assert self._http is not None
        headers = {"Authorization": f"Bearer {self.key}", **kwargs.pop("headers", {})}
        async with self._http.request(method, self.api + path, headers=headers, **kwargs) as answer:
            body = await answer.read()
            return answer.status, json.loads(body) if body else None

    async def post(self, **message: Any) -> dict[str, Any]:
        """Post one message that must be accepted; return the answer."""
        status, body = await self.request("POST", "/v1/messages", json=message)
        assert status == 202, body
        return body

    async def get_json(self, url: str) -> Any:
        """Fetch any other page."""
        assert self._http is not None
        async with self._http.get(url) as answer:
            return await answer.json(content_type=None)

    async def post_json(self, url: str, body: Any) -> Any:
        """Post to any other page."""
        assert self._http is not None
        async with self._http.post(url, json=body) as answer:
            return await answer.json(content_type=None)

    async def get_text(self, url: str) -> str:
        """Fetch any other page as text."""
        assert self._http is not None
        async with self._http.get(url) as answer:
            return await answer.text()

    async def roles(self) -> dict[str, Any]:
        """Return pid and ports of every child."""
        return await self.get_json(self.admin + "/roles")

    async def simulator(self) -> str:
        """Return the base URL of the simulator's HTTP API."""
        return f"http://127.0.0.1:{(await self.roles())['simulator']['http_port']}"

    async def kill(self, role: str) -> int:
        """kill -9 one role; return the pid it had."""
        pid = (await self.roles())[role]["pid"]
        os.kill(pid, signal.SIGKILL)
        return pid

    async def until_ready(self, role: str, *, not_pid: int = 0, limit_s: float = 60) -> None:
        """Wait until the role runs (again)."""

        async def is_ready() -> bool:
            facts = (await self.roles()).get(role, {})
            return bool(facts.get("ready")) and facts["pid"] != not_pid

        await until(is_ready, limit_s=limit_s)

    async def final(self, message_id: str, *, limit_s: float = 60) -> dict[str, Any]:
        """Wait for the final state of a message; return it."""
        deadline = time.monotonic() + limit_s
        while True:
            status, body = await self.request("GET", f"/v1/messages/{message_id}")
            assert status == 200, body
            if body["status"] not in ("queued", "scheduled", "submitted"):
                return body
            assert time.monotonic() < deadline, f"still {body['status']} after {limit_s} s: {body}"
            await asyncio.sleep(0.05)


async def until(condition: Callable[[], Any], *, limit_s: float, every_s: float = 0.1) -> Any:
    """Poll something outside this process until it is true; return what it returned."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not true within {limit_s} s"
        await asyncio.sleep(every_s)
