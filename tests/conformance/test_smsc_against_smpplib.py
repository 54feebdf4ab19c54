"""Our message-centre role, the simulator, against smpplib 2.2.4 (PyPI) as ESME, blocking in a thread."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import smpplib.client
import smpplib.exceptions
import smpplib.gsm
import smpplib.smpp

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


class Client(smpplib.client.Client):
    """smpplib's client that keeps what it hears; its methods block, so they run in a thread."""

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port, timeout=5, allow_unknown_opt_params=True)
        self.heard: list[Any] = []

    def read_pdu(self) -> Any:
        pdu = super().read_pdu()
        self.heard.append(pdu)
        return pdu

    def message_received_handler(self, pdu: Any, **_: Any) -> int:
        return 0

    def message_sent_handler(self, pdu: Any, **_: Any) -> None:
        """The answers are in `heard`."""

    def error_pdu_handler(self, pdu: Any) -> None:
        """The errors are in `heard`."""

    def of(self, command: str) -> list[Any]:
        return [pdu for pdu in self.heard if pdu.command == command]

    def until(self, condition: Callable[[], Any]) -> None:
        """Read, act on what comes (as smpplib does) and stop once the condition holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {PATIENCE_S} s; heard {[pdu.command for pdu in self.heard[-5:]]}")
            self._socket.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                self.read_once(auto_send_enquire_link=False)

    def submit(self, destination: str = NUMBER, *, short_message: bytes = b"hola", **fields: Any) -> None:
        self.send_message(
            source_addr="12345", destination_addr=destination, short_message=short_message, **fields
        )


async def in_thread(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(function, *arguments, **named), PATIENCE_S + 5)


@asynccontextmanager
async def a_client(
    port: int, *, bind: str = "transceiver", password: str = PASSWORD
) -> AsyncIterator[Client]:
    """Give a bound client and disconnect it; raises what the bind raises."""
    client = Client(port)
    try:
        await in_thread(client.connect)
        await in_thread(getattr(client, f"bind_{bind}"), system_id=SYSTEM_ID, password=password)
        yield client
    finally:
        if client._socket is not None:
            await in_thread(client.disconnect)


@pytest.mark.parametrize("bind", ["transmitter", "receiver", "transceiver"])
async def test_every_bind_mode_stands(bind: str) -> None:
    async with a_smsc() as smsc, a_client(smsc.port, bind=bind) as client:
        assert client.heard[0].system_id == b"caudal-smsc"
        assert smsc.stats()["bound"] == {SYSTEM_ID: 1}
        if bind == "receiver":
            with pytest.raises(
                smpplib.exceptions.PDUError
            ):  # refused by the client itself, before it is sent
                await in_thread(client.submit)
        else:
            await in_thread(client.submit)
            await in_thread(client.until, lambda: client.of("submit_sm_resp"))
            assert client.of("submit_sm_resp")[0].status == 0


async def test_every_alphabet_arrives_as_itself() -> None:
    """A1, A2, B12, B25: all that this library can write; `§` and form feed are missing in its table."""
    plain = DEFAULT_ALPHABET.replace("§", "")
    cases = [
        (smpplib.consts.SMPP_ENCODING_DEFAULT, plain),
        (smpplib.consts.SMPP_ENCODING_DEFAULT, EXTENSION.replace("\f", "")),
        (smpplib.consts.SMPP_ENCODING_ISO10646, EMOJI),
        (smpplib.consts.SMPP_ENCODING_ISO88591, "Código válido aquí"),
    ]
    async with a_smsc() as smsc, a_client(smsc.port) as client:
        for coding, text in cases:
            (part,), used, esm_class = smpplib.gsm.make_parts(text, encoding=coding)
            assert (used, esm_class) == (coding, 0)
            await in_thread(client.submit, short_message=part, data_coding=coding)
        await in_thread(client.until, lambda: len(client.of("submit_sm_resp")) == len(cases))
        assert smsc.texts() == [text for _, text in cases]


@pytest.mark.parametrize(
    "text", ["Su pago fue recibido. " * 16, "Código 👍 válido. " * 12], ids=["gsm7", "ucs2"]
)
async def test_b16_long_messages_by_udh_are_seen_as_one(text: str) -> None:
    """B16, B17."""
    parts, coding, esm_class = smpplib.gsm.make_parts(text)
    async with a_smsc() as smsc, a_client(smsc.port) as client:
        for part in parts:
            await in_thread(client.submit, short_message=part, data_coding=coding, esm_class=esm_class)
        await in_thread(client.until, lambda: len(client.of("submit_sm_resp")) == len(parts))
        rows = smsc.rows()
        assert [row["concatenation"]["sequence"] for row in rows] == list(range(1, len(parts) + 1))
        assert {row["concatenation"]["total"] for row in rows} == {len(parts)}
        assert len({row["concatenation"]["reference"] for row in rows}) == 1
        octets = b"".join(bytes.fromhex(row["payload_hex"])[6:] for row in rows)
        assert (octets.decode("utf-16-be") if coding else octets.decode("ascii")) == text


async def test_b18_b19_long_messages_by_sar_and_by_payload_are_taken() -> None:
    text = b"Su pago fue recibido. " * 16
    async with a_smsc() as smsc, a_client(smsc.port) as client:
        for sequence in (1, 2, 3):
            part = text[(sequence - 1) * 153 : sequence * 153]
            sar = {"sar_msg_ref_num": 77, "sar_total_segments": 3, "sar_segment_seqnum": sequence}
            await in_thread(client.submit, short_message=part, **sar)
        await in_thread(client.submit, short_message=b"", message_payload=text)
        await in_thread(client.until, lambda: len(client.of("submit_sm_resp")) == 4)
        assert {pdu.status for pdu in client.of("submit_sm_resp")} == {0}
        rows = smsc.rows()
        assert "".join(row["text"] for row in rows[:3]).encode() == text
        assert [row["concatenation"]["sequence"] for row in rows[:3]] == [1, 2, 3]
        assert rows[3]["octets"] == len(text)


async def test_f3_receipts_are_understood() -> None:
    """F3, F19: id and state by text and by TLV; the answer of this library has a body."""
    async with a_smsc() as smsc, a_client(smsc.port) as client:
        for last in ("01", "02", "03"):
            await in_thread(client.submit, number(last), registered_delivery=True)
        await in_thread(client.until, lambda: len(client.of("deliver_sm")) == 3)
        await smsc.acknowledged(3)
        ids = [pdu.message_id.rstrip(b"\0") for pdu in client.of("submit_sm_resp")]
        for pdu, message_id, state in zip(client.of("deliver_sm"), ids, (2, 5, 3), strict=True):
            assert pdu.receipted_message_id.rstrip(b"\0") == message_id
            assert pdu.short_message.startswith(b"id:" + message_id + b" ")
            assert pdu.message_state == state
            assert pdu.esm_class == 4


async def test_h7_enquire_link_is_sent_and_answered() -> None:
    async with a_smsc(enquire_link_s=0.1) as smsc, a_client(smsc.port) as client:
        await in_thread(client.until, lambda: len(client.of("enquire_link")) == 2)
        client.send_pdu(smpplib.smpp.make_pdu("enquire_link", client=client))
        await in_thread(client.until, lambda: client.of("enquire_link_resp"))
        assert client.of("enquire_link_resp")[0].status == 0


async def test_an_unbind_of_either_side_ends_the_session() -> None:
    async with a_smsc() as smsc:
        async with a_client(smsc.port) as client:
            answer = await in_thread(client.unbind)
            assert (answer.command, answer.status) == ("unbind_resp", 0)
            await smsc.until(lambda: smsc.stats()["closes"] == {"peer_unbound": 1})
        async with a_client(smsc.port) as client:
            smsc.unbind_all()
            # This library hears an unbind and does not answer it; its users disconnect.
            await in_thread(client.until, lambda: client.of("unbind"))
        await smsc.until(lambda: smsc.stats()["bound"] == {SYSTEM_ID: 0})


async def test_a_wrong_password_is_refused() -> None:
    async with a_smsc() as smsc:
        with pytest.raises(smpplib.exceptions.PDUError) as refused:
            async with a_client(smsc.port, password="wrong"):
                pass
        assert refused.value.args[1] == 0x0E
        assert smsc.stats()["binds"] == {"ESME_RINVPASWD": 1}


async def test_throttled_submits_pass_in_the_end() -> None:
    async with a_smsc() as smsc, a_client(smsc.port) as client:
        for count in (1, 2, 3):
            await in_thread(client.submit, number("05"))
            await in_thread(client.until, lambda count=count: len(client.of("submit_sm_resp")) == count)
        assert [pdu.status for pdu in client.of("submit_sm_resp")] == [0x58, 0x58, 0]


async def test_h3_a_thousand_pipelined_submits_are_answered_and_receipted() -> None:
    async with a_smsc(latency="p50=5ms,p99=20ms") as smsc, a_client(smsc.port) as client:

        def flood() -> None:
            for sequence in range(1000):
                client.submit(short_message=b"%d" % sequence, registered_delivery=True)

        await in_thread(flood)
        await in_thread(
            client.until,
            lambda: len(client.of("submit_sm_resp")) == 1000 and len(client.of("deliver_sm")) == 1000,
        )
        assert len({pdu.sequence for pdu in client.of("submit_sm_resp")}) == 1000
        assert {pdu.status for pdu in client.of("submit_sm_resp")} == {0}
        assert smsc.texts() == [str(sequence) for sequence in range(1000)]
        await smsc.acknowledged(1000)
