"""Fairness over the whole backlog: the scout brings in what lies behind another account's flood (property 8)."""

import asyncio
from collections import Counter
from itertools import count
from random import Random
from uuid import UUID

import pytest

from gateway.bus import topics
from gateway.bus.codec import EnvelopeError, account_of, encode
from gateway.dispatch.plan import DispatchSettings
from gateway.dispatch.position import LanePosition
from gateway.dispatch.skipped import Skipped
from gateway.domain.ids import new_uuid7
from gateway.domain.message import MessageClass
from gateway.domain.receipts import Receipt
from gateway.ports.bus import Position
from tests.support.fake_link import accepted
from tests.support.lane_rig import CARRIER, LaneRig, a_message, now_ms, until

OTP, TRANSACTIONAL, COLLECTIONS, MARKETING = MessageClass
SETTINGS = DispatchSettings(flush_ms=10, min_read_ahead=64, read_ahead_s=0.1)
_numbers = count(1)


def encoded(account: str, number: int, message_class: MessageClass = MARKETING, **fields) -> list[bytes]:
    """Records of one account, quickly: one message with its id replaced."""
    message = a_message(message_class, account_id=account, **fields)
    value, old = encode(message), str(message.id).encode()
    base = now_ms()
    return [value.replace(old, str(new_uuid7(base, next(_numbers))).encode()) for _ in range(number)]


def put(rig: LaneRig, values: list[bytes], message_class: MessageClass = MARKETING) -> None:
    rig.bus.logs[topics.lane(CARRIER, message_class)][0] += values


def written_by(rig: LaneRig) -> Counter:
    """Count what the link in use was given, by account; only what is new since the last call is looked at."""
    link = rig.link
    counted, tally = vars(link).setdefault("tally", (0, Counter()))
    tally.update(segment.message.account_id for segment in link.written[counted:])
    vars(link)["tally"] = (len(link.written), tally)
    return tally


def scout_of(rig: LaneRig, message_class: MessageClass = MARKETING):
    return rig.worker._reader.scouts[list(MessageClass).index(message_class)]


@pytest.mark.parametrize(("message_class", "backlog"), [(TRANSACTIONAL, 30_000), (MARKETING, 200_000)])
async def test_p8_a_hundred_messages_behind_a_huge_campaign_leave_within_seconds(message_class, backlog):
    async with LaneRig(window=20, rate="1000/s", settings=SETTINGS) as rig:
        put(rig, encoded("campaign", backlog, message_class), message_class)
        await rig.start()
        await until(lambda: len(rig.link.written) > 100)
        # When two small accounts post behind it...
        put(rig, encoded("b", 100, message_class) + encoded("c", 100, message_class), message_class)
        # ...then theirs are through while the campaign has most of its way before it.
        await until(lambda: written_by(rig)["b"] == written_by(rig)["c"] == 100, within_s=60)
        assert written_by(rig)["campaign"] < backlog / 4
        assert scout_of(rig, message_class).looked_at >= backlog * 0.9
        # The campaign went on meanwhile: nobody took its share.
        assert written_by(rig)["campaign"] >= 100


async def test_p8_who_posts_behind_a_known_backlog_waits_for_one_look_only():
    async with LaneRig(window=20, rate="1000/s", settings=SETTINGS) as rig:
        put(rig, encoded("campaign", 20_000))
        await rig.start()
        await until(lambda: scout_of(rig).looked_at >= 19_500)
        before = written_by(rig)["campaign"]
        put(rig, encoded("b", 50))
        await until(lambda: written_by(rig)["b"] == 50)
        assert written_by(rig)["campaign"] - before < 600


async def test_one_account_alone_is_looked_at_once_and_taken_in_the_order_of_the_log():
    async with LaneRig(window=20, rate="3000/s", settings=DispatchSettings(flush_ms=10)) as rig:
        values = encoded("campaign", 4_500)
        put(rig, values)
        await rig.start()
        await until(lambda: rig.position(MARKETING).offset == 4_500, within_s=60)
        scout = scout_of(rig)
        assert scout.taken == 0
        assert scout.looked_at <= 4_500
        order = [segment.message.id for segment in rig.link.written]
        assert order == [UUID(value[32:68].decode()) for value in values]


async def test_accounts_that_are_mixed_evenly_are_left_to_the_reader():
    settings = DispatchSettings(flush_ms=10)
    async with LaneRig(window=20, rate="3000/s", settings=settings) as rig:
        accounts = [encoded(f"account-{n}", 60) for n in range(100)]
        put(rig, [value for one_of_each in zip(*accounts, strict=True) for value in one_of_each])
        await rig.start()
        await until(lambda: rig.position(MARKETING).offset == 6_000, within_s=60)
        assert scout_of(rig).looked_at > 500
        assert scout_of(rig).taken < 300


async def test_order_of_an_account_is_kept_whoever_brings_its_messages():
    random = Random(11)
    values, at = [], {}
    for account, number in [("a", 1_500), ("b", 400), ("a", 800), ("c", 500), ("b", 300), ("a", 200)]:
        part = encoded(account, number)
        for value in part:
            at[UUID(value[32:68].decode())] = len(at)
        values += part
    mixed = [encoded(random.choice("abcd"), 1)[0] for _ in range(800)]
    for value in mixed:
        at[UUID(value[32:68].decode())] = len(at)
    async with LaneRig(window=20, rate="4000/s", settings=SETTINGS) as rig:
        put(rig, values + mixed)
        await rig.start()
        await until(lambda: len(rig.link.written) == len(at), within_s=60)
        assert scout_of(rig).taken > 100
        last: dict[str, int] = {}
        for segment in rig.link.written:
            place = at.pop(segment.message.id)  # KeyError: twice
            assert place > last.get(segment.message.account_id, -1)
            last[segment.message.account_id] = place
        await until(lambda: rig.position(MARKETING) == (len(values) + 800, (), ()))


@pytest.mark.parametrize("message_class", [TRANSACTIONAL, MARKETING])
async def test_p2_crashes_while_it_looks_ahead_lose_nothing_and_double_no_campaign(message_class):
    async with LaneRig(window=10, rate="3000/s", settings=SETTINGS) as rig:
        values = encoded("campaign", 3_000, message_class)
        for n in range(12):
            values += encoded(f"small-{n}", 40, message_class) + encoded("campaign", 60, message_class)
        put(rig, values, message_class)
        ids = {UUID(value[32:68].decode()) for value in values}
        copies: Counter = Counter()
        taken = crashes = 0
        random = Random(5)
        while True:
            link = rig.link
            number = count(1 + 100_000 * crashes)
            link.script = lambda segment, number=number: (
                accepted(next(number)) if random.random() < 0.98 else None
            )
            await rig.start()
            if crashes == 6:
                link.script = lambda segment, number=number: accepted(next(number))
                await until(lambda: rig.position(message_class).offset == len(values), within_s=60)
                break
            await until(lambda link=link: len(link.written) > 150 or len(link.held) == 10)
            if crashes < 5:
                await asyncio.sleep(random.random() * 0.2)
            taken += scout_of(rig, message_class).taken
            copies.update(segment.message.id for segment in link.written)
            await rig.crash()
            crashes += 1
        copies.update(segment.message.id for segment in rig.link.written)
        in_doubt = {note.message_id for note in rig.notes("in_doubt")}
        assert taken > 100
        assert set(copies) | in_doubt == ids
        if message_class is MARKETING:
            assert set(copies.values()) == {1}
        else:
            repeats = sum(copies.values()) - len(copies)
            assert repeats <= crashes * (10 + 3000 * (0.25 + 0.1))


async def test_p2_what_was_claimed_far_ahead_is_in_doubt_at_once_after_a_crash():
    async with LaneRig(window=20, rate="100/s", settings=SETTINGS) as rig:
        put(rig, encoded("campaign", 20_000) + encoded("b", 30))
        rig.link.script = lambda segment: None if segment.message.account_id == "b" else accepted(1)
        await rig.start()
        await until(lambda: any(first >= 20_000 for first, _ in rig.position(MARKETING).claimed))
        await until(lambda: written_by(rig)["b"] >= 3)
        lost = {segment.message.id for segment in rig.link.held}
        await rig.crash()

        await rig.start()
        await until(lambda: lost <= {note.message_id for note in rig.notes("in_doubt")}, within_s=60)
        await until(lambda: written_by(rig)["campaign"] > 20)
        assert not lost & {segment.message.id for segment in rig.link.written}


async def test_thousands_of_accounts_all_get_their_turn_within_the_bounds():
    async with LaneRig(window=20, rate="5000/s", settings=SETTINGS) as rig:
        values = encoded("campaign", 20_000)
        template = encoded("account-0000", 1)[0]
        old = template[32:68]
        for n in range(2_000):
            fresh = str(new_uuid7(now_ms(), next(_numbers))).encode()
            values.append(template.replace(old, fresh).replace(b"account-0000", b"account-%04d" % n))
        put(rig, values)
        await rig.start()
        most_in_hand = most_ranges = 0

        def small_are_through() -> bool:
            nonlocal most_in_hand, most_ranges
            position = rig.worker._reader.positions[3]
            most_in_hand = max(most_in_hand, position.ahead_count)
            most_ranges = max(most_ranges, position.range_count)
            return sum(written_by(rig).values()) - written_by(rig)["campaign"] == 2_000

        await until(small_are_through, within_s=60)
        assert written_by(rig)["campaign"] < 16_000
        assert most_in_hand <= 0.1 * 5_000 + 20  # as much as is read ahead
        assert most_ranges <= SETTINGS.max_ranges_ahead + 100


async def test_what_it_adds_to_the_position_is_bounded_and_it_goes_on_when_there_is_room_again():
    settings = DispatchSettings(flush_ms=10, min_read_ahead=64, read_ahead_s=0.02, max_ranges_ahead=20)
    async with LaneRig(window=10, rate="3000/s", settings=settings) as rig:
        values = encoded("campaign", 2_000)
        for _ in range(200):  # one message of another account between two of the campaign: a range each
            values += encoded("campaign", 3) + encoded("b", 1)
        put(rig, values)
        await rig.start()
        most = 0

        def is_through() -> bool:
            nonlocal most
            most = max(most, len(rig.position(MARKETING).completed))
            return len(rig.link.written) == len(values)

        await until(is_through, within_s=60)
        assert 10 < most <= 20 + 12  # and what the window answers out of order


async def test_a_bus_that_fails_makes_it_begin_again_at_the_reader():
    async with LaneRig(window=10, rate="2000/s", settings=SETTINGS) as rig:
        put(rig, encoded("campaign", 5_000) + encoded("b", 100))
        read, failures = rig.bus.read, 0

        async def failing(topic, partition, *, offset, limit):
            nonlocal failures
            if limit == 2_000 and failures < 2 and offset > 1_000:
                failures += 1
                raise ConnectionError("gone")
            return await read(topic, partition, offset=offset, limit=limit)

        rig.bus.read = failing
        await rig.start()
        await until(lambda: written_by(rig)["b"] == 100, within_s=60)
        assert failures == 2
        assert written_by(rig)["campaign"] < 4_500
        ids = [segment.message.id for segment in rig.link.written]
        assert len(set(ids)) == len(ids)


async def test_a_bus_that_gives_less_than_it_is_asked_for_is_read_again():
    async with LaneRig(window=10, rate="1000/s", settings=SETTINGS) as rig:
        values = encoded("campaign", 3_000)
        for _ in range(60):
            values += encoded("campaign", 2) + encoded("b", 1)
        put(rig, values)
        read = rig.bus.read

        async def short(topic, partition, *, offset, limit):
            return await read(
                topic, partition, offset=offset, limit=min(limit, 40) if offset >= 3_000 else limit
            )

        rig.bus.read = short
        await rig.start()
        await until(lambda: written_by(rig)["b"] == 60, within_s=60)
        assert written_by(rig)["campaign"] < 2_500
        assert scout_of(rig).taken >= 60


async def test_unreadable_records_far_ahead_are_set_aside_once():
    async with LaneRig(window=10, rate="3000/s", settings=SETTINGS) as rig:
        broken = encoded("b", 1)[0].replace(b'"valid_until":', b'"valid_untold":')
        put(rig, [*encoded("campaign", 3_000), broken, b"noise", *encoded("b", 1)])
        await rig.start()
        await until(lambda: rig.position(MARKETING).offset == 3_003, within_s=60)
        assert [dead.value for dead in rig.deferred.dead] == [broken, b"noise"]


def test_an_account_is_read_without_the_message():
    message = a_message(account_id='a"b\\ñ')
    assert account_of(encode(message)) == 'a"b\\ñ'
    for wrong in (b"noise", b"{}", b'{"v":1,"t":"message","d":{"id":1}}'):
        with pytest.raises(EnvelopeError):
            account_of(wrong)
    with pytest.raises(EnvelopeError):
        account_of(encode(Receipt.__new__(Receipt)) if False else b'{"v":1,"t":"receipt","d":[]}')


def test_what_was_left_comes_back_by_turns_in_order_and_without_what_was_passed():
    left = Skipped()
    left.begin("a", 10)
    for offset in (11, 12, 20, 30, 31):
        assert left.add_to("a", offset)
    assert not left.add_to("b", 15)
    left.begin("b", 15)
    assert (left.run_count, left.account_count) == (4, 2)
    assert [left.turn(floor=0) for _ in range(3)] == ["a", "b", "a"]
    assert left.take("a", most=2, most_runs=9) == ([10, 11], 1)
    assert left.turn(floor=16) == "a"  # b was passed meanwhile
    assert left.account_count == 1
    assert left.take("a", most=9, most_runs=2) == ([20, 30, 31], 2)
    assert left.turn(floor=0) is None
    assert left.run_count == 0


def test_runs_are_cut_at_the_floor_and_used_up_ones_forgotten():
    left = Skipped()
    left.begin("a", 0)
    for offset in range(2, 400, 2):
        left.add_to("a", offset)
    assert left.turn(floor=301) == "a"
    assert left.run_count == 49
    assert left.take("a", most=2, most_runs=9) == ([302, 304], 2)
    left.add_to("a", 399)
    assert left.turn(floor=399) == "a"
    assert left.take("a", most=9, most_runs=9) == ([399], 1)
    left.begin("b", 500)
    left.clear()
    assert (left.run_count, left.account_count, left.turn(floor=0)) == (0, 0, None)


def test_a_position_knows_what_was_taken_ahead_until_it_is_done():
    position = LanePosition(Position(0, ((5, 8),)))
    position.take_ahead(20)
    assert [position.needs_nothing(offset) for offset in (0, 5, 7, 8, 20)] == [False, True, True, False, True]
    assert (position.ahead_count, position.was_taken_ahead(20), position.range_count) == (1, True, 2)
    position.take_ahead(21)
    position.take_ahead(30)
    assert position.range_count == 3
    for offset in (30, 21):
        position.done(offset)
    assert position.range_count == 4
    position.done(20)
    assert position.range_count == 3
    assert (position.ahead_count, position.was_taken_ahead(20), position.was_completed(20)) == (
        0,
        False,
        True,
    )
    for offset in range(5):
        position.read_to(offset)
    position.skip_done()
    assert position.next_offset == 8
    assert position.take_changes().completed == ((5, 8), (20, 22), (30, 31))
