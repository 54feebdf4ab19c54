"""What follows a submit: the one pure function where a message is retried, moved, failed or left in doubt (D5, P2).

Called by `gateway.dispatch` with the link's outcome. Instants are milliseconds UTC, as in the message; `jitter` is a
random number in [0, 1) that the caller drew.

| outcome | what follows |
|---|---|
| Submitted | wait for the receipt |
| Throttled | stay at the lane head; spends no attempt |
| Unsent | the same carrier at once, or the next one when this carrier is down; spends no attempt |
| Refused, retry_later | a delay that grows with the attempts; then the next carrier; then fail |
| Refused, failover | the next carrier; fail when none is left |
| Refused, permanent | one other route where the code allows it; else fail |
| Refused, with a rule for its status | the delays of the rule; then what it says |
| Ambiguous | otp, transactional: once more after 10 s; the others, and a second time: wait for the receipt |

Whatever would be submitted again after its validity expires instead. The delays, and the rules for single statuses,
are those of the carrier that refused (`RetryPolicy`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, assert_never

from gateway.domain.message import MessageClass
from gateway.domain.outcomes import Ambiguous, Refusal, Refused, SubmitOutcome, Submitted, Throttled, Unsent

IN_DOUBT_RESEND_MS: Final = 10_000
OTP_FAILOVER_AGE_MS: Final = 5_000

DELAYS_MS: Final[dict[MessageClass, tuple[int, ...]]] = {
    MessageClass.OTP: (1_000, 2_000, 5_000),
    MessageClass.TRANSACTIONAL: (1_000, 5_000, 30_000, 180_000, 600_000),
    MessageClass.COLLECTIONS: (5_000, 30_000, 180_000),
    MessageClass.MARKETING: (5_000, 30_000, 180_000),
}
"""Upper bound of the delay after each refused attempt; one attempt more than delays is made on the first carrier."""

MAX_DELAYS: Final = 20


class Then(StrEnum):
    """What follows when the attempts of a status are used up."""

    FAILOVER = "failover"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class StatusRule:
    """What one command_status means for the schedule: `delays_ms` (None: those of the class), and then `then`."""

    delays_ms: tuple[int, ...] | None = None
    then: Then = Then.FAILOVER

    def __post_init__(self) -> None:
        if self.delays_ms is not None:
            _check_delays(self.delays_ms)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The schedule of one carrier: delays by class where they differ from the defaults, rules by status.

    `statuses` is keyed as in `Refused.status`: the mnemonic, or `0x...` of a code that has none. Raises ValueError
    for delays that do not ascend, are below 1 ms or more than 20.
    """

    delays_ms: Mapping[MessageClass, tuple[int, ...]] = field(default_factory=dict)
    statuses: Mapping[str, StatusRule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for delays_ms in self.delays_ms.values():
            _check_delays(delays_ms)

    def delays_of(self, message_class: MessageClass) -> tuple[int, ...]:
        """Return the upper bounds of the delays after each refused attempt."""
        return self.delays_ms.get(message_class, DELAYS_MS[message_class])


DEFAULT_RETRY: Final = RetryPolicy()


class Action(StrEnum):
    """What dispatch does with the segment next."""

    AWAIT_RECEIPT = "await_receipt"
    LANE_HEAD = "lane_head"
    RETRY_LATER = "retry_later"
    NEXT_CARRIER = "next_carrier"
    FAIL = "fail"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class Step:
    """The decision. `reason` comes from a closed set and shows in the timeline.

    `delay_ms` is how long RETRY_LATER and NEXT_CARRIER wait first, and how long LANE_HEAD pauses the lane (0: the
    rate limiter alone decides). `spends_attempt` says whether the next try counts as another attempt. `in_doubt`
    is true when the carrier may have taken the segment: a resend has to set `resent_in_doubt`, and no resend means
    that the receipt decides.
    """

    action: Action
    reason: str
    delay_ms: int = 0
    spends_attempt: bool = False
    in_doubt: bool = False


_SUBMITTED: Final = Step(Action.AWAIT_RECEIPT, "submitted")
_IN_DOUBT: Final = Step(Action.AWAIT_RECEIPT, "in_doubt", in_doubt=True)
_EXPIRED: Final = Step(Action.EXPIRE, "validity_passed")


def retry_delay_ms(
    message_class: MessageClass, *, attempt: int, jitter: float, policy: RetryPolicy = DEFAULT_RETRY
) -> int | None:
    """Return the delay after refused attempt number `attempt` (from 1), None when the attempts are used up.

    The delay lies between the bound of the attempt before (half the first bound for the first) and its own, spread
    evenly by `jitter`: delays always increase, and messages refused together come back apart.
    """
    return _delay_ms(policy.delays_of(message_class), attempt=attempt, jitter=jitter)


def _delay_ms(bounds: tuple[int, ...], *, attempt: int, jitter: float) -> int | None:
    if attempt > len(bounds):
        return None
    upper = bounds[attempt - 1]
    lower = bounds[attempt - 2] if attempt > 1 else upper // 2
    return lower + int((upper - lower) * jitter) + 1


def _check_delays(delays_ms: tuple[int, ...]) -> None:
    if len(delays_ms) > MAX_DELAYS:
        raise ValueError(f"{len(delays_ms)} retry delays, the limit is {MAX_DELAYS}")
    if any(later <= earlier for earlier, later in zip((0, *delays_ms), delays_ms, strict=False)):
        raise ValueError(f"retry delays {list(delays_ms)} ms do not ascend from at least 1 ms")


def next_step(
    outcome: SubmitOutcome,
    *,
    message_class: MessageClass,
    attempt: int,
    accepted_at: int,
    valid_until: int,
    now: int,
    jitter: float,
    has_next_carrier: bool = False,
    carrier_is_up: bool = True,
    resent_in_doubt: bool = False,
    other_route_tried: bool = False,
    policy: RetryPolicy = DEFAULT_RETRY,
) -> Step:
    """Decide what follows `outcome` of attempt number `attempt` (from 1).

    `has_next_carrier` says that a candidate is left whose lane may take the message. `carrier_is_up` is false while
    the carrier's breaker is open or no bind is up. `other_route_tried` is true once a permanent refusal has moved
    this message before. `policy` is the schedule of the carrier that gave the outcome.
    """
    match outcome:
        case Submitted():
            return _SUBMITTED
        case Ambiguous():
            return _after_ambiguous(
                message_class,
                resent=resent_in_doubt,
                fits=now + IN_DOUBT_RESEND_MS < valid_until,
                moves=has_next_carrier,
            )
        case _ if now >= valid_until:
            return _EXPIRED
        case Throttled():
            return Step(Action.LANE_HEAD, "throttled", delay_ms=outcome.retry_after_ms or 0)
        case Unsent():
            if has_next_carrier and not carrier_is_up:
                return Step(Action.NEXT_CARRIER, "carrier_down")
            return Step(Action.LANE_HEAD, "unsent")
        case Refused():
            return _after_refused(
                outcome,
                policy=policy,
                message_class=message_class,
                attempt=attempt,
                age_ms=now - accepted_at,
                left_ms=valid_until - now,
                jitter=jitter,
                moves=has_next_carrier,
                other_route_tried=other_route_tried,
            )
        case _:  # pragma: no cover - the type checker shows that there is none
            assert_never(outcome)


def _after_ambiguous(message_class: MessageClass, *, resent: bool, fits: bool, moves: bool) -> Step:
    # No answer is neither success nor failure (sms-domain G): a resend may double, so it happens once and only where
    # a lost message is worse than a repeated one.
    if resent or not message_class.resends_in_doubt or not fits:
        return _IN_DOUBT
    action = Action.NEXT_CARRIER if moves else Action.RETRY_LATER
    return Step(action, "resend_in_doubt", delay_ms=IN_DOUBT_RESEND_MS, spends_attempt=True, in_doubt=True)


def _after_refused(
    outcome: Refused,
    *,
    policy: RetryPolicy,
    message_class: MessageClass,
    attempt: int,
    age_ms: int,
    left_ms: int,
    jitter: float,
    moves: bool,
    other_route_tried: bool,
) -> Step:
    bounds = policy.delays_of(message_class)
    rule = policy.statuses.get(outcome.status)
    if rule is not None:
        moves = moves and rule.then is Then.FAILOVER
        bounds = bounds if rule.delays_ms is None else rule.delays_ms
    elif outcome.refusal is Refusal.PERMANENT:
        if outcome.try_other_route and moves and not other_route_tried:
            return Step(Action.NEXT_CARRIER, "route_refused", spends_attempt=True)
        return Step(Action.FAIL, "refused")
    elif outcome.refusal is Refusal.FAILOVER:
        if moves:
            return Step(Action.NEXT_CARRIER, "failover", spends_attempt=True)
        return Step(Action.FAIL, "no_route_left")
    elif moves and message_class is MessageClass.OTP and (attempt > 2 or age_ms >= OTP_FAILOVER_AGE_MS):
        return Step(Action.NEXT_CARRIER, "otp_failover", spends_attempt=True)
    delay_ms = _delay_ms(bounds, attempt=attempt, jitter=jitter)
    if delay_ms is not None and delay_ms < left_ms:
        return Step(Action.RETRY_LATER, "retry_later", delay_ms=delay_ms, spends_attempt=True)
    if moves:
        return Step(Action.NEXT_CARRIER, "retries_used_up", spends_attempt=True)
    return Step(Action.FAIL, "retries_used_up" if delay_ms is None else "retry_past_validity")
