"""What an ESME may ask about messages already sent, and submit_multi: SMPP 3.4 §4.5 and §4.8 to §4.10.

A message is final once its receipt is due, or at once when nobody asked for one; a destination ending in 04 stays
ENROUTE for ever. `schedule_delivery_time` holds the receipt, and so the final state, until its time.
"""

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import (
    CancelSm,
    CancelSmResp,
    Pdu,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    ReplaceSmResp,
    SmeAddress,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    UnsuccessSme,
)
from adapters.smpp.wire.times import format_absolute, parse_time
from loadtest.smsc.accounts import Account, Receipt, Session, Taken
from loadtest.smsc.checks import is_smpp_time, submit_status
from loadtest.smsc.receipts import DELETED, ERROR_BY_STATE, MessageIds, wants_receipt
from loadtest.smsc.record import FINAL, RECEIPT_DUE, RECEIPT_SENT, Record, Segment

MAX_REMEMBERED: Final = 100_000
MAX_DESTINATIONS: Final = 254  # SMPP 3.4 §5.2.24
ENROUTE: Final = c.MESSAGE_STATE_CODES["ENROUTE"]
_SUBMIT_FIELDS: Final = tuple(
    field.name for field in fields(SubmitSm) if field.name in {one.name for one in fields(SubmitMulti)}
)
_V = TypeVar("_V")


class Centre(Protocol):
    """What the operations need of the message centre."""

    record: Record
    ids: MessageIds
    clock: Callable[[], int]
    unix_offset_ns: int

    def take(
        self, session: Session, account: Account, pdu: SubmitSm, now_ns: int, id_number: int = -1
    ) -> Taken:
        """Decide on one segment and record it; `id_number` is the segment whose id its receipt carries."""

    def answer_later(
        self, session: Session, command_id: int, sequence_number: int, taken: Taken, pdu: SubmitMultiResp
    ) -> None:
        """Answer when the time of `taken` has come."""

    def push_receipt(self, due_ns: int, account: Account, receipt: Receipt) -> None:
        """Queue a receipt."""


class Operations:
    """query_sm, cancel_sm, replace_sm and submit_multi of all sessions."""

    __slots__ = ("_centre", "_scheduled", "cancelled")

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._scheduled: dict[int, tuple[int, Receipt | None]] = {}
        self.cancelled: dict[int, None] = {}

    def requested(
        self, session: Session, account: Account, command_id: int, sequence_number: int, pdu: Any, now_ns: int
    ) -> int:
        """Answer one request that is no submit_sm and no data_sm; return how many segments it submitted."""
        connection = session.connection
        answer: Pdu | None
        match pdu:
            case SubmitMulti():
                return self._submit_multi(session, account, sequence_number, pdu, now_ns)
            case QuerySm():
                answer, failure = self._query(account, pdu), c.ESME_RQUERYFAIL
            case CancelSm():
                answer, failure = self._cancel(account, pdu, now_ns), c.ESME_RCANCELFAIL
            case ReplaceSm():
                status = _replace_status(pdu)
                if status:
                    connection.respond_error(command_id, sequence_number, command_status=status)
                    return 0
                answer, failure = self._replace(account, pdu), c.ESME_RREPLACEFAIL
            case _:
                answer, failure = None, c.ESME_RINVCMDID
        if answer is None:
            connection.respond_error(command_id, sequence_number, command_status=failure)
        else:
            connection.respond(sequence_number, answer)
        return 0

    # -- for the centre ------------------------------------------------------------------------------

    def scheduled_ns(self, text: str, now_ns: int) -> int:
        """Return when a schedule_delivery_time comes, on the clock of `now_ns`; `now_ns` for one in the past."""
        when = parse_time(text)
        if isinstance(when, timedelta):
            return now_ns + int(when.total_seconds() * 1e9)
        if isinstance(when, datetime):
            return max(now_ns, int(when.timestamp() * 1e9) - self._centre.unix_offset_ns)
        return now_ns

    def schedule(self, number: int, due_ns: int, receipt: Receipt | None) -> None:
        """Remember that a segment is not final before `due_ns`."""
        _remember(self._scheduled, number, (due_ns, receipt))

    def final_receipt(self, receipt: Receipt) -> Receipt | None:
        """Return what a due receipt has become since its message was cancelled; None if that was told already."""
        if receipt.state == DELETED:
            return receipt
        segment = self._centre.record.segment(receipt.number)
        if (
            segment is None
            or segment.flags & RECEIPT_SENT
            or not wants_receipt(segment.registered_delivery, DELETED)
        ):
            return None
        return receipt._replace(state=DELETED)

    # -- inside --------------------------------------------------------------------------------------

    def _find(self, account: Account, message_id: str, source: str) -> tuple[int, Segment] | None:
        """Return the segment with this id if this account sent it from this address (empty: from any)."""
        number = self._centre.ids.number_of(message_id)
        segment = None if number is None else self._centre.record.segment(number)
        if number is None or segment is None or segment.status or segment.system != account.index:
            return None
        return (number, segment) if source in {"", segment.source} else None

    def _state(self, number: int, segment: Segment) -> int:
        """Return the present message_state of a segment that was taken."""
        if segment.state in {0, DELETED}:
            return segment.state or ENROUTE
        due_ns, _ = self._scheduled.get(number, (0, None))
        if due_ns > self._centre.clock():
            return ENROUTE
        is_pending = segment.flags & RECEIPT_DUE and not segment.flags & (RECEIPT_SENT | FINAL)
        return ENROUTE if is_pending else segment.state

    def _query(self, account: Account, pdu: QuerySm) -> QuerySmResp | None:
        found = self._find(account, pdu.message_id, pdu.source_addr)
        if found is None:
            return None
        number, segment = found
        state = self._state(number, segment)
        final_date = ""
        if state != ENROUTE:
            # The receipt's own moment is not kept: the submit's, or the scheduled one, is near enough.
            final_ns, _ = self._scheduled.get(number, (segment.arrival_ns, None))
            final_s = (final_ns + self._centre.unix_offset_ns) // 1_000_000_000
            final_date = format_absolute(datetime.fromtimestamp(final_s, tz=UTC))
        return QuerySmResp(pdu.message_id, final_date, state, ERROR_BY_STATE.get(state, 0))

    def _cancel(self, account: Account, pdu: CancelSm, now_ns: int) -> CancelSmResp | None:
        """Cancel one message by its id; cancelling all of an address (an empty id) is not sold by this carrier."""
        found = self._find(account, pdu.message_id, pdu.source_addr)
        if found is None:
            return None
        number, segment = found
        if self._state(number, segment) != ENROUTE or pdu.destination_addr not in {"", segment.destination}:
            return None
        self._centre.record.set_state(number, DELETED)
        _remember(self.cancelled, number, None)
        _, receipt = self._scheduled.pop(number, (0, None))
        if receipt is not None and wants_receipt(segment.registered_delivery, DELETED):
            self._centre.push_receipt(now_ns, account, receipt._replace(state=DELETED))
        return CancelSmResp()

    def _replace(self, account: Account, pdu: ReplaceSm) -> ReplaceSmResp | None:
        found = self._find(account, pdu.message_id, pdu.source_addr)
        if found is None or self._state(*found) != ENROUTE:
            return None
        self._centre.record.replace_text(found[0], pdu.short_message)
        return ReplaceSmResp()

    def _submit_multi(
        self, session: Session, account: Account, sequence_number: int, pdu: SubmitMulti, now_ns: int
    ) -> int:
        """Take one segment for each destination; those not taken are listed, and none taken is a refusal."""
        connection, centre = session.connection, self._centre
        values = {name: getattr(pdu, name) for name in _SUBMIT_FIELDS}
        status = submit_status(SubmitSm(**values, destination_addr="0"))
        if not 1 <= len(pdu.dest_address) <= MAX_DESTINATIONS:
            status = c.ESME_RINVNUMDESTS
        if status:
            connection.respond_error(c.SUBMIT_MULTI, sequence_number, command_status=status)
            return 0
        failed: list[UnsuccessSme] = []
        first = Taken(c.ESME_RSUBMITFAIL, -1, now_ns)
        count = 0
        for address in pdu.dest_address:
            if not isinstance(address, SmeAddress):
                # There are no distribution lists here.
                failed.append(UnsuccessSme(0, 0, address.dl_name, c.ESME_RINVDLNAME))
                continue
            submit = SubmitSm(
                **values,
                dest_addr_ton=address.dest_addr_ton,
                dest_addr_npi=address.dest_addr_npi,
                destination_addr=address.destination_addr,
            )
            taken = centre.take(session, account, submit, now_ns, first.number)
            count += 1
            if taken.status:
                failed.append(UnsuccessSme(*address, taken.status))
            elif first.number < 0:
                first = taken
        message_id = "" if first.number < 0 else centre.ids.in_response(first.number)
        response = SubmitMultiResp(message_id, tuple(failed))
        centre.answer_later(session, c.SUBMIT_MULTI, sequence_number, first, response)
        return count


def _remember(memory: dict[int, _V], number: int, value: _V) -> None:
    """Keep a value; the oldest is forgotten when there are too many."""
    if len(memory) >= MAX_REMEMBERED:
        del memory[next(iter(memory))]
    memory[number] = value


def _replace_status(pdu: ReplaceSm) -> int:
    if pdu.schedule_delivery_time and not is_smpp_time(pdu.schedule_delivery_time):
        return c.ESME_RINVSCHED
    if pdu.validity_period and not is_smpp_time(pdu.validity_period):
        return c.ESME_RINVEXPIRY
    return c.ESME_ROK
