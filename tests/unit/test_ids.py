"""Identifiers: UUIDv7 and its base32 text."""

import uuid

import pytest

from gateway.domain import ids


def test_the_example_of_rfc_9562_has_its_fields_in_place():
    # RFC 9562 appendix A.6: 017F22E2-79B0-7CC3-98C4-DC0C0C07398F
    random_bits = 0xCC3 << 62 | 0x18C4DC0C0C07398F
    made = ids.new_uuid7(0x017F22E279B0, random_bits)
    assert made == uuid.UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert ids.uuid7_time_ms(made) == 0x017F22E279B0


def test_a_made_uuid_behaves_like_any_other():
    made = ids.new_uuid7(1, 2)
    assert made == uuid.UUID(str(made))
    assert hash(made) == hash(uuid.UUID(str(made)))
    assert made.is_safe is uuid.SafeUUID.unknown


@pytest.mark.parametrize(
    ("now_ms", "random_bits", "named"),
    [(-1, 0, "-1"), (1 << 48, 0, str(1 << 48)), (0, 1 << 74, hex(1 << 74)), (0, -1, "-0x1")],
)
def test_out_of_range_arguments_are_named(now_ms, random_bits, named):
    with pytest.raises(ValueError, match=named):
        ids.new_uuid7(now_ms, random_bits)


def test_the_floor_is_the_smallest_of_its_millisecond_and_above_the_last_of_the_one_before():
    floor = ids.uuid7_floor(1000)
    assert floor <= ids.new_uuid7(1000, 0)
    assert floor < ids.new_uuid7(1000, 1)
    assert floor > ids.new_uuid7(999, (1 << 74) - 1)
    assert floor.version == 7


def test_text_is_prefix_and_26_digits_and_sorts_by_time():
    texts = [ids.format_id("msg", ids.new_uuid7(at, (1 << 74) - 1 - at)) for at in range(0, 1 << 40, 1 << 33)]
    assert texts == sorted(texts)
    assert all(text.startswith("msg_") and len(text) == 30 for text in texts)


def test_text_is_crockford_base32_most_significant_first():
    assert ids.format_id("bat", uuid.UUID(int=31)) == "bat_" + "0" * 25 + "z"
    assert ids.format_id("evt", uuid.UUID(int=(1 << 128) - 1)) == "evt_7" + "z" * 25
    assert ids.format_id("cmp", uuid.UUID(int=1 << 125)) == "cmp_1" + "0" * 25


@pytest.mark.parametrize("prefix", ["msg", "bat", "cmp", "evt", "whk", "req"])
def test_parsing_undoes_formatting(prefix):
    for number in (0, 1, 0x0123456789ABCDEFFEDCBA9876543210, (1 << 128) - 1):
        text = ids.format_id(prefix, uuid.UUID(int=number))
        assert ids.parse_id(prefix, text).int == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "msg_",
        "bat_00000000000000000000000000",
        "msg_0000000000000000000000000",
        "msg_000000000000000000000000000",
        "msg_80000000000000000000000000",  # 131 bits
        "msg_0000000000000000000000000u",  # u, i, l and o are no digits
        "msg_0000000000000000000000000O",
        "MSG_00000000000000000000000000",
        "msg_0000000000000000000000000A",  # one id, one text: lower case only
        "msg_0000_00000000000000000000_",
        "msg_00000000000000000000000000\n",
        " msg_0000000000000000000000000",
        "msg_0000000000000000000000000\u0660",
    ],
)
def test_other_texts_are_refused_and_named(text):
    with pytest.raises(ValueError) as caught:
        ids.parse_id("msg", text)
    assert repr(text) in str(caught.value)


def test_unknown_prefixes_are_refused():
    with pytest.raises(ValueError, match="'foo'"):
        ids.format_id("foo", uuid.UUID(int=0))
    with pytest.raises(ValueError, match="'foo'"):
        ids.parse_id("foo", "foo_00000000000000000000000000")
