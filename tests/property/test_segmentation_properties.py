"""Segmentation for any text and any options (sms-domain B27; properties (a) and (b) of section 1)."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import gsm7
from gateway.domain.cutting import SegmentationOptions
from gateway.domain.errors import SegmentationError
from gateway.domain.segmentation import count_segments, measure_short, measure_text, segment_text

GSM = "abc ñé@€[]^\n\fΔ"
CLUSTERS = ["👨\u200d👩\u200d👧", "🇲🇽", "🇨🇴🇨🇱", "1\ufe0f\u20e3", "👍🏽", "e\u0301", "q\u0301\u0301", "\u200d"]
pieces_of_text = st.lists(
    st.one_of(
        st.text(GSM, min_size=1, max_size=80),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        st.sampled_from(CLUSTERS),
        st.sampled_from(["a" * 151, "ó" * 65, "€" * 40, "😀" * 30]),
    ),
    min_size=1,
    max_size=8,
)
gsm_texts = st.lists(
    st.one_of(st.text(GSM, min_size=1, max_size=80), st.sampled_from(["a" * 151, "€" * 76])),
    min_size=1,
    max_size=6,
).map("".join)
texts = pieces_of_text.map("".join)
options = st.fixed_dictionaries(
    {},
    optional={
        "reference_bits": st.sampled_from([8, 16]),
        "split": st.sampled_from(["udh", "sar", "payload"]),
        "transliterate": st.booleans(),
        "national_single_shift": st.sampled_from([0, 2, 3]),
        "national_locking_shift": st.sampled_from([0, 3]),
        "extra_udh_ies": st.sampled_from([b"", bytes.fromhex("0504158a0000")]),
    },
)


def decoded(encoding: str, octets: bytes, shifts: dict) -> str:
    return octets.decode("utf-16-be") if encoding == "ucs2" else gsm7.decode_unpacked(octets, **shifts)


@given(st.one_of(texts, gsm_texts), options)
def test_segments_join_to_the_text_fit_their_budget_and_decode_alone(text, chosen):
    cut = segment_text(text, reference=5, **chosen)
    shifts = {
        key: chosen[key] for key in ("national_single_shift", "national_locking_shift") if key in chosen
    }
    expected = measure_text(text, **chosen).text
    if not chosen.get("transliterate"):
        assert expected == normalize("NFC", text)
    joined = ""
    for segment in cut.segments:
        body = segment.short_message
        if chosen.get("split") == "payload":
            ((name, body),) = segment.tlvs
            assert name == "message_payload"
            assert segment.short_message == b""
        assert body.startswith(segment.udh)
        assert segment.esm_class == (0x40 if segment.udh else 0)
        septets_or_octets = body[len(segment.udh) :]
        joined += decoded(cut.encoding, septets_or_octets, shifts)
        if chosen.get("split") != "payload":
            bits = 7 if cut.encoding == "gsm7" else 8
            assert len(segment.udh) * 8 + len(septets_or_octets) * bits <= 140 * 8
    assert joined == expected


@given(st.one_of(texts, gsm_texts), options)
def test_b27_counting_and_measuring_agree_with_cutting(text, chosen):
    cut = segment_text(text, reference=5, **chosen)
    assert count_segments(text, **chosen) == (cut.encoding, cut.units, cut.segment_count)
    assert measure_text(text, **chosen)[1:] == (cut.encoding, cut.units, cut.segment_count)
    if chosen.get("split") != "payload":
        assert cut.segment_count == len(cut.segments)


@given(st.one_of(texts, gsm_texts, st.text(max_size=170), st.text(GSM, min_size=140, max_size=170)))
def test_b27_the_short_way_of_measuring_says_what_the_long_one_does_of_every_text_of_one_segment(text):
    try:
        measured = measure_text(text)
    except SegmentationError:
        assert measure_short(text) is None
        return
    is_one = measured.segment_count == 1 and normalize("NFC", text) == text
    assert measure_short(text) == (measured if is_one else None)


@given(
    st.one_of(texts, gsm_texts, st.text(max_size=20)),
    st.sampled_from(["udh", "sar", "payload"]),
    st.booleans(),
    st.sampled_from(["gsm7", "ucs2", "latin1"]),
)
def test_b27_the_short_way_of_cutting_says_what_the_long_one_does(text, split, packed, encoding):
    options = SegmentationOptions(split=split, packed=packed)
    try:
        expected = segment_text(text, encoding=encoding, reference=5, split=split, packed=packed)
    except SegmentationError as error:
        if encoding == "gsm7" and error.code == "not_in_alphabet":
            expected = segment_text(text, encoding="ucs2", reference=5, split=split, packed=packed)
        else:
            with pytest.raises(SegmentationError):
                options.cut(text, encoding=encoding, reference=5)
            return
    assert options.cut(text, encoding=encoding, reference=5) == expected


@given(st.one_of(texts, gsm_texts), st.sampled_from([8, 16]))
def test_greedy_filling_gives_the_least_number_of_segments(text, reference_bits):
    cut = segment_text(text, reference_bits=reference_bits)
    single, budget = {"gsm7": (160, {8: 153, 16: 152}), "ucs2": (70, {8: 67, 16: 66})}[cut.encoding]
    composed = normalize("NFC", text)
    if cut.encoding == "gsm7":
        weights = [2 if char in "\f^{}\\[~]|€" else 1 for char in composed]
    else:
        weights = [2 if char > "\uffff" else 1 for char in composed]
    expected, room = 1, budget[reference_bits]
    if sum(weights) > single:
        for weight in weights:
            if weight > room:
                expected, room = expected + 1, budget[reference_bits]
            room -= weight
    assert (cut.units, cut.segment_count) == (sum(weights), expected)


@given(st.binary(min_size=1, max_size=2000), st.sampled_from([8, 16]))
def test_b26_binary_joins_to_its_octets(octets, reference_bits):
    cut = segment_text(octets, encoding="binary", reference_bits=reference_bits)
    assert b"".join(segment.short_message[len(segment.udh) :] for segment in cut.segments) == octets
    assert all(len(segment.short_message) <= 140 for segment in cut.segments)


@given(gsm_texts)
def test_b23_packed_segments_unpack_to_the_septets(text):
    unpacked, packed = segment_text(text), segment_text(text, packed=True)
    for plain, tight in zip(unpacked.segments, packed.segments, strict=True):
        septets = plain.short_message[len(plain.udh) :]
        assert len(tight.short_message) <= 140
        octets = tight.short_message[len(tight.udh) :]
        assert gsm7.unpack(octets, len(septets), fill_bits=gsm7.fill_bits(len(tight.udh))) == septets


@given(st.text(), st.sampled_from(["auto", "gsm7", "ucs2", "latin1"]), st.booleans())
def test_b13_any_string_gives_segments_or_a_typed_error(text, encoding, transliterate):
    try:
        segment_text(text, encoding=encoding, transliterate=transliterate)
    except SegmentationError as error:
        error.detail.encode()


@given(st.binary(), st.sampled_from([0, 2, 3]), st.sampled_from([0, 3]))
def test_a9_a11_i9_any_octets_decode_to_text_that_is_valid_utf8(octets, single, locking):
    gsm7.decode_unpacked(octets, national_single_shift=single, national_locking_shift=locking).encode()
