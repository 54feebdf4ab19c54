"""The SMPP server for customers under hostile octets, and kill -9 of its process with submits in flight (sms-domain H, I)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
import pytest_asyncio

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import encode
from gateway.smppd.ids import parse_smpp_id
from tests.conformance.server_rig import ServerStack, a_server
from tests.faults.test_hostile_streams import (
    ANSWER_WITHIN_S,
    HONEST,
    LOST,
    RSS_GROWTH_MB,
    HonestEsme,
    a_bind,
    a_stranger,
    floods,
    refused_bodies,
)
from tests.faults.test_hostile_streams import a_submit as a_hostile_submit
from tests.perf.fuzz_mutations import with_sequence
from tests.support.esme import Esme, a_submit, parsed
from tests.support.ledger import database
from tests.support.smppd import ServerRig, a_database, add_credential
from tests.support.stack import until

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@asynccontextmanager
async def under_attack(postgres_server, **limits) -> AsyncIterator[ServerRig]:
    """A server with an honest session on it; the honest one is judged at the end."""
    async with a_database(postgres_server) as db:
        await add_credential(db, "caudal")
        await add_credential(db, "honest")
        async with ServerRig(db, **limits).running() as rig:
            honest = HonestEsme(rig.port)
            await honest.start()
            try:
                yield rig
                before = honest.answered
                await until(lambda: honest.answered >= before + 5, limit_s=30, every_s=0.02)
            finally:
                await honest.stop()
            assert honest.worst_s < ANSWER_WITHIN_S


async def taken_from_strangers(rig: ServerRig) -> int:
    return sum(message.recipient != HONEST for message in await rig.accepted())


async def test_i1_i2_i6_lost_framing_and_cut_submits_end_that_session_only(postgres_server):
    """I1, I2, I6."""
    whole = a_hostile_submit(2)
    async with under_attack(postgres_server) as rig:

        async def lost(name: str, octets: bytes) -> None:
            async with a_stranger(rig.port) as stranger:
                stranger.writer.write(octets)
                await stranger.read_to_the_end()
                assert stranger.answers() == [(c.GENERIC_NACK, c.ESME_RINVCMDLEN, 0)], name

        async def cut(at: int) -> None:
            async with a_stranger(rig.port) as stranger:
                stranger.writer.write(a_bind() + whole[:at])
                stranger.writer.write_eof()
                await stranger.read_to_the_end()

        await asyncio.gather(*(lost(name, octets) for name, octets in LOST.items()))
        await asyncio.gather(*(cut(at) for at in range(0, len(whole), 2)))
        assert await taken_from_strangers(rig) == 0


async def test_i4_i5_a_bad_body_is_refused_by_its_number_and_the_session_lives(postgres_server):
    async with under_attack(postgres_server) as rig:

        async def refused(name: str, octets: bytes, statuses: set[int]) -> None:
            async with a_stranger(rig.port) as stranger:
                stranger.writer.write(a_bind() + octets)
                await stranger.read_until(lambda heard: len(heard) >= 2)
                (_, (command_id, status, sequence)) = stranger.answers()
                assert (command_id, sequence) == (c.SUBMIT_SM_RESP, 7), name
                assert status in statuses, f"{name}: {c.status_name(status)}"
                stranger.writer.write(a_hostile_submit(8))
                await stranger.read_until(lambda heard: len(heard) >= 3)
                assert stranger.answers()[2] == (c.SUBMIT_SM_RESP, 0, 8), name

        cases = refused_bodies()
        await asyncio.gather(*(refused(name, *case) for name, case in cases.items()))
        assert await taken_from_strangers(rig) == len(cases)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[ServerStack]:
    """A whole gateway, whose server is a process of its own; started again it keeps its port."""
    async with a_server(others={"honest": 1000, "hostile": 1000}) as running:
        yield running


@pytest.mark.asyncio(loop_scope="module")
async def test_h5_h6_i3_i8_i10_floods_are_answered_one_by_one_and_the_session_lives(gateway):
    """H5, H6, I3, I8, I10: memory stays flat and an honest session goes on within a second."""
    cases = floods()
    octets, count, _ = cases["user data headers that lie"]
    lies = {(c.SUBMIT_SM_RESP, c.ESME_RINVESMCLASS), (c.SUBMIT_SM_RESP, c.ESME_RINVMSGLEN)}
    cases["user data headers that lie"] = (octets, count, lies)
    api = psutil.Process((await gateway.stack.roles())["api"]["pid"])
    honest = HonestEsme(gateway.port)
    await honest.start()
    await until(lambda: honest.answered >= 5, limit_s=30, every_s=0.02)
    rss_mb = api.memory_info().rss / 1e6

    async def flood(name: str, octets: bytes, count: int, kinds: set[tuple[int, int]]) -> None:
        async with a_stranger(gateway.port) as stranger:
            stranger.writer.write(a_bind(system_id="hostile"))
            await stranger.read_until(len)
            stranger.writer.write(octets)
            await stranger.read_until(lambda heard: len(heard) > count)
            assert await stranger.is_alive(), name
            answers = stranger.answers()[1:]
            assert sorted(sequence for _, _, sequence in answers) == list(range(1000, 1000 + count)), name
            assert {answer[:2] for answer in answers} == kinds, name

    numbers = (0, 0x80000000, 0xFFFFFFFF)
    async with a_stranger(gateway.port) as stranger:
        stranger.writer.write(a_bind(system_id="hostile"))
        for number in numbers:
            stranger.writer.write(with_sequence(a_hostile_submit(1), number))
        await stranger.read_until(lambda heard: len(heard) >= 4)
        assert {sequence for _, status, sequence in stranger.answers()[1:] if not status} == set(numbers)
    for name, case in cases.items():
        await flood(name, *case)
    before = honest.answered
    await until(lambda: honest.answered >= before + 5, limit_s=30, every_s=0.02)
    await honest.stop()
    assert honest.worst_s < ANSWER_WITHIN_S
    assert api.memory_info().rss / 1e6 - rss_mb < 3 * RSS_GROWTH_MB


async def test_h12_who_does_not_bind_is_sent_away_and_one_address_cannot_take_every_place(postgres_server):
    async with under_attack(postgres_server, session_init_s=0.5, max_sessions=50) as rig:
        async with asyncio.timeout(30):
            strangers = [await asyncio.open_connection("127.0.0.1", rig.port) for _ in range(60)]
            esme = Esme()
            while await esme_bind(esme, rig.port):
                esme = Esme()
                await asyncio.sleep(0.1)
        for reader, writer in strangers:
            assert await asyncio.wait_for(reader.read(), 30) == b""
            writer.close()
        esme.transport.abort()


async def esme_bind(esme: Esme, port: int) -> int:
    await esme.connect(port)
    return await esme.bind("caudal")


class Flooder(Esme):
    """Keeps its window full until `left` submits are sent."""

    def __init__(self, left: int) -> None:
        super().__init__(window=100)
        self.left = left
        self.body = encode(a_submit("Su codigo es 48151623"), sequence_number=1)[16:]

    def pump(self) -> None:
        count = min(self.left, self.transport.free_slots)
        self.left -= count
        if count:
            self.flood(a_submit("Su codigo es 48151623"), count)

    def _handle(self, events) -> None:
        super()._handle(events)
        if self.left and not self.closed:
            self.pump()


@pytest.mark.timeout(240)
@pytest.mark.asyncio(loop_scope="module")
async def test_p1_kill_9_of_the_api_role_loses_no_submit_that_was_answered(gateway):
    """P1, F21, H14: every id of a submit_sm_resp with status 0 is a message, is delivered, and has its receipt."""
    port = gateway.port
    before = [Flooder(3_000) for _ in range(2)]
    for esme in before:
        await esme.connect(port)
        assert await esme.bind("caudal", "secret") == 0
        esme.pump()
    await asyncio.gather(*(esme.until(lambda esme=esme: len(esme.ids) > 500) for esme in before))
    pid = await gateway.stack.kill("api")
    await asyncio.gather(*(esme.until(lambda esme=esme: esme.closed) for esme in before))
    await gateway.stack.until_ready("api", not_pid=pid)
    after = Flooder(1_000)
    await after.connect(port)
    assert await after.bind("caudal", "secret") == 0
    after.pump()
    await after.until(lambda: not after.left and not after.open, limit_s=20)
    answered = {one for esme in (*before, after) for one in esme.ids}
    assert len(answered) > 2_000
    states = await states_of(gateway, answered)
    print(f"answered {len(answered)}, in flight {sum(esme.open for esme in before)}, {dict(states)}")
    assert states == Counter({"delivered": len(answered)})

    def told() -> set[str]:
        return {parsed(pdu).message_id for esme in (*before, after) for pdu in esme.receipts}

    await until(lambda: answered <= told(), limit_s=30, every_s=0.5)
    after.transport.abort()


@pytest.mark.asyncio(loop_scope="module")
async def test_h10_a_stop_of_the_gateway_unbinds_and_answers_what_is_open(gateway):
    esme = Flooder(20_000)
    await esme.connect(gateway.port)
    assert await esme.bind("caudal", "secret") == 0
    esme.pump()
    await esme.until(lambda: len(esme.ids) > 300)
    stopping = asyncio.create_task(gateway.stack.stop(), name="stop")
    await esme.until(lambda: esme.closed, limit_s=20)
    assert (esme.closed, esme.open) == ("peer_unbound", 0)
    assert set(esme.statuses) <= {c.ESME_ROK, c.ESME_RSYSERR}
    assert await stopping == 0
    # P8: after all of the above neither a text nor a number nor a password is in any log.
    said = "\n".join(gateway.stack.lines)
    assert [one for one in ("48151623", HONEST, "5512345699", "secret") if one in said] == []


async def states_of(gateway: ServerStack, answered: set[str]) -> Counter[str]:
    """Wait until every answered message has an end; return how many have which."""
    connection = await database(gateway.stack)
    ids = [parse_smpp_id(one) for one in answered]
    try:

        async def ended() -> Counter[str] | None:
            rows = await connection.fetch("SELECT state FROM messages WHERE id = ANY ($1::uuid[])", ids)
            states = Counter(row["state"] for row in rows)
            is_over = sum(states.values()) == len(ids) and not states.keys() & {"queued", "submitted"}
            return states if is_over else None

        return await until(ended, limit_s=60, every_s=0.5)
    finally:
        await connection.close()
