"""User data headers: rows B14, B16, B17 and I8, and a published header that is wrong."""

import pytest

from adapters.smpp.wire.udh import (
    Concatenation,
    InformationElement,
    build_udh,
    concatenation_element,
    parse_user_data,
)


def test_b17_an_8_bit_concatenation_is_read_and_written():
    data = parse_user_data(bytes.fromhex("050003A70201") + b"hola")
    assert data.concatenation == Concatenation(0xA7, 2, 1, 8)
    assert (data.header.hex(), data.payload, data.is_opaque) == ("050003a70201", b"hola", False)
    element = concatenation_element(0xA7, segment_count=2, segment_index=1)
    assert build_udh([element]) == data.header


def test_b14_a_16_bit_concatenation_is_read_and_written():
    data = parse_user_data(bytes.fromhex("06080404D20201"))
    assert data.concatenation == Concatenation(0x04D2, 2, 1, 16)
    element = concatenation_element(0x04D2, segment_count=2, segment_index=1, reference_bits=16)
    assert build_udh([element]) == data.header


def test_b26_ports_before_the_concatenation_are_kept():
    header = bytes.fromhex("0B 0504 0B84 23F0 0003 A7 02 02")
    data = parse_user_data(header + b"x")
    assert data.elements == (
        InformationElement(5, bytes.fromhex("0B8423F0")),
        InformationElement(0, bytes.fromhex("A70202")),
    )
    assert data.concatenation == Concatenation(0xA7, 2, 2, 8)
    assert build_udh(data.elements) == header


def test_of_repeated_concatenations_the_last_one_counts():
    data = parse_user_data(bytes.fromhex("0A 0003 A7 02 03 0003 A8 02 01"))
    assert data.concatenation == Concatenation(0xA8, 2, 1, 8)
    assert data.fault is None


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        ("", "no header"),
        ("FF000361", "UDHL 255"),
        ("05", "UDHL 5"),
        ("02000361", "beyond the header"),
        ("0100", "beyond the header"),
        ("050004A7020161", "beyond the header"),
    ],
)
def test_i8_a_header_that_lies_about_its_length_makes_all_octets_opaque(octets, fault):
    raw = bytes.fromhex(octets)
    data = parse_user_data(raw)
    assert data.is_opaque
    assert fault in data.fault
    assert (data.payload, data.concatenation, data.elements) == (raw, None, ())


@pytest.mark.parametrize(
    "octets",
    ["050003A70001", "050003A70203", "050003A70200", "040002A702", "060804D2020100"],
    ids=["total 0", "seq above total", "seq 0", "short element", "16-bit element with one reference octet"],
)
def test_i8_an_impossible_concatenation_reassembles_nothing(octets):
    data = parse_user_data(bytes.fromhex(octets) + b"hola")
    assert data.is_opaque
    assert data.concatenation is None
    assert data.payload == b"hola"


def test_an_empty_header_is_no_fault():
    data = parse_user_data(b"\x00hola")
    assert (data.header, data.payload, data.is_opaque) == (b"\x00", b"hola", False)


@pytest.mark.parametrize(
    ("reference", "count", "index", "bits"),
    [
        (256, 2, 1, 8),
        (65_536, 2, 1, 16),
        (-1, 2, 1, 8),
        (1, 256, 1, 8),
        (1, 2, 3, 8),
        (1, 2, 0, 8),
        (1, 2, 1, 12),
    ],
)
def test_an_impossible_element_of_our_own_is_refused(reference, count, index, bits):
    with pytest.raises(ValueError, match=r"reference|segment"):
        concatenation_element(reference, segment_count=count, segment_index=index, reference_bits=bits)


def test_a_header_beyond_255_octets_is_refused():
    with pytest.raises(ValueError, match="258 octets"):
        build_udh([InformationElement(5, b"x" * 127), InformationElement(5, b"x" * 127)])
    with pytest.raises(ValueError, match="does not fit"):
        build_udh([InformationElement(256, b"")])
