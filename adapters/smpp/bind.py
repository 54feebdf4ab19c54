"""One bind of one carrier: connects, binds, submits, hears, leaves, reconnects. Owned by `link.SmppLink`.

Only connecting and waiting are asynchronous; the work itself is `bind_work`'s.
"""

import asyncio
from dataclasses import replace
from functools import partial

from adapters.smpp.bind_work import BindWork
from adapters.smpp.classify import classify
from adapters.smpp.dial import DialError, dial
from adapters.smpp.profile import BindMode
from adapters.smpp.session.events import (
    BindRefused,
    Bound,
    CloseReason,
)
from adapters.smpp.session.matrix import Role, SessionState
from adapters.smpp.tapped import TappedTransport
from adapters.smpp.transport import SmppTransport
from adapters.smpp.wire import constants as c
from gateway.ports.links import BindState

LEAVE_S = 5.0


class Bind(BindWork):
    """One bind; `run` is its life, the other methods are called by the link from within the loop.

    `name` is what people and labels call it: trx1, tx2, rx2.
    """

    # -- life ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, bind and keep the bind until `stop`; one attempt at a time."""
        try:
            while await self._is_called():
                await self._serve_once()
                if not (self._is_stopping or self._is_expected_back):
                    await self.presence.pause(self._reconnect.next_delay_s())
        finally:
            self.abort()

    async def _is_called(self) -> bool:
        await self.presence.until_wanted()
        return not self._is_stopping

    def unbind(self) -> None:
        """Start the orderly end of the session."""
        if self.transport is not None:
            self.transport.unbind()

    def abort(self) -> None:
        """End the session now; what is open is settled before this returns."""
        if self.transport is not None:
            self.transport.abort()

    def closing(self) -> asyncio.Future[None] | None:
        """Return what is done once the socket is gone, None without a session."""
        return None if self.transport is None else self.transport.closed

    # -- wishes ----------------------------------------------------------------------------------

    def leave_if_empty(self, *, is_late: bool = False) -> None:
        """Go on with `leave`; receipts that are not acknowledged yet are waited for, but not for ever."""
        if not self.presence.is_leaving or self.in_flight:
            return
        if self.unacknowledged_count and not is_late:
            if self._leave_timer is None:
                loop = asyncio.get_running_loop()
                self._leave_timer = loop.call_later(LEAVE_S, lambda: self.leave_if_empty(is_late=True))
            return
        self.unbind()

    def _resize(self, slots: int) -> None:
        if slots == self.window_slots:
            return
        self.window_slots = slots
        self._config = replace(self._config, window_slots=slots, late_slots=max(1000, 4 * slots))
        if self.transport is not None:
            self.transport.connection.resize_window(slots)

    # -- sessions --------------------------------------------------------------------------------

    async def _serve_once(self) -> None:
        self.presence.is_leaving = self._is_expected_back = False
        self._answered_count = 0
        self._change(BindState.CONNECTING)
        try:
            transport = await dial(self._profile, factory=self._make_transport, tls=self._tls)
        except DialError as error:
            self.health.unreachable(self._clock.monotonic_ns())
            self._went_down(error.reason, is_alert=error.is_alert)
        else:
            if transport.connection.state is SessionState.OPEN:  # else the peer was quicker to end it
                self.transport = transport
                transport.connection.send_bind(
                    self._translator.bind_pdu(self.mode), now_ns=self._clock.monotonic_ns()
                )
                transport.flush_soon()
            # The session core bounds this wait: bind timeout first, then enquire_link.
            await transport.closed

    def _make_transport(self) -> SmppTransport:
        make = SmppTransport if self._tap is None else partial(TappedTransport, tap=self._tap)
        return make(
            Role.ESME,
            config=self._config,
            on_events=self._on_events,
            clock_ns=self._clock.monotonic_ns,
            on_writable=self._owner.on_slots,
            max_unacknowledged=self._profile.max_unacknowledged,
        )

    # -- states ----------------------------------------------------------------------------------

    def _bound(self, event: Bound, now_ns: int) -> None:
        version = event.peer_interface_version
        self._allows_tlvs = self._profile.interface_version >= c.INTERFACE_VERSION_3_4 and (
            version is None or version >= c.INTERFACE_VERSION_3_4
        )
        self._stands_bound(now_ns)

    def _refused(self, event: BindRefused, now_ns: int) -> None:
        verdict = classify("bind_resp", event.command_status)
        self.last_error = verdict.name
        falls_back = verdict.status_class == "bind_fallback" and self.mode is BindMode.TRX
        self._reconnect.refused(verdict, command_status=event.command_status, falls_back=falls_back)
        if not falls_back:
            self.health.unreachable(now_ns)
        self._went_down(verdict.name, is_alert=verdict.alert)
        if falls_back:
            self._owner.on_fallback(self)

    def _ended(self, reason: CloseReason, detail: str, now_ns: int) -> None:
        if self._leave_timer is not None:
            self._leave_timer.cancel()
            self._leave_timer = None
        self.presence.stands.clear()
        bound_for_s = None if self._bound_since_ns is None else (now_ns - self._bound_since_ns) / 1e9
        is_ours = reason is CloseReason.UNBOUND and self.presence.is_leaving
        self._is_expected_back = is_ours and self.last_error == ""
        self._note_health(reason, bound_for_s, now_ns)
        transport, self.transport = self.transport, None
        if transport is not None:
            counters = transport.connection.counters
            self.counts.unexpected += counters.unexpected_answers
            self.counts.enquire_links += counters.enquire_links
        if bound_for_s is not None:
            self._reconnect.ended(bound_for_s=bound_for_s)
            self._bound_since_ns = self.bound_since_ms = None
        if self.state is not BindState.DOWN:
            is_planned = self._is_expected_back or (
                self._is_stopping and reason in (CloseReason.UNBOUND, CloseReason.ABORTED)
            )
            if not is_planned:
                self.last_error = detail or reason.value
            is_away = self._is_expected_back and not self.presence.is_wanted
            self._went_down("drained" if is_away else reason.value, keeps_error=True)

    def _note_health(self, reason: CloseReason, bound_for_s: float | None, now_ns: int) -> None:
        if reason is CloseReason.ENQUIRE_LINK_TIMEOUT:
            self.health.silent(now_ns)
        elif bound_for_s is None:
            if reason not in (CloseReason.BIND_REFUSED, CloseReason.ABORTED):
                self.health.unreachable(now_ns)
        elif bound_for_s >= self._profile.stable_after_s:
            self.health.stable()
        elif reason is CloseReason.CONNECTION_LOST and not self._answered_count:
            self.health.unreachable(now_ns)
