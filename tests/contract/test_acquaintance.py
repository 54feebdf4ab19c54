"""Who wrote to our numbers and whom they wrote to: followed in the database, kept in memory."""

from typing import Any

import pytest

from gateway.dispatch.acquaintance import Acquaintance, AcquaintanceFeed
from gateway.domain.events import Accepted
from gateway.domain.ids import new_uuid7
from gateway.domain.lifecycle import State
from gateway.store.conversations import PostgresConversations
from gateway.store.pool import Database
from tests.support.records import HOUR, NOON, BackHalf, FixedClock, a_message, attempted
from throttling.windows import ServiceWindows

pytestmark = pytest.mark.postgres

ANA, LUIS, EVA = "525512345678", "525512345679", "525512345670"


async def wrote(db: Database, person: str, *, at: int, carrier: str = "wa", number: int = 1) -> None:
    async with db.acquire() as connection:
        await connection.execute(
            "INSERT INTO inbound_messages (id, assigned_by, carrier, bind, sender, sender_is_e164, recipient, encoding, "
            "segment_count, missing, received_at, raw) VALUES ($1, '', $2, 'callback', $3, true, '525512345600', 'ucs2', "
            "1, '{}', $4, '{}')",
            new_uuid7(at, number),
            carrier,
            person,
            at,
        )


def following(db: Database, clock: FixedClock, **changes: Any) -> tuple[Acquaintance, AcquaintanceFeed]:
    known = Acquaintance("wa", **{"windows": ServiceWindows(), **changes})
    feed = AcquaintanceFeed(PostgresConversations(db), clock=clock)
    feed.use({"wa": known, "plain": Acquaintance("plain")})
    return known, feed


async def test_the_last_day_is_learned_at_first_and_then_what_is_new(db: Database) -> None:
    clock = FixedClock()
    known, feed = following(db, clock)
    windows = known.windows
    assert windows is not None
    await wrote(db, ANA, at=NOON - 23 * HOUR)
    await wrote(db, LUIS, at=NOON - 25 * HOUR)
    await wrote(db, EVA, at=NOON - HOUR, carrier="another")
    assert not windows.is_shut(LUIS, asked_ms=NOON, now_ms=NOON)  # nothing is known yet
    await feed.look()
    assert [windows.is_shut(one, asked_ms=NOON, now_ms=NOON) for one in (ANA, LUIS, EVA)] == [
        False,
        True,
        True,
    ]
    # What is asked later may answer what came in between.
    assert not windows.is_shut(LUIS, asked_ms=NOON + 1, now_ms=NOON + 1)
    # Recorded late, with an id from before the last look.
    await wrote(db, LUIS, at=NOON - 30_000)
    clock.ms += 1_000
    await feed.look()
    assert not windows.is_shut(LUIS, asked_ms=clock.ms, now_ms=clock.ms)
    assert windows.is_shut(EVA, asked_ms=clock.ms, now_ms=clock.ms)
    clock.ms += 2 * HOUR
    await feed.look()
    assert windows.is_shut(ANA, asked_ms=clock.ms, now_ms=clock.ms)
    assert len(windows) == 1


async def test_while_messages_of_people_wait_to_be_recorded_nobody_is_shut_out_for_what_they_may_say(
    db: Database,
) -> None:
    clock = FixedClock()
    known = Acquaintance("wa", windows=ServiceWindows())
    waiting: list[int | None] = [NOON - 5_000]

    async def waiting_since() -> int | None:
        return waiting[0]

    feed = AcquaintanceFeed(PostgresConversations(db), clock=clock, waiting_since=waiting_since)
    feed.use({"wa": known})
    await feed.look()
    assert known.windows is not None
    assert not known.windows.is_shut(ANA, asked_ms=NOON - 1_000, now_ms=NOON)
    assert known.windows.is_shut(ANA, asked_ms=NOON - 6_000, now_ms=NOON)
    waiting[0] = None
    await feed.look()
    assert known.windows.is_shut(ANA, asked_ms=NOON - 1_000, now_ms=NOON)


async def test_after_the_database_was_away_nothing_in_between_is_missed(db: Database) -> None:
    clock = FixedClock()
    known, feed = following(db, clock)
    await feed.look()
    await wrote(db, ANA, at=NOON + HOUR)
    clock.ms += 5 * HOUR
    await feed.look()
    assert known.windows is not None
    assert not known.windows.is_shut(ANA, asked_ms=clock.ms, now_ms=clock.ms)


async def test_pages_of_a_busy_day_are_all_read(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.dispatch.acquaintance._PAGE", 2)
    clock = FixedClock()
    known, feed = following(db, clock)
    for number in range(7):
        await wrote(db, f"52551234567{number}", at=NOON - HOUR + number // 3, number=number)
    await feed.look()
    assert known.windows is not None
    assert len(known.windows) == 7


async def test_whom_the_carrier_reached_today_counts_after_a_restart(db: Database) -> None:
    back = await BackHalf(db).start()
    for number, recipient in enumerate((ANA, LUIS, ANA)):
        message = a_message(recipient=recipient, carrier="wa", accepted_at=NOON - HOUR + number)
        await back.put(Accepted(message, State.QUEUED))
        await back.put(attempted(message, f"wamid.{number}", carrier="wa"))
    await back.turn()
    clock = FixedClock()
    known, feed = following(db, clock, windows=None, reach_limit=3)
    limiter = known.reach_of(0, 1)
    assert limiter is not None
    await feed.look()
    assert len(limiter) == 2
    assert limiter.take(ANA, now_ms=NOON) == 0
    assert limiter.take(EVA, now_ms=NOON) == 0
    assert limiter.take("525512345671", now_ms=NOON) > 0
    # A second link of the shard goes on with the same count.
    assert known.reach_of(0, 1) is limiter
    assert [one.limit for one in (known.reach_of(0, 2), known.reach_of(1, 2)) if one is not None] == [1, 2]


async def test_carriers_that_need_nothing_cost_no_query(db: Database) -> None:
    feed = AcquaintanceFeed(PostgresConversations(db), clock=FixedClock())
    feed.use({"wa": Acquaintance("wa")})
    assert feed._known == {}
