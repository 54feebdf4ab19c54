"""A CarrierLink without a network, honest to the numbered rules of `gateway.ports.links`.

Every submit is answered from the event loop, never from inside `submit` (rule 1), at most `window` are open (rule 3),
and `drain` settles what stayed open as Ambiguous (rule 6). `script` decides the outcome of each submit; None holds
the answer back until `answer_held` or `abort`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count

from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import Ambiguous, Refusal, Refused, SubmitOutcome, Submitted, Throttled
from gateway.ports.links import (
    GO,
    WAIT_FOR_EVENT,
    BindChanged,
    BindFigures,
    BindState,
    Inbound,
    LinkSink,
    LinkWish,
    Permit,
)

Script = Callable[[OutboundSegment], SubmitOutcome | None]


def accepted(number: int = 1) -> Submitted:
    return Submitted(f"0{number:X}", "trx-1", number, 5)


def refused(status: str = "ESME_RINVDSTADR", refusal: Refusal = Refusal.PERMANENT, **more: bool) -> Refused:
    return Refused(status, "trx-1", refusal, **more)


THROTTLED = Throttled("ESME_RTHROTTLED", "trx-1")
AMBIGUOUS = Ambiguous("timeout", "trx-1")
QUEUE_FULL = refused("ESME_RMSGQFUL", Refusal.RETRY_LATER)


class FakeLink:
    """A carrier that does what its script says."""

    def __init__(self, *, carrier: str = "alpha", window: int = 10, is_up: bool = True) -> None:
        self.carrier = carrier
        self.window = window
        self.is_up = is_up
        self.script: Script = lambda segment: self.accept()
        self.written: list[OutboundSegment] = []
        self.written_ns: list[int] = []
        self.most_in_flight = 0
        self.acknowledged: list[tuple[Inbound, bool]] = []
        self.is_drained = False
        self.is_aborted = False
        self.keep_written = True
        self.wish = LinkWish()
        self.wishes: list[LinkWish] = []
        self.reconnected: list[str] = []
        self._numbers = count(1)
        self._open: dict[int, OutboundSegment] = {}
        self._answers: deque[tuple[int, SubmitOutcome]] = deque()
        self._is_answering = False
        self._granted = False
        self._sink: LinkSink | None = None

    def accept(self) -> Submitted:
        """The next unused message id, with the leading zero that `normalise_id` takes off."""
        return accepted(next(self._numbers))

    @property
    def in_flight(self) -> int:
        return len(self._open)

    @property
    def held(self) -> list[OutboundSegment]:
        """Submits whose answer the script holds back."""
        answered = {key for key, _ in self._answers}
        return [segment for key, segment in self._open.items() if key not in answered]

    async def start(self, sink: LinkSink) -> None:
        self._sink = sink
        self._tell(BindState.BOUND if self.is_up else BindState.CONNECTING)

    def go_up(self) -> None:
        self.is_up = True
        self._tell(BindState.BOUND)

    def go_down(self) -> None:
        """The connection is lost: what is open is in doubt."""
        self.is_up = False
        for segment in self.held:
            self._answer(segment, Ambiguous("connection_lost", "trx-1"))
        self._tell(BindState.DOWN)

    def ready(self, now_ns: int) -> Permit:
        self._granted = False
        if self.is_drained or not self.is_up:
            return Permit(WAIT_FOR_EVENT, "no_bind")
        if self._is_stopped:
            return Permit(WAIT_FOR_EVENT, "drained" if self.wish.is_drained else "paused")
        if len(self._open) >= (self.wish.window_slots or self.window):
            return Permit(WAIT_FOR_EVENT, "window_full")
        self._granted = True
        return GO

    def submit(self, segment: OutboundSegment, *, now_ns: int) -> None:
        assert self._granted, "submit without a GO from ready"
        self._granted = False
        segment.submitted_at_ns = now_ns
        if self.keep_written:
            self.written.append(segment)
            self.written_ns.append(now_ns)
        self._open[id(segment)] = segment
        self.most_in_flight = max(self.most_in_flight, len(self._open))
        outcome = self.script(segment)
        if outcome is not None:
            self._answer(segment, outcome)

    def answer_held(self, outcome: SubmitOutcome) -> None:
        """Answer the oldest submit that is held back."""
        self._answer(self.held[0], outcome)

    def _answer(self, segment: OutboundSegment, outcome: SubmitOutcome) -> None:
        self._answers.append((id(segment), outcome))
        if not self._is_answering:
            self._is_answering = True
            asyncio.get_running_loop().call_soon(self._settle_answers)

    def _settle_answers(self) -> None:
        self._is_answering = False
        answers = self._answers
        for _ in range(len(answers)):
            key, outcome = answers.popleft()
            segment = self._open.pop(key)
            segment.settle(segment, outcome)
        if not self.is_drained and self._sink is not None:
            self._sink.on_ready()

    def receive(self, *items: Inbound) -> None:
        """The carrier sends receipts or MO."""
        assert self._sink is not None
        self._sink.on_inbound(items)

    def answer_late(self, segment: OutboundSegment, outcome: Submitted) -> None:
        """An answer comes for a submit that was settled as Ambiguous before."""
        assert self._sink is not None
        self._sink.on_late_answer(segment, outcome)

    def normalise_id(self, carrier_message_id: str) -> str:
        return carrier_message_id.lstrip("0").lower()

    def acknowledge(self, batch: Sequence[Inbound], *, stored: bool) -> None:
        self.acknowledged += [(item, stored) for item in batch]

    def figures(self) -> tuple[BindFigures, ...]:
        state = BindState.BOUND if self.is_up else BindState.DOWN
        if self.is_up and self._is_stopped:
            state = BindState.DOWN if self.wish.is_drained else BindState.PAUSED
        return (BindFigures("trx-1", state, len(self._open), self.window, 0, 0, 0, 0, 0, None, ""),)

    def control(self, wish: LinkWish) -> None:
        """Rule 11, every call kept in `wishes`; a paused or drained link is not ready."""
        self.wishes.append(wish)
        was_stopped = self._is_stopped
        self.wish = wish
        if wish.is_drained and self.is_up:
            self._tell(BindState.DOWN)
        elif self._is_stopped and self.is_up:
            self._tell(BindState.PAUSED)
        elif was_stopped and self.is_up:
            self._tell(BindState.BOUND)

    def reconnect(self, bind: str = "") -> None:
        self.reconnected.append(bind)

    @property
    def _is_stopped(self) -> bool:
        return self.wish.is_paused or self.wish.is_drained or "trx-1" in self.wish.paused_binds

    async def drain(self, *, deadline_s: float) -> int:
        self.is_drained = True
        try:
            async with asyncio.timeout(deadline_s):
                while self._open:  # noqa: ASYNC110 - a fake
                    await asyncio.sleep(0.001)
        except TimeoutError:
            pass
        unanswered = len(self._open)
        self.abort()
        return unanswered

    def abort(self) -> None:
        self.is_drained = self.is_aborted = True
        self._answers.clear()
        opened, self._open = self._open, {}
        for segment in opened.values():
            segment.settle(segment, Ambiguous("link_closed", "trx-1"))

    def _tell(self, state: BindState) -> None:
        if self._sink is not None:
            self._sink.on_bind_changed(BindChanged(self.carrier, "trx-1", state))
            self._sink.on_ready()
