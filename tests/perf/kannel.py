"""Kannel (Debian package `kannel`) as a gateway to be measured: bearerbox and smsbox with a spool store.

Settings are those that suit Kannel: errors alone are logged, no throughput limit, 100 unanswered submits on each of two
transceiver binds, receipts asked for finals only. It makes no fsync and keeps its receipt map in memory: it has no
setting that does. Used by `tests.perf.bench_kannel`.
"""

import asyncio
import contextlib
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import psutil

from loadtest.parents import die_with_parent

START_S = 30.0
STOP_S = 15.0
FINALS = 3  # of dlr-mask: 1 delivered, 2 undeliverable

_CONFIGURATION = """
group = core
admin-port = {admin_port}
admin-interface = 127.0.0.1
admin-password = admin
smsbox-port = {smsbox_port}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
log-file = {folder}/bearerbox.log
log-level = 4
store-type = spool
store-location = {folder}/spool
dlr-storage = internal
smsbox-max-pending = 1000
sms-resend-freq = 1
sms-resend-retry = 10

{smsc_groups}
group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {smsbox_port}
sendsms-port = {sendsms_port}
sendsms-interface = 127.0.0.1
log-file = {folder}/smsbox.log
http-request-retry = 3
http-queue-delay = 1
log-level = 4

group = sendsms-user
username = bench
password = bench
concatenation = true
max-messages = 10
"""
_SMSC = """
group = smsc
smsc = smpp
smsc-id = bench
host = 127.0.0.1
port = {port}
transceiver-mode = true
smsc-username = caudal
smsc-password = demo
system-type = ""
interface-version = 34
max-pending-submits = {window}
reconnect-delay = 1

"""


@dataclass
class Kannel:
    """A running Kannel. `sendsms_port` takes messages, `pids` are its processes by name."""

    sendsms_port: int
    admin_port: int
    spool: Path
    pids: dict[str, int]

    @staticmethod
    def path(message: dict[str, str], *, report_url: str) -> str:
        """Return the path of `sendsms` for a message of `to`, `from`, `text`; its finals are told to `report_url`."""
        query = {
            "username": "bench",
            "password": "bench",
            "from": message["from"],
            "to": message["to"],
            "text": message["text"],
            "charset": "UTF-8",
            "coding": "2",
            "dlr-mask": str(FINALS),
            "dlr-url": report_url,
        }
        return "/cgi-bin/sendsms?" + urlencode(query)

    async def status(self) -> str:
        """Return its status page, empty while there is none."""
        url = f"http://127.0.0.1:{self.admin_port}/status.txt?password=admin"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession() as http, http.get(url, timeout=_ASK) as answer:
                return await answer.text()
        return ""

    async def until(self, text: str, *, count: int = 1) -> None:
        """Wait until its status page says so."""
        page = ""
        try:
            async with asyncio.timeout(START_S):
                while (page := await self.status()).count(text) < count:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.1)
        except TimeoutError:
            logs = "".join(
                one.read_text(errors="replace")[-2_000:] for one in self.spool.parent.glob("*.log")
            )
            raise TimeoutError(f"Kannel does not say {text!r} {count} times:\n{page}\n{logs}") from None

    def stored(self) -> int:
        """Return how many messages lie in the spool."""
        return sum(1 for one in self.spool.rglob("*") if one.is_file())


_ASK = aiohttp.ClientTimeout(total=5)


def programs() -> tuple[str, str] | None:
    """Return bearerbox and smsbox, or None where they are not installed."""
    # Debian puts daemons where the PATH of ordinary users does not look.
    found = [
        shutil.which(one) or shutil.which(one, path="/usr/sbin:/sbin") for one in ("bearerbox", "smsbox")
    ]
    return (found[0], found[1]) if found[0] and found[1] else None


@asynccontextmanager
async def a_kannel(smsc_port: int, *, binds: int, window: int) -> AsyncIterator[Kannel]:
    """Give a Kannel that is bound to the message centre; it ends, and its spool goes, with the block."""
    boxes = programs()
    assert boxes is not None
    folder = Path(tempfile.mkdtemp(prefix="cdlkannel"))
    spool = folder / "spool"
    spool.mkdir()
    admin_port, smsbox_port, sendsms_port = _free_ports(3)
    configuration = folder / "kannel.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            admin_port=admin_port,
            smsbox_port=smsbox_port,
            sendsms_port=sendsms_port,
            folder=folder,
            smsc_groups=_SMSC.format(port=smsc_port, window=window) * binds,
        )
    )
    kannel = Kannel(sendsms_port, admin_port, spool, {})
    running: list[asyncio.subprocess.Process] = []
    try:
        running.append(await _start(boxes[0], configuration))
        await kannel.until("Status: running")
        await kannel.until("(online", count=binds)
        running.append(await _start(boxes[1], configuration))
        await kannel.until("smsbox:")
        kannel.pids |= {"bearerbox": running[0].pid, "smsbox": running[1].pid}
        yield kannel
    finally:
        await _stop(running[::-1])
        shutil.rmtree(folder, ignore_errors=True)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of one process, its threads included."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


async def _start(box: str, configuration: Path) -> asyncio.subprocess.Process:
    with configuration.with_name(f"{Path(box).name}-said.log").open("wb") as said:
        return await asyncio.create_subprocess_exec(
            box,
            *("-v", "4"),
            str(configuration),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            preexec_fn=die_with_parent,
        )


async def _stop(boxes: list[asyncio.subprocess.Process]) -> None:
    for box in boxes:
        if box.returncode is None:
            box.terminate()
        try:
            await asyncio.wait_for(box.wait(), STOP_S)
        except TimeoutError:
            box.kill()
            await box.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
