"""SmppTransport on a recording asyncio transport and on real sockets: batching, flow control, endings."""

import asyncio
import socket
import ssl
import subprocess
import time

import pytest
import uvloop

from adapters.smpp.session.connection import Role, SessionConfig, TimerSettings
from adapters.smpp.session.events import (
    BindRequested,
    Bound,
    Closed,
    CloseReason,
    RequestReceived,
    Unanswered,
)
from adapters.smpp.transport import SmppTransport, connect
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import encode
from adapters.smpp.wire.pdus import BindTransceiver, BindTransceiverResp
from adapters.tls import TlsSettings
from tests.support.sessions import DELIVER_BODY, SUBMIT_BODY, frames_of

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the:pytest.PytestDeprecationWarning")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request):
    """Run every test on both loops: the product uses uvloop."""
    return request.param()


class Recorder(asyncio.Transport):
    """An asyncio transport that keeps what is asked of it."""

    def __init__(self):
        super().__init__({"socket": None})
        self.writes = []
        self.calls = []
        self._closing = False

    def write(self, data):
        self.writes.append(bytes(data))

    def set_write_buffer_limits(self, high=None, low=None):
        self.calls.append("limits")

    def pause_reading(self):
        self.calls.append("pause")

    def resume_reading(self):
        self.calls.append("resume")

    def is_closing(self):
        return self._closing

    def close(self):
        self._closing = True
        self.calls.append("close")

    def abort(self):
        self._closing = True
        self.calls.append("abort")


class Ends:
    """One transport with its recorder and all its events."""

    def __init__(self, role=Role.ESME, *, max_unacknowledged=5000, **timers):
        self.events = []
        self.writable = 0
        self.now_ns = 0
        self.transport = SmppTransport(
            role,
            config=SessionConfig(window_slots=100, timers=TimerSettings(**timers)),
            on_events=self.events.extend,
            clock_ns=lambda: self.now_ns,
            on_writable=self.note_writable,
            max_unacknowledged=max_unacknowledged,
        )
        self.recorder = Recorder()
        self.transport.connection_made(self.recorder)

    def note_writable(self):
        self.writable += 1

    async def bind(self):
        """Bring the ESME into BOUND_TRX."""
        self.transport.connection.send_bind(BindTransceiver(system_id="e"), now_ns=0)
        self.transport.flush_soon()
        await asyncio.sleep(0)
        self.transport.data_received(encode(BindTransceiverResp(), sequence_number=1))
        assert isinstance(self.events[-1], Bound)
        self.recorder.writes.clear()
        return self


def deliver(number):
    size = (16 + len(DELIVER_BODY)).to_bytes(4, "big")
    return size + c.DELIVER_SM.to_bytes(4, "big") + bytes(4) + number.to_bytes(4, "big") + DELIVER_BODY


def submit(ends, context="x"):
    ends.transport.connection.send_body(c.SUBMIT_SM, SUBMIT_BODY, context=context, now_ns=0)
    ends.transport.flush_soon()


async def test_the_pdus_of_one_loop_turn_leave_in_one_write():
    ends = await Ends().bind()
    for _ in range(10):
        submit(ends)
    assert ends.recorder.writes == []
    await asyncio.sleep(0)
    assert [len(frames_of(write)) for write in ends.recorder.writes] == [10]


async def test_a_peer_that_does_not_read_stops_output_and_input_until_it_reads_again():
    ends = await Ends().bind()
    ends.transport.pause_writing()
    assert ends.transport.free_slots == 0
    submit(ends)
    await asyncio.sleep(0)
    assert ends.recorder.writes == []
    assert ends.recorder.calls[-1] == "pause"
    ends.transport.resume_writing()
    await asyncio.sleep(0)
    assert len(ends.recorder.writes) == 1
    assert ends.recorder.calls[-1] == "resume"
    assert ends.writable == 1
    assert ends.transport.free_slots == 99


async def test_what_waits_behind_a_stopped_write_has_not_left_the_process():
    ends = await Ends().bind()
    ends.transport.pause_writing()
    submit(ends)
    await asyncio.sleep(0)
    ends.transport.connection_lost(None)
    unanswered, closed = ends.events[-2:]
    assert isinstance(unanswered, Unanswered)
    assert not unanswered.left_process
    assert closed == Closed(CloseReason.CONNECTION_LOST)
    assert ends.transport.closed.done()


async def test_reading_stops_at_the_bound_of_unacknowledged_requests_and_resumes_at_half():
    ends = await Ends(max_unacknowledged=4).bind()
    ends.transport.data_received(b"".join(deliver(number) for number in range(1, 6)))
    assert ends.recorder.calls[-1] == "pause"
    requests = [event for event in ends.events if isinstance(event, RequestReceived)]
    for request in requests[:2]:
        ends.transport.connection.respond_deliver(request.sequence_number)
    ends.transport.flush_soon()
    await asyncio.sleep(0)
    assert ends.recorder.calls[-1] == "pause"
    ends.transport.connection.respond_deliver(requests[2].sequence_number)
    ends.transport.flush_soon()
    await asyncio.sleep(0)
    assert ends.recorder.calls[-1] == "resume"


async def test_a_peer_that_we_do_not_read_is_not_taken_for_dead():
    ends = await Ends(
        max_unacknowledged=1, enquire_link_ns=10_000_000, enquire_link_response_ns=10_000_000
    ).bind()
    ends.transport.data_received(deliver(1))
    for _ in range(5):
        ends.now_ns += 20_000_000
        ends.transport._tick()
    assert not any(isinstance(event, Closed) for event in ends.events)


async def test_the_timer_fires_by_itself():
    ends = Ends(Role.MC, session_init_ns=10_000_000)
    ends.now_ns = 10_000_000
    await asyncio.sleep(0.03)
    assert ends.events == [Closed(CloseReason.SESSION_INIT_TIMEOUT)]
    assert ends.recorder.calls[-1] == "close"
    ends.transport.connection_lost(None)


async def test_lost_framing_writes_its_one_reaction_before_it_closes():
    ends = await Ends().bind()
    ends.transport.data_received(bytes(64))
    assert [frame.command_id for frame in frames_of(b"".join(ends.recorder.writes))] == [c.GENERIC_NACK]
    assert ends.recorder.calls[-1] == "close"
    ends.transport.data_received(bytes(64))
    await asyncio.sleep(0)
    assert len(ends.recorder.writes) == 1
    ends.transport.connection_lost(None)


async def test_abort_reports_before_it_returns():
    ends = await Ends().bind()
    submit(ends)
    ends.transport.abort()
    assert ends.events[-1] == Closed(CloseReason.ABORTED)
    assert "abort" in ends.recorder.calls
    ends.transport.connection_lost(None)
    ends.transport.abort()


# -- real sockets ----------------------------------------------------------------------------------


def a_server(accepted, ssl_context=None):
    def factory():
        def on_events(events):
            for event in events:
                if isinstance(event, BindRequested):
                    transport.connection.accept_bind(event.sequence_number, system_id="mc", now_ns=0)
                    transport.flush_soon()

        transport = SmppTransport(
            Role.MC, config=SessionConfig(), on_events=on_events, clock_ns=time.monotonic_ns
        )
        accepted.append(transport)
        return transport

    return asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=ssl_context)


def a_client(events):
    return SmppTransport(
        Role.ESME, config=SessionConfig(), on_events=events.extend, clock_ns=time.monotonic_ns
    )


async def closed(*transports):
    for transport in transports:
        transport.abort()
        await asyncio.wait_for(transport.closed, 30)


async def test_both_ends_of_a_connection_have_nodelay():
    accepted, events = [], []
    server = await a_server(accepted)
    client = await connect(
        "127.0.0.1", server.sockets[0].getsockname()[1], factory=lambda: a_client(events), timeout_s=30
    )
    async with asyncio.timeout(30):
        while not accepted or accepted[0]._transport is None:  # noqa: ASYNC110 - it has no event for it
            await asyncio.sleep(0.001)
    for transport in (client, accepted[0]):
        sock = transport._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    await closed(client, accepted[0])
    server.close()


async def test_connecting_has_a_deadline():
    with socket.socket() as blackhole:
        blackhole.bind(("127.0.0.1", 0))
        blackhole.listen(0)
        fillers = []
        for _ in range(4):  # a full accept queue answers no more SYN
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(blackhole.getsockname())
            fillers.append(filler)
        with pytest.raises(OSError):
            await connect(
                "127.0.0.1", blackhole.getsockname()[1], factory=lambda: a_client([]), timeout_s=0.1
            )
        for filler in fillers:
            filler.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "1",
                "-subj",
                "/CN=localhost",
            ),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


async def test_tls_verifies_the_peer_and_binds(certificate):
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    accepted, events = [], []
    server = await a_server(accepted, server_context)
    port = server.sockets[0].getsockname()[1]
    tls = TlsSettings(ca_file=str(certificate / "cert.pem")).client_context()
    client = await connect(
        "127.0.0.1",
        port,
        factory=lambda: a_client(events),
        timeout_s=30,
        tls=tls,
        server_hostname="localhost",
    )
    bound = asyncio.Event()
    client._on_events = lambda heard: (events.extend(heard), bound.set())
    client.connection.send_bind(BindTransceiver(system_id="e"), now_ns=time.monotonic_ns())
    client.flush_soon()
    await asyncio.wait_for(bound.wait(), 30)
    assert isinstance(events[0], Bound)
    await closed(client, accepted[0])
    with pytest.raises(ssl.SSLError):
        await connect(
            "127.0.0.1", port, factory=lambda: a_client([]), timeout_s=30, tls=TlsSettings().client_context()
        )
    server.close()
