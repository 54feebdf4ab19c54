"""CarrierLink over HTTP: the binds of one carrier as one thing. The rules are in `gateway.ports.links`.

Built by `gateway.runtime.http_carriers` with an `HttpProfile` and a dialect; owned by one dispatch worker. Receipts and
replies come by callbacks to the API, so nothing is inbound here.
"""

import asyncio
import random as _random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from adapters.http.bind import HttpBind
from adapters.http.dialect import HttpDialect
from adapters.http.profile import HttpProfile
from adapters.http.uploads import Uploads
from adapters.http.wire import Wire
from adapters.pace.link import PacedLink, shard_binds
from adapters.pace.pacing import BindPace, limiter
from gateway.domain.message import OutboundSegment
from gateway.ports.clock import Clock
from gateway.ports.links import Inbound, LinkSink
from gateway.ports.media_store import MediaSource
from throttling.rates import Rate


class HttpLink(PacedLink[HttpBind]):
    """Slot pools of one carrier: all, or those of shard `shard` where `shares` workers divide its rate and binds.

    `media` is where files are read that the carrier must have first. Raises ValueError when there is no bind for the
    shard, OSError or ssl.SSLError for unusable files of TLS.
    """

    def __init__(
        self,
        profile: HttpProfile,
        dialect: HttpDialect,
        *,
        clock: Clock,
        media: MediaSource | None = None,
        shares: int = 1,
        shard: int = 0,
        random: Callable[[], float] = _random.random,
    ) -> None:
        super().__init__(
            profile.carrier,
            kind="http",
            clock=clock,
            window_slots=profile.window_slots,
            rebind_limit_s=2 * profile.connect_s
            + profile.send_s
            + profile.answer_s
            + profile.reconnect_min_s,
        )
        self._profile = profile
        self._dialect = dialect
        self._tls = profile.tls.client_context() if profile.tls is not None and profile.is_tls else None
        self._wire: Wire | None = None
        self._open: Wire | None = None  # the same until it is closed
        self._closing: asyncio.Task[None] | None = None
        uploads = Uploads(dialect, media=media, clock=clock)
        carrier_limit = (
            None if profile.rate is None else limiter(profile.rate, burst=profile.burst, shares=shares)
        )
        # The owner of the link keeps this rate over all binds; each knows it as the most it can be asked for.
        top = None if profile.top_rate is None else Rate.parse(profile.top_rate).divided_by(shares)
        for number in shard_binds(profile.bind_count, shares=shares, shard=shard):
            own = None if profile.bind_rate is None else limiter(profile.bind_rate, burst=profile.burst)
            self._binds.append(
                HttpBind(
                    number,
                    profile=profile,
                    dialect=dialect,
                    wire=self._wire_in_use,
                    uploads=uploads,
                    pace=BindPace(carrier=carrier_limit, bind=own, top=top),
                    owner=self,
                    clock=clock,
                    random=random,
                    spawn=self._spawn,
                )
            )

    async def start(self, sink: LinkSink) -> None:
        """Begin connecting; returns at once."""
        if self._wire is None:
            self._wire = self._open = Wire(self._profile, tls=self._tls)
        await super().start(sink)

    def submit(self, segment: OutboundSegment, *, now_ns: int) -> None:
        """Hand one segment to the bind that `ready` found; raises RuntimeError without a GO just before."""
        self._take_chosen().submit(segment, now_ns=now_ns)

    def normalise_id(self, carrier_message_id: str) -> str:
        """Return a submit response's id in the form that receipts are matched in."""
        return self._dialect.normalise_id(carrier_message_id)

    def acknowledge(self, batch: Sequence[Inbound], *, stored: bool) -> None:
        """Do nothing: what carriers bring comes by callbacks, which have answers of their own."""

    async def drain(self, *, deadline_s: float) -> int:
        """Stop submitting, wait for answers, close; return how many stayed without answer."""
        left = await super().drain(deadline_s=deadline_s)
        if self._closing is not None:
            await asyncio.wait([self._closing], timeout=1.0)
        return left

    def abort(self) -> None:
        """Close at once; open submits are settled as Ambiguous, those not yet written as Unsent."""
        super().abort()
        wire, self._open = self._open, None
        if wire is not None:
            wire.abort()
            loop = asyncio.get_running_loop()
            self._closing = loop.create_task(wire.close(), name=f"http.close.{self.carrier}")

    def _wire_in_use(self) -> Wire:
        assert self._wire is not None
        return self._wire

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        return self._own(work, name=f"http.ask.{self.carrier}.{name}")
