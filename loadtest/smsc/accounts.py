"""What the centre, its sessions and its operations hand to each other: sessions, accounts, receipts, taken segments."""

from collections import deque
from typing import NamedTuple, Protocol

from adapters.smpp.session.connection import SmppConnection
from loadtest.rates import HiddenLimit


class Session(Protocol):
    """What the centre sees of a connection."""

    number: int
    connection: SmppConnection
    account: "Account | None"
    ignored_count: int

    def flush(self) -> None:
        """Write what the connection has queued."""

    def drop(self) -> None:
        """Close the TCP connection at once."""

    def unbind(self) -> None:
        """Ask the ESME to leave."""

    def hold(self) -> None:
        """Read no more."""

    def release(self) -> None:
        """Go on where `hold` stopped."""

    def die(self) -> None:
        """Be half open: nothing is read or said any more."""

    def tick(self, now_ns: int) -> None:
        """Act on the deadlines that have come."""


class Receipt(NamedTuple):
    """A receipt on its way: its segment, final state, ready-made addresses, submit date, whose id it has, who submitted."""

    number: int
    state: int
    head: bytes
    submitted: bytes
    id_number: int
    session: int = 0


class Taken(NamedTuple):
    """What was decided on a segment: status, its number in the record, when to answer (0: never)."""

    status: int
    number: int
    answer_ns: int


class Account:
    """One system_id: its sessions that receive, and the receipts that wait for one of them."""

    __slots__ = ("held", "index", "limit", "password", "receivers", "session_count", "system_id")

    def __init__(self, system_id: str, password: str, *, index: int, mps: float | None) -> None:
        self.system_id = system_id
        self.password = password
        self.index = index
        self.limit = HiddenLimit(mps) if mps else None
        self.receivers: deque[Session] = deque()
        self.session_count = 0
        self.held: deque[Receipt] = deque()

    def receiver(self, submitted_by: int, *, wanted: str) -> Session | None:
        """Return a bind with a free slot, put last in the turn; None when there is none.

        `wanted` is `any`, `same` or `other` than session number `submitted_by`; where no such bind stands any will do.
        """
        receivers = self.receivers
        if wanted != "any":
            fitting = [one for one in receivers if (one.number == submitted_by) == (wanted == "same")]
            if fitting:
                return next((one for one in fitting if one.connection.free_slots), None)
        for _ in range(len(receivers)):
            session = receivers[0]
            receivers.rotate(-1)
            if session.connection.free_slots:
                return session
        return None
