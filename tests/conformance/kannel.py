"""Kannel's bearerbox and smsbox (Debian package `kannel`) as an ESME that is submitted to over HTTP."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.conformance.smsc_rig import NUMBER, PASSWORD, SYSTEM_ID
from tests.support.peers import need_command

PATIENCE_S = 15.0
ALL_REPORTS = 31
DELIVERED, FAILED = 1, 2  # bits of what a report says; 32 is added when the validity has ended

_CONFIGURATION = """
group = core
admin-port = {admin_port}
admin-password = admin
smsbox-port = {smsbox_port}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
log-file = {folder}/bearerbox.log
log-level = 0
sms-resend-freq = 1
sms-resend-retry = 10

{smsc_groups}
group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {smsbox_port}
sendsms-port = {sendsms_port}
log-file = {folder}/smsbox.log
log-level = 1

group = sendsms-user
username = tests
password = tests
concatenation = true
max-messages = 10

group = sms-service
keyword = default
text = "none"
max-messages = 0
"""
_SMSC = """
group = smsc
smsc = smpp
smsc-id = peer
host = 127.0.0.1
{mode}
smsc-username = {system_id}
smsc-password = {password}
system-type = ""
interface-version = 34
enquire-link-interval = 1
max-pending-submits = 100
reconnect-delay = 1

"""
_MODES = {
    "transceiver": ("port = {port}\ntransceiver-mode = true",),
    "pair": ("port = {port}", "port = 0\nreceive-port = {port}"),
}


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Kannel:
    """A running Kannel; `reports` are the (reference, type) pairs that it called us with."""

    def __init__(self, log: Path, *, sendsms_port: int, admin_port: int, report_port: int) -> None:
        self.reports: list[tuple[str, int]] = []
        self._log = log
        self._sendsms = f"http://127.0.0.1:{sendsms_port}/cgi-bin/sendsms"
        self._status = f"http://127.0.0.1:{admin_port}/status.txt"
        self._report_url = f"http://127.0.0.1:{report_port}/report"
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=30))

    async def take_report(self, request: web.Request) -> web.Response:
        self.reports.append((request.query["reference"], int(request.query["type"])))
        return web.Response()

    async def send(self, text: str, *, to: str = NUMBER, coding: int = 0, reference: str = "") -> str:
        """Submit over HTTP; return Kannel's answer."""
        query = {
            "username": "tests",
            "password": "tests",
            "from": "12345",
            "to": to,
            "text": text,
            "charset": "UTF-8",
            "coding": str(coding),
        }
        if reference:
            query["dlr-mask"] = str(ALL_REPORTS)
            query["dlr-url"] = f"{self._report_url}?reference={reference}&type=%d"
        async with self.http.get(self._sendsms, params=query) as answer:
            assert answer.status == 202, await answer.text()
            return await answer.text()

    async def status(self) -> str:
        """Return the status page, empty while there is none."""
        try:
            async with self.http.get(self._status, params={"password": "admin"}) as answer:
                return await answer.text()
        except aiohttp.ClientError:
            return ""

    async def until(self, text: str) -> None:
        """Wait until the status page says so."""
        page = ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while text not in (page := await self.status()):  # noqa: ASYNC110  # another process
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"Kannel's status does not say {text!r}:\n{page}")

    def log_count(self, text: str) -> int:
        """Return how often the log of the bearerbox says so."""
        return self._log.read_text(errors="replace").count(text)

    def reports_of(self, kind: int) -> set[str]:
        """Return the references that got a report of a kind."""
        return {reference for reference, type_ in self.reports if type_ & kind}


@asynccontextmanager
async def a_kannel(
    port: int, folder: Path, *, mode: str = "transceiver", password: str = PASSWORD
) -> AsyncIterator[Kannel]:
    """Give a Kannel whose boxes run and that binds to `port`."""
    bearerbox = need_command("bearerbox", package="kannel")
    smsbox = need_command("smsbox", package="kannel")
    admin_port, smsbox_port, sendsms_port, report_port = _free_ports(4)
    log = folder / "bearerbox.log"
    kannel = Kannel(log, sendsms_port=sendsms_port, admin_port=admin_port, report_port=report_port)
    smsc_groups = "".join(
        _SMSC.format(port=port, mode=lines.format(port=port), system_id=SYSTEM_ID, password=password)
        for lines in _MODES[mode]
    )
    configuration = folder / "kannel.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            admin_port=admin_port,
            smsbox_port=smsbox_port,
            sendsms_port=sendsms_port,
            folder=folder,
            smsc_groups=smsc_groups,
        )
    )
    app = web.Application()
    app.add_routes([web.get("/report", kannel.take_report)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    boxes: list[asyncio.subprocess.Process] = []
    try:
        await web.TCPSite(runner, "127.0.0.1", report_port).start()
        boxes.append(await _start(bearerbox, configuration))
        await kannel.until("Status: running")
        boxes.append(await _start(smsbox, configuration))
        await kannel.until("smsbox:")
        yield kannel
    finally:
        await _stop(boxes)
        await kannel.http.close()
        await runner.cleanup()


async def _start(box: str, configuration: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        box,
        "-v",
        "4",
        str(configuration),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _stop(boxes: list[asyncio.subprocess.Process]) -> None:
    for box in boxes:
        if box.returncode is None:
            box.terminate()
    for box in boxes:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(box.wait(), PATIENCE_S)
        if box.returncode is None:
            box.kill()
            await box.wait()
