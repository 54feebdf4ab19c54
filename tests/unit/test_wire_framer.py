"""Framing: SMPP 3.4 §3.2, and the attacks of rows I1, I2, I6 and I7."""

import pytest

from adapters.smpp.wire.framer import MAX_PDU_OCTETS, Frame, Framer

ENQUIRE_LINK = bytes.fromhex("00000010 00000015 00000000 00000001")
UNBIND = bytes.fromhex("00000010 00000006 00000000 00000002")
SUBMIT_SM_RESP = bytes.fromhex("00000013 80000004 00000000 00000003 374600")


def test_one_frame_is_its_header_and_its_body():
    assert Framer().feed(SUBMIT_SM_RESP) == [Frame(0x80000004, 0, 3, b"7F\0")]


def test_i7_several_pdus_in_one_chunk_come_out_in_order():
    frames = Framer().feed(ENQUIRE_LINK + SUBMIT_SM_RESP + UNBIND)
    assert [frame.sequence_number for frame in frames] == [1, 3, 2]


def test_i7_one_octet_at_a_time_gives_the_same_frames():
    framer = Framer()
    stream = ENQUIRE_LINK + SUBMIT_SM_RESP + UNBIND
    frames = [frame for octet in stream for frame in framer.feed(bytes((octet,)))]
    assert frames == Framer().feed(stream)
    assert framer.buffered_octets == 0


def test_i7_a_cut_inside_command_length_is_joined():
    framer = Framer()
    assert framer.feed(UNBIND + ENQUIRE_LINK[:3]) == [Frame(6, 0, 2, b"")]
    assert framer.buffered_octets == 3
    assert framer.feed(ENQUIRE_LINK[3:]) == [Frame(0x15, 0, 1, b"")]


def test_h5_sequence_numbers_are_unsigned():
    (frame,) = Framer().feed(bytes.fromhex("00000010 00000015 00000000 FFFFFFFF"))
    assert frame.sequence_number == 0xFFFFFFFF


@pytest.mark.parametrize("length", [*range(16), 0xFFFFFFFF, 0x80000010, 1 << 20, MAX_PDU_OCTETS + 1])
def test_i1_i2_a_bad_command_length_is_refused_on_its_first_four_octets(length):
    framer = Framer()
    assert framer.feed(length.to_bytes(4, "big")) == []
    assert framer.lost == f"command_length {length} is not in 16..66560"
    assert framer.buffered_octets == 0


@pytest.mark.parametrize(
    "hello", [b"GET / HTTP/1.1\r\n\r\n", bytes.fromhex("160301020001000001fc0303"), b"\0" * 4096]
)
def test_i1_i2_other_protocols_and_zeros_lose_the_stream(hello):
    framer = Framer()
    assert framer.feed(hello) == []
    assert framer.lost is not None


def test_i2_good_frames_before_a_bad_length_are_returned_and_nothing_after_it():
    framer = Framer()
    assert framer.feed(ENQUIRE_LINK + b"GET / HTTP/1.1\r\n" + UNBIND) == [Frame(0x15, 0, 1, b"")]
    assert framer.lost is not None
    assert framer.feed(UNBIND) == []
    assert framer.buffered_octets == 0


def test_i2_a_bad_length_split_over_chunks_is_refused_with_its_fourth_octet():
    framer = Framer()
    framer.feed(b"GE")
    assert framer.lost is None
    framer.feed(b"T ")
    assert framer.lost is not None


def test_i6_a_truncated_pdu_is_no_frame():
    framer = Framer()
    assert framer.feed(SUBMIT_SM_RESP[:-1]) == []
    assert framer.lost is None
    assert framer.buffered == SUBMIT_SM_RESP[:-1]


def test_the_largest_allowed_pdu_passes():
    framer = Framer(32)
    pdu = bytes.fromhex("00000020 00000015 00000000 00000001") + b"\0" * 16
    assert framer.feed(pdu) == [Frame(0x15, 0, 1, b"\0" * 16)]
    framer.feed(bytes.fromhex("00000021"))
    assert framer.lost is not None


def test_a_maximum_below_the_header_is_a_bug_of_the_caller():
    with pytest.raises(ValueError, match="max_octets 15"):
        Framer(15)
