"""query_sm, cancel_sm, replace_sm, submit_multi, data_sm and what an ESME may not send, over a socket of the simulator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.smpp.wire import constants as c
from adapters.smpp.wire import pdus as p
from adapters.smpp.wire.codec import decode, encode
from adapters.smpp.wire.framer import Framer
from adapters.smpp.wire.times import parse_time
from adapters.smpp.wire.tlv import Tlv
from loadtest.smsc.receipts import MessageIds
from loadtest.smsc.service import running_smsc
from loadtest.smsc.settings import SmscSettings

NUMBER, NEVER_FINAL, REFUSED = "525512345678", "525512345604", "525512345606"
DELIVERED, DELETED, ENROUTE = 2, 4, 1
IN_AN_HOUR = "000000010000000R"


class RawEsme:
    """An ESME that writes what it is told and reads frames; deliver_sm are acknowledged and kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._framer = Framer()
        self._frames: list[Any] = []
        self.receipts: list[p.DeliverSm] = []
        self.sequence = 0

    async def frame(self) -> Any:
        async with asyncio.timeout(30):
            while not self._frames:
                data = await self._reader.read(65_536)
                assert data, "the simulator closed the connection"
                for frame in self._framer.feed(data):
                    if frame.command_id == c.DELIVER_SM:
                        self.receipts.append(decode(frame))
                        self._writer.write(encode(p.DeliverSmResp(), sequence_number=frame.sequence_number))
                    else:
                        self._frames.append(frame)
        return self._frames.pop(0)

    async def ask(self, pdu: p.Pdu, *, sequence: int | None = None) -> tuple[int, Any]:
        """Send a request and return (command_status, response PDU) of the answer with its number."""
        self.sequence = self.sequence + 1 if sequence is None else sequence
        self._writer.write(encode(pdu, sequence_number=self.sequence))
        answer = await self.frame()
        assert answer.sequence_number == self.sequence
        assert answer.command_id == pdu.command_id | c.RESPONSE_BIT
        return answer.command_status, decode(answer)

    async def submit(self, destination: str = NUMBER, **fields: Any) -> str:
        status, answer = await self.ask(a_submit(destination, **fields))
        assert status == 0
        return answer.message_id

    def tell(self, pdu: p.Pdu, *, sequence: int) -> None:
        self._writer.write(encode(pdu, sequence_number=sequence))

    async def receipt(self) -> p.DeliverSm:
        """Wait for the next receipt: an enquire_link brings the loop on."""
        async with asyncio.timeout(30):
            while not self.receipts:
                await self.ask(p.EnquireLink())
                await asyncio.sleep(0.005)
        return self.receipts.pop(0)


def a_submit(destination: str = NUMBER, **fields: Any) -> p.SubmitSm:
    return p.SubmitSm(
        **{"source_addr": "12345", "destination_addr": destination, "short_message": b"hola"} | fields
    )


@asynccontextmanager
async def an_esme(
    bind: type[p.Pdu] = p.BindTransceiver, *, system_id: str = "caudal", smsc: Any = None, **settings: Any
) -> AsyncIterator[tuple[RawEsme, Any]]:
    """Give a bound ESME and its simulator."""
    if smsc is None:
        async with (
            running_smsc(SmscSettings(http_port=None, **settings)) as started,
            an_esme(bind, system_id=system_id, smsc=started) as found,
        ):
            yield found
        return
    reader, writer = await asyncio.open_connection("127.0.0.1", smsc.smpp_port)
    try:
        esme = RawEsme(reader, writer)
        status, _ = await esme.ask(bind(system_id=system_id, password="secret"))
        assert status == 0
        yield esme, smsc
    finally:
        writer.close()
        await writer.wait_closed()


# -- query_sm ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("id_format", ["decimal", "hex", "uuid"])
async def test_query_sm_tells_the_state_and_the_date_of_a_final_message(id_format):
    async with an_esme(message_id_format=id_format) as (esme, _):
        message_id = await esme.submit()
        status, answer = await esme.ask(p.QuerySm(message_id=message_id, source_addr="12345"))
        assert (status, answer.message_id, answer.message_state) == (0, message_id, DELIVERED)
        final = parse_time(answer.final_date)
        assert isinstance(final, datetime)
        assert abs(final - datetime.now(UTC)) < timedelta(seconds=30)


async def test_query_sm_of_a_message_whose_receipt_is_not_due_says_enroute():
    async with an_esme(receipt_delay="10m") as (esme, _):
        for destination, fields in ((NUMBER, {"registered_delivery": 1}), (NEVER_FINAL, {})):
            message_id = await esme.submit(destination, **fields)
            status, answer = await esme.ask(p.QuerySm(message_id=message_id))
            assert (status, answer.message_state, answer.final_date) == (0, ENROUTE, "")


@pytest.mark.parametrize(
    ("request_pdu", "status"),
    [
        (p.QuerySm, c.ESME_RQUERYFAIL),
        (p.CancelSm, c.ESME_RCANCELFAIL),
        (p.ReplaceSm, c.ESME_RREPLACEFAIL),
    ],
)
async def test_an_unknown_id_another_source_and_another_account_are_not_found(request_pdu, status):
    async with an_esme(accounts={"caudal": "secret", "other": "secret"}) as (esme, smsc):
        message_id = await esme.submit(NEVER_FINAL)
        for unknown in ("", "0", "7_7", " 7", "-1", "ñ", "9" * 60, message_id + "0"):
            assert (await esme.ask(request_pdu(message_id=unknown)))[0] == status
        assert (await esme.ask(request_pdu(message_id=message_id, source_addr="999")))[0] == status
        async with an_esme(smsc=smsc, system_id="other") as (other, _):
            assert (await other.ask(request_pdu(message_id=message_id)))[0] == status
        assert (await esme.ask(request_pdu(message_id=message_id)))[0] == 0


async def test_a_message_that_was_refused_has_no_id_to_ask_for():
    async with an_esme(first_message_id=100) as (esme, _):
        status, _ = await esme.ask(a_submit(REFUSED))
        assert status == c.ESME_RINVDSTADR
        assert (await esme.ask(p.QuerySm(message_id="100")))[0] == c.ESME_RQUERYFAIL


# -- cancel_sm and replace_sm ------------------------------------------------------------------------


async def test_a_cancelled_message_is_deleted_and_cannot_be_cancelled_again():
    async with an_esme() as (esme, smsc):
        message_id = await esme.submit(NEVER_FINAL)
        cancel = p.CancelSm(message_id=message_id, source_addr="12345", destination_addr=NEVER_FINAL)
        assert (await esme.ask(cancel))[0] == 0
        _, answer = await esme.ask(p.QuerySm(message_id=message_id))
        assert answer.message_state == DELETED
        assert (await esme.ask(cancel))[0] == c.ESME_RCANCELFAIL
        (row,) = smsc.centre.record.rows(after=-1, limit=5)
        assert row["message_state"] == "DELETED"


async def test_cancel_sm_and_replace_sm_of_a_final_message_fail():
    async with an_esme() as (esme, _):
        message_id = await esme.submit()
        assert (await esme.ask(p.CancelSm(message_id=message_id)))[0] == c.ESME_RCANCELFAIL
        assert (await esme.ask(p.ReplaceSm(message_id=message_id)))[0] == c.ESME_RREPLACEFAIL


async def test_cancel_sm_for_another_destination_fails():
    async with an_esme() as (esme, _):
        message_id = await esme.submit(NEVER_FINAL)
        cancel = p.CancelSm(message_id=message_id, destination_addr=NUMBER)
        assert (await esme.ask(cancel))[0] == c.ESME_RCANCELFAIL


async def test_a_scheduled_message_waits_and_its_cancel_is_told_by_one_receipt_at_once():
    async with an_esme() as (esme, smsc):
        message_id = await esme.submit(schedule_delivery_time=IN_AN_HOUR, registered_delivery=1)
        _, answer = await esme.ask(p.QuerySm(message_id=message_id))
        assert answer.message_state == ENROUTE
        assert (await esme.ask(p.CancelSm(message_id=message_id)))[0] == 0
        receipt = await esme.receipt()
        assert f"id:{message_id} ".encode() in receipt.short_message
        assert b"stat:DELETED" in receipt.short_message
        assert Tlv(c.TAG_MESSAGE_STATE, b"\x04") in receipt.tlvs
        assert smsc.centre.tally.receipts_sent == 1


async def test_a_message_cancelled_before_its_receipt_is_due_is_told_deleted():
    async with an_esme(receipt_delay="1500ms") as (esme, _):
        message_id = await esme.submit(registered_delivery=1)
        assert (await esme.ask(p.CancelSm(message_id=message_id)))[0] == 0
        assert b"stat:DELETED" in (await esme.receipt()).short_message


async def test_replace_sm_changes_a_message_that_waits_and_keeps_both_texts():
    async with an_esme() as (esme, smsc):
        message_id = await esme.submit(schedule_delivery_time=IN_AN_HOUR)
        assert (await esme.ask(p.ReplaceSm(message_id=message_id, short_message=b"nuevo")))[0] == 0
        (row,) = smsc.centre.record.rows(after=-1, limit=5)
        assert (row["text"], bytes.fromhex(row["replaced_by_hex"])) == ("hola", b"nuevo")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"schedule_delivery_time": "1"}, c.ESME_RINVSCHED),
        ({"validity_period": "261301000000000+"}, c.ESME_RINVEXPIRY),
    ],
)
async def test_e3_replace_sm_with_a_bad_time_is_refused(fields, status):
    async with an_esme() as (esme, _):
        message_id = await esme.submit(NEVER_FINAL)
        assert (await esme.ask(p.ReplaceSm(message_id=message_id, **fields)))[0] == status


# -- submit_multi and data_sm ------------------------------------------------------------------------


async def test_submit_multi_takes_each_address_and_lists_those_it_does_not():
    async with an_esme() as (esme, smsc):
        destinations = (
            p.SmeAddress(1, 1, NUMBER),
            p.SmeAddress(1, 1, REFUSED),
            p.DistributionList("friends"),
            p.SmeAddress(1, 1, "525512345601"),
        )
        status, answer = await esme.ask(
            p.SubmitMulti(
                source_addr="12345",
                dest_address=destinations,
                registered_delivery=1,
                short_message=b"a todos",
            )
        )
        assert status == 0
        assert answer.unsuccess_sme == (
            p.UnsuccessSme(1, 1, REFUSED, c.ESME_RINVDSTADR),
            p.UnsuccessSme(0, 0, "friends", c.ESME_RINVDLNAME),
        )
        receipts = [await esme.receipt(), await esme.receipt()]
        assert {receipt.source_addr for receipt in receipts} == {NUMBER, "525512345601"}
        for receipt in receipts:
            assert f"id:{answer.message_id} ".encode() in receipt.short_message
        texts = [(row["destination"], row["text"]) for row in smsc.centre.record.rows(after=-1, limit=9)]
        assert texts == [(NUMBER, "a todos"), (REFUSED, "a todos"), ("525512345601", "a todos")]
        assert smsc.centre.tally.submits == 3


@pytest.mark.parametrize(
    ("fields", "status", "failed"),
    [
        ({"dest_address": ()}, c.ESME_RINVNUMDESTS, 0),
        ({"dest_address": (p.SmeAddress(1, 1, REFUSED),)}, c.ESME_RSUBMITFAIL, 1),
        ({"dest_address": (p.SmeAddress(1, 1, NUMBER),), "priority_flag": 4}, c.ESME_RINVPRTFLG, 0),
        ({"dest_address": (p.SmeAddress(1, 1, NUMBER),), "validity_period": "x"}, c.ESME_RINVEXPIRY, 0),
    ],
)
async def test_submit_multi_of_which_nothing_is_taken_is_refused(fields, status, failed):
    async with an_esme() as (esme, _):
        found, answer = await esme.ask(p.SubmitMulti(source_addr="12345", **fields))
        assert found == status
        assert len(answer.unsuccess_sme) == failed


async def test_data_sm_with_message_payload_is_taken_and_gets_its_receipt():
    async with an_esme() as (esme, smsc):
        status, answer = await esme.ask(
            p.DataSm(
                source_addr="12345",
                destination_addr=NUMBER,
                registered_delivery=1,
                tlvs=(Tlv(c.TAG_MESSAGE_PAYLOAD, b"hola"),),
            )
        )
        assert status == 0
        assert f"id:{answer.message_id} ".encode() in (await esme.receipt()).short_message
        assert smsc.centre.record.rows(after=-1, limit=5)[0]["text"] == "hola"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"destination_addr": "5" * 21}, c.ESME_RINVDSTADR),
        ({"source_addr": "1" * 21}, c.ESME_RINVSRCADR),
        ({"source_addr": "Banc\xf3"}, c.ESME_RINVSRCADR),
        ({"service_type": "\xf1"}, c.ESME_RINVSERTYP),
    ],
)
async def test_i4_addresses_that_fit_data_sm_but_no_receipt_are_refused(fields, status):
    async with an_esme() as (esme, _):
        data = p.DataSm(**{"source_addr": "12345", "destination_addr": NUMBER} | fields)
        assert (await esme.ask(data))[0] == status


# -- the operation matrix ----------------------------------------------------------------------------

OPERATIONS = (
    p.SubmitSm(),
    p.SubmitMulti(),
    p.DataSm(),
    p.QuerySm(),
    p.CancelSm(),
    p.ReplaceSm(),
)


async def test_h1_a_receiver_may_submit_and_ask_nothing():
    async with an_esme(p.BindReceiver) as (esme, _):
        for pdu in OPERATIONS:
            assert (await esme.ask(pdu))[0] == c.ESME_RINVBNDSTS
        assert (await esme.ask(p.EnquireLink()))[0] == 0


@pytest.mark.parametrize("sequence", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
async def test_h5_every_operation_is_answered_with_its_own_number(sequence):
    async with an_esme(p.BindTransmitter) as (esme, _):
        for pdu in OPERATIONS:
            await esme.ask(pdu, sequence=sequence)


async def test_h17_h18_what_only_a_message_centre_sends_is_refused_or_ignored():
    async with an_esme() as (esme, _):
        status, _ = await esme.ask(p.DeliverSm(source_addr="12345", destination_addr=NUMBER))
        assert status == c.ESME_RINVBNDSTS
        esme.tell(p.AlertNotification(source_addr=NUMBER, esme_addr="caudal"), sequence=90)
        esme.tell(p.Outbind(system_id="mc", password="p"), sequence=91)
        assert (await esme.ask(p.EnquireLink(), sequence=92))[0] == 0


@pytest.mark.parametrize("form", ["decimal", "hex", "uuid"])
def test_only_an_id_as_it_was_written_leads_back_to_its_number(form):
    ids = MessageIds(first=1000, submit_format=form, receipt_format="same", seed=1)
    written = ids.in_response(77)
    assert ids.number_of(written) == 77
    assert ids.number_of(written.lower()) == 77
    for other in ("", " " + written, "+" + written, "0" + written, written + "_", "1__0", "0x41", "9" * 5000):
        assert ids.number_of(other) is None
