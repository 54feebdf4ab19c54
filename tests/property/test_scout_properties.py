"""Whatever reader, scout, pump and crashes do to a lane: nothing is lost, nothing comes twice, accounts keep their order."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.bus import topics
from gateway.bus.codec import encode
from gateway.dispatch.plan import DispatchSettings
from gateway.dispatch.reader import LaneReader
from gateway.dispatch.work import Lane, Work
from gateway.domain import carried
from gateway.domain.message import CLASSES, MessageClass
from gateway.ports.bus import Position
from tests.support.lane_rig import CARRIER, a_message
from tests.support.memory_bus import MemoryBus, MemoryDatabase

MARKETING = len(CLASSES) - 1
TOPIC = topics.lanes(CARRIER)[MARKETING]
KEY = (topics.lane_group(CARRIER), TOPIC, 0)
RECORDS = {name: encode(a_message(MessageClass.MARKETING, account_id=name)) for name in "abcd"}

# A campaign of a, with the others in between: the shape that matters, and any other.
logs = st.lists(
    st.one_of(
        st.tuples(st.just("a"), st.integers(1, 40)), st.tuples(st.sampled_from("abcd"), st.integers(1, 6))
    ),
    min_size=1,
    max_size=14,
).map(lambda parts: [name for name, number in parts for _ in range(number)])
steps = st.lists(
    st.tuples(
        st.sampled_from(["read", "scout", "both", "pump", "pump", "done", "done", "flush", "crash", "post"]),
        st.integers(1, 30),
    ),
    max_size=60,
)


class Life:
    """One owner of the lane, from its start to its crash."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.lane = Lane(MARKETING, claims=world.claims)
        lanes = tuple(
            self.lane if index == MARKETING else Lane(index, claims=False) for index in range(len(CLASSES))
        )
        context = SimpleNamespace(
            carrier=CARRIER,
            shard=0,
            bus=world.bus,
            settings=DispatchSettings(max_ranges_ahead=8, read_batch=9),
        )
        self.reader = LaneReader(context, sink=self, lanes=lanes, limit=20)
        self.handed: list[int] = []
        self.in_hand: list[Work] = []
        self.last_of: dict[str, int] = {}
        self.most_ranges = 0

    async def start(self) -> None:
        await self.reader.open()
        self.position = self.reader.positions[MARKETING]
        self.scout = self.reader.scouts[MARKETING]
        self.scout._limits = replace(self.scout._limits, batch=25, runs=12)
        await self.reader._settle_doubtful(MARKETING, self.position)

    def on_message(self, lane: int, offset: int, message) -> None:
        account = self.world.log[offset]
        assert offset not in self.world.done, "done, and handed out again"
        assert offset not in self.world.claimed, "claimed before a crash, and handed out again"
        assert offset not in self.handed, "handed out twice"
        assert offset > self.last_of.get(account, -1), "out of the order of its account"
        self.last_of[account] = offset
        self.handed.append(offset)
        self.lane.push(Work(carried.replace(message, account_id=account), lane=lane, offset=offset))

    def on_in_doubt(self, lane: int, offset: int, message) -> None:
        assert offset in self.world.claimed
        assert offset not in self.world.done
        self.finish(offset)

    def on_batch(self) -> None:
        pass

    def finish(self, offset: int) -> None:
        self.position.done(offset)
        self.world.ending.add(offset)

    async def read(self, number: int) -> None:
        room = self.reader._limit - max(0, self.lane.held - self.position.ahead_count)
        if room <= 0:
            return
        self.position.skip_done()
        at = self.position.next_offset
        records = await self.world.bus.read(TOPIC, 0, offset=at, limit=min(number, room))
        await self.reader._hand_over(MARKETING, self.position, records)

    async def look(self) -> None:
        await self.scout._look_further()
        await self.scout._fetch_what_was_left()
        assert self.position.ahead_count <= 20
        assert self.scout._skipped.run_count <= 12 + 25

    def pump(self, number: int) -> None:
        """Take messages in hand, claimed first where that is wanted."""
        if self.world.claims:
            works = self.lane.pop_waiting(min(number, 5))
            self.position.claim(work.offset for work in works)
            self.flush()
            self.world.claimed.update(work.offset for work in works)
            self.lane.push_claimed(works)
        for _ in range(min(number, self.lane.ready)):
            self.in_hand.append(self.lane.take())

    def complete(self, number: int) -> None:
        """End some of what is in hand, not in order."""
        for _ in range(min(number, len(self.in_hand))):
            self.finish(self.in_hand.pop(number % len(self.in_hand)).offset)

    def flush(self) -> None:
        position = self.position.take_changes()
        self.world.bus.positions[KEY] = position
        self.world.done |= self.world.ending
        self.world.claimed -= self.world.ending
        self.world.ending.clear()


class World:
    """What outlives crashes: the log, the committed position, and what is known of every record."""

    def __init__(self, log: list[str], *, claims: bool) -> None:
        self.bus = MemoryBus(MemoryDatabase())
        self.bus.logs = {topic: [[]] for topic in topics.lanes(CARRIER)}
        self.log: list[str] = []
        self.claims = claims
        self.done: set[int] = set()
        self.ending: set[int] = set()
        self.claimed: set[int] = set()
        self.post(log)

    def post(self, accounts: list[str]) -> None:
        self.log += accounts
        self.bus.logs[TOPIC][0] += [RECORDS[name] for name in accounts]


async def play(log: list[str], actions: list[tuple[str, int]], *, claims: bool) -> None:
    world = World(log, claims=claims)
    life = Life(world)
    await life.start()
    for action, number in actions:
        match action:
            case "read":
                await life.read(number)
            case "scout":
                await life.look()
            case "both":
                async with asyncio.TaskGroup() as group:
                    group.create_task(life.look())
                    group.create_task(life.read(number))
            case "pump":
                life.pump(number)
            case "done":
                life.complete(number)
            case "flush":
                life.flush()
            case "post":
                world.post(["abcd"[number % 4]] * number)
            case "crash":
                world.ending.clear()
                life = Life(world)
                await life.start()
    for turn in range(10 * len(world.log) + 10):
        await life.read(9)
        if turn % 3 == 0:
            await life.look()
        life.pump(9)
        life.complete(9)
        life.flush()
    assert world.done == set(range(len(world.log)))
    assert world.bus.positions[KEY] == Position(len(world.log))
    assert life.position.range_count == 0


@settings(max_examples=40, deadline=None)
@given(logs, steps)
def test_p8_nothing_is_lost_doubled_or_out_of_order_where_a_crash_submits_again(log, actions):
    asyncio.run(play(log, actions, claims=False))


@settings(max_examples=40, deadline=None)
@given(logs, steps)
def test_p8_nothing_is_lost_doubled_or_out_of_order_where_messages_are_claimed(log, actions):
    asyncio.run(play(log, actions, claims=True))
