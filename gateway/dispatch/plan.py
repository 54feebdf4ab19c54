"""What dispatch is told: one plan per carrier and one set of tunings per process, as plain values.

Built by `gateway.runtime.wiring` from the settings.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.domain.cutting import USUAL_SEGMENTATION, SegmentationOptions
from gateway.policy.fairness import DEFAULT_SHARES, LaneShares
from gateway.policy.retry import DEFAULT_RETRY, RetryPolicy
from gateway.ports.links import CarrierLink
from throttling.gcra import Gcra
from throttling.governor import Governor
from throttling.rates import SECOND_NS, Rate

LinkFactory = Callable[[int, int], CarrierLink]
"""Makes the link of one shard: (shard, number of shards). Rate and binds of the link are that shard's part."""

SMPP_STATUSES: Final = ("ESME_ROK", "ESME_RTHROTTLED", "ESME_RMSGQFUL")
HTTP_STATUSES: Final = ("HTTP_200", "HTTP_429", "HTTP_503")
"""What the usual answers of HTTP carriers are called; every 2xx that took a message counts as the first."""

_DEFAULT_BURST_SHARE: Final = 0.02
_FASTEST_REPAY: Final = 100


@dataclass(frozen=True, slots=True)
class CarrierPlan:
    """One carrier as dispatch drives it.

    `rate` is in segments per second over all shards, `burst` how many segments may exceed it in any window (None:
    2 % of one second). `window` is the number of unanswered submits over all binds: it sizes read-ahead and claims.
    `segmentation` is how texts are cut for this carrier, the same value that intake counts with.
    `retry` is when a refused segment is tried again, `shares` how the class lanes share the rate. `access` is what
    the links are made of besides: plans with equal values make equal links. `window_slots` is the window of one bind.
    `statuses` are what its usual answers are called, that of success first.
    """

    carrier: str
    rate: Rate
    link_factory: LinkFactory = field(compare=False)
    burst: int | None = None
    shards: int = 1
    window: int = 100
    segmentation: SegmentationOptions = USUAL_SEGMENTATION
    retry: RetryPolicy = DEFAULT_RETRY
    shares: LaneShares = DEFAULT_SHARES
    access: object = None
    window_slots: int | None = None
    statuses: tuple[str, ...] = SMPP_STATUSES

    def __post_init__(self) -> None:
        if self.shards < 1:
            raise ValueError(f"carrier {self.carrier} has {self.shards} shards, the least is 1")

    @property
    def shard_rate(self) -> Rate:
        """The part of the rate that one shard may use."""
        return self.rate.divided_by(self.shards)

    @property
    def slack_ns(self) -> int:
        """How late a permit of one shard may be taken without being lost.

        Over all shards that makes five eighths of `burst`: the rest is for what the network bunches up on the way to
        the carrier, whose clock is the one that counts.
        """
        burst = self.burst
        if burst is None:
            burst = max(1, int(float(self.rate.per_s) * _DEFAULT_BURST_SHARE))
        return min(burst * self.shard_rate.gap_ns * 5 // (8 * self.shards), SECOND_NS)

    def is_adjustment_of(self, other: "CarrierPlan") -> bool:
        """True when only what a running worker can follow is different: rate, burst, window."""
        return self == replace(
            other, rate=self.rate, burst=self.burst, window=self.window, window_slots=self.window_slots
        )

    @property
    def repay_share(self) -> int:
        """How slowly a limiter makes good what a stall cost: half of what `burst` leaves beside the slack; 0 not at all."""
        burst = (
            max(1, int(float(self.rate.per_s) * _DEFAULT_BURST_SHARE)) if self.burst is None else self.burst
        )
        return max(_FASTEST_REPAY, int(float(self.rate.per_s) * 16 / (3 * burst)) + 1) if burst else 0

    def governor(self) -> Governor:
        """Return a new limiter for one shard."""
        limiter = Gcra(self.shard_rate, slack_ns=self.slack_ns, repay_share=self.repay_share)
        return Governor.of(carrier=limiter)


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Tunings of one dispatch process; durations in the unit of the name.

    What a crash may put in doubt is bounded by `max_unflushed_s` of the rate (results not durable yet) in all lanes,
    and by `claim_ahead_ms`, at most `max_claim_ahead_ms`, of it in those that claim; each beyond the window (P2).

    `max_ranges_ahead` bounds the ranges in the position of a lane up to which its scout takes messages out of turn.

    A carrier in trouble keeps its messages for `failover_after_s` (`otp_failover_after_s`), and is out of trouble once
    healthy for `stable_after_s`; `moves_to_unknown` lets them go to a carrier that nobody has reported of for
    `report_stale_s`. A process is another's neighbour until it was silent for `member_dead_s`; a shard assigned to
    another is taken over once free for `orphan_after_s`, and given back at the earliest after `stand_in_s`. A neighbour
    whose lifeline is cut keeps its shards for `cut_grace_s` more, of which it works the first half at most; it is looked
    for every `cut_look_s` by those whose own lifeline has stood for `cut_trust_s`, so that all are back after a restart
    of the database. Repeats that
    intake appended are recognised by the last `remembered_ids` of a shard; 0 where the bus makes none.
    """

    flush_ms: int = 40
    max_flush_events: int = 1000
    flush_timeout_s: float = 10.0
    max_unflushed_s: float = 0.25
    min_unflushed_segments: int = 64
    read_ahead_s: float = 1.0
    min_read_ahead: int = 64
    read_batch: int = 500
    max_ranges_ahead: int = 2_000
    claim_ahead_ms: int = 150
    max_claim_ahead_ms: int = 250
    tick_s: float = 0.25
    failover_after_s: float = 10.0
    otp_failover_after_s: float = 3.0
    stable_after_s: float = 5.0
    moves_to_unknown: bool = False
    max_aside: int = 2000
    inbound_linger_ms: int = 25
    inbound_deadline_s: float = 10.0
    max_inbound_pending: int = 20_000
    lease_ttl_s: float = 10.0
    drain_s: float = 10.0
    deferred_batch: int = 500
    deferred_poll_s: float = 1.0
    control_poll_s: float = 1.0
    report_stale_s: float = 5.0
    member_beat_s: float = 2.0
    member_dead_s: float = 6.0
    orphan_after_s: float = 4.0
    stand_in_s: float = 60.0
    cut_grace_s: float = 0.6
    cut_look_s: float = 0.3
    cut_trust_s: float = 3.0
    remembered_ids: int = 0
