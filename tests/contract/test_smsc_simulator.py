"""The simulator over a real socket, driven by a third-party ESME (smpplib 2.2.4) in a thread.

smpplib's client is blocking; it answers deliver_sm with an empty deliver_sm_resp by itself.
"""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import smpplib.client
import smpplib.consts
import smpplib.exceptions

from adapters.smpp.wire import constants as c
from loadtest.smsc.service import running_smsc
from loadtest.smsc.settings import SmscSettings

pytestmark = pytest.mark.peer

NUMBER = "5255123456"


class Esme:
    """A thin blocking ESME; all its methods run in a worker thread."""

    def __init__(
        self, port: int, *, bind: str = "transceiver", system_id: str = "caudal", password: str = "secret"
    ) -> None:
        self.responses: list[Any] = []
        self.receipts: list[Any] = []
        self.arrivals: list[str] = []
        self._bind, self._credentials = bind, {"system_id": system_id, "password": password}
        self.client = smpplib.client.Client("127.0.0.1", port, timeout=5, allow_unknown_opt_params=True)
        self.client.set_message_sent_handler(self._on_response)
        self.client.set_error_pdu_handler(lambda pdu: None)  # it has come to the handler above already
        self.client.set_message_received_handler(self._on_receipt)

    def _on_response(self, pdu: Any) -> None:
        self.responses.append(pdu)
        self.arrivals.append("response")

    def _on_receipt(self, pdu: Any) -> None:
        self.receipts.append(pdu)
        self.arrivals.append("receipt")
        return 0

    def open(self) -> "Esme":
        self.client.connect()
        getattr(self.client, f"bind_{self._bind}")(**self._credentials)
        return self

    def submit(self, destination: str, **fields: Any) -> None:
        args = {"source_addr": "12345", "short_message": b"hola", "registered_delivery": True} | fields
        self.client.send_message(destination_addr=destination, **args)

    def read_until(self, is_done: Callable[["Esme"], bool], *, timeout_s: float = 30) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_done(self):
            assert time.monotonic() < deadline, f"heard only {self.arrivals}"
            self.client._socket.settimeout(0.1)
            with contextlib.suppress(TimeoutError, smpplib.exceptions.ConnectionError):
                self.client.read_once(auto_send_enquire_link=False)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.client._socket.settimeout(1)
            self.client.unbind()
        self.client.disconnect()


@asynccontextmanager
async def simulator(**given: Any) -> AsyncIterator[Any]:
    async with running_smsc(SmscSettings(**given)) as smsc:
        yield smsc


@asynccontextmanager
async def esme(smsc: Any, **given: Any) -> AsyncIterator[Esme]:
    peer = Esme(smsc.smpp_port, **given)
    await asyncio.to_thread(peer.open)
    try:
        yield peer
    finally:
        await asyncio.to_thread(peer.close)


async def eventually(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_true():  # noqa: ASYNC110  # the simulator has no hook to wait on, on purpose
            await asyncio.sleep(0.01)


async def call(smsc: Any, method: str, path: str, **given: Any) -> Any:
    url = f"http://127.0.0.1:{smsc.http_port}{path}"
    async with aiohttp.ClientSession() as http, http.request(method, url, **given) as response:
        return response.status, await response.json(content_type=None)


def fields_of(receipt: Any) -> str:
    return receipt.short_message.decode()


async def test_a_submit_is_answered_and_its_receipt_acknowledged():
    async with simulator() as smsc, esme(smsc) as peer:
        await asyncio.to_thread(peer.submit, NUMBER + "78")
        await asyncio.to_thread(peer.read_until, lambda p: p.responses and p.receipts)
        message_id = peer.responses[0].message_id.decode()
        receipt = peer.receipts[0]
        assert receipt.esm_class == 0x04
        assert receipt.source_addr.decode() == NUMBER + "78"
        assert f"id:{message_id} " in fields_of(receipt)
        assert "stat:DELIVRD" in fields_of(receipt)
        assert receipt.receipted_message_id.rstrip(b"\0").decode() == message_id
        assert receipt.message_state == 2
        await eventually(lambda: smsc.centre.tally.receipts_acknowledged == 1)
        _, page = await call(smsc, "GET", "/messages")
        (row,) = page["messages"]
        assert (row["text"], row["message_id"], row["receipt"]) == ("hola", message_id, "acknowledged")
        _, stats = await call(smsc, "GET", "/stats")
        assert stats["statuses"] == {"ESME_ROK": 1}
        assert stats["receipts"]["acknowledged"] == 1
        assert stats["windows"]["worst_1s_count"] == 1


@pytest.mark.parametrize(
    ("given", "status"),
    [({"password": "wrong"}, c.ESME_RINVPASWD), ({"system_id": "nobody"}, c.ESME_RINVSYSID)],
)
async def test_wrong_credentials_are_refused_and_the_connection_closed(given, status):
    async with simulator() as smsc:
        peer = Esme(smsc.smpp_port, **given)
        with pytest.raises(smpplib.exceptions.PDUError) as caught:
            await asyncio.to_thread(peer.open)
        assert caught.value.args[1] == status
        await asyncio.to_thread(peer.client.disconnect)
        assert smsc.centre.tally.binds == {c.status_name(status): 1}


async def test_suffixes_choose_throttling_refusal_and_the_final_state():
    async with simulator() as smsc, esme(smsc) as peer:
        for suffix in ("05", "05", "05", "06", "02", "03"):
            await asyncio.to_thread(peer.submit, NUMBER + suffix)
        await asyncio.to_thread(peer.read_until, lambda p: len(p.responses) == 6 and len(p.receipts) == 3)
        throttled, taken, refused = c.ESME_RTHROTTLED, 0, c.ESME_RINVDSTADR
        assert [pdu.status for pdu in peer.responses] == [throttled, throttled, taken, refused, taken, taken]
        states = sorted(fields_of(receipt).split("stat:")[1].split(" ")[0] for receipt in peer.receipts)
        assert states == ["DELIVRD", "EXPIRED", "UNDELIV"]


async def test_f15_the_receipt_may_come_before_the_response():
    async with simulator() as smsc, esme(smsc) as peer:
        await asyncio.to_thread(peer.submit, NUMBER + "09")
        await asyncio.to_thread(peer.read_until, lambda p: p.responses and p.receipts)
        assert peer.arrivals == ["receipt", "response"]


async def test_a_number_ending_in_08_gets_no_response_but_its_receipt():
    async with simulator() as smsc, esme(smsc) as peer:
        await asyncio.to_thread(peer.submit, NUMBER + "08")
        await asyncio.to_thread(peer.submit, NUMBER + "04")
        await asyncio.to_thread(peer.read_until, lambda p: p.responses and p.receipts)
        _, page = await call(smsc, "GET", "/messages")
        assert [row["is_answered"] for row in page["messages"]] == [False, True]
        assert [row["receipt"] != "none" for row in page["messages"]] == [True, False]
        assert smsc.centre.tally.max_outstanding == 2


async def test_h14_receipts_wait_for_a_receiver_and_then_come_in_order():
    async with simulator() as smsc:
        async with esme(smsc, bind="transmitter") as sender:
            for number in range(20):
                await asyncio.to_thread(sender.submit, f"{NUMBER}{number + 50}")
            await asyncio.to_thread(sender.read_until, lambda p: len(p.responses) == 20)
        async with esme(smsc, bind="receiver") as receiver:
            await asyncio.to_thread(receiver.read_until, lambda p: len(p.receipts) == 20)
            assert [r.source_addr.decode()[-2:] for r in receiver.receipts] == [
                str(n + 50) for n in range(20)
            ]


async def test_a_receipt_counts_only_when_acknowledged_and_is_sent_again_to_the_next_session():
    async with simulator() as smsc:
        peer = Esme(smsc.smpp_port)
        await asyncio.to_thread(peer.open)
        await asyncio.to_thread(peer.submit, NUMBER + "78")
        await eventually(lambda: smsc.centre.tally.receipts_sent == 1)
        peer.client._socket.close()  # it dies without having read
        await eventually(lambda: not smsc.centre.sessions)
        assert smsc.centre.tally.receipts_acknowledged == 0
        async with esme(smsc) as heir:
            await asyncio.to_thread(heir.read_until, lambda p: p.receipts)
            await eventually(lambda: smsc.centre.tally.receipts_acknowledged == 1)
        assert smsc.centre.tally.receipts_requeued == 1


async def test_faults_change_live_and_bad_ones_change_nothing():
    async with simulator() as smsc:
        status, answer = await call(smsc, "POST", "/faults", json={"mps": 5, "nonsense": 1})
        assert status == 400
        assert "nonsense" in answer["error"]
        assert smsc.centre.mps is None
        for bad in ({"latency": "soon"}, {"receipts": "no"}, {"silence": "loud"}, {"errors": {"X": 1}}, []):
            assert (await call(smsc, "POST", "/faults", json=bad))[0] == 400
        status, orders = await call(
            smsc,
            "POST",
            "/faults",
            json={"errors": {"ESME_RSUBMITFAIL": 1}, "latency": "5ms", "receipts": False},
        )
        assert status == 200
        assert orders["errors"] == {"ESME_RSUBMITFAIL": 1}
        async with esme(smsc) as peer:
            await asyncio.to_thread(peer.submit, NUMBER + "01")
            await asyncio.to_thread(peer.read_until, lambda p: p.responses)
            assert peer.responses[0].status == c.ESME_RSUBMITFAIL
            await call(smsc, "POST", "/faults", json={"disconnect": True, "refuse_binds": "ESME_RALYBND"})
            await eventually(lambda: not smsc.centre.sessions)
        refused = Esme(smsc.smpp_port)
        with pytest.raises(smpplib.exceptions.PDUError):
            await asyncio.to_thread(refused.open)
        await asyncio.to_thread(refused.client.disconnect)
        _, standing = await call(smsc, "GET", "/faults")
        assert standing["refuse_binds"] == "ESME_RALYBND"


async def test_receipts_that_are_held_back_come_all_at_once():
    async with simulator() as smsc, esme(smsc) as peer:
        assert (await call(smsc, "POST", "/faults", json={"hold_receipts": "yes"}))[0] == 400
        _, standing = await call(smsc, "POST", "/faults", json={"hold_receipts": True})
        assert standing["hold_receipts"] is True
        for _ in range(3):
            await asyncio.to_thread(peer.submit, NUMBER + "78")
        await eventually(lambda: smsc.centre.stats()["waiting"]["receipts_held"] == 3)
        assert smsc.centre.tally.receipts_sent == 0
        await call(smsc, "POST", "/faults", json={"hold_receipts": False})
        await asyncio.to_thread(peer.read_until, lambda p: len(p.receipts) == 3)
        await eventually(lambda: smsc.centre.tally.receipts_acknowledged == 3)


@pytest.mark.parametrize("silence", ["submits", "all"])
async def test_silence_holds_answers_back(silence):
    async with simulator() as smsc, esme(smsc) as peer:
        await call(smsc, "POST", "/faults", json={"silence": silence})
        await asyncio.to_thread(peer.submit, NUMBER + "04")
        with pytest.raises(AssertionError):
            await asyncio.to_thread(peer.read_until, lambda p: p.responses, timeout_s=0.3)
        await call(smsc, "POST", "/faults", json={"silence": "none"})
        if silence == "submits":
            assert smsc.centre.tally.unanswered == 1
            return
        await asyncio.to_thread(peer.read_until, lambda p: p.responses)


async def test_the_http_api_pages_counts_windows_and_resets():
    async with simulator(first_message_id=1000, message_id_format="hex") as smsc, esme(smsc) as peer:
        for number in range(5):
            await asyncio.to_thread(peer.submit, f"{NUMBER}{number + 50}", registered_delivery=False)
        await asyncio.to_thread(peer.read_until, lambda p: len(p.responses) == 5)
        _, page = await call(smsc, "GET", "/messages?after=1&limit=2")
        assert [row["message_id"] for row in page["messages"]] == ["3EA", "3EB"]
        assert (page["next_after"], page["has_more"]) == (3, True)
        url = f"http://127.0.0.1:{smsc.http_port}/messages?format=jsonl"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            lines = (await response.text()).splitlines()
        assert [json.loads(line)["number"] for line in lines] == [0, 1, 2, 3, 4]
        _, rate = await call(smsc, "GET", "/rate?window_ms=60000&series=1&system_id=caudal")
        assert (rate["worst_count"], sum(count for _, count in rate["per_second"])) == (5, 5)
        assert (await call(smsc, "GET", "/rate?window_ms=0"))[0] == 400
        assert (await call(smsc, "GET", "/rate?system_id=nobody"))[0] == 400
        assert (await call(smsc, "POST", "/reset")) == (200, {"status": "ok"})
        _, stats = await call(smsc, "GET", "/stats")
        assert (stats["submits"], stats["statuses"], stats["bound"]) == (0, {}, {"caudal": 1})
        assert (await call(smsc, "GET", "/healthz")) == (200, {"status": "ok"})


async def test_garbage_gets_one_reaction_and_harms_nobody_else():
    async with simulator() as smsc, esme(smsc) as peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", smsc.smpp_port)
        writer.write(b"\0" * 4096)  # I1
        assert len(await asyncio.wait_for(reader.read(), 5)) == 16
        writer.close()
        await asyncio.to_thread(peer.submit, NUMBER + "04")
        await asyncio.to_thread(peer.read_until, lambda p: p.responses)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_where_it_listens_and_ends_at_a_signal(how, tmp_path):
    config = tmp_path / "smsc.toml"
    config.write_text('system_id = "demo"\npassword = "demopass"\nlatency = "p50=1ms,p99=5ms"\n')
    command = [
        sys.executable,
        "-m",
        "loadtest.cli",
        "smsc",
        "--port",
        "0",
        "--die-with-parent",
        "--config",
        str(config),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            listening = json.loads(process.stdout.readline())
            assert listening["event"] == "listening"
            peer = Esme(listening["smpp_port"], system_id="demo", password="demopass").open()
            process.send_signal(how)
            assert process.wait(20) == 0
            peer.client.disconnect()
        finally:
            process.kill()


@pytest.mark.parametrize(
    "options",
    [["--latency", "soon"], ["--system-id", "a", "--system-id", "b", "--password", "x"], ["--config", "{}"]],
)
def test_wrong_usage_exits_with_2(options, tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text("no_such_option = 1\n")
    command = [
        sys.executable,
        "-m",
        "loadtest.cli",
        "smsc",
        *(part.replace("{}", str(bad)) for part in options),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert "Error" in done.stderr
