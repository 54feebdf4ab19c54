"""The message centre: takes submits, answers in time, and delivers receipts until they are acknowledged.

One `MessageCentre` per process; each connection is an `EsmeSession` that calls it. All delayed answers and receipts
share one timer; everything that falls due for a session in one tick leaves in one write.
"""

import asyncio
import hmac
from collections.abc import Callable
from time import monotonic_ns, time_ns
from typing import Any, Final

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import DataSmResp, SubmitMultiResp, SubmitSm
from loadtest.faults import FaultDesk
from loadtest.rates import ArrivalWatch
from loadtest.smsc import record as columns
from loadtest.smsc.accounts import Account, Receipt, Session, Taken
from loadtest.smsc.behaviour import Verdict
from loadtest.smsc.checks import submit_status
from loadtest.smsc.knobs import SmscKnobs
from loadtest.smsc.operations import Operations
from loadtest.smsc.originated import Originator
from loadtest.smsc.receipt_faults import ReceiptFaults
from loadtest.smsc.receipts import DELIVERED, UNDELIVERABLE, Stamps, receipt_body, receipt_head, wants_receipt
from loadtest.smsc.record import Record
from loadtest.smsc.settings import SmscSettings
from loadtest.smsc.tally import Tally
from loadtest.ticks import TickQueue

# The response of a number ending in 09 waits at least this long, so that its receipt is first.
RECEIPT_FIRST_LEAD_NS: Final = 50_000_000

# A response on its way: session, command_id, sequence_number, command_status, number of the segment, a ready PDU.
_Answer = tuple[Session, int, int, int, int, SubmitMultiResp | None]


class MessageCentre:
    """Everything the sessions share. `clock` is monotonic nanoseconds; the fault switches are public attributes."""

    def __init__(self, settings: SmscSettings, *, clock: Callable[[], int] = monotonic_ns) -> None:
        self.settings = settings
        self.clock = clock
        self.unix_offset_ns = time_ns() - monotonic_ns()
        self.accounts = {
            system_id: Account(system_id, password, index=index, mps=settings.mps)
            for index, (system_id, password) in enumerate(settings.accounts.items())
        }
        # The ids of one start are above those of any start before: a million a second are left for each.
        self.ids = settings.message_ids(first=time_ns() // 1_000)
        self.behaviour = settings.behaviour()
        self.latency = settings.latency_delay()
        self.receipt_delay = settings.receipt_delays()
        self.receipt_faults = ReceiptFaults(seed=settings.seed)
        self.mps = settings.mps
        self.sends_receipts = settings.sends_receipts
        self.holds_receipts = False
        self.refuses_binds_with = 0
        self.answers_submits = True
        self.is_silent = False
        self.refuses = False
        self.slow_reader = 0.0
        self.refuse_connections: Callable[[bool], None] = lambda _: None
        self.sessions: dict[int, Session] = {}
        self.dead: set[Session] = set()
        self._session_count = 0
        self._stamps = Stamps()
        self._answers: TickQueue[_Answer] = TickQueue()
        self._receipts: TickQueue[tuple[Account, Receipt]] = TickQueue()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ns = 0
        self.record = Record(max_segments=settings.record_limit)
        self.record.system_ids = list(self.accounts)
        self.operations = Operations(self)
        self.originator = Originator(self, retry_s=settings.receipt_retry_s)
        self.tally = Tally()
        self._watch_anew()
        self.faults = FaultDesk(
            SmscKnobs(self), settings=settings.faults, timeline=settings.timeline, clock=clock
        )

    def reset(self) -> None:
        """Forget counts and record; connections, pending receipts and faults stay."""
        self.record.reset()
        self.tally = Tally()
        self._watch_anew()
        self.behaviour.forget()

    def _watch_anew(self) -> None:
        self.watch = ArrivalWatch()
        is_alone = len(self.accounts) == 1
        self.watches = {name: self.watch if is_alone else ArrivalWatch() for name in self.accounts}

    # -- sessions --------------------------------------------------------------------------------

    def opened(self, session: Session) -> int:
        """Register a connection and return its number; more than `max_binds` are closed at once."""
        self._session_count += 1
        self.sessions[self._session_count] = session
        return self._session_count

    def bind_status(self, *, system_id: str, password: str) -> int:
        """Return the command_status for these credentials; the password is compared in constant time."""
        if self.refuses_binds_with:
            return self.refuses_binds_with
        account = self.accounts.get(system_id)
        if account is None:
            return c.ESME_RINVSYSID
        if not hmac.compare_digest(account.password.encode("latin-1"), password.encode("latin-1")):
            return c.ESME_RINVPASWD
        if account.session_count >= self.settings.max_binds:
            return c.ESME_RBINDFAIL
        return c.ESME_ROK

    def bound(self, session: Session, account: Account, *, receives: bool) -> None:
        """Note a bind that stands; a receiver gets what was held for it."""
        account.session_count += 1
        if receives:
            account.receivers.append(session)
            self._pump(account, self.clock())

    def closed(self, session: Session) -> None:
        """Forget a connection."""
        self.sessions.pop(session.number, None)
        account = session.account
        if account is not None:
            account.session_count -= 1
            if session in account.receivers:
                account.receivers.remove(session)

    def fall_silent(self, is_silent: bool) -> None:  # noqa: FBT001  # reads as a statement
        """Hang every connection, new ones included, or let them go on."""
        if is_silent == self.is_silent:
            return
        self.is_silent = is_silent
        for session in tuple(self.sessions.values()):
            if is_silent:
                session.hold()
            else:
                session.release()

    def hold_receipts(self, is_held: bool) -> None:  # noqa: FBT001  # reads as a statement
        """Keep receipts back, or send all that piled up at once."""
        self.holds_receipts = is_held
        if not is_held:
            for account in self.accounts.values():
                self._pump(account, self.clock())

    # -- submits ---------------------------------------------------------------------------------

    def submit(
        self,
        session: Session,
        account: Account,
        command_id: int,
        sequence_number: int,
        pdu: SubmitSm,
        now_ns: int,
    ) -> None:
        """Take one segment and queue its answer."""
        status, number, answer_ns = self.take(session, account, pdu, now_ns)
        if not answer_ns:
            # The session core counts what it still has to answer; this it never will.
            session.connection.unacknowledged_count -= 1
            session.ignored_count += 1
            self.tally.unanswered += 1
        elif answer_ns > now_ns:
            self._answers.push(answer_ns, (session, command_id, sequence_number, status, number, None))
        else:
            self._answer(session, command_id, sequence_number, status, number, None)

    def take(
        self, session: Session, account: Account, pdu: SubmitSm, now_ns: int, id_number: int = -1
    ) -> Taken:
        """Decide on one segment, record it, and queue its receipt.

        The receipt carries the id of the segment `id_number`, its own by default.
        """
        status = submit_status(pdu)
        verdict = (
            Verdict(status)
            if status
            else self.behaviour.judge(pdu.destination_addr, limit=account.limit, now_ns=now_ns)
        )
        status, state, is_answered, is_receipt_first = verdict
        if state == DELIVERED and self.receipt_faults.fails():
            state = UNDELIVERABLE
        number = self.record.append(
            pdu, arrival_ns=now_ns, system=account.index, session=session.number, status=status, state=state
        )
        answer_ns = now_ns + self.latency.draw_ns()
        receipt = None
        receipt_ns = now_ns
        if pdu.registered_delivery and state and wants_receipt(pdu.registered_delivery, state):
            stamp = self._stamps.at(now_ns + self.unix_offset_ns)
            of = number if id_number < 0 else id_number
            receipt = Receipt(number, state, receipt_head(pdu), stamp, of, session.number)
            receipt_ns = answer_ns + self.receipt_delay.draw_ns()
            if is_receipt_first or self.receipt_faults.is_first():
                receipt_ns = now_ns
                answer_ns = max(answer_ns, now_ns + RECEIPT_FIRST_LEAD_NS)
        if pdu.schedule_delivery_time and state:
            receipt_ns = max(receipt_ns, self.operations.scheduled_ns(pdu.schedule_delivery_time, now_ns))
            self.operations.schedule(number, receipt_ns, receipt)
        if receipt is not None and self.sends_receipts:
            for due_ns in self.receipt_faults.times(receipt_ns):
                self.push_receipt(due_ns, account, receipt)
        return Taken(status, number, answer_ns if is_answered and self.answers_submits else 0)

    def push_receipt(self, due_ns: int, account: Account, receipt: Receipt) -> None:
        """Queue a receipt; the ones above the limit are counted only."""
        if len(self._receipts) < self.settings.receipt_limit:
            self.record.mark(receipt.number, columns.RECEIPT_DUE)
            self._receipts.push(due_ns, (account, receipt))
        else:
            self.tally.receipts_dropped += 1

    def answer_later(
        self, session: Session, command_id: int, sequence_number: int, taken: Taken, pdu: SubmitMultiResp
    ) -> None:
        """Queue a ready answer for the time of `taken`, or for now."""
        number = max(taken.number, 0)
        self._answers.push(
            taken.answer_ns or self.clock(), (session, command_id, sequence_number, taken.status, number, pdu)
        )

    def _answer(
        self,
        session: Session,
        command_id: int,
        sequence_number: int,
        status: int,
        number: int,
        pdu: SubmitMultiResp | None,
    ) -> None:
        if session.number not in self.sessions:
            return
        connection = session.connection
        if command_id == c.SUBMIT_SM:
            message_id = "" if status else self.ids.in_response(number)
            connection.respond_submit(sequence_number, command_status=status, message_id=message_id)
        elif pdu is not None:
            connection.respond(sequence_number, pdu, command_status=status)
        elif status:
            connection.respond_error(command_id, sequence_number, command_status=status)
        else:
            connection.respond(sequence_number, DataSmResp(message_id=self.ids.in_response(number)))
        self.record.mark(number, columns.ANSWERED)
        self.tally.statuses[status] += 1

    def batch_received(self, session: Session, *, submit_count: int, now_ns: int) -> None:
        """Note the end of one read: windows are counted and timers set once for all its submits."""
        if submit_count and session.account is not None:
            self.tally.submits += submit_count
            own = self.watches[session.account.system_id]
            own.add(now_ns, submit_count)
            if own is not self.watch:
                self.watch.add(now_ns, submit_count)
        if session.account is not None and session.account.held:
            self._pump(session.account, now_ns)
        self._arm(now_ns)

    # -- receipts --------------------------------------------------------------------------------

    def receipt_answered(self, account: Account, receipt: Receipt, *, status: int, is_late: bool) -> None:
        """Note a deliver_sm_resp: 0 ends the receipt, anything else brings it back after a pause."""
        if status == c.ESME_ROK:
            if self.record.mark(receipt.number, columns.RECEIPT_ACKNOWLEDGED):
                self.tally.receipts_acknowledged += 1
            return
        self.tally.receipts_refused += 1
        if not is_late:  # a timed-out one is already in the queue again
            self._receipts.push(self.clock() + int(self.settings.receipt_retry_s * 1e9), (account, receipt))

    def receipts_unanswered(self, account: Account, receipts: list[Receipt]) -> None:
        """Put receipts whose session ended or fell silent back to the front, in their order."""
        self.tally.receipts_requeued += len(receipts)
        account.held.extendleft(reversed(receipts))
        self._pump(account, self.clock())

    def _deliver(self, account: Account, receipt: Receipt, now_ns: int) -> Session | None:
        """Send over the next receiver with a free slot; None when all are full, none is bound, or receipts are held."""
        if self.holds_receipts:
            return None
        session = account.receiver(receipt.session, wanted=self.receipt_faults.receipts_on)
        if session is None:
            return None
        connection = session.connection
        version = connection.peer_interface_version
        body = receipt_body(
            receipt.head,
            message_id=self.ids.in_receipt(receipt.id_number),
            state=receipt.state,
            submitted=receipt.submitted,
            done=self._stamps.at(now_ns + self.unix_offset_ns),
            with_tlvs=version is None or version >= c.INTERFACE_VERSION_3_4,  # sms-domain E11
        )
        connection.send_body(c.DELIVER_SM, body, context=receipt, now_ns=now_ns)
        self.tally.receipts_sent += 1
        self.record.receipt_sent(receipt.number, now_ns)
        return session

    def _pump(self, account: Account, now_ns: int) -> None:
        """Send what is held, oldest first, while a receiver has room."""
        touched = set()
        while account.held:
            session = self._deliver(account, account.held[0], now_ns)
            if session is None:
                break
            account.held.popleft()
            touched.add(session)
        for session in touched:
            session.flush()

    # -- time ------------------------------------------------------------------------------------

    def _arm(self, now_ns: int) -> None:
        due_ns = min(self._answers.next_due_ns or 1 << 62, self._receipts.next_due_ns or 1 << 62)
        if due_ns == 1 << 62:
            return
        if self._timer is not None:
            if self._timer_due_ns <= due_ns:
                return
            self._timer.cancel()
        self._timer_due_ns = due_ns
        delay_s = max(due_ns - now_ns, 0) / 1e9
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now_ns = self.clock()
        touched = set()
        for answer in self._answers.pop_due(now_ns):
            self._answer(*answer)
            touched.add(answer[0])
        cancelled = self.operations.cancelled
        for account, due in self._receipts.pop_due(now_ns):
            receipt: Receipt | None = due
            if cancelled and due.number in cancelled:
                receipt = self.operations.final_receipt(due)
            if receipt is None:
                continue
            if account.held:
                session = None  # others wait already: the order is kept
            else:
                session = self._deliver(account, receipt, now_ns)
            if session is not None:
                touched.add(session)
            elif len(account.held) < self.settings.receipt_limit:
                account.held.append(receipt)
                self.record.mark(receipt.number, columns.FINAL)
            else:
                self.tally.receipts_dropped += 1
        for session in touched:
            session.flush()
        self._arm(now_ns)

    def housekeep(self) -> None:
        """Let every session act on its own deadlines (probes, timeouts); called a few times a second."""
        if self.is_silent:
            return
        now_ns = self.clock()
        for session in tuple(self.sessions.values()):
            deadline_ns = session.connection.next_deadline_ns
            if deadline_ns is not None and deadline_ns <= now_ns:
                session.tick(now_ns)
        self._arm(now_ns)

    def stop(self) -> None:
        """Cancel the timers and drop every connection."""
        self.faults.timeline.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for session in (*self.sessions.values(), *self.dead):
            session.drop()

    def stats(self) -> dict[str, Any]:
        """Return every count, the worst windows and what still waits."""
        waiting = {
            "answers": len(self._answers),
            "receipts_scheduled": len(self._receipts),
            "receipts_held": sum(len(account.held) for account in self.accounts.values()),
        }
        return {
            "now_ns": self.clock(),
            "unix_offset_ns": self.unix_offset_ns,
            **self.tally.report(),
            "originated": self.originator.report(),
            "fallen": {name: chance.fallen for name, chance in self.receipt_faults.shares.items()},
            "waiting": waiting,
            "connections": len(self.sessions),
            "bound": {account.system_id: account.session_count for account in self.accounts.values()},
            "record": self.record.report(),
            "windows": self.watch.report(),
            "windows_by_system_id": {name: watch.report() for name, watch in self.watches.items()},
        }

    def message_id(self, number: int) -> str:
        """Return the id given to a segment."""
        return self.ids.in_response(number)
