"""Our message-centre role, the simulator, against aiosmpplib 0.7.4 (PyPI) as ESME.

Its own correlator looks through everything it holds at every message; the one here differs in that alone.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiosmpplib import ESME, AbstractHook, BindMode, PhoneNumber, SubmitSm
from aiosmpplib.broker import SimpleBroker
from aiosmpplib.correlator import SimpleCorrelator
from aiosmpplib.retrytimer import SimpleExponentialBackoff

from tests.conformance.smsc_rig import (
    DEFAULT_ALPHABET,
    EMOJI,
    EXTENSION,
    NUMBER,
    PASSWORD,
    SYSTEM_ID,
    a_smsc,
    number,
)

pytestmark = pytest.mark.peer

PATIENCE_S = 10.0


class Correlator(SimpleCorrelator):
    """The library's correlator without its search for expired entries, which makes it quadratic."""

    async def _remove_expired(self) -> None:
        return


class Heard(AbstractHook):
    """Keeps what the ESME received and what it could not send."""

    def __init__(self) -> None:
        self.pdus: list[tuple[str, Any]] = []
        self.errors: list[Exception] = []
        self._news = asyncio.Event()

    async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        """Nothing to keep."""

    async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        name = smpp_message.smpp_command.name if smpp_message is not None else "PART"
        self.pdus.append((name, smpp_message))
        self._news.set()

    async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
        self.errors.append(error)
        self._news.set()

    def of(self, name: str) -> list[Any]:
        return [message for command, message in self.pdus if command == name]

    async def until(self, condition: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pytest.fail(
                f"not within {PATIENCE_S} s; heard {[name for name, _ in self.pdus[-5:]]}, {self.errors}"
            )


class ClosingEsme(ESME):
    """The library's ESME; it leaves its sockets to the garbage collector, `close` does not."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> None:
        try:
            await super().connect()
        finally:
            if self._writer is not None:
                self.writers.append(self._writer)

    async def close(self) -> None:
        for writer in self.writers:
            writer.close()
            with contextlib.suppress(OSError):
                await asyncio.wait_for(writer.wait_closed(), PATIENCE_S)


class Client:
    """One ESME of the library with its broker and its hook."""

    def __init__(self, port: int, *, mode: BindMode, password: str, enquire_link_s: float) -> None:
        self.heard = Heard()
        self.broker = SimpleBroker()
        self.esme = ClosingEsme(
            "127.0.0.1",
            port,
            SYSTEM_ID,
            password,
            bind_mode=mode,
            enquire_link_interval=enquire_link_s,
            log_level="CRITICAL",
            hook=self.heard,
            broker=self.broker,
            correlator=Correlator(SYSTEM_ID),
            retry_timer=SimpleExponentialBackoff(min_delay=100),
        )

    async def submit(
        self, text: str, *, to: str = NUMBER, registered_delivery: int = 0, **fields: Any
    ) -> None:
        await self.broker.enqueue(
            SubmitSm(
                short_message=text,
                source=PhoneNumber("12345"),
                destination=PhoneNumber(to),
                registered_delivery=registered_delivery,
                **fields,
            )
        )


@asynccontextmanager
async def a_client(
    port: int,
    *,
    mode: BindMode = BindMode.TRANSCEIVER,
    password: str = PASSWORD,
    enquire_link_s: float = 55.0,
) -> AsyncIterator[Client]:
    """Give a started ESME; it is cancelled at the end, for its own stop() may hang."""
    client = Client(port, mode=mode, password=password, enquire_link_s=enquire_link_s)
    task = asyncio.create_task(client.esme.start(), name="aiosmpplib")
    try:
        yield client
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE_S)
        await client.esme.close()


@pytest.mark.parametrize("mode", [BindMode.TRANSMITTER, BindMode.RECEIVER, BindMode.TRANSCEIVER])
async def test_every_bind_mode_stands(mode: BindMode) -> None:
    async with a_smsc() as smsc, a_client(smsc.port, mode=mode) as client:
        await client.heard.until(lambda: client.heard.of(f"BIND_{mode.name}_RESP"))
        assert smsc.stats()["bound"] == {SYSTEM_ID: 1}
        if mode is not BindMode.RECEIVER:
            await client.submit("hola")
            await client.heard.until(lambda: client.heard.of("SUBMIT_SM_RESP"))
            assert smsc.texts() == ["hola"]


async def test_a1_b12_every_alphabet_arrives_as_itself() -> None:
    """A1, A2, B12, B25."""
    cases = [
        (None, DEFAULT_ALPHABET, 0),
        (None, EXTENSION, 0),
        (None, EMOJI, 8),
        ("latin_1", "Código válido aquí", 3),
        ("ascii", "plain ASCII $", 1),
    ]
    async with a_smsc() as smsc, a_client(smsc.port) as client:
        for encoding, text, _ in cases:
            await client.submit(text, encoding=encoding)
        await client.heard.until(lambda: len(client.heard.of("SUBMIT_SM_RESP")) == len(cases))
        assert smsc.texts() == [text for _, text, _ in cases]
        assert [row["data_coding"] for row in smsc.rows()] == [coding for _, _, coding in cases]


@pytest.mark.parametrize(
    "text", ["Su pago fue recibido. " * 16, "Código 👍 válido. " * 12], ids=["gsm7", "ucs2"]
)
async def test_b16_long_messages_by_udh_are_seen_as_one(text: str) -> None:
    """B16, B17: the library answers its user once for all segments."""
    async with a_smsc() as smsc, a_client(smsc.port) as client:
        await client.submit(text, esm_class=0x40, auto_message_payload=False, registered_delivery=1)
        await client.heard.until(lambda: client.heard.of("SUBMIT_SM_RESP"))
        rows = smsc.rows()
        assert "".join(smsc.texts()) == text
        assert [row["concatenation"]["sequence"] for row in rows] == list(range(1, len(rows) + 1))
        assert {row["concatenation"]["total"] for row in rows} == {len(rows)}
        await smsc.acknowledged(len(rows))


async def test_b19_a_long_message_by_payload_is_one_submit() -> None:
    text = "Su pago fue recibido. " * 16
    async with a_smsc() as smsc, a_client(smsc.port) as client:
        await client.submit(text, registered_delivery=1)
        await smsc.acknowledged(1)
        (row,) = smsc.rows()
        assert row["octets"] == len(text)


async def test_f3_receipts_are_understood_and_matched_by_the_library() -> None:
    async with a_smsc() as smsc, a_client(smsc.port) as client:
        for last in ("01", "02", "03"):
            await client.submit("hola", to=number(last), registered_delivery=1, log_id=last)
        await client.heard.until(lambda: len(client.heard.of("DELIVER_SM")) == 3)
        await smsc.acknowledged(3)
        receipts = {message.log_id: message.parse_receipt() for message in client.heard.of("DELIVER_SM")}
        assert {log_id: receipt["stat"] for log_id, receipt in receipts.items()} == {
            "01": "DELIVRD",
            "02": "UNDELIV",
            "03": "EXPIRED",
        }
        ids = {message.log_id: message.message_id for message in client.heard.of("SUBMIT_SM_RESP")}
        assert {log_id: receipt["id"] for log_id, receipt in receipts.items()} == ids


async def test_h7_enquire_link_is_sent_and_answered() -> None:
    async with a_smsc(enquire_link_s=0.1) as smsc, a_client(smsc.port) as client:
        await client.heard.until(lambda: len(client.heard.of("ENQUIRE_LINK")) == 2)
    async with a_smsc() as smsc, a_client(smsc.port, enquire_link_s=0.1) as client:
        await client.heard.until(lambda: len(client.heard.of("ENQUIRE_LINK_RESP")) == 2)
        assert smsc.stats()["binds"] == {"ESME_ROK": 1}


async def test_an_unbind_of_either_side_ends_the_session() -> None:
    async with a_smsc() as smsc:
        async with a_client(smsc.port) as client:
            await client.heard.until(lambda: client.heard.of("BIND_TRANSCEIVER_RESP"))
            smsc.unbind_all()
            await client.heard.until(lambda: client.heard.of("UNBIND"))
            await smsc.until(lambda: smsc.stats()["closes"] == {"unbound": 1})
            await client.heard.until(lambda: len(client.heard.of("BIND_TRANSCEIVER_RESP")) == 2)
            await asyncio.wait_for(client.esme.stop(), PATIENCE_S)
        await smsc.until(lambda: smsc.stats()["closes"] == {"unbound": 1, "peer_unbound": 1})


async def test_a_wrong_password_is_refused_each_time() -> None:
    async with a_smsc() as smsc, a_client(smsc.port, password="wrong") as client:
        await smsc.until(lambda: smsc.stats()["binds"].get("ESME_RINVPASWD", 0) >= 2)
        # A refusal without body (SMPP 3.4 §4.1.2) is not read by this library: it takes it for a broken PDU.
        await client.heard.until(lambda: len(client.heard.of("PART")) >= 2)
        assert client.heard.of("BIND_TRANSCEIVER_RESP") == []
        assert smsc.stats()["bound"] == {SYSTEM_ID: 0}


async def test_throttled_submits_pass_in_the_end() -> None:
    async with a_smsc() as smsc, a_client(smsc.port) as client:
        for count in (1, 2, 3):
            await client.submit("hola", to=number("05"))
            await client.heard.until(lambda count=count: len(client.heard.of("SUBMIT_SM_RESP")) == count)
        assert [message.command_status for message in client.heard.of("SUBMIT_SM_RESP")] == [0x58, 0x58, 0]


async def test_two_hundred_pipelined_submits_are_answered_and_receipted() -> None:
    """H3."""
    async with a_smsc(latency="p50=5ms,p99=20ms") as smsc, a_client(smsc.port) as client:
        for sequence in range(200):
            await client.submit(str(sequence), registered_delivery=1, log_id=str(sequence))
        await client.heard.until(lambda: len(client.heard.of("DELIVER_SM")) == 200)
        await smsc.acknowledged(200)
        answers = {message.log_id: message.message_id for message in client.heard.of("SUBMIT_SM_RESP")}
        rows = {row["text"]: smsc.centre.message_id(row["number"]) for row in smsc.rows()}
        assert answers == rows
        assert {message.log_id for message in client.heard.of("DELIVER_SM")} == set(rows)
        assert client.heard.errors == []
