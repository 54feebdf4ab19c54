"""query_sm, cancel_sm, replace_sm and submit_multi of customers (SMPP 3.4 §4.5, §4.8 to §4.10)."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from adapters.smpp.session.events import RequestReceived
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.fields import SmeAddress, UnsuccessSme
from adapters.smpp.wire.pdus import CancelSm, QuerySm, QuerySmResp, ReplaceSm, SubmitMulti, SubmitMultiResp
from adapters.smpp.wire.times import format_absolute
from gateway.domain.addresses import parse_sender
from gateway.domain.errors import AddressError
from gateway.domain.ids import uuid7_time_ms
from gateway.domain.lifecycle import State
from gateway.ports.clock import Clock
from gateway.ports.ingress_store import MessageView, MessageViews
from gateway.smppd.customers import Customer
from gateway.smppd.desk import SubmitDesk
from gateway.smppd.ids import format_smpp_id, parse_smpp_id
from gateway.smppd.metrics import ServerMetrics
from gateway.smppd.reading import as_single
from gateway.smppd.receipts import message_state_of
from gateway.smppd.session import EsmeSession

MAX_DESTINATIONS: Final = 254  # SMPP 3.4 §5.2.24
_LOOK_AGAIN_S: Final = 0.25
_LOOKS: Final = 4
_FRESH_MS: Final = 10_000
"""The recorder is behind by a blink: a message this young is looked for again before it is said to be unknown."""


class Operations:
    """Answers what is no submit_sm and no data_sm; each counts in its session's window until it is answered."""

    def __init__(
        self,
        *,
        desk: SubmitDesk,
        views: MessageViews,
        clock: Clock,
        metrics: ServerMetrics,
        new_id: Callable[[int], UUID],
    ) -> None:
        self._desk = desk
        self._views = views
        self._clock = clock
        self._metrics = metrics
        self._new_id = new_id

    def requested(self, session: EsmeSession, customer: Customer, event: RequestReceived) -> None:
        """Answer one request, now or later."""
        if session.open_submits > customer.credential.window:
            self._refuse(session, event, c.ESME_RTHROTTLED)
            return
        match event.pdu:
            case QuerySm() as pdu:
                self._desk.spawn(self._query(session, customer, event, pdu), name="smppd.query")
            case SubmitMulti() as pdu:
                self._multi(session, customer, event, pdu)
            case CancelSm():
                self._refuse(session, event, c.ESME_RCANCELFAIL)
            case ReplaceSm():
                self._refuse(session, event, c.ESME_RREPLACEFAIL)
            case _:
                self._refuse(session, event, c.ESME_RINVCMDID)

    def _refuse(self, session: EsmeSession, event: RequestReceived, status: int) -> None:
        session.open_submits -= 1
        session.connection.respond_error(event.command_id, event.sequence_number, command_status=status)
        session.flush_soon()

    def _respond(self, session: EsmeSession, event: RequestReceived, pdu: Any) -> None:
        session.open_submits -= 1
        session.connection.respond(event.sequence_number, pdu)
        session.flush_soon()

    async def _query(
        self, session: EsmeSession, customer: Customer, event: RequestReceived, pdu: QuerySm
    ) -> None:
        try:
            view = await self._find(customer.credential.account.id, pdu)
        except Exception:  # noqa: BLE001 - whatever the database does, the request has its answer
            self._refuse(session, event, c.ESME_RSYSERR)
            return
        if view is None:
            self._refuse(session, event, c.ESME_RQUERYFAIL)
            return
        message_state, error_code = message_state_of(State(view.state))
        final_date = ""
        if view.final_at is not None:
            final_date = format_absolute(datetime.fromtimestamp(view.final_at / 1000, UTC))
        self._respond(session, event, QuerySmResp(pdu.message_id, final_date, message_state, error_code))

    async def _find(self, account_id: str, pdu: QuerySm) -> MessageView | None:
        """Return the account's message if it was sent from this address (empty: from any)."""
        try:
            message_id = parse_smpp_id(pdu.message_id)
        except ValueError:
            return None
        for look in range(_LOOKS):
            view = await self._views.get_message(account_id, message_id)
            if view is not None:
                asked = pdu.source_addr
                return view if not asked or view.sender in (asked, _sender(asked)) else None
            if look + 1 < _LOOKS:
                if self._clock.now_ms() - uuid7_time_ms(message_id) > _FRESH_MS:
                    return None
                await asyncio.sleep(_LOOK_AGAIN_S)
        return None

    def _multi(
        self, session: EsmeSession, customer: Customer, event: RequestReceived, pdu: SubmitMulti
    ) -> None:
        if not 1 <= len(pdu.dest_address) <= MAX_DESTINATIONS:
            self._metrics.submits(Counter([c.ESME_RINVNUMDESTS]))
            self._refuse(session, event, c.ESME_RINVNUMDESTS)
            return
        self._desk.spawn(self._submit_multi(session, customer, event, pdu), name="smppd.multi")

    async def _submit_multi(
        self, session: EsmeSession, customer: Customer, event: RequestReceived, pdu: SubmitMulti
    ) -> None:
        """Take one message for each destination; those not taken are listed, and none taken is a refusal."""
        failed: list[UnsuccessSme] = []
        singles: list[SmeAddress] = []
        now_ns = self._clock.monotonic_ns()
        for address in pdu.dest_address:
            if not isinstance(address, SmeAddress):
                failed.append(
                    UnsuccessSme(0, 0, address.dl_name, c.ESME_RINVDLNAME)
                )  # there are no lists here
            elif status := customer.throttle(now_ns=now_ns, metrics=self._metrics):
                failed.append(UnsuccessSme(*address, status))
            else:
                singles.append(address)
        # One id for all, as the response has room for one; the receipts differ by their addresses.
        told = self._new_id(self._clock.now_ms())
        submits = [
            as_single(pdu, ton=one.dest_addr_ton, npi=one.dest_addr_npi, destination=one.destination_addr)
            for one in singles
        ]
        try:
            statuses = await self._desk.accept(customer, submits, told)
        except Exception:  # noqa: BLE001 - whatever it is, the request has its answer
            statuses = [c.ESME_RSYSERR] * len(singles)
        failed += [
            UnsuccessSme(*address, status)
            for address, status in zip(singles, statuses, strict=True)
            if status
        ]
        self._metrics.submits(Counter([*statuses, *(one.error_status_code for one in failed if not singles)]))
        if c.ESME_ROK in statuses:
            self._respond(session, event, SubmitMultiResp(format_smpp_id(told), tuple(failed)))
        else:
            self._refuse(session, event, failed[0].error_status_code)


def _sender(text: str) -> str:
    """Return a source address as messages have it; the text itself where it is none."""
    try:
        return parse_sender(text).source_addr
    except AddressError:
        return text
