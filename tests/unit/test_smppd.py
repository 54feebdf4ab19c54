"""The pure parts of the SMPP server: who may bind, receipts in hand, ids, origins."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.receipt_text import parse_receipt
from gateway.domain.ids import format_id, new_uuid7
from gateway.domain.lifecycle import FINALS, State
from gateway.ports.smpp_store import WaitingReceipt
from gateway.smppd.customers import FETCH_RECEIPTS, MAX_ATTEMPTS, Receipts
from gateway.smppd.gate import FAILURES_WITHIN_MS, FailedBinds, is_allowed
from gateway.smppd.ids import format_smpp_id, parse_smpp_id
from gateway.smppd.origin import Origin, read_origin, wants_receipt, write_origin
from gateway.smppd.receipts import TOLD, message_state_of, receipt_body, receipts_of
from gateway.smppd.statuses import SUBMIT_STATUSES

SECOND_NS = 1_000_000_000
ID = new_uuid7(1_795_316_400_000, 7)
ORIGIN = Origin("acme", 1, (5, 0, "ACME"), (1, 1, "525512345678"))


class Window:
    """A receiver with so many slots."""

    def __init__(self, slots: int) -> None:
        self.free_slots = slots
        self.takes_tlvs = True
        self.sent: list[int] = []

    def deliver(self, body: bytes, receipt: WaitingReceipt) -> None:
        self.free_slots -= 1
        self.sent.append(receipt.id)


def a_receipt(number: int, *, attempts: int = 0, expires_at: int = 10**15) -> WaitingReceipt:
    return WaitingReceipt(number, "acme", ID, "x", b"", "delivered", 0, 0, expires_at, attempts)


def in_hand(count: int, *windows: Window) -> Receipts:
    receipts = Receipts()
    receipts.receivers.extend(windows)
    receipts.held_until_ns = 10**18
    receipts.waiting.extend(a_receipt(number) for number in range(1, count + 1))
    return receipts


# -- the gate ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "networks", "allowed"),
    [
        ("10.1.2.3", (), True),
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("11.1.2.3", ("10.0.0.0/8", "192.0.2.1"), False),
        ("192.0.2.1", ("10.0.0.0/8", "192.0.2.1"), True),
        ("::ffff:10.1.2.3", ("10.0.0.0/8",), True),
        ("2001:db8::1", ("2001:db8::/32",), True),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("2001:db8::1", ("10.0.0.0/8",), False),
        ("", ("10.0.0.0/8",), False),
    ],
)
def test_h13_an_address_is_in_one_of_the_networks_or_it_is_not_let_in(address, networks, allowed) -> None:
    assert is_allowed(address, networks) is allowed


def test_h13_wrong_guesses_are_counted_for_a_minute_and_memory_is_bounded() -> None:
    failures = FailedBinds(limit=3, max_keys=10)
    for _ in range(3):
        assert not failures.is_spent("a", now_ms=1_000)
        failures.note("a", now_ms=1_000)
    assert failures.is_spent("a", now_ms=1_000 + FAILURES_WITHIN_MS - 1)
    assert not failures.is_spent("b", now_ms=1_000)
    assert not failures.is_spent("a", now_ms=1_000 + FAILURES_WITHIN_MS)
    assert not failures.is_spent("a", now_ms=0)  # a clock that went back locks nobody out
    for number in range(100):
        failures.note(str(number), now_ms=1_000)
    assert len(failures._counts) == 10


# -- receipts in hand ----------------------------------------------------------------------------------


def test_h15_no_more_than_the_windows_is_sent_and_the_order_is_kept() -> None:
    one, two = Window(3), Window(2)
    receipts = in_hand(10, one, two)
    receipts.pump(now_ns=0, now_ms=0)
    assert sorted(one.sent + two.sent) == [1, 2, 3, 4, 5]
    assert [len(one.sent), len(two.sent)] == [3, 2]
    assert [receipt.id for receipt in receipts.waiting] == [6, 7, 8, 9, 10]


def test_h14_nothing_is_sent_without_the_drain() -> None:
    window = Window(10)
    receipts = in_hand(3, window)
    receipts.held_until_ns = 5
    receipts.pump(now_ns=5, now_ms=0)
    assert window.sent == []
    assert not receipts.is_hungry(5)


def test_h14_what_has_expired_is_not_sent() -> None:
    window = Window(10)
    receipts = in_hand(0, window)
    receipts.waiting.extend((a_receipt(1, expires_at=99), a_receipt(2)))
    receipts.pump(now_ns=0, now_ms=99)
    assert window.sent == [2]


def test_h15_a_live_session_that_does_not_answer_makes_pauses_longer_and_an_answer_ends_them() -> None:
    window = Window(2)
    receipts = in_hand(2, window)
    pauses = []
    for _ in range(9):
        receipts.paused_until_ns, window.free_slots = 0, 2
        receipts.pump(now_ns=0, now_ms=0)
        receipts.unanswered(list(receipts.open.values()), now_ns=0, is_over=False)
        pauses.append(receipts.paused_until_ns // SECOND_NS)
        assert [receipt.id for receipt in receipts.waiting] == [1, 2]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    receipts.acknowledged(a_receipt(1))
    receipts.acknowledged(a_receipt(2))
    assert (list(receipts.waiting), receipts.done) == ([], [1, 2])
    receipts.paused_until_ns, window.free_slots = 0, 1
    receipts.waiting.append(a_receipt(3))
    receipts.pump(now_ns=0, now_ms=0)
    receipts.unanswered(list(receipts.open.values()), now_ns=0, is_over=False)
    assert receipts.paused_until_ns == SECOND_NS


def test_h14_a_session_that_ends_gives_its_receipts_back_in_order_and_at_once() -> None:
    window = Window(3)
    receipts = in_hand(5, window)
    receipts.pump(now_ns=0, now_ms=0)
    receipts.unanswered([receipts.open[number] for number in (1, 2, 3)], now_ns=0, is_over=True)
    assert [receipt.id for receipt in receipts.waiting] == [1, 2, 3, 4, 5]
    assert receipts.paused_until_ns == 0


def test_a_refused_receipt_is_put_off_longer_each_time_and_given_up_in_the_end() -> None:
    due = []
    for attempts in range(MAX_ATTEMPTS):
        receipts = in_hand(0, Window(1))
        receipts.waiting.append(a_receipt(1, attempts=attempts))
        receipts.pump(now_ns=0, now_ms=0)
        is_given_up = receipts.refused(a_receipt(1, attempts=attempts), now_ns=0, now_ms=0)
        assert is_given_up is (attempts == MAX_ATTEMPTS - 1)
        due += [at for _, at in receipts.again]
        assert receipts.done == ([1] if is_given_up else [])
        assert receipts.in_hand() == [1]
    assert due == [1_000, 5_000, 30_000, 60_000, *[300_000] * (MAX_ATTEMPTS - 5)]


def test_h15_more_is_fetched_only_while_little_waits() -> None:
    receipts = in_hand(FETCH_RECEIPTS, Window(0))
    assert not receipts.is_hungry(0)
    receipts.waiting.clear()
    assert receipts.is_hungry(0)
    receipts.receivers.clear()
    assert not receipts.is_hungry(0)


# -- what receipts say -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("flag", "told"), [(0, ""), (1, "sf"), (2, "f"), (3, "s"), (0x11, "sf"), (0x10, "")])
def test_e5_f21_registered_delivery_decides_which_ends_are_told(flag, told) -> None:
    assert wants_receipt(flag, State.DELIVERED) is ("s" in told)
    for state in FINALS - {State.DELIVERED}:
        assert wants_receipt(flag, state) is ("f" in told)


def test_f21_every_final_state_has_words_that_our_own_parser_reads() -> None:
    assert set(TOLD) == FINALS
    for state in FINALS:
        (receipt,) = receipts_of(ORIGIN, message_id=ID, state=state, done_at=1_795_316_460_000)
        body = receipt_body(receipt, with_tlvs=False)
        text = body[body.index(b"id:") :]
        parsed = parse_receipt(esm_class=4, data_coding=0, short_message=text, tlvs=())
        assert parsed.message_id == format_smpp_id(ID)
        assert c.MESSAGE_STATE_CODES[parsed.state] == message_state_of(state)[0]
        assert parsed.raw_submit_date == "2611220640" or len(parsed.raw_submit_date) == 10
    assert message_state_of(State.QUEUED) == (1, 0)


@given(st.uuids(), st.booleans(), st.booleans())
def test_a4_an_id_is_letters_and_digits_and_is_read_back_in_any_form(value: UUID, upper, prefixed) -> None:
    text = format_smpp_id(value)
    assert text.isalnum()
    assert text.isascii()
    written = ("msg_" if prefixed else "") + text
    assert parse_smpp_id(written.upper() if upper else written) == value
    assert format_id("msg", value) == f"msg_{text}"


@given(st.text(max_size=40))
def test_an_id_of_somebody_else_is_a_value_error(text: str) -> None:
    try:
        value = parse_smpp_id(text)
    except ValueError:
        return
    assert format_smpp_id(value) == text.lower().removeprefix("msg_")


def test_an_origin_is_read_back_and_nonsense_is_a_value_error() -> None:
    text = write_origin(ORIGIN)
    assert text is not None
    assert read_origin(text) == ORIGIN
    assert write_origin(Origin("acme", 0, (0, 0, ""), (0, 0, ""))) is None
    for nonsense in ("", "{}", "[]", '["a"]', '["a",1,[1,1],[1,1,"x"]]'):
        with pytest.raises(ValueError, match="origin"):
            read_origin(nonsense)


def test_statuses_that_metrics_know_have_names() -> None:
    names = [c.status_name(status) for status in SUBMIT_STATUSES]
    assert len(names) == len(set(names))
    assert all(name.startswith("ESME_") for name in names)
