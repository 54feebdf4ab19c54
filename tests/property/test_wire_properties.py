"""Round trips, slicing and garbage on the wire."""

import string
from dataclasses import fields
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from adapters.smpp.inspect import InspectError, inspect_pdu
from adapters.smpp.wire import codec, receipt_text
from adapters.smpp.wire import constants as c
from adapters.smpp.wire import pdus as p
from adapters.smpp.wire.fields import CString, DestAddresses, Integer, ShortMessage, UnsuccessSmes
from adapters.smpp.wire.framer import Frame, Framer
from adapters.smpp.wire.times import MAX_RELATIVE_S, TimeFault, format_relative, parse_time
from adapters.smpp.wire.udh import InformationElement, build_udh, parse_user_data

UINT8 = st.integers(0, 255)
UINT32 = st.integers(0, 0xFFFFFFFF)
LATIN1 = st.characters(min_codepoint=1, max_codepoint=255)
TLVS = st.lists(
    st.builds(
        p.Tlv, st.one_of(st.sampled_from(sorted(c.TLV_NAMES)), st.integers(0, 0xFFFF)), st.binary(max_size=20)
    ),
    max_size=5,
).map(tuple)


def c_strings(max_octets: int) -> st.SearchStrategy[str]:
    return st.text(LATIN1, max_size=max_octets - 1)


ADDRESS = st.one_of(
    st.builds(p.SmeAddress, UINT8, UINT8, c_strings(21)), st.builds(p.DistributionList, c_strings(21))
)
UNSUCCESS = st.builds(p.UnsuccessSme, UINT8, UINT8, c_strings(21), UINT32)


def values_of(field) -> st.SearchStrategy:
    match field:
        case Integer(octets=octets):
            return st.integers(0, (1 << 8 * octets) - 1)
        case CString(max_octets=max_octets):
            return c_strings(max_octets)
        case ShortMessage():
            return st.binary(max_size=254)
        case DestAddresses():
            return st.lists(ADDRESS, max_size=4).map(tuple)
        case UnsuccessSmes():
            return st.lists(UNSUCCESS, max_size=4).map(tuple)
    raise AssertionError(field)


def pdus_of(pdu_type: type[p.Pdu]) -> st.SearchStrategy[p.Pdu]:
    return st.builds(pdu_type, **{f.name: values_of(f) for f in pdu_type.layout}, tlvs=TLVS)


PDUS = st.sampled_from(sorted(p.PDU_TYPES)).flatmap(lambda command_id: pdus_of(p.PDU_TYPES[command_id]))


def test_every_layout_names_the_attributes_of_its_pdu_in_order():
    for pdu_type in p.PDU_TYPES.values():
        beside = {"tlvs", "has_body", "tlv_error"}
        names = [f.name for f in fields(pdu_type) if f.name not in beside]
        assert names == [f.name for f in pdu_type.layout]


@given(pdu=PDUS, sequence_number=UINT32)
def test_decode_of_encode_is_the_pdu(pdu, sequence_number):
    octets = codec.encode(pdu, sequence_number=sequence_number)
    (frame,) = Framer(1 << 20).feed(octets)
    assert frame.sequence_number == sequence_number
    assert codec.decode(frame) == pdu
    again = codec.encode(codec.decode(frame), sequence_number=sequence_number)
    assert again == octets


@given(pdu=PDUS, command_status=st.integers(1, 0xFFFFFFFF))
def test_encode_of_decode_is_the_frame_whatever_the_status(pdu, command_status):
    octets = codec.encode(pdu, sequence_number=1, command_status=command_status)
    (frame,) = Framer(1 << 20).feed(octets)
    assert codec.encode(codec.decode(frame), sequence_number=1, command_status=command_status) == octets


@given(pdu=st.one_of(pdus_of(p.SubmitSm), pdus_of(p.DeliverSm)))
def test_the_fast_paths_write_what_the_generic_codec_writes(pdu):
    octets = codec.encode(pdu, sequence_number=7)
    assert octets[16:] == codec._body_of(pdu, 0)
    assert codec._generic_decoder(type(pdu))(octets[16:]) == pdu


@given(pdu=PDUS, cuts=st.data())
def test_any_slicing_of_a_stream_gives_the_same_frames(pdu, cuts):
    octets = codec.encode(pdu, sequence_number=1)
    stream = octets + codec.encode(p.EnquireLink(), sequence_number=2) + octets
    whole = Framer(1 << 20).feed(stream)
    sliced = Framer(1 << 20)
    frames: list[Frame] = []
    at = 0
    while at < len(stream):
        size = cuts.draw(st.integers(1, 60))
        frames += sliced.feed(stream[at : at + size])
        at += size
    assert frames == whole
    assert sliced.buffered_octets == 0


@given(chunks=st.lists(st.binary(max_size=64), max_size=8))
def test_garbage_never_raises_out_of_the_framer(chunks):
    framer = Framer(256)
    for chunk in chunks:
        framer.feed(chunk)
        assert framer.buffered_octets < 256
        if framer.lost is not None:
            assert framer.feed(b"\0\0\0\x10" * 4) == []


def decoded(frame: Frame) -> p.Pdu | codec.PduError:
    try:
        return codec.decode(frame)
    except codec.PduError as fault:
        return fault


@given(command_id=st.sampled_from(sorted(p.PDU_TYPES)), body=st.binary(max_size=300))
def test_garbage_raises_nothing_but_pdu_error(command_id, body):
    result = decoded(Frame(command_id, 0, 1, body))
    if isinstance(result, codec.PduError):
        assert result.command_status in c.STATUS_NAMES
        assert result.command_status != 0
    else:
        assert result.command_id == command_id


@given(pdu=PDUS, data=st.data())
def test_a_bent_pdu_raises_nothing_but_pdu_error(pdu, data):
    octets = bytearray(codec.encode(pdu, sequence_number=1)[16:])
    for _ in range(data.draw(st.integers(1, 3))):
        if octets:
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(UINT8)
    body = bytes(octets[: data.draw(st.integers(0, len(octets)))])
    result = decoded(Frame(pdu.command_id, 0, 1, body))
    assert result.detail if isinstance(result, codec.PduError) else result.command_id == pdu.command_id


@given(octets=st.binary(max_size=200))
def test_inspect_pdu_raises_nothing_but_inspect_error(octets):
    code = None
    try:
        inspect_pdu({"hex": octets.hex()})
    except InspectError as fault:
        code = fault.code
    assert code in {None, "framing_lost"}


# --- receipts ----------------------------------------------------------------------------------------

WORD = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=40)
FREE_TEXT = st.binary(max_size=60).map(lambda octets: octets.rstrip(b"\0"))
MINUTES = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)).map(
    lambda when: when.replace(second=0, microsecond=0)
)


@given(
    message_id=WORD,
    state=st.sampled_from(sorted(receipt_text.STAT_OF_STATE)),
    err=WORD,
    submit_date=MINUTES,
    done_date=MINUTES,
    sub=st.integers(0, 9999),
    dlvrd=st.integers(0, 9999),
    text=FREE_TEXT,
)
def test_parse_of_format_is_the_receipt(message_id, state, err, submit_date, done_date, sub, dlvrd, text):
    stat = receipt_text.STAT_OF_STATE[state]
    octets = receipt_text.format_receipt_text(
        message_id,
        stat=stat,
        submit_date=submit_date,
        done_date=done_date,
        err=err,
        sub=sub,
        dlvrd=dlvrd,
        text=text,
    )
    receipt = receipt_text.parse_receipt(esm_class=4, data_coding=0, short_message=octets)
    assert receipt.message_id == message_id
    assert (receipt.state, receipt.raw_stat, receipt.err) == (state, stat, err)
    assert (receipt.sub, receipt.dlvrd) == (sub, dlvrd)
    assert (receipt.submit_date, receipt.done_date) == (submit_date, done_date)
    assert receipt.text == text.decode("latin-1")


PIECES = st.sampled_from(
    [b"id:", b"sub:", b"dlvrd:", b"submit date:", b"done date:", b"stat:", b"err:", b"text:", b" ", b"  ", b"001",
     b"2601151830", b"DELIVRD", b"7F", b"\0", b"\t", b"\x0b", b"\x1c", b"\x85", b"\xa0", b"\xb2", b":"]
)  # fmt: skip


@given(
    message_id=st.lists(PIECES, min_size=1, max_size=4).map(b"".join),
    sub=st.lists(PIECES, min_size=1, max_size=2).map(b"".join),
    stat=st.lists(PIECES, min_size=1, max_size=2).map(b"".join),
    err=st.lists(PIECES, min_size=1, max_size=4).map(b"".join),
    tail=st.lists(PIECES, max_size=6).map(b"".join),
)
def test_the_fast_reading_of_a_receipt_is_the_tolerant_one(message_id, sub, stat, err, tail):
    body = (
        b"id:" + message_id + b" sub:" + sub + b" dlvrd:001 submit date:2601151830 done date:2601151831 stat:"
        + stat + b" err:" + err + tail
    )  # fmt: skip
    fast = receipt_text._parse_text(body, data_coding=0)
    assert fast == receipt_text._parse_tolerantly(body.decode("latin-1"))


@given(
    esm_class=UINT8,
    data_coding=UINT8,
    body=st.one_of(st.binary(max_size=200), st.lists(PIECES).map(b"".join)),
    tlvs=TLVS,
)
def test_parse_receipt_never_raises_and_gives_valid_text(esm_class, data_coding, body, tlvs):
    receipt = receipt_text.parse_receipt(
        esm_class=esm_class, data_coding=data_coding, short_message=body, tlvs=tlvs
    )
    assert receipt.is_receipt or receipt.message_id is None
    for value in (receipt.message_id, receipt.raw_stat, receipt.err, receipt.text):
        assert value is None or value.encode("utf-8").decode("utf-8") == value
    assert receipt.submit_date is None or receipt.submit_date.tzinfo is None
    assert receipt.done_date is None or receipt.is_receipt


@given(number=st.integers(0, 1 << 256), zeros=st.integers(0, 5), upper=st.booleans())
def test_f13_hex_and_decimal_spellings_of_one_number_match(number, zeros, upper):
    digits = f"{number:X}" if upper else f"{number:x}"
    as_hex, as_dec = "0" * zeros + digits, "0" * zeros + str(number)
    assert receipt_text.ids_match(as_hex, as_dec, "resp_hex_receipt_dec")
    assert receipt_text.ids_match(as_dec, as_hex, "resp_dec_receipt_hex")
    assert receipt_text.ids_match(as_dec, str(number), "decimal")
    assert receipt_text.ids_match(as_hex, f"{number:x}", "hex")
    assert not receipt_text.ids_match(as_hex, str(number + 1), "resp_hex_receipt_dec")


@given(
    one=st.text(max_size=70), other=st.text(max_size=70), id_format=st.sampled_from(receipt_text.ID_FORMATS)
)
def test_f13_matching_never_raises_and_equal_ids_of_one_base_match(one, other, id_format):
    receipt_text.ids_match(one, other, id_format)
    if id_format in {"string", "decimal", "hex"} and one.strip(" \t\r\n\0"):
        assert receipt_text.ids_match(one, one, id_format)


# --- headers and times -------------------------------------------------------------------------------


@given(user_data=st.binary(max_size=160))
def test_i8_any_user_data_is_cut_without_exception_or_loss(user_data):
    data = parse_user_data(user_data)
    assert data.header + data.payload == user_data
    if data.concatenation is not None:
        assert 1 <= data.concatenation.segment_index <= data.concatenation.segment_count
        assert not data.is_opaque


@given(
    elements=st.lists(
        st.builds(InformationElement, st.integers(9, 255), st.binary(max_size=20)), max_size=5
    ).map(tuple),
    payload=st.binary(max_size=20),
)
def test_a_header_we_build_is_read_back(elements, payload):
    data = parse_user_data(build_udh(elements) + payload)
    assert (data.elements, data.payload, data.fault) == (elements, payload, None)


@given(seconds=st.integers(1, MAX_RELATIVE_S))
def test_relative_times_round_trip(seconds):
    assert parse_time(format_relative(seconds)) == timedelta(seconds=seconds)


@given(
    text=st.one_of(
        st.text(max_size=20), st.text(string.digits, min_size=15, max_size=15).map(lambda t: t + "R")
    )
)
def test_no_time_raises(text):
    assert isinstance(parse_time(text), datetime | timedelta | TimeFault | None)
