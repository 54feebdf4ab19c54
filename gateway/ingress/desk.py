"""The operators' desk: what may be ordered of carriers, checked against what exists, and what is read of them.

The API (`gateway.ingress.carriers`) and the command line (`gateway.commands.carriers`) both stand here, so that an
order means the same wherever it is given. Dispatch follows orders within about a second.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.domain.errors import CodedError, quoted
from gateway.domain.message import CLASSES
from gateway.ingress.carrier_views import (
    FRESH_MS,
    HOLDS,
    CarrierFacts,
    audit_view,
    bind_names,
    carrier_view,
    hold_id,
    hold_view,
)
from gateway.ports.clock import Clock
from gateway.ports.control_store import (
    CarrierReport,
    ControlStore,
    Order,
    OrderKind,
    TooManyOrdersError,
)
from throttling.rates import Rate

MAX_REASON: Final = 500
MAX_WINDOW: Final = 1_000
MAX_EXPIRY_MS: Final = 366 * 86_400_000
RECONNECT_KEPT_MS: Final = 60_000
"""How long the wish to reconnect stands: dispatch that is not there within it binds anew anyway."""
MAX_AUDIT: Final = 200

_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_SHOWN_NAMES: Final = 20

KEEP: Final = "keep"
"""Leave this limit as it is."""


class ControlError(CodedError):
    """An order that cannot be given. `field` names what is wrong with it; empty when the carrier or hold is unknown.

    Codes: not_found, and those of fields: missing_field, invalid_value, invalid_time, unknown_carrier, unknown_bind,
    unknown_account, invalid_class.
    """

    def __init__(self, code: str, detail: str, *, field: str = "") -> None:
        super().__init__(code, detail)
        self.field = field


class By(NamedTuple):
    """Who orders, why, and until when: milliseconds since the epoch, None until withdrawn."""

    actor: str
    reason: str
    expires_at: int | None = None


class Desk:
    """Gives orders and shows carriers. `account_exists` is asked before an account is held."""

    def __init__(
        self,
        controls: ControlStore,
        *,
        carriers: Mapping[str, CarrierFacts],
        clock: Clock,
        account_exists: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        self._controls = controls
        self._carriers = dict(carriers)
        self._clock = clock
        self._account_exists = account_exists

    def use(self, carriers: Mapping[str, CarrierFacts]) -> None:
        """Know these carriers from now on."""
        self._carriers = dict(carriers)

    # --- reading ----------------------------------------------------------------------------------------------

    async def carriers(self, *, account: str | None = None) -> list[dict[str, Any]]:
        """Return every configured carrier; for an `account`, without the holds of others."""
        now_ms, orders, reports = await self._look(account)
        return [
            carrier_view(facts, orders=orders, reports=_of(reports, facts.id), now_ms=now_ms)
            for facts in self._carriers.values()
        ]

    async def carrier(self, carrier: str, *, account: str | None = None) -> dict[str, Any]:
        """Return one carrier; ControlError `not_found`."""
        facts = self._facts(carrier)
        now_ms, orders, reports = await self._look(account)
        return carrier_view(facts, orders=orders, reports=_of(reports, carrier), now_ms=now_ms)

    async def holds(self, *, account: str | None = None) -> list[dict[str, Any]]:
        """Return the holds that stand; for an `account`, without those of others."""
        orders = await self._controls.standing(now_ms=self._clock.now_ms())
        return [hold_view(order) for order in _visible(orders, account) if order.kind in HOLDS]

    async def audit(self, *, before_id: int | None, limit: int) -> tuple[list[dict[str, Any]], int | None]:
        """Return lines of the audit, the newest first, and the id to go on below, None at the end."""
        found = await self._controls.audit(before_id=before_id, limit=limit + 1)
        more = found[limit - 1][0] if len(found) > limit else None
        return [audit_view(entry_id, entry) for entry_id, entry in found[:limit]], more

    # --- orders on carriers -----------------------------------------------------------------------------------

    async def pause(self, carrier: str, *, bind: str, by: By) -> None:
        """Stop submitting, on one bind or all; sessions stay, receipts are heard."""
        await self._know_bind(carrier, bind)
        await self._give(carrier, OrderKind.PAUSE, bind, "", by)

    async def resume(self, carrier: str, *, bind: str, by: By) -> None:
        """End the pause of one bind, or every pause and the drain of the carrier."""
        _check_by(by, 0)
        await self._know_bind(carrier, bind)
        if bind:
            await self._withdraw(carrier, OrderKind.PAUSE, bind, by)
            return
        for order in await self._controls.standing(now_ms=self._clock.now_ms()):
            if order.carrier == carrier and order.kind in (OrderKind.PAUSE, OrderKind.DRAIN):
                await self._withdraw(carrier, order.kind, order.target, by)

    async def drain(self, carrier: str, *, by: By) -> None:
        """Let the windows empty, unbind and stay away until resumed."""
        self._facts(carrier)
        await self._give(carrier, OrderKind.DRAIN, "", "", by)

    async def reconnect(self, carrier: str, *, bind: str, by: By) -> None:
        """Bind one bind, or each in turn, anew."""
        await self._know_bind(carrier, bind)
        until = self._clock.now_ms() + RECONNECT_KEPT_MS
        await self._give(carrier, OrderKind.RECONNECT, bind, "", by._replace(expires_at=until))

    async def limit(self, carrier: str, *, rate: str | None, window: int | str | None, by: By) -> None:
        """Set or (None) withdraw the rate, as text, and the window; KEEP leaves one as it is."""
        _check_by(by, self._clock.now_ms())
        facts = self._facts(carrier)
        wanted = None if rate is None or rate == KEEP else _checked_rate(rate, facts)
        if isinstance(window, int) and not 1 <= window <= MAX_WINDOW:
            raise ControlError(
                "invalid_value", f"window {window} is not within 1 and {MAX_WINDOW}", field="window"
            )
        if rate != KEEP:
            await self._set(carrier, OrderKind.RATE, wanted, by)
        if window != KEEP:
            await self._set(carrier, OrderKind.WINDOW, None if window is None else str(window), by)

    # --- holds ------------------------------------------------------------------------------------------------

    async def hold(self, *, carrier: str, message_class: str, account: str, by: By) -> dict[str, Any]:
        """Let the messages of a class or an account wait, at one carrier or (empty) at all; return the hold."""
        if carrier and carrier not in self._carriers:
            raise ControlError("unknown_carrier", self._no_carrier(carrier), field="carrier")
        if bool(message_class) == bool(account):
            raise ControlError("missing_field", "give either class or account", field="class")
        if message_class and message_class not in CLASSES:
            detail = f"class {quoted(message_class)} does not exist; there are {', '.join(CLASSES)}"
            raise ControlError("invalid_class", detail, field="class")
        if account and not (_ACCOUNT.fullmatch(account) and await self._is_account(account)):
            raise ControlError(
                "unknown_account", f"account {quoted(account)} does not exist", field="account"
            )
        kind = OrderKind.HOLD_CLASS if message_class else OrderKind.HOLD_ACCOUNT
        return hold_view(await self._give(carrier, kind, message_class or account, "", by))

    async def release(self, wanted: str, *, by: By) -> dict[str, Any]:
        """End a hold by its id and return it; ControlError `not_found` when none of that id stands."""
        _check_by(by, 0)
        for order in await self._controls.standing(now_ms=self._clock.now_ms()):
            is_ended = order.kind in HOLDS and hold_id(order) == wanted
            if is_ended and await self._withdraw(order.carrier, order.kind, order.target, by):
                return hold_view(order)
        raise ControlError("not_found", f"there is no hold {quoted(wanted)}")

    # --- inside -----------------------------------------------------------------------------------------------

    async def _look(self, account: str | None) -> tuple[int, list[Order], list[CarrierReport]]:
        now_ms = self._clock.now_ms()
        orders = await self._controls.standing(now_ms=now_ms)
        reports = await self._controls.reports(since_ms=now_ms - FRESH_MS)
        return now_ms, _visible(orders, account), reports

    def _facts(self, carrier: str) -> CarrierFacts:
        facts = self._carriers.get(carrier)
        if facts is None:
            raise ControlError("not_found", self._no_carrier(carrier))
        return facts

    def _no_carrier(self, carrier: str) -> str:
        return f"carrier {quoted(carrier)} does not exist; there are {_listed(self._carriers)}"

    async def _know_bind(self, carrier: str, bind: str) -> None:
        facts = self._facts(carrier)
        if not bind or bind in facts.bind_names:
            return
        reports = await self._controls.reports(since_ms=self._clock.now_ms() - FRESH_MS)
        known = bind_names(facts, _of(reports, carrier))
        if bind not in known:
            detail = f"carrier {carrier} has no bind {quoted(bind)}; it has {_listed(known)}"
            raise ControlError("unknown_bind", detail, field="bind")

    async def _is_account(self, account: str) -> bool:
        return self._account_exists is None or await self._account_exists(account)

    async def _set(self, carrier: str, kind: OrderKind, value: str | None, by: By) -> None:
        if value is None:
            await self._withdraw(carrier, kind, "", by)
        else:
            await self._give(carrier, kind, "", value, by)

    async def _give(self, carrier: str, kind: OrderKind, target: str, value: str, by: By) -> Order:
        now_ms = self._clock.now_ms()
        _check_by(by, now_ms)
        order = Order(carrier, kind, target, value, by.reason.strip(), by.actor, now_ms, by.expires_at)
        try:
            await self._controls.give(order)
        except TooManyOrdersError as error:
            raise ControlError("invalid_value", str(error), field=HOLDS.get(kind, "reason")) from None
        return order

    async def _withdraw(self, carrier: str, kind: OrderKind, target: str, by: By) -> bool:
        now_ms = self._clock.now_ms()
        return await self._controls.withdraw(
            carrier, kind, target, actor=by.actor, reason=by.reason.strip(), now_ms=now_ms
        )


def rate_of(mps: object) -> str:
    """Return a number of segments per second, or a rate, as rate text; ControlError for anything else."""
    if isinstance(mps, str) and "/" in mps:
        return mps
    if isinstance(mps, int | float | str) and not isinstance(mps, bool):
        return f"{mps}/s"
    raise ControlError("invalid_value", 'mps is a number or a rate, such as 80 or "80/s"', field="mps")


def _checked_rate(text: str, facts: CarrierFacts) -> str:
    try:
        # A float may be written as 1e-05, which no rate is.
        rate = Rate.parse(text)
    except ValueError as error:
        raise ControlError("invalid_value", f"mps: {error}", field="mps") from None
    if rate.per_s > Rate.parse(facts.rate).per_s:
        detail = (
            f"mps {quoted(text)} is above the limit of {facts.rate}, which is the rate that {facts.id} is configured "
            "with; to go beyond, change the configuration and load it again"
        )
        raise ControlError("invalid_value", detail, field="mps")
    return str(rate)


def _check_by(by: By, now_ms: int) -> None:
    if not by.reason.strip():
        raise ControlError("missing_field", "a reason is required: it goes into the audit", field="reason")
    if len(by.reason) > MAX_REASON:
        detail = f"reason has {len(by.reason)} characters, {MAX_REASON} are allowed"
        raise ControlError("invalid_value", detail, field="reason")
    if by.expires_at is None:
        return
    if by.expires_at <= now_ms:
        raise ControlError("invalid_time", "expires_at is in the past", field="expires_at")
    if by.expires_at > now_ms + MAX_EXPIRY_MS:
        days = MAX_EXPIRY_MS // 86_400_000
        raise ControlError("invalid_time", f"expires_at is more than {days} days ahead", field="expires_at")


def _visible(orders: Sequence[Order], account: str | None) -> list[Order]:
    """Leave out what concerns other accounts."""
    return [
        order
        for order in orders
        if account is None or order.kind is not OrderKind.HOLD_ACCOUNT or order.target == account
    ]


def _of(reports: Sequence[CarrierReport], carrier: str) -> list[CarrierReport]:
    return [report for report in reports if report.carrier == carrier]


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    shown = list(names)[:_SHOWN_NAMES]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return (", ".join(shown) or "none") + more
