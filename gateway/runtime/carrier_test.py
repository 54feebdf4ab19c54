"""`caudal carriers test`: one message straight to a carrier, from the settings alone, and all that was said over it.

Nothing of a running gateway is touched: no queue, no database. The link, the dialect and what follows an answer are those
of dispatch. What is shown has secrets and numbers masked.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any, Final

from adapters.http.link import HttpLink
from adapters.http.shown import masked_numbers
from adapters.smpp.link import SmppLink
from adapters.smpp.profile import BindMode
from gateway.domain.addresses import Recipient
from gateway.domain.message import Channel, Message, MessageClass, OutboundSegment, RichContent
from gateway.domain.outcomes import Ambiguous, SubmitOutcome, Submitted, Unsent
from gateway.intake.numbers import parse_recipient
from gateway.policy.retry import Step, next_step
from gateway.ports.clock import Clock, SystemClock
from gateway.ports.links import BindChanged, BindState, CarrierLink, Inbound
from gateway.runtime.carrier_trace import PduTap, Trace, TracedDialect, phases
from gateway.runtime.carriers import carrier_profile, http_words, retry_policy, segmentation_options
from gateway.runtime.ids import new_id_source
from gateway.settings import AnyCarrier, CarrierSettings, Settings, SettingsError

VALID_MS: Final = 3_600_000
_DRAIN_S: Final = 5.0
_PATIENCE_S: Final = 3.0
"""How long a second try of the link is waited for after the first one failed."""

_NUMBER_CHANNELS: Final = frozenset({Channel.SMS, Channel.WHATSAPP, Channel.RCS, Channel.VOICE})


class ExitCode(IntEnum):
    """What the command ends with."""

    TAKEN = 0
    NOT_TAKEN = 1
    IN_DOUBT = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """What is to be sent. `recipient` is a number in E.164, or whatever the channel has for addresses."""

    carrier: str
    recipient: str
    sender: str = "Caudal"
    text: str = ""
    message_class: MessageClass = MessageClass.TRANSACTIONAL
    rich: RichContent | None = None
    timeout_s: float = 30.0


async def try_carrier(settings: Settings, trial: Trial) -> dict[str, Any]:
    """Send one message and return what was said and what follows; SettingsError, ValueError for what cannot be sent."""
    carrier = settings.carriers.get(trial.carrier)
    if carrier is None:
        raise SettingsError(
            f"no carrier {trial.carrier!r}; there are: {', '.join(settings.carriers) or 'none'}"
        )
    clock = SystemClock()
    trace = Trace(clock, clock.monotonic_ns())
    message, segments = _segments(trial, carrier, clock)
    link = _link(trial.carrier, carrier, clock, trace)
    outcomes = await _Attempt(link, segments, clock=clock, trace=trace, timeout_s=trial.timeout_s).run()
    worst = next((one for one in outcomes if not isinstance(one, Submitted)), outcomes[-1])
    step = next_step(
        worst,
        message_class=message.message_class,
        attempt=1,
        accepted_at=message.accepted_at,
        valid_until=message.valid_until,
        now=clock.now_ms(),
        jitter=0.5,
        policy=retry_policy(carrier),
    )
    return {
        "carrier": trial.carrier,
        "protocol": carrier.protocol,
        "channel": carrier.channel.value,
        "to": masked_numbers(message.recipient),
        "from": masked_numbers(message.sender),
        "segments": len(segments),
        "trace": trace.lines,
        "phases_ms": phases(trace, is_smpp=isinstance(carrier, CarrierSettings)),
        "outcomes": [_shown(one, link) for one in outcomes],
        "next": _shown_step(step),
        "exit_code": exit_code(outcomes).value,
    }


def exit_code(outcomes: Sequence[SubmitOutcome]) -> ExitCode:
    """Return what outcomes come to."""
    if all(isinstance(one, Submitted) for one in outcomes):
        return ExitCode.TAKEN
    if any(isinstance(one, Submitted | Ambiguous) for one in outcomes):
        return ExitCode.IN_DOUBT
    return ExitCode.NOT_TAKEN


class _Attempt:
    """Drives a link as its owner: connects, submits, leaves. Nothing that the carrier brings meanwhile is taken."""

    def __init__(
        self,
        link: CarrierLink,
        segments: Sequence[OutboundSegment],
        *,
        clock: Clock,
        trace: Trace,
        timeout_s: float,
    ) -> None:
        self._link = link
        self._segments = segments
        self._clock = clock
        self._trace = trace
        self._timeout_s = timeout_s
        self._news = asyncio.Event()
        self._down = ""
        self._is_hopeless = False
        self._outcomes: dict[int, SubmitOutcome] = {}

    async def run(self) -> list[SubmitOutcome]:
        """Return the outcome of each segment."""
        for segment in self._segments:
            segment.settle = self._settled
        outcomes: list[SubmitOutcome] = []
        await self._link.start(self)
        try:
            async with asyncio.timeout(self._timeout_s):
                for segment in self._segments:
                    outcomes.append(await self._submit(segment))
                    if not isinstance(outcomes[-1], Submitted):
                        break
        except TimeoutError:
            self._trace.add("-", "out of time", seconds=self._timeout_s)
        finally:
            # What is still open is settled by this.
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S + 2):
                    await self._link.drain(deadline_s=_DRAIN_S if outcomes else 0.5)
            self._link.abort()
        for segment in self._segments[len(outcomes) :]:
            known = self._outcomes.get(segment.segment_index)
            outcomes.append(known or Unsent(self._down or "not_tried"))
        return outcomes

    async def _submit(self, segment: OutboundSegment) -> SubmitOutcome:
        while True:
            now_ns = self._clock.monotonic_ns()
            permit = self._link.ready(now_ns)
            if permit.wait_ns == 0:
                break
            if self._is_hopeless:
                return Unsent(self._down)
            await self._wait(permit.wait_ns / 1e9 if permit.wait_ns > 0 else _PATIENCE_S)
        self._link.submit(segment, now_ns=now_ns)
        while segment.segment_index not in self._outcomes:
            self._news.clear()
            await self._news.wait()
        return self._outcomes[segment.segment_index]

    async def _wait(self, limit_s: float) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(limit_s):
                await self._news.wait()
        except TimeoutError:
            # A link that is down tries again by itself; one more try is waited for.
            self._is_hopeless = self._is_hopeless or bool(self._down)

    def _settled(self, segment: OutboundSegment, outcome: SubmitOutcome) -> None:
        self._outcomes[segment.segment_index] = outcome
        self._news.set()

    # -- LinkSink --------------------------------------------------------------------------------

    def on_ready(self) -> None:
        """Look again."""
        self._news.set()

    def on_inbound(self, batch: Sequence[Inbound]) -> None:
        """Take nothing: receipts and messages are for the gateway, to which the carrier brings them again."""
        self._trace.add("-", "left to the gateway", items=len(batch))
        self._link.acknowledge(batch, stored=False)

    def on_late_answer(self, segment: OutboundSegment, outcome: Submitted) -> None:
        """Know better."""
        self._settled(segment, outcome)

    def on_bind_changed(self, event: BindChanged) -> None:
        """Note it; a second failure, or one that needs somebody, ends the test."""
        self._trace.add(
            "-", f"{event.bind} {event.state.value}", **({"reason": event.reason} if event.reason else {})
        )
        if event.state is BindState.DOWN:
            self._is_hopeless = bool(self._down) or event.alert
            self._down = event.reason or "down"
        elif event.state is BindState.BOUND:
            self._down, self._is_hopeless = "", False
        self._news.set()


# -- what is sent -------------------------------------------------------------------------------------


def _segments(trial: Trial, carrier: AnyCarrier, clock: Clock) -> tuple[Message, list[OutboundSegment]]:
    options = segmentation_options(carrier)
    text, encoding = "", "gsm7"
    if trial.text or trial.rich is None:
        measured = options.measure(trial.text)
        text, encoding = measured.text, measured.encoding
    cut = options.cut(text, encoding=encoding, reference=1)
    now_ms = clock.now_ms()
    message = Message(
        id=new_id_source()(now_ms),
        account_id="carriers-test",
        message_class=trial.message_class,
        recipient=_recipient(trial.recipient, carrier),
        sender=trial.sender.removeprefix("+"),
        text=text,
        encoding=encoding,
        segment_count=len(cut.segments),
        accepted_at=now_ms,
        valid_until=now_ms + VALID_MS,
        carrier=trial.carrier,
        channel=carrier.channel,
        rich=trial.rich,
    )

    def unowned(_: OutboundSegment, __: SubmitOutcome) -> None:
        raise RuntimeError("a segment was settled that nobody submitted")

    segments = [
        OutboundSegment(message, index, cut.data_coding, payload, unowned)
        for index, payload in enumerate(cut.segments, start=1)
    ]
    return message, segments


def _recipient(text: str, carrier: AnyCarrier) -> str:
    if carrier.channel not in _NUMBER_CHANNELS:
        return text
    found: Recipient = parse_recipient(text)
    return found.msisdn


# -- how it is sent, and what is seen of it -----------------------------------------------------------


def _link(name: str, carrier: AnyCarrier, clock: SystemClock, trace: Trace) -> CarrierLink:
    """Return a link of one bind that writes down what is said."""
    alone = carrier.model_copy(update={"binds": 1, "shards": 1, "window": 1})
    if isinstance(alone, CarrierSettings):
        profile = carrier_profile(name, alone)
        if profile.bind_mode is BindMode.TX_RX:
            # A receiver would be brought what is for the gateway.
            profile = replace(profile, bind_mode=BindMode.TX)
        return SmppLink(profile, clock=clock, tap=PduTap(trace))
    where, make_dialect, _ = http_words(name, alone, None)
    return HttpLink(where, TracedDialect(make_dialect(0, 1), trace), clock=clock)


def _shown(outcome: SubmitOutcome, link: CarrierLink) -> dict[str, Any]:
    shown: dict[str, Any] = {"kind": type(outcome).__name__.lower(), **asdict(outcome)}
    if isinstance(outcome, Submitted):
        shown["matched_as"] = link.normalise_id(outcome.carrier_message_id)
    return json.loads(json.dumps(shown, default=str))  # type: ignore[no-any-return]


def _shown_step(step: Step) -> dict[str, Any]:
    says = {
        "await_receipt": "wait for the receipt",
        "lane_head": "keep it at the head of its lane and go on more slowly",
        "retry_later": "try again here later",
        "next_carrier": "try the next carrier of the route",
        "fail": "fail, unless the route has another carrier for it",
        "expire": "let it expire",
    }[step.action.value]
    if step.in_doubt:
        says += "; the carrier may have taken it"
    return {"action": step.action.value, "reason": step.reason, "delay_ms": step.delay_ms, "says": says}
