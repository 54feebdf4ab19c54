"""Our carrier link as the conformance tests drive it: through the CarrierLink interface, as a dispatch worker would."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from adapters.smpp.link import SmppLink
from adapters.smpp.profile import CarrierProfile
from gateway.domain.message import Message, MessageClass, OutboundSegment
from gateway.domain.outcomes import SubmitOutcome
from gateway.domain.segmentation import segment_text
from gateway.ports.clock import SystemClock
from gateway.ports.links import BindChanged, BindState, Inbound

CLOCK = SystemClock()
PATIENCE_S = 10.0


@dataclass
class LinkRig:
    """A link and everything that it reported; it is its own sink and stores receipts at once."""

    link: SmppLink
    inbound: list[Any] = field(default_factory=list)
    changes: list[BindChanged] = field(default_factory=list)
    outcomes: list[SubmitOutcome] = field(default_factory=list)
    stores: bool = True
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    # -- LinkSink

    def on_ready(self) -> None:
        self._news.set()

    def on_inbound(self, batch: Sequence[Inbound]) -> None:
        self.inbound += [one.item for one in batch]
        self.link.acknowledge(batch, stored=self.stores)
        self._news.set()

    def on_late_answer(self, segment: OutboundSegment, outcome: SubmitOutcome) -> None:
        raise AssertionError(f"late answer {outcome}")

    def on_bind_changed(self, event: BindChanged) -> None:
        self.changes.append(event)
        self._news.set()

    # -- for tests

    async def until(self, condition: Callable[[], Any], *, limit_s: float = PATIENCE_S) -> None:
        """Wait for a condition on what the link reported."""
        try:
            async with asyncio.timeout(limit_s):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pytest.fail(
                f"not within {limit_s} s: {self.link!r}, outcomes {self.outcomes[-3:]}, {self.changes[-5:]}"
            )

    async def bound(self, count: int = 1) -> None:
        """Wait until `count` binds stand."""
        await self.until(lambda: self.states().count(BindState.BOUND) >= count)

    def states(self) -> list[BindState]:
        """Return the present state of every bind."""
        return [figures.state for figures in self.link.figures()]

    def _settle(self, segment: OutboundSegment, outcome: SubmitOutcome) -> None:
        self.outcomes.append(outcome)
        self._news.set()

    def segments(
        self, text: str | bytes, *, sender: str = "BancoMX", **options: Any
    ) -> list[OutboundSegment]:
        """Return the segments of a text as dispatch would build them; `options` are those of `segment_text`."""
        cut = segment_text(text, **options)
        now_ms = CLOCK.now_ms()
        message = Message(
            id=uuid4(),
            account_id="demo",
            message_class=MessageClass.TRANSACTIONAL,
            recipient="525512345678",
            sender=sender,
            text=text if isinstance(text, str) else "",
            encoding=cut.encoding,
            segment_count=cut.segment_count,
            accepted_at=now_ms,
            valid_until=now_ms + 300_000,
            carrier="peer",
        )
        return [
            OutboundSegment(message, number, cut.data_coding, payload, self._settle)
            for number, payload in enumerate(cut.segments, 1)
        ]

    async def submit(self, segments: Sequence[OutboundSegment]) -> list[SubmitOutcome]:
        """Submit in order, as fast as the link lets, and return the outcomes once all are settled."""
        first = len(self.outcomes)
        for segment in segments:
            async with asyncio.timeout(PATIENCE_S):
                while (permit := self.link.ready(CLOCK.monotonic_ns())).wait_ns:
                    self._news.clear()
                    if permit.wait_ns > 0:
                        await asyncio.sleep(permit.wait_ns / 1e9)
                    else:
                        await self._news.wait()
            self.link.submit(segment, now_ns=CLOCK.monotonic_ns())
        await self.until(lambda: len(self.outcomes) >= first + len(segments))
        return self.outcomes[first:]


@asynccontextmanager
async def a_link(port: int, **profile: Any) -> AsyncIterator[LinkRig]:
    """Give a started link to a message centre on this machine, and abort it afterwards."""
    defaults: dict[str, Any] = {
        "system_id": "caudal",
        "password": "demo",
        "reconnect_min_s": 0.02,
        "reconnect_max_s": 0.05,
    }
    link = SmppLink(
        CarrierProfile(carrier="peer", host="127.0.0.1", port=port, **(defaults | profile)), clock=CLOCK
    )
    rig = LinkRig(link)
    await link.start(rig)
    try:
        yield rig
    finally:
        if BindState.DOWN not in rig.states():
            await link.drain(deadline_s=2)
        link.abort()
