"""A real Prometheus and a real Alertmanager for tests, on loopback, with the configurations that deploy/ ships."""

import asyncio
import contextlib
import random
import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import aiohttp
import yaml

from tests.support.peers import need_command

SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = tuple(sorted((SHIPPED / "rules").glob("*.rules.yml")))
START_S, STOP_S, ANSWER_S = 60.0, 20.0, 60.0


class Series(NamedTuple):
    """One series of an answer: its labels, and (Unix seconds, value) in order."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


class QueryError(AssertionError):
    """Prometheus refused a query; the text is its own."""


class _Server:
    """A program with a port of its own and data in a folder of its own."""

    program = ""
    package = ""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cdlprom"))
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.port}"

    def _configuration(self) -> dict[str, Any]:
        return {}

    def _arguments(self) -> list[str]:
        return []

    async def __aenter__(self) -> Self:
        program = need_command(self.program, package=self.package)
        self.port = _free_port()
        (self.folder / "config.yml").write_text(yaml.safe_dump(self._configuration(), sort_keys=False))
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                program,
                f"--config.file={self.folder}/config.yml",
                f"--web.listen-address=127.0.0.1:{self.port}",
                f"--storage.{'tsdb.' if self.program == 'prometheus' else ''}path={self.folder}/data",
                "--log.level=warn",
                *self._arguments(),
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))
        try:
            async with asyncio.timeout(START_S):
                while not await self._is_ready():  # noqa: ASYNC110 - what it does sets no event of ours
                    await asyncio.sleep(0.05)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.close()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def log(self) -> str:
        """What it has complained of."""
        return (self.folder / "log").read_text(errors="replace")

    async def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._http is not None
        assert self._process.returncode is None, f"{self.program} ended:\n{self.log[-2000:]}"
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with self._http.get(self.url + "/-/ready") as answer:
                return answer.status == 200
        return False

    async def get(self, path: str, **parameters: Any) -> Any:
        """Ask its API; return the `data` of the answer. Raises QueryError."""
        assert self._http is not None
        form = {name: str(value) for name, value in parameters.items()}
        async with self._http.get(f"{self.url}/api/{path}", params=form) as answer:
            body = await answer.json(content_type=None)
        if isinstance(body, Mapping) and "status" in body:
            if body["status"] != "success":
                raise QueryError(f"{body.get('errorType')}: {body.get('error')} in {form}")
            return body["data"]
        return body


class Prometheus(_Server):
    """The shipped example, with the gateway's address, these rules and these intervals put in.

    `sd_url` None scrapes nothing: for `data` that a `snapshot` left.
    """

    program, package = "prometheus", "prometheus"

    def __init__(
        self,
        sd_url: str | None,
        *,
        rules: Sequence[Path] = RULES,
        scrape: str = "15s",
        evaluate: str | None = None,
        alertmanager: "Alertmanager | None" = None,
        data: Path | None = None,
    ) -> None:
        super().__init__()
        if data is not None:
            shutil.copytree(data, self.folder / "data")
        self._sd_url = sd_url
        self._rules = rules
        self._scrape = scrape
        self._evaluate = evaluate or scrape
        self._alertmanager = alertmanager

    def _configuration(self) -> dict[str, Any]:
        tree = yaml.safe_load((SHIPPED / "prometheus.example.yml").read_text())
        tree["global"] = {
            "scrape_interval": self._scrape,
            "scrape_timeout": self._scrape if self._scrape.endswith("ms") else "1s",
            "evaluation_interval": self._evaluate,
        }
        if self._scrape == "15s":
            del tree["global"]["scrape_timeout"]
        tree["rule_files"] = [str(path) for path in self._rules]
        if self._alertmanager is None:
            del tree["alerting"]
        else:
            target = f"127.0.0.1:{self._alertmanager.port}"
            tree["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [target]
        if self._sd_url is None:
            del tree["scrape_configs"]
        else:
            (discovery,) = tree["scrape_configs"][0]["http_sd_configs"]
            discovery |= {"url": self._sd_url, "refresh_interval": "1s"}
        return tree

    def _arguments(self) -> list[str]:
        return ["--storage.tsdb.retention.time=100y", "--web.enable-admin-api"]

    async def until_scraped(self, targets: int, *, limit_s: float = 60.0) -> None:
        """Wait until so many processes are scraped."""
        async with asyncio.timeout(limit_s):
            while True:
                found = await self.query("count(up == 1)")
                if found and found[0].points[0][1] >= targets:
                    return
                await asyncio.sleep(0.1)

    async def until_firing(self, alert: str, *, limit_s: float, is_firing: bool = True) -> None:
        """Wait until an alert fires, or until it does not any more."""
        expression = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
        async with asyncio.timeout(limit_s):
            while bool(await self.query(expression)) != is_firing:  # noqa: ASYNC110 - it sets no event of ours
                await asyncio.sleep(0.2)

    async def until_shown(self, expression: str, *, limit_s: float) -> None:
        """Wait until an expression has a value."""
        async with asyncio.timeout(limit_s):
            while not await self.query(expression):  # noqa: ASYNC110 - it sets no event of ours
                await asyncio.sleep(0.2)

    async def query(self, expression: str, *, at: float | None = None) -> list[Series]:
        """Return the value of an expression at a time, or the samples of a range; QueryError."""
        when = {} if at is None else {"time": at}
        answer = await self.get("v1/query", query=expression, **when)
        if answer["resultType"] == "scalar":
            return [Series({}, [_point(answer["result"])])]
        return [
            Series(one["metric"], [_point(p) for p in one.get("values") or [one["value"]]])
            for one in answer["result"]
        ]

    async def query_range(self, expression: str, *, start: float, end: float, step: float) -> list[Series]:
        """Return an expression over time, as a panel of Grafana asks for it; QueryError."""
        answer = await self.get("v1/query_range", query=expression, start=start, end=end, step=step)
        return [Series(one["metric"], [_point(p) for p in one["values"]]) for one in answer["result"]]

    async def snapshot(self, folder: Path) -> None:
        """Copy its data into a new folder, from which another can be started with `data`."""
        assert self._http is not None
        async with self._http.post(self.url + "/api/v1/admin/tsdb/snapshot") as answer:
            name = (await answer.json())["data"]["name"]
        await asyncio.to_thread(shutil.copytree, self.folder / "data" / "snapshots" / name, folder)

    async def rules(self) -> list[dict[str, Any]]:
        """Return every loaded rule with its health."""
        groups = (await self.get("v1/rules"))["groups"]
        return [rule for group in groups for rule in group["rules"]]


class Alertmanager(_Server):
    """The shipped example, with the receivers of the test put in."""

    program, package = "prometheus-alertmanager", "prometheus-alertmanager"

    def __init__(self, receivers: str) -> None:
        super().__init__()
        self._receivers = receivers

    def _configuration(self) -> dict[str, Any]:
        tree = yaml.safe_load((SHIPPED / "alertmanager.example.yml").read_text())
        for receiver in tree["receivers"]:
            (hook,) = receiver["webhook_configs"]
            hook["url"] = f"{self._receivers}/{receiver['name']}"
        return tree

    def _arguments(self) -> list[str]:
        return ["--cluster.listen-address="]

    async def firing(self) -> list[dict[str, Any]]:
        """Return the alerts that it has, silenced and inhibited ones too."""
        found: list[dict[str, Any]] = await self.get("v2/alerts")
        return found


def _point(pair: Sequence[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])


def _free_port() -> int:
    """Return a free port, not of those that outgoing connections get."""
    while True:
        port = random.randrange(15_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port
