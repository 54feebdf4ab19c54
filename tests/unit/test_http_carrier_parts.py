"""The pure parts of the simulated HTTP carriers: shares, knobs, record, limits, forms, settings."""

import pytest

from loadtest.http_carrier.exchange import Message
from loadtest.http_carrier.media import MediaStore, parse_form
from loadtest.http_carrier.orders import Orders
from loadtest.http_carrier.record import ANSWERED, BLOCK_MESSAGES, Record, Repeats
from loadtest.http_carrier.settings import GenericSettings, HttpCarrierSettings, Template, WhatsAppSettings
from loadtest.http_carrier.whatsapp_errors import RefusedError
from loadtest.http_carrier.whatsapp_limits import DAY_NS, PairLimit, UniqueRecipients, Windows
from loadtest.shares import Chance, Mix, parse_shares

SECOND_NS = 1_000_000_000


def record_of(count: int, *, limit: int = 100_000, **more: object) -> Record:
    record = Record(max_messages=limit)
    for number in range(count):
        message = Message(f"5255123456{number % 100:02}", "CAUDAL", f"r{number}", b"hola")
        record.append(
            message, arrival_ns=number * 10, session=1, code="", http_status=200, message_id=f"{number}"
        )
    return record


def test_a_mix_draws_by_its_shares_and_the_same_for_the_same_seed():
    mixes = [Mix({"a": 0.25, "b": 0.5}, seed="7") for _ in range(2)]
    drawn = [[mix.draw() for _ in range(4_000)] for mix in mixes]
    assert drawn[0] == drawn[1]
    assert 800 < drawn[0].count("a") < 1_200
    assert 1_800 < drawn[0].count("b") < 2_200
    chance = Chance(0, seed="7")
    assert not any(chance.falls() for _ in range(100))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a=2", "'a=2' is not a share between 0 and 1"),
        ("a", "is not"),
        ("a=0.6,b=0.6", "add up to more than 1"),
    ],
)
def test_bad_shares_are_refused(text, why):
    with pytest.raises(ValueError, match=why):
        parse_shares("errors", text, key=str)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("latency", "fast", "duration 'fast'"),
        ("disconnect_mix", "never=1", "'never' is not one of before_read, after_read, mid_answer"),
        ("garbage", "soup=1", "'soup' is not one of octets"),
        ("receipt_batch", 1_001, r"receipt_batch 1001 is outside 1\.\.1000"),
        ("silence", "some", "silence 'some' is not none, submits or all"),
        ("throttle_as", "418", "throttle_as '418' is not one of 429, body"),
        ("fail", 1.5, "fail 1.5 is not a share between 0 and 1"),
        ("magic", "yes", "magic 'yes' is not true or false"),
        ("mps", 0, "mps 0.0 is outside"),
        ("speed", 1, "fault 'speed' is not one of latency"),
    ],
)
def test_a_bad_knob_is_refused_naming_value_and_limit(name, value, why):
    with pytest.raises((ValueError, TypeError), match=why):
        Orders(seed=0, acts={}).change(name, value)


def test_what_stands_can_be_set_again():
    orders = Orders(seed=0, acts=dict.fromkeys(("silence", "refuse", "hold_receipts"), lambda _: None))
    standing = orders.standing()
    for name, value in standing.items():
        orders.change(name, value)()
    assert orders.standing() == standing


def test_a_full_record_forgets_its_oldest_block_and_counts_it():
    record = record_of(3 * BLOCK_MESSAGES + 1, limit=BLOCK_MESSAGES)
    assert record.forgotten_count == 2 * BLOCK_MESSAGES
    assert record.numbers() == range(2 * BLOCK_MESSAGES, 3 * BLOCK_MESSAGES + 1)
    assert not record.mark(5, ANSWERED)
    assert record.mark(2 * BLOCK_MESSAGES, ANSWERED)
    assert record.rows(limit=1)[0]["ref"] == f"r{2 * BLOCK_MESSAGES}"


def test_a_record_keeps_long_texts_as_their_hash_and_numbers_go_on_after_a_reset():
    record = Record(max_messages=10)
    for text in (b"x" * 254, b"x" * 255):
        record.append(
            Message("525512345678", "", "", text),
            arrival_ns=1,
            session=1,
            code="X",
            http_status=400,
            message_id="",
        )
    short, long = record.rows()
    assert (short["text"], long["text"], long["octets"]) == ("x" * 254, None, 255)
    assert (short["is_taken"], short["code"], short["http_status"]) == (False, "X", 400)
    record.reset()
    assert record.rows() == []
    assert record.next_number > 1
    with pytest.raises(ValueError, match="by 'colour' is not ref or text"):
        Repeats("colour")


def test_repeats_are_found_among_what_was_taken():
    record = Record(max_messages=10)
    for ref, code in (("a", ""), ("b", "X"), ("b", ""), ("a", ""), ("", ""), ("", ""), ("a", "")):
        record.append(
            Message("525512345678", "", ref, b"hola"),
            arrival_ns=1,
            session=1,
            code=code,
            http_status=200,
            message_id="",
        )
    by_ref, by_text = Repeats("ref"), Repeats("text")
    for row in record.held_rows():
        by_ref.feed(row)
        by_text.feed(row)
    assert (by_ref.numbers, by_ref.surplus_count) == ({"a": [0, 3, 6]}, 2)
    assert by_text.surplus_count == 5


def test_a_window_opens_for_one_pair_for_its_time():
    windows = Windows(window_s=60)
    windows.open("p1", "5215512345678", 0)
    assert windows.is_open("p1", "525512345678", 59 * SECOND_NS)
    assert not windows.is_open("p1", "525512345678", 60 * SECOND_NS)
    assert not windows.is_open("p2", "525512345678", 0)


def test_a_pair_limit_lets_a_burst_through_and_then_one_each_gap():
    limit = PairLimit(gap_s=6, burst=3)
    assert [limit.takes("pair", 0) for _ in range(4)] == [True, True, True, False]
    assert [limit.takes("pair", 6 * SECOND_NS) for _ in range(2)] == [True, False]
    assert limit.takes("other", 0)


def test_unique_recipients_are_counted_over_24_hours():
    unique = UniqueRecipients(2)
    assert [unique.takes(person, 0) for person in ("a", "b", "a", "c")] == [True, True, True, False]
    assert unique.takes("c", DAY_NS)


def test_media_go_when_there_are_too_many_octets():
    store = MediaStore(max_octets=10)
    first, second = (store.put("image/png", "a.png", b"x" * 6) for _ in range(2))
    assert (store.get(first), store.can_send(second, "image"), store.can_send(second, "video")) == (
        None,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("content_type", "body", "why"),
    [
        ("application/json", b"{}", "not multipart"),
        ("multipart/form-data; boundary=x", b"--x\r\n", "no end"),
        ("multipart/form-data; boundary=x", b"--x\r\nfoo\r\n--x--\r\n", "no headers"),
    ],
)
def test_a_bad_form_is_refused(content_type, body, why):
    with pytest.raises(RefusedError, match=why):
        parse_form(content_type, body)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Template.parse("Hola:es"), "template 'Hola:es' is not name:language"),
        (lambda: WhatsAppSettings(phone_number_ids={}), "no phone number"),
        (lambda: WhatsAppSettings(pair_burst=0), "pair_burst 0 is outside 1..1000"),
        (lambda: GenericSettings(status=99), "status 99 is outside 100..599"),
        (lambda: HttpCarrierSettings(port=70_000), "port 70000 is outside 0..65535"),
        (lambda: HttpCarrierSettings(callback_url="ftp://x"), "url 'ftp://x' is not http"),
    ],
)
def test_bad_settings_are_refused_naming_value_and_limit(make, why):
    with pytest.raises(ValueError) as caught:
        make()
    assert why in str(caught.value)
