"""How one lane worker is steered and watched: operators' orders in, gauges, health and explanations out.

Beside the pump, a few times a second; nothing here is on the way of a message that can simply be submitted.
"""

from dataclasses import asdict
from typing import Any, Final

from gateway.dispatch.claims import Claims
from gateway.dispatch.constraints import DRAINED, PAUSED, RAMP, WINDOW, Diagnosis, Pulse, diagnose
from gateway.dispatch.context import LaneContext
from gateway.dispatch.failover import CARRIER_DOWN, Failover
from gateway.dispatch.failover import DRAINED as MOVED_BY_DRAIN
from gateway.dispatch.holds import Aside
from gateway.dispatch.metrics import ShardFigures
from gateway.dispatch.orders import NO_ORDERS, CarrierOrders, Reconnect
from gateway.dispatch.outbox import Outbox
from gateway.dispatch.plan import CarrierPlan
from gateway.dispatch.pump import Pump
from gateway.dispatch.uplink import CLOSED, OPEN, Uplink
from gateway.dispatch.work import Lane
from gateway.domain.message import CLASSES
from gateway.ports.links import BindFigures, BindState, CarrierLink
from throttling.governor import CARRIER_RATE, Governor
from throttling.rates import MIN_PER_S, Rate

_RAMP_S: Final = 10.0
_RAMP_FIRST_SHARE: Final = 0.15
_ALL_LANES: Final = frozenset(range(len(CLASSES)))
_SENDING: Final = frozenset({BindState.BOUND, BindState.THROTTLED})


class Helm:
    """Steers and watches one shard of a carrier."""

    def __init__(
        self,
        context: LaneContext,
        *,
        plan: CarrierPlan,
        link: CarrierLink,
        governor: Governor,
        lanes: tuple[Lane, ...],
        claims: Claims,
        outbox: Outbox,
        pump: Pump,
        uplink: Uplink,
        failover: Failover,
        aside: Aside,
    ) -> None:
        self._context = context
        self._plan = plan
        self._built_window_slots = plan.window_slots
        self._link = link
        self._governor = governor
        self._lanes = lanes
        self._claims = claims
        self._outbox = outbox
        self._pump = pump
        self._uplink = uplink
        self._failover = failover
        self._aside = aside
        self._orders = NO_ORDERS
        self._begun_ms = context.clock.now_ms()
        self._reconnected: dict[str, int] = {}
        self._rate = plan.shard_rate
        self._was_closed = True
        self._has_more = False
        self._ramp_since_ns: int | None = None
        self._ramp_after_s = context.settings.otp_failover_after_s
        self._pulse = Pulse(now_ns=context.clock.monotonic_ns())
        self._figures: tuple[BindFigures, ...] = ()
        self._ticks = 0
        self._ticks_per_s = max(1, round(1 / context.settings.tick_s))

    # --- orders -----------------------------------------------------------------------------------------------

    def follow(self, orders: CarrierOrders) -> None:
        """Apply what stands for this carrier; the same orders again change nothing."""
        if orders == self._orders:
            return
        before, self._orders = self._orders, orders
        wish = orders.wish
        self._uplink.stop(is_paused=wish.is_paused, is_drained=wish.is_drained)
        self._control()
        self._pump.shut_by = DRAINED if wish.is_drained else PAUSED if wish.is_paused else None
        self._pump.hold(orders.held_classes)
        self._claims.close(_ALL_LANES if self._pump.shut_by else orders.held_classes)
        self._aside.hold(orders.held_accounts)
        self._set_rate()
        if orders.reconnects != before.reconnects:
            for order in orders.reconnects:
                self._reconnect(order)
        self._pump.wake()

    def adjust(self, plan: CarrierPlan) -> None:
        """Follow a plan that differs in rate, burst or window only."""
        self._plan = plan
        self._control()
        self._set_rate()
        self._claims.resize(per_s=float(plan.shard_rate.per_s), window=plan.window)
        self._pump.wake()

    def _control(self) -> None:
        wish = self._orders.wish
        if wish.window_slots is None and self._plan.window_slots != self._built_window_slots:
            wish = wish._replace(window_slots=self._plan.window_slots)
        self._link.control(wish)

    def _set_rate(self) -> None:
        # An order may take less than the contract, never more.
        plan, ordered = self._plan, self._orders.rate
        whole = plan.rate if ordered is None else min(plan.rate, ordered, key=_per_s)
        self._rate = Rate(max(whole.per_s / plan.shards, MIN_PER_S))
        self._pump.resize(per_s=float(self._rate.per_s), slack_ns=plan.slack_ns)
        self._apply_rate()

    def _apply_rate(self) -> None:
        """Set the limiter: to the rate, or to the part of it that a carrier gets that was in trouble."""
        now_ns = self._context.clock.monotonic_ns()
        share = self._ramp_share(now_ns)
        per_s = self._rate.per_s if share == 1 else self._rate.per_s * round(share * 1000) / 1000
        self._governor.set_rate(
            CARRIER_RATE, Rate(max(per_s, MIN_PER_S)), now_ns=now_ns, slack_ns=self._plan.slack_ns
        )

    def _ramp_share(self, now_ns: int) -> float:
        if self._ramp_since_ns is None:
            return 1.0
        passed = (now_ns - self._ramp_since_ns) / (_RAMP_S * 1e9)
        if passed >= 1:
            self._ramp_since_ns = None
            return 1.0
        return _RAMP_FIRST_SHARE + (1 - _RAMP_FIRST_SHARE) * passed

    def _reconnect(self, order: Reconnect) -> None:
        # What was ordered before this worker began is done: its binds are younger than the order.
        if order.ordered_at >= self._begun_ms and order.number > self._reconnected.get(order.bind, -1):
            self._link.reconnect(order.bind)
        self._reconnected[order.bind] = max(order.number, self._reconnected.get(order.bind, -1))

    # --- several times a second -------------------------------------------------------------------------------

    def tick(self) -> None:
        """Look at the carrier, let go what it holds up, and publish."""
        self._ticks += 1
        figures = self._figures = self._link.figures()
        self._uplink.observe(figures)
        self.note_health()
        if self._ramp_since_ns is not None:
            self._apply_rate()
        self._aside.sweep()
        # What has another carrier leaves as fast as its moves become durable, not once a second.
        self.relieve(is_full_look=self._has_more or self._ticks % self._ticks_per_s == 0)
        if self._ticks % self._ticks_per_s == 0:
            self._publish(figures)
        self._pump.nudge()

    def note_health(self) -> None:
        """Tell the other workers of this process whether the carrier can be sent to; begin gently where it can again.

        Each bind that was in trouble begins slowly by itself. Several of them together would still be a stampede, so
        the whole grows from 15 % to its rate in 10 s. A short interruption is no reason for it.
        """
        context = self._context
        was_closed, self._was_closed = self._was_closed, self._uplink.breaker == CLOSED
        if self._was_closed and not was_closed and self._uplink.trouble_s() >= self._ramp_after_s:
            self._ramp_since_ns = context.clock.monotonic_ns()
            self._apply_rate()
        context.board.tell(context.carrier, shard=context.shard, health=self._uplink.health)

    def relieve(self, *, is_full_look: bool = True) -> None:
        """Where nothing can be submitted: expire what is past its validity, move what has another carrier.

        An otp lane is looked at every time, the others with `is_full_look`.
        """
        room = self._pump.max_unflushed - self._outbox.unflushed
        uplink, shut_by = self._uplink, self._pump.shut_by
        if room <= 0 or self._claims.is_pending:
            return
        self._has_more = False
        if uplink.breaker == CLOSED and uplink.is_up() and shut_by is None:
            held = [lane for lane in self._lanes if lane.index in self._orders.held_classes]
            if held and is_full_look:
                self._give_back_claims(held)
                self._sweep(held, limit=room)
            return
        if shut_by is not None or not uplink.is_up():
            self._give_back_claims(self._lanes)
        lanes = self._lanes if is_full_look else self._lanes[:1]
        if uplink.is_drained:
            self._has_more = self._sweep(lanes, limit=room, reason=MOVED_BY_DRAIN)
            return
        trouble_s = 0.0 if uplink.is_paused else uplink.trouble_s()
        due = [lane for lane in lanes if self._failover.is_due(lane, trouble_s=trouble_s)]
        self._has_more = self._sweep(due, limit=room, reason="" if uplink.is_paused else CARRIER_DOWN)
        if is_full_look:
            self._sweep([lane for lane in lanes if lane not in due], limit=room)

    def _sweep(self, lanes: "list[Lane] | tuple[Lane, ...]", *, limit: int, reason: str = "") -> bool:
        return self._failover.sweep(lanes, now_ms=self._context.clock.now_ms(), limit=limit, reason=reason)

    def _give_back_claims(self, lanes: "list[Lane] | tuple[Lane, ...]") -> None:
        claiming = [lane for lane in lanes if lane.ahead]
        if claiming:
            self._claims.give_back(claiming)
            self._outbox.wake()

    # --- for people -------------------------------------------------------------------------------------------

    @property
    def lets_go(self) -> bool:
        """True while messages that have another carrier leave for it."""
        uplink = self._uplink
        is_in_trouble = uplink.breaker != CLOSED and uplink.trouble_s() >= self._ramp_after_s
        return uplink.is_drained or (is_in_trouble and not uplink.is_paused)

    @property
    def effective_per_s(self) -> float:
        """Segments per second that the binds may do now, at most this shard's rate."""
        if self._pump.shut_by is not None:
            return 0.0
        limit_per_s = float(self._rate.per_s) * self._ramp_share(self._context.clock.monotonic_ns())
        can_per_s = 0.0
        for bind in self._figures:
            if bind.state in _SENDING and bind.breaker != OPEN and bind.window_slots:
                can_per_s += limit_per_s if bind.rate_per_s is None else bind.rate_per_s
        return min(limit_per_s, can_per_s)

    def _publish(self, figures: tuple[BindFigures, ...]) -> None:
        pump, metrics = self._pump, self._context.metrics
        pump.sum_up()
        self._pulse.observe(
            figures, is_full=self._raw == "window_full", now_ns=self._context.clock.monotonic_ns()
        )
        metrics.show_binds(figures)
        metrics.submitted.inc(pump.take_written())
        metrics.show_shard(
            self._context.shard,
            ShardFigures(
                tuple([lane.held for lane in self._lanes]),
                float(self._rate.per_s),
                self.effective_per_s,
                self._uplink.breaker,
                self._uplink.is_paused or self._uplink.is_drained,
            ),
        )

    def retire(self) -> None:
        """Take this shard off the gauges and the board: another process may own it by now."""
        context = self._context
        context.board.forget(context.carrier, shard=context.shard)
        context.metrics.submitted.inc(self._pump.take_written())
        context.metrics.forget_shard(context.shard, binds=[bind.bind for bind in self._figures])

    @property
    def _raw(self) -> str:
        return self._pump.binding()

    def _diagnosis(self, now_ns: int) -> Diagnosis:
        raw = self._raw
        if raw == CARRIER_RATE and self._ramp_share(now_ns) < 1:
            return Diagnosis(
                RAMP, f"{self.effective_per_s:.4g}/s of {float(self._rate.per_s):.4g}/s after trouble"
            )
        return diagnose(
            raw,
            uplink=self._uplink,
            figures=self._figures,
            pulse=self._pulse,
            per_s=float(self._rate.per_s),
            now_ns=now_ns,
        )

    def explain(self) -> dict[str, Any]:
        """Return which constraint binds now, with the figures behind it, as JSON for people and reports."""
        now_ns = self._context.clock.monotonic_ns()
        self._figures = self._link.figures()
        uplink, orders = self._uplink, self._orders
        diagnosis = self._diagnosis(now_ns)
        lanes = dict(zip([name.value for name in CLASSES], self._lanes, strict=True))
        return {
            "carrier": self._context.carrier,
            "shard": self._context.shard,
            "shards": self._plan.shards,
            "constraint": diagnosis.constraint,
            "detail": diagnosis.detail,
            "health": uplink.health.value,
            "breaker": uplink.breaker,
            "trouble_s": round(uplink.trouble_s(), 1),
            "up": uplink.is_up(),
            "limit_per_s": round(float(self._rate.per_s), 3),
            "effective_per_s": round(self.effective_per_s, 3),
            "in_flight": self._link.in_flight,
            "ready": {name: lane.ready for name, lane in lanes.items()},
            "held": {name: lane.held for name, lane in lanes.items()},
            "resting": sum([lane.resting_count for lane in self._lanes]),
            "unflushed": self._outbox.unflushed,
            "lease_left_ms": max(0, (self._pump.may_submit_until_ns - now_ns) // 1_000_000),
            "limits": list(self._governor.explain(now_ns)),
            "orders": {
                "is_paused": orders.wish.is_paused,
                "is_drained": orders.wish.is_drained,
                "paused_binds": sorted(orders.wish.paused_binds),
                WINDOW: orders.wish.window_slots,
                "rate": None if orders.rate is None else str(orders.rate),
                "held_classes": [CLASSES[index].value for index in sorted(orders.held_classes)],
                "held_accounts": sorted(orders.held_accounts)[:_MAX_SHOWN],
            },
            "binds": [{**asdict(bind), "state": bind.state.value} for bind in self._figures],
        }


_MAX_SHOWN: Final = 100


def _per_s(rate: Rate) -> float:
    return float(rate.per_s)
