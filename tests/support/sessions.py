"""Two session cores wired together in memory, for tests of either role."""

from adapters.smpp.session.connection import Role, SessionConfig, SmppConnection, TimerSettings
from adapters.smpp.session.events import BindRequested, Event
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import encode
from adapters.smpp.wire.framer import Frame, Framer
from adapters.smpp.wire.pdus import BindReceiver, BindTransceiver, BindTransmitter, DeliverSm, SubmitSm

SECOND = 1_000_000_000
BINDS = {
    c.BIND_TRANSMITTER: BindTransmitter,
    c.BIND_RECEIVER: BindReceiver,
    c.BIND_TRANSCEIVER: BindTransceiver,
}
SUBMIT_BODY = encode(
    SubmitSm(
        source_addr_ton=5,
        source_addr="BancoMX",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="525512345678",
        short_message=b"hello",
    ),
    sequence_number=1,
)[16:]
DELIVER_BODY = encode(
    DeliverSm(
        source_addr="525512345678",
        destination_addr="BancoMX",
        esm_class=4,
        short_message=b"id:7 stat:DELIVRD",
    ),
    sequence_number=1,
)[16:]


def frames_of(octets: bytes) -> list[Frame]:
    """Cut the output of a session into frames."""
    return Framer().feed(octets)


def an_endpoint(
    role: Role, *, now_ns: int = 0, window_slots: int = 10, first_sequence: int = 1, **timers: int
):
    """Return one endpoint, OPEN."""
    config = SessionConfig(
        window_slots=window_slots, first_sequence=first_sequence, timers=TimerSettings(**timers)
    )
    return SmppConnection(role, config=config, now_ns=now_ns)


def carry(source: SmppConnection, target: SmppConnection, *, now_ns: int = 0) -> list[Event]:
    """Move everything that waits in `source` into `target`."""
    return target.receive_bytes(source.take_output(), now_ns=now_ns)


def a_bound_pair(bind: int = c.BIND_TRANSCEIVER, *, now_ns: int = 0, **options):
    """Return (esme, mc), bound."""
    esme = an_endpoint(Role.ESME, now_ns=now_ns, **options)
    mc = an_endpoint(Role.MC, now_ns=now_ns, **options)
    esme.send_bind(BINDS[bind](system_id="esme", password="secret"), now_ns=now_ns)
    (request,) = carry(esme, mc, now_ns=now_ns)
    assert isinstance(request, BindRequested)
    mc.accept_bind(request.sequence_number, system_id="mc", now_ns=now_ns)
    carry(mc, esme, now_ns=now_ns)
    return esme, mc
