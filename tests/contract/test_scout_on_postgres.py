"""Fairness over the whole backlog on the real bus and database, a crash in the middle included (property 8, P2)."""

from collections import Counter
from typing import Self
from uuid import UUID

import pytest

from gateway.bus import topics
from gateway.bus.codec import decode
from gateway.bus.postgres import PostgresBus
from gateway.dispatch.plan import DispatchSettings
from gateway.domain.message import MessageClass
from gateway.ports.bus import Record
from gateway.store.deferred import PostgresDeferred
from tests.support.fake_link import accepted
from tests.support.lane_rig import CARRIER, LaneRig, until
from tests.support.postgres import database_url, db, postgres_server  # noqa: F401 - fixtures
from tests.unit.test_scout import encoded

pytestmark = pytest.mark.postgres
BACKLOG = 20_000
OTP, TRANSACTIONAL, COLLECTIONS, MARKETING = MessageClass


class PostgresRig(LaneRig):
    """The rig on a real database."""

    def __init__(self, db, **more) -> None:  # noqa: F811 - the fixture's value
        super().__init__(**more)
        self.db, self.bus, self.deferred = db, PostgresBus(db), PostgresDeferred(db)

    async def __aenter__(self) -> Self:
        await self.bus.start()
        names = (*topics.lanes(CARRIER), topics.EVENTS, topics.RECEIPTS, topics.MO)
        await self.bus.ensure_topics(dict.fromkeys(names, 1))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.crash()

    async def append(self, message_class: MessageClass, values: list[bytes]) -> None:
        topic = topics.lane(CARRIER, message_class)
        for start in range(0, len(values), 1_000):
            await self.bus.append([Record(topic, b"", value) for value in values[start : start + 1_000]])

    async def stored_position(self, message_class: MessageClass):
        return await self.bus.position(topics.lane_group(CARRIER), topics.lane(CARRIER, message_class), 0)


@pytest.mark.parametrize("message_class", [TRANSACTIONAL, MARKETING])
async def test_p8_small_accounts_pass_a_campaign_and_a_crash_loses_and_doubles_nothing(db, message_class):  # noqa: F811
    settings = DispatchSettings(flush_ms=20)
    async with PostgresRig(db, window=20, rate="1000/s", settings=settings) as rig:
        small = {name: encoded(name, 100, message_class) for name in ("b", "c")}
        campaign = encoded("campaign", BACKLOG, message_class)
        await rig.append(message_class, [*campaign, *small["b"], *small["c"]])
        await rig.start()
        written = rig.link.written

        def of(account: str) -> list[UUID]:
            return [segment.message.id for segment in written if segment.message.account_id == account]

        # Given a crash when about half of b's messages have left,
        rig.link.script = lambda segment: (
            None if segment.message.account_id == "b" and len(of("b")) > 50 else accepted(1)
        )
        await until(lambda: len(of("b")) > 50, within_s=60)

        async def is_stored() -> bool:
            return any(first >= BACKLOG for first, _ in (await rig.stored_position(message_class)).completed)

        await until(is_stored)
        assert len(of("campaign")) < BACKLOG / 2
        before = Counter(segment.message.id for segment in written)
        await rig.crash()

        # when the next owner takes over, what is left of b and c leaves long before the campaign is through,
        await rig.start()
        written = rig.link.written
        ids = {name: [UUID(value[32:68].decode()) for value in values] for name, values in small.items()}

        async def is_through() -> bool:
            events = await rig.bus.read(topics.EVENTS, 0, offset=0, limit=30_000)
            done = {decode(stored.value).message_id for stored in events}
            return done >= {*ids["b"], *ids["c"]}

        await until(is_through, within_s=60)
        assert len(before) + len(of("campaign")) < BACKLOG * 0.8
        # and nothing that its class protects was submitted twice.
        after = Counter(segment.message.id for segment in written)
        repeated = set(before) & set(after)
        assert max(after.values()) == 1
        if message_class is MARKETING:
            assert not repeated
        else:
            assert len(repeated) <= 20 + 1000 * 0.3
        order = [message_id for message_id in ids["c"] if message_id in after]
        assert [one for one in of("c") if one in after] == order
