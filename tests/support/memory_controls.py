"""ControlStore in memory, honest to the rules of its port. `failing` makes every call raise."""

from collections.abc import Sequence

from gateway.ports.control_store import AuditEntry, CarrierReport, Order, OrderKind


class MemoryControls:
    def __init__(self) -> None:
        self.orders: dict[tuple[str, OrderKind, str], Order] = {}
        self.reported: dict[tuple[str, int], CarrierReport] = {}
        self.seen: dict[str, int] = {}
        self.lines: list[AuditEntry] = []
        self.failing = False
        self.number = 0

    async def give(self, order: Order) -> None:
        self._check()
        self.number += 1
        if order.kind is OrderKind.RECONNECT and not order.value:
            order = order._replace(value=str(self.number))
        self.orders[order[:3]] = order

    async def withdraw(
        self, carrier: str, kind: OrderKind, target: str, *, actor: str, reason: str, now_ms: int
    ) -> bool:
        self._check()
        self.number += 1
        return self.orders.pop((carrier, kind, target), None) is not None

    async def standing(self, *, now_ms: int) -> list[Order]:
        self._check()
        return [o for o in self.orders.values() if o.expires_at is None or o.expires_at > now_ms]

    async def version(self) -> int:
        self._check()
        return self.number

    async def note(self, entry: AuditEntry) -> None:
        self.lines.append(entry)

    async def audit(self, *, before_id: int | None, limit: int) -> list[tuple[int, AuditEntry]]:
        return list(enumerate(self.lines, 1))[::-1][:limit]

    async def report(self, reports: Sequence[CarrierReport]) -> None:
        self._check()
        for report in reports:
            self.reported[report.carrier, report.shard] = report

    async def reports(self, *, since_ms: int) -> list[CarrierReport]:
        self._check()
        return [report for report in self.reported.values() if report.at >= since_ms]

    async def beat(self, owner: str, *, now_ms: int) -> None:
        self._check()
        self.seen[owner] = now_ms

    async def members(self, *, since_ms: int) -> list[str]:
        self._check()
        return sorted(owner for owner, at in self.seen.items() if at >= since_ms)

    async def leave(self, owner: str) -> None:
        self._check()
        self.seen.pop(owner, None)

    def _check(self) -> None:
        if self.failing:
            raise ConnectionError("database is down")
