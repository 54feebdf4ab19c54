"""A hidden limit, end to end over sockets: the real link against the simulator that answers ESME_RTHROTTLED (G3)."""

import asyncio
from collections import Counter, deque
from itertools import count
from statistics import median
from uuid import uuid4

import pytest

from adapters.smpp.link import SmppLink
from adapters.smpp.profile import CarrierProfile
from gateway.domain.message import Message, MessageClass, OutboundSegment
from gateway.domain.outcomes import Submitted, Throttled
from gateway.domain.segmentation import SegmentPayload
from gateway.ports.clock import SystemClock
from loadtest.smsc.service import running_smsc
from loadtest.smsc.settings import SmscSettings
from throttling.gcra import Gcra
from throttling.governor import Governor
from throttling.rates import Rate

CLOCK = SystemClock()
SETTLE_S, RUN_S = 5, 12


class Lane:
    """Keeps a link as busy as it and the carrier's rate allow; what is throttled goes back to the head."""

    def __init__(self, link: SmppLink, *, rate: str) -> None:
        self.outcomes: deque = deque()
        self.taken_s: deque[float] = deque()
        self._link = link
        self._governor = Governor.of(carrier=Gcra(Rate.parse(rate), slack_ns=12_500_000))
        self._timer: asyncio.TimerHandle | None = None
        self._returned: deque[OutboundSegment] = deque()
        self._numbers = count()
        self._is_due = False

    def wake(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._run)

    def on_ready(self) -> None:
        if self._timer is None:
            self.wake()

    def on_inbound(self, batch) -> None:
        self._link.acknowledge(batch, stored=True)

    def on_late_answer(self, segment, outcome) -> None:
        raise AssertionError("nothing is late here")

    def on_bind_changed(self, event) -> None:
        self.wake()

    def settle(self, segment, outcome) -> None:
        assert type(outcome) in (Submitted, Throttled)
        self.outcomes.append(type(outcome))
        if type(outcome) is Submitted:
            self.taken_s.append(asyncio.get_running_loop().time())
        if type(outcome) is Throttled:
            self._returned.append(segment)
            self.wake()

    def _run(self) -> None:
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while True:
            now_ns = CLOCK.monotonic_ns()
            wait_ns = self._link.ready(now_ns).wait_ns or self._governor.offer(now_ns).wait_ns
            if wait_ns:
                break
            segment = self._returned.popleft() if self._returned else self._segment()
            self._link.submit(segment, now_ns=now_ns)
        if wait_ns > 0:
            delay_s = max(wait_ns / 1e9, 0.002)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._run()

    def _segment(self) -> OutboundSegment:
        now_ms = CLOCK.now_ms()
        message = Message(
            id=uuid4(),
            account_id="acme",
            message_class=MessageClass.MARKETING,
            recipient="525512345678",
            sender="CAUDAL",
            text="hola",
            encoding="gsm7",
            segment_count=1,
            accepted_at=now_ms,
            valid_until=now_ms + 300_000,
            carrier="telco",
        )
        return OutboundSegment(message, 1, 0, SegmentPayload(0, b"", b"hola"), self.settle)


async def shown(*, rate: str, hidden: float, latency: str, bind_count: int = 1) -> dict[str, float]:
    """Run a lane against a hidden limit and return what came of it after the first seconds."""
    settings = SmscSettings(
        mps=hidden, latency=latency, is_magic=False, sends_receipts=False, window_slots=1000, http_port=None
    )
    async with running_smsc(settings) as smsc:
        profile = CarrierProfile(
            carrier="telco",
            host="127.0.0.1",
            port=smsc.smpp_port,
            system_id="caudal",
            password="secret",
            window_slots=100,
            bind_count=bind_count,
            top_rate=rate,
        )
        link = SmppLink(profile, clock=CLOCK)
        lane = Lane(link, rate=rate)
        await link.start(lane)
        await asyncio.sleep(SETTLE_S)
        first, settled_s = len(lane.outcomes), asyncio.get_running_loop().time()
        await asyncio.sleep(RUN_S - SETTLE_S)
        later = list(lane.outcomes)[first:]
        seconds = Counter(int(at_s - settled_s) for at_s in lane.taken_s if at_s > settled_s)
        taken = later.count(Submitted)
        learned = [figures.rate_per_s for figures in link.figures()]
        assert await link.drain(deadline_s=2) == 0
        return {
            "hidden": hidden,
            "taken_per_s": taken / (RUN_S - SETTLE_S),
            "usually_per_s": median(seconds[second] for second in range(RUN_S - SETTLE_S)),
            "waste": 1 - taken / len(later),
            "first_s_throttled": list(lane.outcomes)[:first].count(Throttled),
            "learned_per_s": sum(filter(None, learned)),
        }


@pytest.mark.timeout(60)
async def test_g3_a_hidden_limit_is_found_within_seconds_and_hardly_touched_again():
    runs = await asyncio.gather(
        shown(rate="400/s", hidden=60, latency="20ms"),
        shown(rate="120/s", hidden=90, latency="60ms"),
        shown(rate="200/s", hidden=40, latency="5ms", bind_count=2),
    )
    for run in runs:
        print({name: round(value, 4) for name, value in run.items()})
    for run in runs:
        # What the machine does not give in one second says nothing about the others.
        assert run["usually_per_s"] == pytest.approx(run["hidden"], rel=0.1)
        assert 0.7 * run["hidden"] <= run["taken_per_s"] <= 1.1 * run["hidden"]
        assert run["learned_per_s"] <= 1.3 * run["hidden"]
        assert run["waste"] < 0.02
