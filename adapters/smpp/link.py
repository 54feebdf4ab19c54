"""CarrierLink over SMPP: the binds of one carrier as one thing. The rules are in `gateway.ports.links`.

Built by `gateway.runtime.wiring` with a `CarrierProfile`; owned by one dispatch worker.
"""

import asyncio
import random as _random
from collections.abc import Callable, Sequence

from adapters.pace.link import PacedLink, shard_binds
from adapters.pace.pacing import BindPace, limiter
from adapters.smpp.answers import acknowledge
from adapters.smpp.bind import Bind
from adapters.smpp.bind_work import BindWork
from adapters.smpp.profile import BindMode, CarrierProfile
from adapters.smpp.tapped import Tap
from adapters.smpp.translate import Translator, UntranslatableError
from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import Refusal, Refused
from gateway.ports.clock import Clock
from gateway.ports.links import Inbound
from throttling.rates import Rate


class SmppLink(PacedLink[Bind]):
    """Binds of one carrier: all, or those of shard `shard` where `shares` workers divide its rate and binds.

    `tap` sees every octet of its sessions. Raises ValueError when there is no bind for the shard.
    """

    def __init__(
        self,
        profile: CarrierProfile,
        *,
        clock: Clock,
        shares: int = 1,
        shard: int = 0,
        random: Callable[[], float] = _random.random,
        tap: Tap | None = None,
    ) -> None:
        super().__init__(
            profile.carrier,
            kind="smpp",
            clock=clock,
            window_slots=profile.window_slots,
            # Every part of it has its own deadline: answers, unbind, connection, bind.
            rebind_limit_s=profile.response_timeout_s
            + 2 * profile.unbind_timeout_s
            + profile.connect_timeout_s
            + profile.bind_timeout_s
            + profile.reconnect_min_s,
        )
        self._profile = profile
        self._random = random
        self._tap = tap
        self._translator = Translator(profile)
        self._tls = None if profile.tls is None else profile.tls.client_context()
        self._carrier_limit = (
            None if profile.rate is None else limiter(profile.rate, burst=profile.burst, shares=shares)
        )
        # The owner of the link keeps this rate over all binds; each knows it as the most it can be asked for.
        self._top = None if profile.top_rate is None else Rate.parse(profile.top_rate).divided_by(shares)
        modes = (BindMode.TX, BindMode.RX) if profile.bind_mode is BindMode.TX_RX else (profile.bind_mode,)
        for number in shard_binds(profile.bind_count, shares=shares, shard=shard):
            for mode in modes:
                self._add_bind(number, mode)

    def submit(self, segment: OutboundSegment, *, now_ns: int) -> None:
        """Write one segment on the bind that `ready` found; raises RuntimeError without a GO just before."""
        bind = self._take_chosen()
        try:
            bind.submit(segment, now_ns=now_ns)
        except UntranslatableError:
            # Ours to know, not the carrier's: this dialect cannot say it, another carrier's may.
            outcome = Refused(
                "untranslatable", bind.name, Refusal.PERMANENT, try_other_route=True, alert=True
            )
            asyncio.get_running_loop().call_soon(segment.settle, segment, outcome)
            return

    def normalise_id(self, carrier_message_id: str) -> str:
        """Return a submit response's id in the form that receipts are matched in."""
        return self._translator.submitted_id(carrier_message_id)

    def acknowledge(self, batch: Sequence[Inbound], *, stored: bool) -> None:
        """Answer the carrier: taken for good, or (stored=False) to be sent again later."""
        acknowledge(batch, is_stored=stored)
        self._note_quiet()
        for bind in self._binds:
            if bind.presence.is_leaving:
                bind.leave_if_empty()

    def on_fallback(self, bind: BindWork) -> None:
        """The carrier knows no bind_transceiver: go on as a transmitter with a receiver beside it."""
        bind.become(BindMode.TX)
        self._start_bind(self._add_bind(bind.number, BindMode.RX))
        self.control(self._wish)  # names have changed

    def _add_bind(self, number: int, mode: BindMode) -> Bind:
        profile = self._profile
        bind_limit = None
        if profile.bind_rate is not None and mode is not BindMode.RX:
            bind_limit = limiter(profile.bind_rate, burst=profile.burst)
        bind = Bind(
            number,
            mode,
            profile=profile,
            translator=self._translator,
            pace=BindPace(carrier=self._carrier_limit, bind=bind_limit, top=self._top),
            owner=self,
            clock=self._clock,
            random=self._random,
            tls=self._tls,
            tap=self._tap,
        )
        self._binds.append(bind)
        return bind
