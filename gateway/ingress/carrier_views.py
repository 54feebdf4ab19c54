"""Carriers, orders and the audit as people see them: configuration, orders and reports put together, no secrets.

Pure functions, called by `gateway.ingress.desk`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from gateway.domain.ids import derived_uuid, format_id
from gateway.domain.message import CLASSES
from gateway.intake.answers import rfc3339
from gateway.ports.control_store import AuditEntry, CarrierReport, Order, OrderKind
from throttling.rates import Rate

FRESH_MS: Final = 5_000
"""A shard whose last report is older says nothing about now."""

HOLDS: Final = {OrderKind.HOLD_CLASS: "class", OrderKind.HOLD_ACCOUNT: "account"}

# What a hold is named after has no time of its own.
_TIMELESS: Final = UUID(int=0)
_WORKING: Final = frozenset({"bound", "throttled", "paused"})


class CarrierFacts(NamedTuple):
    """What the configuration says of one carrier. `bind_names` are those its binds will have."""

    id: str
    protocol: str
    rate: str
    burst: int | None
    window: int
    binds: int
    bind_type: str
    bind_names: tuple[str, ...]
    shards: int = 1


def carrier_view(
    facts: CarrierFacts, *, orders: Sequence[Order], reports: Sequence[CarrierReport], now_ms: int
) -> dict[str, Any]:
    """Return one carrier with the orders that concern it and the live figures of its shards."""
    fresh = [report for report in reports if now_ms - report.at <= FRESH_MS]
    pictures = [report.picture for report in fresh]
    own = [order for order in orders if order.carrier == facts.id]
    return {
        "id": facts.id,
        "status": status_of(facts, orders=own, pictures=pictures),
        "protocol": facts.protocol,
        "configured": {
            "rate": facts.rate,
            "burst": facts.burst,
            "window": facts.window,
            "binds": facts.binds,
            "bind_type": facts.bind_type,
            "shards": facts.shards,
        },
        "effective": {"rate": _effective_rate(facts, own), "window": _effective_window(facts, own)},
        "orders": [order_view(order) for order in orders if order.carrier in ("", facts.id)],
        "in_flight": sum(_count(picture.get("in_flight")) for picture in pictures),
        "ready": _by_class(pictures, "ready"),
        "held": _by_class(pictures, "held"),
        "shards": [_shard_view(report) for report in fresh],
    }


def status_of(facts: CarrierFacts, *, orders: Sequence[Order], pictures: Sequence[Mapping[str, Any]]) -> str:
    """Return up, degraded, down, paused, drained, or unknown where no shard reports."""
    if not pictures:
        return "unknown"
    kinds = {order.kind for order in orders if not order.target}
    if OrderKind.DRAIN in kinds:
        return "drained"
    binds = [bind for picture in pictures for bind in picture.get("binds", ())]
    states = {bind.get("state") for bind in binds}
    if OrderKind.PAUSE in kinds or states == {"paused"}:
        return "paused"
    working = [bind for bind in binds if bind.get("state") in _WORKING]
    if not working:
        return "down"
    shards = max([facts.shards, *(_count(picture.get("shards")) for picture in pictures)])
    whole = len(working) == len(binds) and len(pictures) >= shards
    healthy = all(bind.get("breaker", "closed") == "closed" for bind in working)
    return "up" if whole and healthy and "paused" not in states else "degraded"


def bind_names(facts: CarrierFacts, reports: Iterable[CarrierReport]) -> tuple[str, ...]:
    """Return the names of the binds there are: those reported, and those configured."""
    live = [bind["bind"] for report in reports for bind in report.picture.get("binds", ())]
    return tuple(dict.fromkeys([*sorted(live), *facts.bind_names]))


def order_view(order: Order) -> dict[str, Any]:
    """Return one order; `target` goes by what it is: bind, class or account."""
    shown: dict[str, Any] = {"kind": order.kind.value, "carrier": order.carrier or None}
    if order.kind in HOLDS:
        shown[HOLDS[order.kind]] = order.target
    elif order.target:
        shown["bind"] = order.target
    if order.value:
        shown["value"] = order.value
    return shown | {
        "reason": order.reason,
        "actor": order.actor,
        "ordered_at": rfc3339(order.ordered_at),
        "expires_at": None if order.expires_at is None else rfc3339(order.expires_at),
    }


def hold_id(order: Order) -> str:
    """Return the id of a hold: the same for the same carrier and class or account."""
    return format_id("hld", derived_uuid(_TIMELESS, f"{order.carrier}\n{order.kind.value}\n{order.target}"))


def hold_view(order: Order) -> dict[str, Any]:
    """Return one hold with its id."""
    return {
        "id": hold_id(order),
        "carrier": order.carrier or None,
        "class": order.target if order.kind is OrderKind.HOLD_CLASS else None,
        "account": order.target if order.kind is OrderKind.HOLD_ACCOUNT else None,
        "reason": order.reason,
        "actor": order.actor,
        "ordered_at": rfc3339(order.ordered_at),
        "expires_at": None if order.expires_at is None else rfc3339(order.expires_at),
    }


def audit_view(entry_id: int, entry: AuditEntry) -> dict[str, Any]:
    """Return one line of the audit, its times as text."""
    return {
        "id": entry_id,
        "at": rfc3339(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "reason": entry.reason,
        "detail": _times_as_text(entry.detail),
    }


def _effective_rate(facts: CarrierFacts, orders: Sequence[Order]) -> str:
    configured = Rate.parse(facts.rate)
    ordered = [Rate.parse(order.value) for order in orders if order.kind is OrderKind.RATE]
    # An order given before the configured rate was lowered does not reach above it.
    return str(min([configured, *ordered], key=lambda rate: rate.per_s))


def _effective_window(facts: CarrierFacts, orders: Sequence[Order]) -> int:
    return next((int(order.value) for order in orders if order.kind is OrderKind.WINDOW), facts.window)


def _by_class(pictures: Sequence[Mapping[str, Any]], key: str) -> dict[str, int]:
    return {
        name.value: sum(_count(picture.get(key, {}).get(name.value)) for picture in pictures)
        for name in CLASSES
    }


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _shard_view(report: CarrierReport) -> dict[str, Any]:
    own = ("carrier", "shard", "binds")
    rest = {name: value for name, value in report.picture.items() if name not in own}
    binds = [_bind_view(bind) for bind in report.picture.get("binds", ())]
    head = {"shard": report.shard, "owner": report.owner, "at": rfc3339(report.at)}
    return {**head, **rest, "binds": binds}


def _bind_view(bind: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in bind.items() if name != "bound_since_ms"}
    since = bind.get("bound_since_ms")
    shown["bound_since"] = rfc3339(since) if isinstance(since, int) else None
    return shown


def _times_as_text(detail: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in detail.items():
        if isinstance(value, dict):
            shown[name] = _times_as_text(value)
        else:
            shown[name] = rfc3339(value) if name.endswith("_at") and isinstance(value, int) else value
    return shown
