"""Our ESME link against a hostile message centre (sms-domain H and I), while a link to an honest one goes on.

Whatever a carrier writes: no exception, every submit settled exactly once, the bind comes back, and the other carrier's
link in the same loop answers within a second.
"""

import asyncio
import multiprocessing
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psutil
import pytest
import uvloop

from adapters.smpp.wire import constants as c
from adapters.smpp.wire import pdus as p
from adapters.smpp.wire.codec import encode
from adapters.smpp.wire.framer import Frame, Framer
from gateway.domain.outcomes import Ambiguous, Refused, Submitted, Unsent
from gateway.domain.receipts import Receipt
from gateway.ports.links import BindState
from loadtest.smsc.service import running_smsc
from loadtest.smsc.settings import SmscSettings
from tests.conformance.link_rig import CLOCK, LinkRig, a_link
from tests.perf.fuzz_mutations import ANSWERS, VALID, header, read_corpus, reframed

ANSWER_WITHIN_S = 3.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Overriding the:pytest.PytestDeprecationWarning"),
]


@pytest.fixture
def event_loop_policy():
    """Run on uvloop, as the product does: it reads far more of a flood in one turn."""
    return uvloop.EventLoopPolicy()


PROBE = 0x77777777
ENQUIRE = header(c.ENQUIRE_LINK, sequence=PROBE)
RECEIPT = p.DeliverSm(
    source_addr="525512345678",
    destination_addr="12345",
    esm_class=4,
    short_message=b"id:7 sub:001 dlvrd:001 submit date:2601151230 done date:2601151231 stat:DELIVRD err:000 text:",
)


class Caller:
    """One connection of our link, seen from the hostile side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._framer = Framer()
        self._frames: list[Frame] = []

    async def frame(self) -> Frame | None:
        """Return the next frame, None when our link has left."""
        while not self._frames:
            try:
                data = await asyncio.wait_for(self.reader.read(1 << 16), 30)
            except ConnectionError:
                return None
            if not data:
                return None
            self._frames += self._framer.feed(data)
        return self._frames.pop(0)

    async def accept(self) -> None:
        """Let it bind."""
        bind = await self.frame()
        assert bind is not None
        self.answer(p.BindTransceiverResp(system_id="mc"), bind)

    def answer(self, pdu: p.Pdu, frame: Frame, *, status: int = 0) -> None:
        self.writer.write(encode(pdu, sequence_number=frame.sequence_number, command_status=status))

    async def until_probed(self, count: int = 0) -> list[tuple[int, int, int]]:
        """Send an enquire_link; return everything else once that and `count` more are answered. The session must live."""
        self.writer.write(ENQUIRE)
        heard = []
        is_probed = False
        while (frame := await self.frame()) is not None:
            if frame.sequence_number == PROBE:
                is_probed = True
            else:
                heard.append(frame[:3])
            if is_probed and len(heard) >= count:
                return heard
        raise AssertionError(f"the link left; before that it said {heard[-3:]}")

    async def until_it_leaves(self) -> list[Frame]:
        """Return everything up to the end."""
        heard = []
        while (frame := await self.frame()) is not None:
            heard.append(frame)
        return heard


Script = Callable[[Caller], Awaitable[None]]


@asynccontextmanager
async def a_hostile_centre(first: Script) -> AsyncIterator[tuple[int, list[BaseException], asyncio.Event]]:
    """Play `first` with the first connection and behave with all later ones: yield (port, faults, first is over)."""
    faults: list[BaseException] = []
    is_over = asyncio.Event()
    count = 0

    async def behave(caller: Caller) -> None:
        await caller.accept()
        while (frame := await caller.frame()) is not None:
            if frame.command_id == c.SUBMIT_SM:
                caller.answer(p.SubmitSmResp(message_id=str(frame.sequence_number)), frame)
            elif frame.command_id == c.ENQUIRE_LINK:
                caller.answer(p.EnquireLinkResp(), frame)
            elif frame.command_id == c.UNBIND:
                caller.answer(p.UnbindResp(), frame)
                return

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        is_first = count == 1
        try:
            await (first if is_first else behave)(Caller(reader, writer))
        except (AssertionError, TimeoutError) as fault:
            faults.append(fault)
        finally:
            writer.transport.abort()
            if is_first:
                is_over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], faults, is_over
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def an_honest_carrier() -> AsyncIterator[None]:
    """A second link in the same loop submits all the time; none of its answers takes three seconds."""
    async with (
        running_smsc(SmscSettings(accounts={"caudal": "demo"}, http_port=None)) as smsc,
        a_link(smsc.smpp_port) as rig,
    ):
        await rig.bound()
        worst_s = 0.0

        async def go_on() -> None:
            nonlocal worst_s
            while True:
                started = time.monotonic()
                (outcome,) = await rig.submit(rig.segments("hola"))
                assert isinstance(outcome, Submitted)
                worst_s = max(worst_s, time.monotonic() - started)
                await asyncio.sleep(0.01)

        task = asyncio.create_task(go_on(), name="honest")
        try:
            yield
        finally:
            assert not task.done()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert worst_s < ANSWER_WITHIN_S


async def play(script: Script, *, submits: int = 0, **profile: Any) -> LinkRig:
    """Play a script with our link; afterwards the link must be bound to the behaving centre and submit again."""
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    rss_mb = psutil.Process().memory_info().rss / 1e6
    async with (
        an_honest_carrier(),
        a_hostile_centre(script) as (port, faults, is_over),
        a_link(port, **profile) as rig,
    ):
        if submits:
            await rig.bound()
            for segment in rig.segments("hola") * submits:
                assert rig.link.ready(CLOCK.monotonic_ns()).wait_ns == 0
                rig.link.submit(segment, now_ns=CLOCK.monotonic_ns())
        await asyncio.wait_for(is_over.wait(), 60)
        assert not faults, faults
        await rig.until(lambda: BindState.DOWN in [change.state for change in rig.changes])
        await rig.until(lambda: len(rig.outcomes) == submits and BindState.BOUND in rig.states())
        (outcome,) = await rig.submit(rig.segments("hola"))
        assert isinstance(outcome, Submitted)
        assert len(rig.outcomes) == submits + 1
        assert rig.link.in_flight == 0
    assert raised == []
    assert psutil.Process().memory_info().rss / 1e6 - rss_mb < 40
    return rig


# -- streams that end the session ----------------------------------------------------------------------

LOST = {
    "length 0": bytes(4),
    "length 15": header(c.SUBMIT_SM_RESP, length=15),
    "length 0xFFFFFFFF": b"\xff" * 4,
    "length 0x80000010": header(c.SUBMIT_SM_RESP, length=0x80000010),
    "4 KiB of zeros": bytes(4096),
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "TLS alert": bytes.fromhex("15030300020228"),
}


@pytest.mark.parametrize("octets", LOST.values(), ids=LOST)
@pytest.mark.parametrize("is_bound", [False, True], ids=["open", "bound"])
async def test_i1_i2_lost_framing_has_one_reaction_and_the_link_comes_back(octets, is_bound):
    heard: list[Frame] = []

    async def script(caller: Caller) -> None:
        if is_bound:
            await caller.accept()
            for _ in range(3):
                assert (await caller.frame()).command_id == c.SUBMIT_SM
        caller.writer.write(octets)
        heard.extend(await caller.until_it_leaves())

    rig = await play(script, submits=3 if is_bound else 0)
    nacks = [frame[:3] for frame in heard if frame.command_id == c.GENERIC_NACK]
    assert nacks == [(c.GENERIC_NACK, c.ESME_RINVCMDLEN, 0)]
    # The three that were on their way may have been taken: Ambiguous, never Unsent.
    assert all(isinstance(outcome, Ambiguous) for outcome in rig.outcomes[:-1])


async def test_i6_a_truncated_receipt_before_the_end_of_the_stream_is_never_taken():
    octets = encode(RECEIPT, sequence_number=5)

    async def script(caller: Caller) -> None:
        await caller.accept()
        caller.writer.write(octets[:-1])
        await caller.writer.drain()
        caller.writer.write_eof()
        assert await caller.until_it_leaves() == []

    rig = await play(script)
    assert rig.inbound == []


@pytest.mark.parametrize(
    "octets",
    [
        header(c.BIND_TRANSCEIVER_RESP),
        header(c.BIND_TRANSCEIVER_RESP, length=24, body=b"no NUL !"),
        reframed(header(c.BIND_TRANSCEIVER_RESP, body=b"mc\0" + b"\x02\x10\xff\xff4")),
        header(c.BIND_TRANSCEIVER_RESP, sequence=9) + header(c.BIND_TRANSCEIVER_RESP),
        header(c.SUBMIT_SM_RESP) + header(c.BIND_TRANSCEIVER_RESP),
    ],
    ids=["no body", "no NUL", "TLV beyond", "wrong number first", "wrong answer first"],
)
async def test_a_sloppy_bind_response_binds(octets):
    async def script(caller: Caller) -> None:
        bind = await caller.frame()
        assert bind.sequence_number == 1
        caller.writer.write(octets)
        assert await caller.until_probed() == []

    await play(script)


async def test_h9_a_centre_that_never_answers_the_bind_is_left_and_tried_again():
    async def script(caller: Caller) -> None:
        await caller.until_it_leaves()

    await play(script, bind_timeout_s=0.5)


async def test_h9_a_centre_that_drips_half_a_bind_response_is_left():
    async def script(caller: Caller) -> None:
        for octet in encode(p.BindTransceiverResp(system_id="mc"), sequence_number=1)[:-1] * 3:
            with suppress(RuntimeError):  # uvloop's word for a closed socket
                caller.writer.write(bytes((octet,)))
            await asyncio.sleep(0.05)
            if caller.reader.at_eof() or caller.writer.transport.is_closing():
                return
        await caller.until_it_leaves()

    await play(script, bind_timeout_s=0.5)


async def test_a_centre_that_stops_reading_is_left_and_its_submits_are_ambiguous():
    async def script(caller: Caller) -> None:
        await caller.accept()
        caller.writer.transport.pause_reading()
        caller.writer.write(ENQUIRE * 4096 * 40)
        with suppress(TimeoutError):
            await asyncio.wait_for(caller.writer.drain(), 1)

    rig = await play(script, submits=5)
    assert all(isinstance(outcome, Ambiguous | Unsent) for outcome in rig.outcomes[:-1])


# -- streams that it survives --------------------------------------------------------------------------

_DELIVER = encode(RECEIPT, sequence_number=5)
FLOOD = 20_000


def survived() -> dict[str, tuple[bytes, set[tuple[int, int]], int]]:
    """Octets that a bound link lives through: what it answers, and how often."""
    return {
        "unknown commands": (header(0x42) * FLOOD, {(c.GENERIC_NACK, c.ESME_RINVCMDID)}, FLOOD),
        "enquire_link": (header(c.ENQUIRE_LINK) * FLOOD, {(c.ENQUIRE_LINK_RESP, 0)}, FLOOD),
        "unsolicited responses": (b"".join(VALID[-len(ANSWERS) :]) * 500, set(), 0),
        "unknown responses": (header(0x80000042) * FLOOD, set(), 0),
        "outbind and alert_notification": (
            encode(p.Outbind(), sequence_number=1) * 50
            + encode(p.AlertNotification(), sequence_number=1) * 50,
            set(),
            0,
        ),
        "submit_sm the wrong way": (
            encode(p.SubmitSm(), sequence_number=5),
            {(c.SUBMIT_SM_RESP, c.ESME_RINVBNDSTS)},
            1,
        ),
        "a bind the wrong way": (
            encode(p.BindTransceiver(), sequence_number=5),
            {(c.BIND_TRANSCEIVER_RESP, c.ESME_RINVBNDSTS)},
            1,
        ),
        "deliver_sm without body": (
            header(c.DELIVER_SM, sequence=5),
            {(c.DELIVER_SM_RESP, c.ESME_RINVCMDLEN)},
            1,
        ),
        "deliver_sm without NUL": (
            header(c.DELIVER_SM, length=316, sequence=5, body=b"A" * 300),
            {(c.DELIVER_SM_RESP, c.ESME_RINVCMDLEN)},
            1,
        ),
        "receipt with a TLV beyond the PDU": (
            reframed(_DELIVER + b"\x04\x24\xff\xffab"),
            {(c.DELIVER_SM_RESP, 0)},
            1,
        ),
        "receipt with 5,000 TLVs": (reframed(_DELIVER + b"\x14\0\0\0" * 5000), {(c.DELIVER_SM_RESP, 0)}, 1),
        "receipt flood": (_DELIVER * 4000, {(c.DELIVER_SM_RESP, 0)}, 4000),
    }


@pytest.mark.parametrize("name", survived())
async def test_h6_i3_i5_i10_a_bound_link_lives_through(name):
    octets, answers, count = survived()[name]

    async def script(caller: Caller) -> None:
        await caller.accept()
        caller.writer.write(octets)
        heard = await caller.until_probed(count)
        assert {answer[:2] for answer in heard} == answers
        assert len(heard) == count

    rig = await play(script)
    assert len(rig.inbound) == (count if "receipt" in name else 0)


def _flood_and_leave(server: socket.socket) -> None:
    """Accept one bind and write 30 MB of unknown commands as fast as they are taken; runs as a process."""
    connection, _ = server.accept()
    connection.recv(1000)
    connection.sendall(encode(p.BindTransceiverResp(system_id="mc"), sequence_number=1))
    threading.Thread(
        target=lambda: [None for _ in iter(lambda: connection.recv(1 << 20), b"")], daemon=True
    ).start()
    with suppress(OSError):
        for _ in range(30):
            connection.sendall(header(0x42) * (1 << 16))


async def test_p5_a_flood_from_one_carrier_does_not_hold_up_another():
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    flooder = multiprocessing.get_context("fork").Process(target=_flood_and_leave, args=(server,))
    flooder.start()
    server.close()
    try:
        async with an_honest_carrier(), a_link(port) as rig:
            await rig.bound()
            await asyncio.sleep(4)
    finally:
        flooder.kill()
        flooder.join(5)


async def test_i7_one_octet_per_segment_gives_the_normal_answers():
    async def script(caller: Caller) -> None:
        await caller.accept()
        for octet in _DELIVER + header(c.ENQUIRE_LINK, sequence=6):
            caller.writer.write(bytes((octet,)))
            await asyncio.sleep(0)
        assert sorted(await caller.until_probed(2)) == [
            (c.DELIVER_SM_RESP, 0, 5),
            (c.ENQUIRE_LINK_RESP, 0, 6),
        ]

    rig = await play(script)
    assert isinstance(rig.inbound[0], Receipt)


async def test_h6_answers_that_do_not_fit_settle_nothing_and_the_right_one_settles_once():
    async def script(caller: Caller) -> None:
        await caller.accept()
        frame = await caller.frame()
        caller.answer(p.DeliverSmResp(), frame)
        caller.writer.write(header(c.SUBMIT_SM_RESP, sequence=frame.sequence_number + 1))
        for _ in range(3):
            caller.answer(p.SubmitSmResp(message_id="7"), frame)
        assert await caller.until_probed() == []

    rig = await play(script, submits=1)
    assert [getattr(outcome, "carrier_message_id", None) for outcome in rig.outcomes[:1]] == ["7"]


@pytest.mark.parametrize("status", [0x22, 0x12345678, 0xFFFFFFFF])
async def test_g2_unknown_statuses_refuse_and_do_not_crash(status):
    async def script(caller: Caller) -> None:
        await caller.accept()
        caller.answer(p.SubmitSmResp(), await caller.frame(), status=status)
        await caller.until_probed()

    rig = await play(script, submits=1)
    assert isinstance(rig.outcomes[0], Refused)


async def test_the_whole_corpus_in_one_life_leaves_no_exception_and_no_open_submit():
    corpus = list(read_corpus().values())
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    tasks = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        tasks.add(task)
        caller = Caller(reader, writer)
        try:
            if (bind := await caller.frame()) is None or not corpus:
                return  # nothing is left to play, and the link may leave
            caller.answer(p.BindTransceiverResp(system_id="mc"), bind)
            writer.write(corpus.pop())
            await writer.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(caller.until_it_leaves(), 0.03)
        finally:
            writer.transport.abort()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    hurry = {"reconnect_min_s": 0.001, "reconnect_max_s": 0.002}
    async with an_honest_carrier(), a_link(server.sockets[0].getsockname()[1], **hurry) as rig:
        submitted = 0
        while corpus:
            if rig.link.ready(CLOCK.monotonic_ns()).wait_ns == 0:
                rig.link.submit(rig.segments("hola")[0], now_ns=CLOCK.monotonic_ns())
                submitted += 1
            await asyncio.sleep(0.005)
        server.close()
        rig.link.abort()
        await rig.until(lambda: len(rig.outcomes) == submitted)
        assert submitted
    if tasks:
        await asyncio.wait(list(tasks), timeout=5)
    assert raised == []
