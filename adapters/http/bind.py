"""One bind of an HTTP carrier: a pool of slots, and the askers that keep them busy. Owned by `link.HttpLink`.

There is no session: a bind stands while somebody can be connected to, and what requests meet with says how it goes on.
`name` is what people and labels call it: http1, http2.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final

import structlog

from adapters.http.asker import Asker
from adapters.http.dialect import HttpDialect, HttpResponse
from adapters.http.profile import HttpProfile
from adapters.http.uploads import Uploads
from adapters.http.wire import Exchange, ExchangeError, Wire
from adapters.pace.bind import BindOwner, PacedBind
from adapters.pace.pacing import BindPace
from adapters.pace.reconnect import BackOff
from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import (
    Ambiguous,
    Refusal,
    Refused,
    SubmitOutcome,
    Submitted,
    Throttled,
    Unsent,
)
from gateway.ports.clock import Clock
from gateway.ports.links import BindState

_log = structlog.get_logger()

LOGIN_JITTER: Final = 0.2
_BROKEN: Final = frozenset({500, 502, 503, 504})
"""Answers of somebody who cannot do his work: to get nothing but these is trouble, as no answer is."""

Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]


class HttpBind(PacedBind):
    """One bind; `run` is its life, the other methods are called by the link from within the loop."""

    def __init__(
        self,
        number: int,
        *,
        profile: HttpProfile,
        dialect: HttpDialect,
        wire: Callable[[], Wire],
        uploads: Uploads,
        pace: BindPace,
        owner: BindOwner,
        clock: Clock,
        random: Callable[[], float],
        spawn: Spawn,
    ) -> None:
        super().__init__(
            number,
            carrier=profile.carrier,
            limits=profile,
            window_slots=profile.window_slots,
            pace=pace,
            owner=owner,
            clock=clock,
        )
        self.name = f"http{number}"
        self._profile = profile
        self._dialect = dialect
        self._bulk_limit = dialect.bulk_limit
        self._wire = wire
        self._uploads = uploads
        self._random = random
        self._spawn = spawn
        self._back_off = BackOff(
            min_s=profile.reconnect_min_s,
            max_s=profile.reconnect_max_s,
            stable_after_s=profile.stable_after_s,
            random=random,
        )
        self._asked_s = 0.0  # a longer wait than the back-off's, because of what the carrier said
        self._idle: deque[Asker] = deque()
        self._askers: list[Asker] = []
        self._batch: list[OutboundSegment] = []  # the next bulk request, while it waits for more
        self._batch_timer: asyncio.TimerHandle | None = None
        self._open_count = 0
        self._gone: asyncio.Future[None] | None = None
        self._is_expected_back = False

    # -- reading ---------------------------------------------------------------------------------

    @property
    def free_slots(self) -> int:
        """Submits that it would take now."""
        free = self.window_slots - self._open_count
        if free <= 0:
            return 0
        limit, batched = self._bulk_limit, len(self._batch)
        requests = self._most_requests - len(self._askers) + len(self._idle)
        if batched:
            return min(free, limit - batched + max(0, requests - 1) * limit)
        return min(free, max(0, requests) * limit)

    @property
    def in_flight(self) -> int:
        """Submits without an answer."""
        return self._open_count

    @property
    def _most_requests(self) -> int:
        return self._profile.connections or self.window_slots

    # -- life ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look for the carrier and stand while it is there, until `stop`; one attempt at a time."""
        try:
            while await self._is_called():
                await self._serve_once()
                if not (self._is_stopping or self._is_expected_back):
                    asked_s, self._asked_s = self._asked_s, 0.0
                    await self.presence.pause(max(asked_s, self._back_off.next_delay_s()))
        finally:
            self.abort()

    async def _is_called(self) -> bool:
        await self.presence.until_wanted()
        return not self._is_stopping

    async def _serve_once(self) -> None:
        self.presence.is_leaving = self._is_expected_back = False
        self._change(BindState.CONNECTING)
        try:
            await self._wire().reach()
        except ExchangeError as error:
            self.health.unreachable(self._clock.monotonic_ns())
            self._went_down(error.reason, is_alert=error.is_alert)
            return
        gone = self._gone = asyncio.get_running_loop().create_future()
        self._stands_bound(self._clock.monotonic_ns())
        self._call_out(self._owner.on_slots)
        await gone

    def unbind(self) -> None:
        """End the present standing: nothing has to be said to the carrier."""
        if self._gone is not None:
            self._end("unbound", is_ours=True)

    def closing(self) -> "asyncio.Future[None] | None":
        """Return what is done once the bind stands no more, None when it does not."""
        return self._gone

    def abort(self) -> None:
        """End every request now; what is open is settled before this returns."""
        if self._batch_timer is not None:
            self._batch_timer.cancel()
            self._batch_timer = None
        batch, self._batch = self._batch, []
        for segment in batch:
            self._end_segment(segment, Unsent("aborted"))
        for asker in self._askers:
            segments, asker.open = asker.open, ()
            has_left = asker.exchange is not None and asker.exchange.has_left
            for segment in segments:
                if has_left:
                    self.counts.ambiguous += 1
                outcome = Ambiguous("aborted", self.name) if has_left else Unsent("aborted")
                self._end_segment(segment, outcome)
            if asker.task is not None:
                asker.task.cancel()
        self._askers.clear()
        self._idle.clear()
        if self._gone is not None:
            self._end("aborted", is_ours=True)

    def leave_if_empty(self, *, is_late: bool = False) -> None:
        """Go on with `leave` once nothing is in flight."""
        del is_late
        if self.presence.is_leaving and not self._open_count:
            self.unbind()

    def _resize(self, slots: int) -> None:
        self.window_slots = slots

    def _end(self, reason: str, *, is_ours: bool = False, is_alert: bool = False) -> None:
        """End the present standing; requests under way go on."""
        gone, self._gone = self._gone, None
        if gone is None:
            return
        now_ns = self._clock.monotonic_ns()
        self.presence.stands.clear()
        self._is_expected_back = is_ours and self.presence.is_leaving
        bound_for_s = 0.0 if self._bound_since_ns is None else (now_ns - self._bound_since_ns) / 1e9
        self._bound_since_ns = self.bound_since_ms = None
        self._back_off.ended(bound_for_s=bound_for_s)
        if bound_for_s >= self._profile.stable_after_s:
            self.health.stable()
        if not is_ours:
            self.last_error = reason
        is_away = self._is_expected_back and not self.presence.is_wanted
        self._went_down("drained" if is_away else reason, is_alert=is_alert, keeps_error=True)
        if not gone.done():
            gone.set_result(None)

    # -- submitting ------------------------------------------------------------------------------

    def submit(self, segment: OutboundSegment, *, now_ns: int) -> None:
        """Hand one segment to an asker, or to the request that is being gathered."""
        refused = self._dialect.refuses(segment, now_ms=self._clock.now_ms())
        if refused is not None:
            asyncio.get_running_loop().call_soon(self._settle, segment, self._named(refused))
            return
        batch = self._batch
        if self.health.breaker.has_trouble and not batch:
            self.health.breaker.allow(now_ns)
        self.pace.take(now_ns)
        segment.submitted_at_ns = now_ns
        self._open_count += 1
        if self._bulk_limit == 1:
            self._hand_out((segment,))
            return
        batch.append(segment)
        if len(batch) >= self._bulk_limit:
            self._send_batch()
        elif self._batch_timer is None:
            loop = asyncio.get_running_loop()
            self._batch_timer = loop.call_later(self._profile.linger_ms / 1000, self._send_batch)

    def _send_batch(self) -> None:
        if self._batch_timer is not None:
            self._batch_timer.cancel()
            self._batch_timer = None
        batch, self._batch = self._batch, []
        if batch:
            self._hand_out(batch)

    def _hand_out(self, segments: Sequence[OutboundSegment]) -> None:
        if self._idle:
            asker = self._idle.pop()  # the one whose connection was used last
            asker.open = segments
            assert asker.job is not None
            asker.job.set_result(None)
            return
        asker = Asker()
        asker.open = segments
        self._askers.append(asker)
        asker.task = self._spawn(self._ask_on(asker), f"{self.name}.{len(self._askers)}")

    async def _ask_on(self, asker: Asker) -> None:
        """Make requests until cancelled."""
        loop = asyncio.get_running_loop()
        asker.exchange = exchange = self._wire().join()
        while True:
            exchange.rest()
            try:
                await self._ask(asker, exchange)
            except ExchangeError as error:
                self._unanswered(asker, error)
            except Exception as error:  # noqa: BLE001 - a bug of a dialect costs its own segments alone
                self._failed(asker, error)
            asker.job = loop.create_future()
            self._idle.append(asker)
            if self.presence.is_leaving:
                self.leave_if_empty()
            self._call_out(self._owner.on_slots)
            await asker.job

    async def _ask(self, asker: Asker, exchange: Exchange) -> None:
        """Submit what is open; raises ExchangeError without an answer."""
        dialect, clock = self._dialect, self._clock
        for segment in asker.open:
            now_ms = clock.now_ms()
            media_id = dialect.upload(segment, now_ms=now_ms)
            if media_id is not None:
                refused = await self._uploads.bring(media_id, exchange=exchange)
                if refused is not None:
                    asker.open = [one for one in asker.open if one is not segment]
                    self.pace.ended(clock.monotonic_ns(), sent_ns=segment.submitted_at_ns)
                    self._end_segment(segment, self._named(refused))
        segments = asker.open
        if not segments:
            self.health.lost(clock.monotonic_ns())
            return
        asker.begun_ns = clock.monotonic_ns()
        request = dialect.request(segments, now_ms=clock.now_ms())
        self._answered(asker, await exchange.wire.ask(exchange, request))

    # -- answers ---------------------------------------------------------------------------------

    def _answered(self, asker: Asker, response: HttpResponse) -> None:
        now_ns = self._clock.monotonic_ns()
        segments, asker.open = asker.open, ()
        outcomes = self._outcomes(response, segments, (now_ns - asker.begun_ns) // 1_000_000)
        kinds = {type(outcome) for outcome in outcomes}
        if Unsent in kinds:
            self._refused_login(outcomes, now_ns)
        elif response.status in _BROKEN and not kinds & {Submitted, Throttled}:
            self.health.faulty(now_ns, sent_ns=asker.begun_ns)
        elif self.health.answered(now_ns, sent_ns=asker.begun_ns):
            self.pace.ramp(now_ns)
        for segment, outcome in zip(segments, outcomes, strict=True):
            sent_ns = segment.submitted_at_ns
            if type(outcome) is Submitted:
                self._note_taken(now_ns, sent_ns=sent_ns)
            elif type(outcome) is Throttled:
                self._note_throttled(
                    segment, now_ns, sent_ns=sent_ns, retry_after_ms=outcome.retry_after_ms or 0
                )
            else:
                self.counts.ambiguous += type(outcome) is Ambiguous
                self.pace.ended(now_ns, sent_ns=sent_ns)
            self._end_segment(segment, outcome)

    def _outcomes(
        self, response: HttpResponse, segments: Sequence[OutboundSegment], response_ms: int
    ) -> list[SubmitOutcome]:
        try:
            outcomes = self._dialect.outcomes(response, segments, bind=self.name, response_ms=response_ms)
        except Exception as error:  # noqa: BLE001 - as above; the carrier may have taken them
            self._log_failure(error)
            outcomes = []
        missing = len(segments) - len(outcomes)
        return outcomes[: len(segments)] + [Ambiguous("bad_answer", self.name)] * missing

    def _refused_login(self, outcomes: Sequence[SubmitOutcome], now_ns: int) -> None:
        """The carrier does not know us: leave it alone for a while, and then ask with a few at first."""
        reason = next(outcome.reason for outcome in outcomes if isinstance(outcome, Unsent))
        self.health.shut(now_ns)
        self._asked_s = self._profile.refused_login_s * (1 + LOGIN_JITTER * self._random())
        self._end(reason, is_alert=True)

    def _unanswered(self, asker: Asker, error: ExchangeError) -> None:
        now_ns = self._clock.monotonic_ns()
        segments, asker.open = asker.open, ()
        outcome: SubmitOutcome
        if error.has_left:
            outcome = Ambiguous(error.reason, self.name)
            self.counts.ambiguous += len(segments)
            is_timeout = error.reason.endswith("timeout")
            if is_timeout:
                self.counts.timeouts += len(segments)
            if is_timeout or not error.is_reused:
                self.health.timed_out(now_ns, sent_ns=asker.begun_ns)
            else:  # an old connection that the carrier closed at that moment tells nothing of its health
                self.health.lost(now_ns)
        else:
            outcome = Unsent(error.reason)
            if error.is_unreachable:
                self.health.unreachable(now_ns)
                self._end(error.reason, is_alert=error.is_alert)
            else:
                self.health.lost(now_ns)
        self._end_all(segments, outcome, now_ns)

    def _failed(self, asker: Asker, error: Exception) -> None:
        """End what a bug of ours has left open."""
        self._log_failure(error)
        now_ns = self._clock.monotonic_ns()
        segments, asker.open = asker.open, ()
        self.health.lost(now_ns)
        outcome: SubmitOutcome
        if asker.exchange is not None and asker.exchange.has_left:
            self.counts.ambiguous += len(segments)
            outcome = Ambiguous("bad_answer", self.name)
        else:
            # Ours to know, not the carrier's: this dialect cannot say it, another carrier's may.
            outcome = Refused(
                "untranslatable", self.name, Refusal.PERMANENT, try_other_route=True, alert=True
            )
        self._end_all(segments, outcome, now_ns)

    def _end_all(self, segments: Sequence[OutboundSegment], outcome: SubmitOutcome, now_ns: int) -> None:
        for segment in segments:
            self.pace.ended(now_ns, sent_ns=segment.submitted_at_ns)
            self._end_segment(segment, outcome)

    def _end_segment(self, segment: OutboundSegment, outcome: SubmitOutcome) -> None:
        self._open_count -= 1
        if type(outcome) is Ambiguous and not outcome.reference:
            outcome = Ambiguous(outcome.reason, outcome.bind, self._dialect.reference(segment))
        self._settle(segment, outcome)

    def _named(self, outcome: SubmitOutcome) -> SubmitOutcome:
        """Return an outcome that a dialect gave before there was a bind to name."""
        if isinstance(outcome, Refused) and not outcome.bind:
            return replace(outcome, bind=self.name)
        return outcome

    def _log_failure(self, error: Exception) -> None:
        # Its text may hold what the message says.
        _log.error("link.dialect_failed", carrier=self._carrier, bind=self.name, error=type(error).__name__)
