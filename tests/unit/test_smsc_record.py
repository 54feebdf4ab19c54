from hashlib import sha1

import pytest

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import decode_deliver_sm
from adapters.smpp.wire.pdus import SubmitSm, Tlv
from loadtest.rates import SECOND_NS, ArrivalWatch, WindowScan
from loadtest.smsc import record as columns
from loadtest.smsc.receipts import (
    DELIVERED,
    UNDELIVERABLE,
    MessageIds,
    Stamps,
    receipt_body,
    receipt_head,
    wants_receipt,
)
from loadtest.smsc.record import BLOCK_SEGMENTS, Record
from loadtest.smsc.text import Concatenation, decode_text, gsm7_text, split_udh

MS = 1_000_000


def keep(record: Record, pdu: SubmitSm | None = None, **given) -> int:
    args = {"arrival_ns": 5, "system": 0, "session": 3, "status": 0, "state": DELIVERED} | given
    return record.append(pdu or SubmitSm(destination_addr="525512345678"), **args)


def make_record(**given) -> Record:
    record = Record(**given)
    record.system_ids = ["caudal"]
    return record


def test_a_row_reads_back_as_it_came():
    record = make_record()
    pdu = SubmitSm(
        source_addr="12345",
        destination_addr="525512345678",
        esm_class=0x40,
        data_coding=8,
        registered_delivery=1,
        priority_flag=2,
        validity_period="000000000500000R",
        short_message=bytes.fromhex("0500032A0201") + "señal €".encode("utf-16-be"),
    )
    number = keep(record, pdu, arrival_ns=77)
    record.mark(number, columns.ANSWERED)
    record.receipt_sent(number, 99)
    record.receipt_sent(number, 100)  # its repeat is no other receipt
    (row,) = record.rows(after=-1, limit=10)
    assert row == {
        "number": 0,
        "arrival_ns": 77,
        "receipt_ns": 99,
        "system_id": "caudal",
        "session": 3,
        "source": "12345",
        "destination": "525512345678",
        "validity_period": "000000000500000R",
        "esm_class": 0x40,
        "data_coding": 8,
        "registered_delivery": 1,
        "priority_flag": 2,
        "octets": 20,
        "text": "señal €",
        "payload_hex": pdu.short_message.hex(),
        "payload_sha1": None,
        "concatenation": {"reference": 0x2A, "total": 2, "sequence": 1},
        "status": "ESME_ROK",
        "is_answered": True,
        "message_state": "DELIVERED",
        "receipt": "sent",
    }


def test_b18_sar_and_a_long_payload_are_kept_short():
    record = make_record()
    sar = (Tlv(0x020C, b"\x01\x02"), Tlv(0x020E, b"\x03"), Tlv(0x020F, b"\x02"))
    long_text = b"x" * 1000
    keep(
        record, SubmitSm(destination_addr="525512345678", tlvs=(*sar, Tlv(c.TAG_MESSAGE_PAYLOAD, long_text)))
    )
    (row,) = record.rows(after=-1, limit=1)
    assert row["concatenation"] == {"reference": 0x0102, "total": 3, "sequence": 2}
    assert row["octets"] == 1000
    assert row["text"] is None
    assert row["payload_sha1"] == sha1(long_text).hexdigest()


def test_the_oldest_block_is_forgotten_and_counted_beyond_the_limit():
    record = make_record(max_segments=100)
    for _ in range(2 * BLOCK_SEGMENTS + 1):
        keep(record)
    assert (record.first_number, record.next_number) == (BLOCK_SEGMENTS, 2 * BLOCK_SEGMENTS + 1)
    assert record.forgotten_count == BLOCK_SEGMENTS
    assert record.rows(after=-1, limit=1)[0]["number"] == BLOCK_SEGMENTS
    assert record.mark(0, columns.RECEIPT_SENT) is False


def test_after_and_limit_page_through_the_record():
    record = make_record()
    for _ in range(10):
        keep(record)
    assert [row["number"] for row in record.rows(after=3, limit=4)] == [4, 5, 6, 7]
    assert record.rows(after=9, limit=4) == []


def test_marks_are_set_once_and_a_reset_keeps_numbers_unique():
    record = make_record()
    number = keep(record)
    assert record.mark(number, columns.RECEIPT_SENT) is True
    assert record.mark(number, columns.RECEIPT_SENT) is False
    record.mark(number, columns.RECEIPT_ACKNOWLEDGED)
    assert record.rows(after=-1, limit=1)[0]["receipt"] == "acknowledged"
    record.reset()
    assert record.rows(after=-1, limit=1) == []
    assert record.mark(number, columns.ANSWERED) is False
    assert keep(record) > number


def test_the_worst_window_is_exact():
    watch = ArrivalWatch()
    scan = WindowScan(SECOND_NS)
    # 100 at 0.0 s, 50 at 0.5 s, 80 at 0.999 s, 90 at 1.0 s: the window ending at 1.0 s no longer holds the first.
    for at_ms, count in ((0, 100), (500, 50), (999, 80), (1000, 90), (5000, 1)):
        watch.add(at_ms * MS + 1, count)
        scan.feed([at_ms * MS + 1] * count)
    assert watch.report()["worst_1s_count"] == scan.report()["worst_count"] == 230
    assert watch.report()["worst_10ms_count"] == 170
    assert watch.series() == [[0, 230], [1, 90], [5, 1]]
    assert scan.report()["mean_per_s"] == pytest.approx(320 / 5)


@pytest.mark.parametrize(
    ("forms", "response", "receipt"),
    [
        (("decimal", "same"), "1007", "1007"),
        (("hex", "decimal"), "3EF", "1007"),
        (("decimal", "hex"), "1007", "3EF"),
    ],
)
def test_f13_ids_may_change_form_between_response_and_receipt(forms, response, receipt):
    ids = MessageIds(first=1000, submit_format=forms[0], receipt_format=forms[1], seed=0)
    assert (ids.in_response(7), ids.in_receipt(7)) == (response, receipt)


def test_uuids_are_well_formed_and_distinct():
    from uuid import UUID

    ids = MessageIds(first=1, submit_format="uuid", receipt_format="same", seed=3)
    made = {ids.in_response(number) for number in range(1000)}
    assert len(made) == 1000
    assert {UUID(text).version for text in made} == {4}


def test_a_receipt_swaps_the_addresses_and_carries_text_and_tlvs():
    submit = SubmitSm(
        source_addr_ton=5,
        source_addr="BancoMX",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="525512345678",
    )
    stamp = Stamps().at(1_767_225_600 * SECOND_NS)
    args = {"message_id": "3EF", "state": UNDELIVERABLE, "submitted": stamp, "done": stamp}
    receipt = decode_deliver_sm(receipt_body(receipt_head(submit), with_tlvs=True, **args))
    assert (receipt.source_addr, receipt.source_addr_ton, receipt.source_addr_npi) == ("525512345678", 1, 1)
    assert (receipt.destination_addr, receipt.dest_addr_ton) == ("BancoMX", 5)
    assert receipt.esm_class == 0x04
    assert receipt.short_message == (
        b"id:3EF sub:001 dlvrd:000 submit date:2601010000 done date:2601010000 stat:UNDELIV err:001 text:"
    )
    assert receipt.tlvs == (Tlv(c.TAG_RECEIPTED_MESSAGE_ID, b"3EF\0"), Tlv(c.TAG_MESSAGE_STATE, b"\x05"))
    bare = decode_deliver_sm(receipt_body(receipt_head(submit), with_tlvs=False, **args))
    assert bare.tlvs == ()


def test_e5_receipts_are_sent_only_as_asked():
    asked = {
        value: (wants_receipt(value, DELIVERED), wants_receipt(value, UNDELIVERABLE)) for value in range(4)
    }
    assert asked == {0: (False, False), 1: (True, True), 2: (False, True), 3: (True, False)}


def test_a9_texts_are_decoded_by_their_coding():
    assert gsm7_text(bytes.fromhex("001B651B413F7F1B")) == "@€A?à"
    assert gsm7_text(b"\x80") == "\ufffd"
    assert decode_text("ñ".encode("latin-1"), data_coding=3) == "ñ"
    assert decode_text(b"abc", data_coding=1) == "abc"
    assert decode_text(b"abc", data_coding=4) is None
    assert decode_text(b"\x00a\xd8", data_coding=8) == "a\ufffd"


def test_i8_a_lying_udh_is_text():
    assert split_udh(bytes.fromhex("06080412340302") + b"x") == (Concatenation(0x1234, 3, 2), b"x")
    for lie in (b"", b"\x00abc", b"\xffabc", b"\x02\x00"):
        assert split_udh(lie) == (None, lie)
    assert split_udh(bytes.fromhex("03000901") + b"x") == (None, b"x")
