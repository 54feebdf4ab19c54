"""One bound system_id in this process: its sessions, its rate, and its receipts in hand."""

from collections import deque
from typing import Final, Protocol

from adapters.smpp.wire import constants as c
from gateway.policy.admission import MessageAllowance
from gateway.ports.smpp_store import SmppCredential, WaitingReceipt
from gateway.smppd.metrics import ServerMetrics
from gateway.smppd.receipts import receipt_body

FETCH_RECEIPTS: Final = 200
"""Receipts of one system_id in memory besides those in its windows."""
_FETCH_BELOW: Final = FETCH_RECEIPTS // 2
_PAUSE_NS: Final = 1_000_000_000
_MAX_PAUSE_NS: Final = 60_000_000_000
_AGAIN_MS: Final = (1_000, 5_000, 30_000, 60_000, 300_000)
MAX_ATTEMPTS: Final = 20
"""A receipt refused this often is given up: whatever it is, the customer does not want it."""


class Receiver(Protocol):
    """What the queue sees of a session that is bound for receiving."""

    @property
    def free_slots(self) -> int:
        """Receipts that may be sent now."""

    @property
    def takes_tlvs(self) -> bool:
        """False for a peer below version 3.4 (sms-domain E11)."""

    def deliver(self, body: bytes, receipt: WaitingReceipt) -> None:
        """Send one deliver_sm; its end is told to `Receipts`."""


class Receipts:
    """The receipts of one system_id that this process has in hand, in order (sms-domain H14, H15).

    Bounded: at most FETCH_RECEIPTS wait here, and the windows of the receivers are open; all others wait in the
    database. `done` and `again` are what the deliverer has still to write there.
    """

    __slots__ = (
        "_failures",
        "again",
        "done",
        "held_until_ns",
        "is_dirty",
        "open",
        "paused_until_ns",
        "receivers",
        "waiting",
    )

    def __init__(self) -> None:
        self.receivers: deque[Receiver] = deque()
        self.waiting: deque[WaitingReceipt] = deque()
        self.open: dict[int, WaitingReceipt] = {}
        self.done: list[int] = []
        self.again: list[tuple[int, int]] = []
        self.is_dirty = True
        self.held_until_ns = 0
        self.paused_until_ns = 0
        self._failures = 0

    def in_hand(self) -> list[int]:
        """Return the ids that must not be fetched again."""
        return [
            *self.open,
            *(one.id for one in self.waiting),
            *self.done,
            *(one for one, _ in self.again),
        ]

    def is_hungry(self, now_ns: int) -> bool:
        """Tell whether more should be fetched."""
        return (
            self.is_dirty
            and bool(self.receivers)
            and now_ns < self.held_until_ns
            and now_ns >= self.paused_until_ns
            and len(self.waiting) < _FETCH_BELOW
        )

    def pump(self, *, now_ns: int, now_ms: int) -> None:
        """Send what waits, oldest first, while a receiver has room."""
        waiting, receivers = self.waiting, self.receivers
        while waiting and now_ns < self.held_until_ns and now_ns >= self.paused_until_ns:
            for _ in range(len(receivers)):
                if receivers[0].free_slots:
                    break
                receivers.rotate(-1)
            else:
                return
            receipt = waiting.popleft()
            if receipt.expires_at <= now_ms:
                continue  # the purge counts and deletes it
            receiver = receivers[0]
            self.open[receipt.id] = receipt
            receiver.deliver(receipt_body(receipt, with_tlvs=receiver.takes_tlvs), receipt)
            receivers.rotate(-1)

    def acknowledged(self, receipt: WaitingReceipt) -> None:
        """Note that the customer has it; also when it says so late."""
        if self.open.pop(receipt.id, None) is None:
            # Late: it waits for another try, or is on its way again.
            self.waiting = deque(one for one in self.waiting if one.id != receipt.id)
        self._failures = 0
        self.done.append(receipt.id)

    def refused(self, receipt: WaitingReceipt, *, now_ns: int, now_ms: int) -> bool:
        """Put a refused receipt off, others go on after a pause; True when it is given up."""
        if self.open.pop(receipt.id, None) is None:
            return False  # it timed out before: that has put it back already
        self.paused_until_ns = now_ns + _PAUSE_NS
        if receipt.attempts + 1 >= MAX_ATTEMPTS:
            self.done.append(receipt.id)
            return True
        wait_ms = _AGAIN_MS[min(receipt.attempts, len(_AGAIN_MS) - 1)]
        self.again.append((receipt.id, now_ms + wait_ms))
        return False

    def unanswered(self, receipts: list[WaitingReceipt], *, now_ns: int, is_over: bool) -> None:
        """Put receipts without an answer back to the front, in their order.

        A session that ended costs nothing; one that lives and does not answer makes us pause, longer each time.
        """
        back = [one for one in receipts if self.open.pop(one.id, None) is not None]
        self.waiting.extendleft(reversed(back))
        if back and not is_over:
            self.paused_until_ns = now_ns + min(_PAUSE_NS << min(self._failures, 6), _MAX_PAUSE_NS)
            self._failures += 1

    def let_go(self) -> None:
        """Forget what waits here: another process has the drain, or nobody receives. The database has it all."""
        self.waiting.clear()
        self.held_until_ns = 0
        self.is_dirty = True


class Session(Receiver, Protocol):
    """What a customer is made of."""

    @property
    def receives(self) -> bool:
        """True when bound as receiver or transceiver."""

    def leave(self) -> None:
        """Unbind: the credential is gone, or the server stops."""


class Customer:
    """One system_id with sessions in this process."""

    __slots__ = ("_allowance", "credential", "receipts", "sessions")

    def __init__(self, credential: SmppCredential) -> None:
        self.credential = credential
        self.sessions: list[Session] = []
        self.receipts = Receipts()
        self._allowance: MessageAllowance | None = None

    def enter(self, session: Session) -> None:
        """Count a session that is bound."""
        self.sessions.append(session)
        if session.receives:
            self.receipts.receivers.append(session)
            self.receipts.is_dirty = True

    def leave(self, session: Session) -> None:
        """Count a session that has ended."""
        if session in self.sessions:
            self.sessions.remove(session)
        self.stop_receiving(session)

    def stop_receiving(self, session: Session) -> None:
        """Send nothing more over a session."""
        if session in self.receipts.receivers:
            self.receipts.receivers.remove(session)

    def throttle(self, *, now_ns: int, metrics: ServerMetrics | None = None) -> int:
        """Take one submit from the credential's own rate; ESME_RTHROTTLED when it is spent."""
        quota = self.credential.messages_per_second
        if quota is None:
            return c.ESME_ROK
        if self._allowance is None or self._allowance.quota != quota:
            self._allowance = MessageAllowance(quota)
        is_allowed = self._allowance.take(1, now_ns=now_ns).admitted
        if metrics is not None:
            metrics.limited(is_allowed=is_allowed)
        return c.ESME_ROK if is_allowed else c.ESME_RTHROTTLED
