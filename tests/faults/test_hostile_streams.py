"""Hostile octets at the listening simulator, as a real process (sms-domain H and I), while an honest ESME goes on.

One simulator serves the whole file: its memory, its standard error and the honest session are judged over all streams
together. The other side, our ESME against a hostile message centre, is in `test_hostile_centre`.
"""

import asyncio
import json
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from adapters.smpp.wire import constants as c
from adapters.smpp.wire import pdus as p
from adapters.smpp.wire.codec import encode
from adapters.smpp.wire.framer import Frame, Framer
from tests.perf.fuzz_mutations import ANSWERS, header, read_corpus, reframed, with_sequence

pytestmark = pytest.mark.slow

ANSWER_WITHIN_S = 3.0
RSS_GROWTH_MB = 10
HONEST, HOSTILE = "525512345678", "525512345699"
ROOT = Path(__file__).parent.parent.parent


def a_bind(*, password: str = "secret", system_id: str = "caudal", sequence: int = 1) -> bytes:
    return encode(p.BindTransceiver(system_id=system_id, password=password), sequence_number=sequence)


def a_submit(sequence: int, **fields: Any) -> bytes:
    fields = {"source_addr": "12345", "destination_addr": HOSTILE, "short_message": b"hola"} | fields
    return encode(p.SubmitSm(**fields), sequence_number=sequence)


PROBE = 0x77777777
ENQUIRE = header(c.ENQUIRE_LINK, sequence=PROBE)


class Stranger:
    """A connection that writes what it likes and keeps what it hears."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.heard: list[Frame] = []
        self.is_closed = False
        self._framer = Framer()

    async def read_until(self, is_enough: Any, *, within_s: float = 30.0) -> None:
        """Read until enough was heard or the peer closed."""
        async with asyncio.timeout(within_s):
            while not self.is_closed and not is_enough(self.heard):
                await self._read()

    async def read_to_the_end(self, *, within_s: float = 30.0) -> None:
        """Read until the peer closes."""
        async with asyncio.timeout(within_s):
            while not self.is_closed:
                await self._read()

    async def _read(self) -> None:
        try:
            data = await self.reader.read(1 << 16)
        except ConnectionError:
            data = b""
        self.is_closed = not data
        self.heard += self._framer.feed(data)

    async def is_alive(self) -> bool:
        """Tell whether an enquire_link is answered on this very session."""
        self.writer.write(ENQUIRE)
        await self.read_until(lambda heard: any(one.sequence_number == PROBE for one in heard))
        return not self.is_closed

    def answers(self) -> list[tuple[int, int, int]]:
        """Return (command_id, command_status, sequence_number) of all that was heard, probes left out."""
        return [one[:3] for one in self.heard if one.sequence_number != PROBE]


@asynccontextmanager
async def a_stranger(port: int) -> AsyncIterator[Stranger]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Stranger(reader, writer)
    finally:
        writer.transport.abort()  # `close` would wait for a peer that may read no more
        with suppress(ConnectionError):
            await writer.wait_closed()


class HonestEsme:
    """A bound session that submits fifty times a second and measures how long each answer takes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.worst_s = 0.0
        self.answered = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="honest.esme")

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        async with a_stranger(self._port) as me:
            me.writer.write(a_bind(system_id="honest"))
            await me.read_until(len)
            for sequence in range(2, 1 << 30):
                started = time.monotonic()
                me.writer.write(a_submit(sequence, destination_addr=HONEST))
                me.heard.clear()
                await me.read_until(len)
                assert me.answers() == [(c.SUBMIT_SM_RESP, 0, sequence)]
                self.answered += 1
                self.worst_s = max(self.worst_s, time.monotonic() - started)
                await asyncio.sleep(0.02)


class Simulator:
    """`loadtest smsc` as a process."""

    def __init__(self, process: asyncio.subprocess.Process, facts: dict[str, Any]) -> None:
        self.process = process
        self.port, self.http_port = facts["smpp_port"], facts["http_port"]

    def rss_mb(self) -> float:
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    async def get(self, path: str) -> Any:
        url = f"http://127.0.0.1:{self.http_port}{path}"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            return await response.json()

    async def until_only_the_honest_is_left(self) -> None:
        async with asyncio.timeout(30):
            while (await self.get("/stats"))["connections"] > 1:  # noqa: ASYNC110  # a process has no events
                await asyncio.sleep(0.05)

    async def taken_from_strangers(self) -> list[dict[str, Any]]:
        """Return the segments recorded for the strangers' own destination."""
        page = await self.get("/messages?limit=10000")
        return [row for row in page["messages"] if row["destination"] == HOSTILE]


@asynccontextmanager
async def a_simulator() -> AsyncIterator[Simulator]:
    """Run it; nothing may be on its standard error when it ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "loadtest.cli", "smsc", "--port", "0", "--http-port", "0", "--die-with-parent"),
        *("--system-id", "caudal", "--password", "secret", "--system-id", "honest", "--password", "secret"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read(), name="simulator.stderr")
    try:
        yield Simulator(process, json.loads(await asyncio.wait_for(process.stdout.readline(), 60)))
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)
        assert (await errors).decode() == ""


@asynccontextmanager
async def under_attack() -> AsyncIterator[Simulator]:
    """A simulator with an honest session on it; the honest one is judged at the end."""
    async with a_simulator() as smsc:
        honest = HonestEsme(smsc.port)
        await honest.start()
        try:
            yield smsc
            before = honest.answered
            async with asyncio.timeout(30):
                while honest.answered < before + 5:  # noqa: ASYNC110  # an honest peer has no hooks
                    await asyncio.sleep(0.02)
        finally:
            await honest.stop()
        assert honest.worst_s < ANSWER_WITHIN_S


# -- framing -----------------------------------------------------------------------------------------

LOST = {
    **{
        f"length {length:#x}": header(c.SUBMIT_SM, length=length)
        for length in (*range(16), 66_561, 1 << 20, 0x80000010, 0xFFFFFFFF)
    },
    "4 KiB of zeros": bytes(4096),
    "GET": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS hello": bytes.fromhex("16030102000100"),
    "four octets of 0xFF": b"\xff" * 4,
}


async def one_reaction(smsc: Simulator, name: str, octets: bytes) -> None:
    """I1, I2: one generic_nack 0x02 (or none) and the end, before a bind and behind a good submit."""
    for prefix in (b"", a_bind() + a_submit(2)):
        async with a_stranger(smsc.port) as stranger:
            stranger.writer.write(prefix + octets)
            await stranger.read_to_the_end()
            nack = (c.GENERIC_NACK, c.ESME_RINVCMDLEN, 0)
            expected = [nack]
            if prefix:
                expected = [(c.BIND_TRANSCEIVER_RESP, 0, 1), (c.SUBMIT_SM_RESP, 0, 2), nack]
            assert stranger.answers() == expected, name


async def test_i1_i2_lost_framing_has_one_reaction_and_ends_that_session_only():
    async with under_attack() as smsc:
        await asyncio.gather(*(one_reaction(smsc, name, octets) for name, octets in LOST.items()))
        stats = await smsc.get("/stats")
        assert stats["closes"]["framing_lost"] == 2 * len(LOST)


# -- bodies ------------------------------------------------------------------------------------------

_SUBMIT = a_submit(7)
_ADDRESS_AT = 16 + 1 + 2


def refused_bodies() -> dict[str, tuple[bytes, set[int]]]:
    """Malformed submits with number 7, and the statuses that may answer them."""
    return {
        "no NUL anywhere": (header(c.SUBMIT_SM, length=216, sequence=7, body=b"A" * 200), {0x02}),
        "over-long source": (
            reframed(_SUBMIT[:_ADDRESS_AT] + b"9" * 30 + _SUBMIT[_ADDRESS_AT:]),
            {c.ESME_RINVSRCADR},
        ),
        "non-ASCII source": (_SUBMIT.replace(b"12345\0", b"1\xf3345\0", 1), {c.ESME_RINVSRCADR, 0x01, 0x02}),
        "empty body": (header(c.SUBMIT_SM, sequence=7), {0x02}),
        "sm_length beyond the PDU": (_SUBMIT[:-5] + b"\xc8" + _SUBMIT[-4:], {0x01}),
        "sm_length 255": (reframed(_SUBMIT[:-5] + b"\xff" + bytes(255)), {0x01}),
        "body ends in the middle": (reframed(_SUBMIT[:-9]), {0x01, 0x02}),
        "TLV header cut": (reframed(_SUBMIT + b"\x04\x24\0"), {0xC0, 0xC2}),
        "TLV beyond the PDU": (reframed(_SUBMIT + b"\x04\x24\xff\xffab"), {0xC0, 0xC2}),
        "text and payload": (reframed(_SUBMIT + b"\x04\x24\0\x01a"), {0x01}),
    }


async def one_refusal(smsc: Simulator, name: str, octets: bytes, statuses: set[int]) -> None:
    """I4, I5: an error response with that number, and the session lives."""
    async with a_stranger(smsc.port) as stranger:
        stranger.writer.write(a_bind() + octets)
        await stranger.read_until(lambda heard: len(heard) >= 2)
        (_, (command_id, status, sequence)) = stranger.answers()
        assert (command_id, sequence) == (c.SUBMIT_SM_RESP, 7), name
        assert status in statuses, f"{name}: {c.status_name(status)}"
        stranger.writer.write(a_submit(8))
        await stranger.read_until(lambda heard: len(heard) >= 3)
        assert stranger.answers()[2] == (c.SUBMIT_SM_RESP, 0, 8), name


async def test_i4_i5_a_bad_body_is_refused_by_its_number_and_the_session_lives():
    async with under_attack() as smsc:
        cases = refused_bodies()
        await asyncio.gather(*(one_refusal(smsc, name, *case) for name, case in cases.items()))
        refused = [row for row in await smsc.taken_from_strangers() if row["status"] == "ESME_ROK"]
        assert len(refused) == len(cases)


async def test_i6_a_truncated_submit_before_the_end_of_the_stream_is_never_taken():
    whole = a_submit(2)
    async with under_attack() as smsc:

        async def cut(at: int) -> None:
            async with a_stranger(smsc.port) as stranger:
                stranger.writer.write(a_bind() + whole[:at])
                stranger.writer.write_eof()
                await stranger.read_to_the_end()
                assert stranger.answers() in ([], [(c.BIND_TRANSCEIVER_RESP, 0, 1)])

        await asyncio.gather(*(cut(at) for at in range(len(whole))))
        assert await smsc.taken_from_strangers() == []


async def test_i7_any_segmentation_of_tcp_gives_the_normal_answers():
    stream = a_bind() + a_submit(2) + header(c.ENQUIRE_LINK, sequence=3) + a_submit(4)
    expected = [
        (c.BIND_TRANSCEIVER_RESP, 0, 1),
        (c.SUBMIT_SM_RESP, 0, 2),
        (c.SUBMIT_SM_RESP, 0, 4),
        (c.ENQUIRE_LINK_RESP, 0, 3),
    ]
    ways = [[stream], [stream[at : at + 1] for at in range(len(stream))]]
    ways += [[stream[:at], stream[at:]] for at in range(1, len(stream), 3)]
    async with under_attack() as smsc:

        async def sent(parts: list[bytes]) -> None:
            async with a_stranger(smsc.port) as stranger:
                for part in parts:
                    stranger.writer.write(part)
                    await asyncio.sleep(0.001)
                await stranger.read_until(lambda heard: len(heard) >= 4)
                assert sorted(stranger.answers()) == sorted(expected)

        await asyncio.gather(*(sent(parts) for parts in ways))
        assert len(await smsc.taken_from_strangers()) == 2 * len(ways)


# -- sessions ----------------------------------------------------------------------------------------

FLOOD = 5_000


def floods() -> dict[str, tuple[bytes, int, set[tuple[int, int]]]]:
    """Floods behind a bind: the octets, how many answers they bring, and which (command_id, command_status)."""
    return {
        "unknown commands": (
            b"".join(header(0x42, length=20, sequence=1000 + n, body=b"body") for n in range(FLOOD)),
            FLOOD,
            {(c.GENERIC_NACK, c.ESME_RINVCMDID)},
        ),
        "enquire_link": (
            b"".join(header(c.ENQUIRE_LINK, sequence=1000 + n) for n in range(4 * FLOOD)),
            4 * FLOOD,
            {(c.ENQUIRE_LINK_RESP, 0)},
        ),
        "bind after bind": (
            b"".join(a_bind(sequence=1000 + n) for n in range(FLOOD)),
            FLOOD,
            {(c.BIND_TRANSCEIVER_RESP, c.ESME_RALYBND)},
        ),
        "unsolicited responses": (
            b"".join(encode(answer, sequence_number=1000) for answer in ANSWERS) * 400
            + header(0x80000042, sequence=1000) * 400,
            0,
            set(),
        ),
        "5,000 TLVs": (
            b"".join(reframed(a_submit(1000 + n) + b"\x14\0\0\0" * 5000) for n in range(40)),
            40,
            {(c.SUBMIT_SM_RESP, 0)},
        ),
        "user data headers that lie": (
            b"".join(
                a_submit(1000 + n, esm_class=0x40, short_message=udh)
                for n, udh in enumerate(
                    (b"\xff", b"\x05\0\x09\x01\x01\x01x", b"\x05\0\x03\x01\0\x01", b"", b"\0")
                )
            ),
            5,
            {(c.SUBMIT_SM_RESP, 0)},
        ),
    }


async def test_h6_i3_i8_i10_floods_are_answered_one_by_one_and_the_session_lives():
    async with under_attack() as smsc:

        async def flood(name: str, octets: bytes, count: int, kinds: set[tuple[int, int]]) -> None:
            async with a_stranger(smsc.port) as stranger:
                stranger.writer.write(a_bind())
                await stranger.read_until(len)
                stranger.writer.write(octets)
                await stranger.read_until(lambda heard: len(heard) > count)
                assert await stranger.is_alive(), name
                answers = stranger.answers()[1:]
                assert [sequence for _, _, sequence in answers] == list(range(1000, 1000 + count)), name
                assert {answer[:2] for answer in answers} == kinds, name

        await asyncio.gather(*(flood(name, *case) for name, case in floods().items()))
        await smsc.get("/messages?limit=10000")  # I9: whatever was taken can be shown


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (a_submit(5), (c.SUBMIT_SM_RESP, c.ESME_RINVBNDSTS, 5)),
        (header(c.UNBIND, sequence=5), (c.UNBIND_RESP, c.ESME_RINVBNDSTS, 5)),
        (header(0x42, sequence=5), (c.GENERIC_NACK, c.ESME_RINVCMDID, 5)),
        (a_bind(sequence=5)[:-9], None),
    ],
    ids=["submit", "unbind", "unknown", "half a bind"],
)
async def test_h1_before_a_bind_requests_are_refused_and_the_bind_still_stands(octets, expected):
    async with under_attack() as smsc, a_stranger(smsc.port) as stranger:
        stranger.writer.write(octets)
        if expected is None:
            stranger.writer.write(a_bind(sequence=5)[-9:])
            expected = (c.BIND_TRANSCEIVER_RESP, 0, 5)
        await stranger.read_until(len)
        assert stranger.answers() == [expected]
        assert await stranger.is_alive()


async def test_wrong_credentials_are_refused_and_the_connection_ends():
    cases = [
        (a_bind(password="wrong"), c.ESME_RINVPASWD),
        (a_bind(password=""), c.ESME_RINVPASWD),
        (a_bind(system_id="nobody"), c.ESME_RINVSYSID),
        (a_bind(system_id="caud\xe1l"), c.ESME_RINVSYSID),
    ]
    async with under_attack() as smsc:
        for octets, status in cases * 10:
            async with a_stranger(smsc.port) as stranger:
                stranger.writer.write(octets + a_submit(2))
                await stranger.read_to_the_end()
                assert stranger.answers()[0] == (c.BIND_TRANSCEIVER_RESP, status, 1)
        assert await smsc.taken_from_strangers() == []


async def test_h12_who_does_not_bind_is_sent_away_however_slowly_he_writes():
    async with under_attack() as smsc:

        async def slow(octets: bytes, pause_s: float) -> float:
            started = time.monotonic()
            async with a_stranger(smsc.port) as stranger:

                async def drip() -> None:
                    for at in range(len(octets)):
                        stranger.writer.write(octets[at : at + 1])
                        await asyncio.sleep(pause_s)

                dripping = asyncio.create_task(drip(), name="drip")
                await stranger.read_to_the_end()
                dripping.cancel()
            return time.monotonic() - started

        spent = await asyncio.gather(
            slow(b"", 0),
            slow(a_bind(), 0.3),
            slow(ENQUIRE * 20, 0.05),
            slow(b"\0\0", 1.0),
            slow(bytes(3), 0.1),
        )
        assert all(4 < spent_s < 15 for spent_s in spent), spent


async def fill(stranger: Stranger) -> None:
    """Bind, read no more, and write enquire_links until the simulator reads no more either."""
    stranger.writer.write(a_bind())
    await stranger.read_until(len)
    stranger.writer.transport.pause_reading()
    flood, written = ENQUIRE * 4096, 0
    with suppress(TimeoutError):
        while written < 64 << 20:
            stranger.writer.write(flood)
            await asyncio.wait_for(stranger.writer.drain(), 0.5)
            written += len(flood)
    assert written < 64 << 20, "the simulator goes on reading for one who does not read"


async def test_a_peer_that_stops_reading_is_read_no_more_and_costs_nothing():
    async with under_attack() as smsc:
        rss_mb = smsc.rss_mb()
        async with a_stranger(smsc.port) as one, a_stranger(smsc.port) as other:
            await asyncio.gather(fill(one), fill(other))
            assert smsc.rss_mb() - rss_mb < RSS_GROWTH_MB
        await smsc.until_only_the_honest_is_left()


async def test_a_peer_that_stops_reading_cannot_keep_a_connection_that_the_simulator_ends():
    async with a_simulator() as smsc, a_stranger(smsc.port) as stranger:
        await fill(stranger)
        url = f"http://127.0.0.1:{smsc.http_port}/faults"
        async with aiohttp.ClientSession() as http, http.post(url, json={"unbind": True}) as response:
            assert response.status == 200
        # 5 s for the unbind_resp that never comes, 2 s for the octets that are never read.
        async with asyncio.timeout(30):
            while (await smsc.get("/stats"))["connections"]:  # noqa: ASYNC110  # a process has no events
                await asyncio.sleep(0.1)


async def test_memory_stays_flat_over_hundreds_of_hostile_streams():
    corpus = read_corpus()
    async with under_attack() as smsc:

        async def throw(octets: bytes, *, is_reset: bool) -> None:
            async with a_stranger(smsc.port) as stranger:
                stranger.writer.write(octets)
                if is_reset:
                    sock = stranger.writer.get_extra_info("socket")
                    sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: close with RST
                    return
                stranger.writer.write_eof()
                await stranger.read_to_the_end()

        async def round_of_streams(shift: int) -> None:
            prefixes = (b"", a_bind(), a_bind() + with_sequence(_SUBMIT, 2))
            for at, octets in enumerate(corpus.values()):
                await throw(prefixes[(at + shift) % 3] + octets, is_reset=(at + shift) % 5 == 0)

        await round_of_streams(0)
        before_mb = smsc.rss_mb()
        for shift in range(1, 7):
            await round_of_streams(shift)
        growth_mb = smsc.rss_mb() - before_mb
        assert growth_mb < RSS_GROWTH_MB, f"{growth_mb:.1f} MB over {6 * len(corpus)} streams"
        await smsc.until_only_the_honest_is_left()
