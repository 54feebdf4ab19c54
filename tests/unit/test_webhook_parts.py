"""Webhooks without I/O: bodies, signatures, schedules, the circuit, and the order within one endpoint."""

import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from dlr.webhooks.directory import Destination
from dlr.webhooks.ledger import LeaseLostError, Ledger
from dlr.webhooks.outlet import MAX_POST_OCTETS, Outlet, Slip
from dlr.webhooks.payloads import (
    MAX_EVENT_OCTETS,
    batch_body,
    batch_id,
    disabled_notice,
    notice_of_test,
    read_event,
    unknown_types,
)
from dlr.webhooks.schedule import OPEN_AFTER, SCHEDULE_S, Circuit, Schedule, batch_limit
from dlr.webhooks.shard import DeliverySettings
from dlr.webhooks.signing import SecretError, key_of, make_secret, sign
from gateway.bus.codec import EnvelopeError, encode
from gateway.bus.watermark import Watermark
from gateway.domain.events import Noted
from gateway.domain.ids import format_id, new_uuid7
from gateway.domain.notices import TYPES, Notice, event_json
from gateway.ports.bus import Commit, Position, Record
from gateway.ports.webhook_store import Health

NOW = 1_795_521_600_000


def subject(number: int) -> UUID:
    return new_uuid7(NOW, number)


def notice(number: int = 1, **changes: object) -> Notice:
    values = {
        "id": new_uuid7(NOW, 1000 + number),
        "account_id": "acme",
        "type": "message.delivered",
        "at": NOW + 412,
        "subject_id": subject(number),
        "data": {"id": "msg_1", "metadata": {"a": "b"}},
        **changes,
    }
    return Notice(**values)  # type: ignore[arg-type]


# --- bodies ---------------------------------------------------------------------------------------------


def test_the_body_is_the_event_as_the_domain_writes_it() -> None:
    one = notice()
    body = json.loads(read_event(encode(one)).body())
    assert body == event_json(one.id, one.type, one.at, one.data)
    assert body["timestamp"] == "2026-11-24T12:00:00.412Z"


def test_a_batch_holds_its_events_in_order_with_their_own_ids() -> None:
    events = [read_event(encode(notice(n))) for n in range(3)]
    body = json.loads(batch_body([one.body() for one in events], now_ms=NOW))
    assert body["type"] == "batch"
    assert [one["id"] for one in body["data"]] == [format_id("evt", one.id) for one in events]
    assert batch_id([one.id for one in events]) == batch_id([one.id for one in events])
    assert batch_id([one.id for one in events]) != batch_id([one.id for one in events[:2]])


def test_an_event_of_odd_metadata_stays_below_the_limit() -> None:
    odd = {f"key{n}": "\u0001" * 400 for n in range(10)}
    event = read_event(encode(notice(data={"id": "msg_1", "metadata": odd})))
    body = event.body()
    assert len(body) <= MAX_EVENT_OCTETS
    assert json.loads(body)["data"] == {"id": "msg_1", "metadata": None}
    huge = read_event(encode(notice(data={"id": "msg_1", "text": "x" * 30_000})))
    assert json.loads(huge.body())["data"] == {"id": "msg_1"}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{}",
        b'{"v":1,"t":"notice","d":{}}',
        encode(Noted(subject(1), NOW, "moved")),
        encode(notice()).replace(b'"v":1', b'"v":2'),
        encode(notice(at=-1)),
        encode(notice(at=1 << 60)),
    ],
)
def test_what_is_no_notice_is_named(value: bytes) -> None:
    with pytest.raises(EnvelopeError):
        read_event(value)


def test_own_events_go_to_one_endpoint_or_to_the_subscribed() -> None:
    test = notice_of_test("acme", "whk_1", notice_id=subject(9), now_ms=NOW)
    assert (test.type, test.endpoint_id, test.subject_id) == ("webhook.test", "whk_1", subject(9))
    gone = disabled_notice("acme", "whk_1", reason="gone", notice_id=subject(9), now_ms=NOW)
    assert (gone.type, gone.endpoint_id, gone.data["reason"]) == ("webhook.disabled", None, "gone")


def test_types_that_do_not_exist_are_found() -> None:
    assert unknown_types(["*", *TYPES]) == []
    assert unknown_types(["message.queued", "message.delivered"]) == ["message.queued"]


# --- signatures -----------------------------------------------------------------------------------------


@given(
    key=st.binary(min_size=24, max_size=64), body=st.binary(max_size=200), text=st.text("abc_1", min_size=1)
)
def test_an_independent_library_accepts_our_signatures(key: bytes, body: bytes, text: str) -> None:
    now_s = int(time.time())
    document = json.dumps({"b": base64.b64encode(body).decode()}).encode()
    other = b"o" * 24
    headers = {
        "webhook-id": text,
        "webhook-timestamp": str(now_s),
        "webhook-signature": sign([other, key], text, timestamp_s=now_s, body=document),
    }
    assert Webhook(make_secret(key)).verify(document, headers) == json.loads(document)


def test_a_secret_is_read_back_and_a_bad_one_is_not_shown() -> None:
    assert key_of(make_secret(b"k" * 24)) == b"k" * 24
    for bad in ("whsec_", "whsec_###", "xyz", make_secret(b"k" * 24)[:-8], "whsec_" + "A" * 4000):
        with pytest.raises(SecretError) as error:
            key_of(bad)
        assert bad not in str(error.value) or bad == "whsec_"
    with pytest.raises(SecretError, match="23 octets"):
        make_secret(b"k" * 23)


# --- schedule and circuit -------------------------------------------------------------------------------


def test_the_default_schedule_is_the_documented_one() -> None:
    schedule = Schedule()
    waits = [schedule.due_at(n, now_ms=0, random=0.5) for n in range(1, 10)]
    assert waits == [s * 1000 for s in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)]
    assert schedule.due_at(10, now_ms=0, random=0.5) is None
    assert schedule.max_attempts == 10
    assert schedule.length_ms == int(sum(SCHEDULE_S) * 1.2 * 1000)


@given(attempts=st.integers(1, 9), random=st.floats(0, 1), retry_after=st.floats(0, 1e9) | st.none())
def test_a_wait_is_jittered_by_a_fifth_and_retry_after_only_makes_it_longer(
    attempts: int, random: float, retry_after: float | None
) -> None:
    due_at = Schedule().due_at(attempts, now_ms=0, random=random, retry_after_s=retry_after)
    assert due_at is not None
    base = SCHEDULE_S[attempts - 1]
    assert due_at >= min(base * 0.8, max(base * 0.8, min(retry_after or 0, 3600))) * 1000 - 1
    assert due_at <= max(base * 1.2, 3600) * 1000


def circuit(**changes: int) -> Circuit:
    return Circuit(Health("whk_1", None, changes.get("failures", 0), changes.get("due_at", 0), None, ""))


def test_the_circuit_opens_after_failures_in_a_row_and_closes_with_the_first_success() -> None:
    one = circuit()
    for n in range(OPEN_AFTER):
        assert not one.is_open(NOW)
        one.failed(NOW + n, error="timeout", random=0.5)
    assert one.is_open(NOW + 10)
    assert not one.may_probe(NOW + 10)
    assert one.may_probe(NOW + 5_010)
    assert one.fails_since() == NOW
    health = one.health()
    assert (health.failures, health.last_error) == (OPEN_AFTER, "timeout")
    assert Circuit(health).is_open(NOW + 10)  # another process learns it
    assert one.succeeded(NOW + 6_000)
    assert not one.is_open(NOW + 6_000)
    assert not one.succeeded(NOW + 6_001)
    assert one.health().failing_since is None


def test_probes_come_ever_later_but_every_minute() -> None:
    one = circuit(failures=OPEN_AFTER - 1)
    waits = []
    for _ in range(8):
        one.failed(NOW, error="connect", random=0.5)
        waits.append(one.health().due_at - NOW)
    assert waits == [5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000, 60_000]


def test_an_endpoint_that_asks_for_a_rest_gets_it_but_not_for_ever() -> None:
    one = circuit()
    one.failed(NOW, error="http_4xx: 429", random=0.5, retry_after_s=30)
    assert one.is_open(NOW + 29_999)
    assert not one.may_probe(NOW + 29_999)
    assert not one.is_open(NOW + 30_000)
    one.failed(NOW, error="http_4xx: 429", random=0.5, retry_after_s=1e9)
    assert not one.is_open(NOW + 3_600_000)


def test_a_bad_event_is_alone_after_some_attempts() -> None:
    assert [batch_limit(100, n) for n in range(5)] == [100, 25, 6, 1, 1]
    assert batch_limit(1, 0) == 1


# --- the order within one endpoint ----------------------------------------------------------------------


def outlet(batch_max: int = 1, max_in_flight: int = 4) -> Outlet:
    there = Destination("whk_1", "acme", "https://x", frozenset("*"), batch_max, max_in_flight, (b"k",))
    return Outlet(there, circuit())


def slip(number: int, *, offset: int = 0, size: int = 0) -> Slip:
    event = read_event(encode(notice(number, data={"x": "y" * size})))
    return Slip(event, offset=offset, left=1, taken_ns=0)


def test_the_second_event_of_a_subject_is_held_until_the_first_has_landed() -> None:
    one = outlet()
    first, second, other = slip(1, offset=1), slip(1, offset=2), slip(2, offset=3)
    for each in (first, second, other):
        one.offer(each)
    assert one.next_batch() == [first]
    assert one.next_batch() == [other]
    assert one.next_batch() == []
    assert one.is_busy_with(first.subject)
    assert one.landed([first], is_ok=True) == []
    assert one.next_batch() == [second]
    one.landed([second], is_ok=True)
    one.landed([other], is_ok=True)
    assert one.is_idle


def test_what_was_held_behind_a_failure_is_spilled_with_it() -> None:
    one = outlet()
    first, second = slip(1, offset=1), slip(1, offset=2)
    one.offer(first)
    one.offer(second)
    assert one.next_batch() == [first]
    assert one.next_batch() == []
    one.spilled([first.subject])
    assert one.landed([first], is_ok=False) == [second]
    assert one.is_spilling_of(first.subject)
    one.stored([first.subject])
    assert one.is_idle


def test_a_batch_keeps_the_events_of_one_subject_together_and_is_bounded() -> None:
    one = outlet(batch_max=3)
    slips = [slip(1), slip(1), slip(2), slip(3)]
    for each in slips:
        one.offer(each)
    assert one.next_batch() == slips[:3]
    big = outlet(batch_max=100)
    for n in range(100):
        big.offer(slip(n, size=19_000))
    assert sum(len(each.body) for each in big.next_batch()) <= MAX_POST_OCTETS


def test_slots_are_shared_between_first_attempts_and_the_backlog() -> None:
    one = outlet(max_in_flight=3)
    for n in range(9):
        one.offer(slip(n))
    assert one.has_backlog_slot
    one.backlog_started()
    one.backlog_started()
    assert not one.has_backlog_slot  # the last one is for first attempts
    assert one.has_first_slot
    one.next_batch()
    assert not one.has_first_slot
    one.backlog_landed()
    one.backlog_landed()
    one.backlog_waits = 1
    one.next_batch()
    assert not one.has_first_slot  # and one is for the backlog, where it waits
    assert one.has_backlog_slot


def test_a_single_slot_is_taken_in_turns() -> None:
    one = outlet(max_in_flight=1)
    first = slip(1)
    one.offer(first)
    one.offer(slip(2))
    one.backlog_waits = 1
    assert not one.has_first_slot
    one.backlog_started()
    one.backlog_landed()
    assert one.has_first_slot
    assert one.next_batch() == [first]
    one.landed([first], is_ok=True)
    assert not one.has_first_slot
    assert one.has_backlog_slot


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60), st.integers(1, 4))
def test_whatever_lands_in_whichever_order_nothing_is_lost_or_overtakes(
    steps: list[tuple[int, bool]], batch_max: int
) -> None:
    one = outlet(batch_max=batch_max)
    flights: list[list[Slip]] = []
    gone: list[Slip] = []
    offered = 0
    for number, is_ok in steps:
        if number < 3:
            offered += 1
            one.offer(slip(number, offset=offered))
            flights += [batch] if (batch := one.next_batch()) else []
        elif flights:
            batch = flights.pop(0)
            gone += batch + one.landed(batch, is_ok=is_ok)
    while flights or one.queue:
        while batch := one.next_batch():
            flights.append(batch)
        batch = flights.pop()
        gone += batch + one.landed(batch, is_ok=True)
    assert sorted(each.offset for each in gone) == list(range(1, offered + 1))
    for number in range(3):
        places = [each.offset for each in gone if each.subject == subject(number).int]
        assert places == sorted(places)
    assert one.is_idle


# --- what a flush leaves and what it keeps --------------------------------------------------------------


class Recorded:
    """A delivery store and a bus that write down what they are given, or fail."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.is_failing = False
        self.is_ours = True

    def __getattr__(self, name: str) -> Any:
        async def call(_tx: object, rows: Sequence[object]) -> None:
            if self.is_failing:
                raise ConnectionError(name)
            self.calls += [(name, len(rows))] if rows else []

        return call

    async def append(self, records: Sequence[Record], *, commits: Sequence[Commit], tx: object) -> None:
        self.calls.append(("append", len(records)))
        self.calls += [("commit", commit.position.offset) for commit in commits]

    async def hold(self, _tx: object) -> bool:
        return self.is_ours

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[object]:
        yield self


def a_ledger(there: Recorded) -> Ledger:
    store: Any = there
    watermark = Watermark(Position(5))
    return Ledger(0, watermark=watermark, db=store, bus=store, store=store, hold_lease=there.hold)


async def test_a_failed_flush_is_done_again_with_what_came_since() -> None:
    there = Recorded()
    ledger = a_ledger(there)
    ledger.took(3)
    ledger.remove([7])
    ledger.done([6])
    there.is_failing = True
    with pytest.raises(ConnectionError):
        await ledger.flush()
    assert ledger.news.is_set()
    assert ledger.is_open(7)  # posted, and not to be posted again before this is written
    assert ledger.in_hand == 3
    there.is_failing = False
    ledger.done([5])
    await ledger.flush()
    assert ("remove", 1) in there.calls
    assert there.calls[-1] == ("commit", 7)
    assert ledger.in_hand == 1
    assert not ledger.is_open(7)
    assert await ledger.flush() == 0


async def test_without_the_lease_nothing_is_written() -> None:
    there = Recorded()
    there.is_ours = False
    ledger = a_ledger(there)
    ledger.done([5])
    with pytest.raises(LeaseLostError):
        await ledger.flush()
    assert there.calls == []


def test_an_endpoints_limits_are_shared_by_the_shards_that_have_its_events() -> None:
    settings = DeliverySettings(drain_per_s=500.0, max_backlog=1_000, max_posts=100)
    of_four = settings.divided_by(4)
    assert (of_four.drain_per_s, of_four.max_backlog, of_four.max_posts) == (125.0, 250, 100)
    assert settings.divided_by(1) == settings
