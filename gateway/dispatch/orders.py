"""What operators ordered, as one value per carrier; and the book that keeps them, whatever the store does.

The supervisor's control task refreshes the book, lane workers follow what it says.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from gateway.domain.message import CLASSES
from gateway.ports.clock import Clock
from gateway.ports.control_store import ControlStore, Order, OrderKind
from gateway.ports.links import LinkWish
from throttling.rates import Rate, RateError

_log = structlog.get_logger()

_CLASS_INDEX: Final = {name.value: index for index, name in enumerate(CLASSES)}
_MAX_WINDOW: Final = 1000
_NO_WISH: Final = LinkWish()


class Reconnect(NamedTuple):
    """One order to bind again. `number` grows with each; `bind` empty: all, in turn."""

    bind: str
    number: int
    ordered_at: int


@dataclass(frozen=True, slots=True)
class CarrierOrders:
    """What stands for one carrier. `rate` is of the whole carrier, None without an order.

    `held_classes` are class indices, `held_accounts` the accounts whose messages are set aside.
    """

    wish: LinkWish = _NO_WISH
    rate: Rate | None = None
    reconnects: tuple[Reconnect, ...] = ()
    held_classes: frozenset[int] = frozenset()
    held_accounts: frozenset[str] = frozenset()


NO_ORDERS: Final = CarrierOrders()


class UnreadableOrderError(ValueError):
    """The value of an order cannot be followed; the text names it."""


def orders_of(carrier: str, orders: Iterable[Order]) -> CarrierOrders:
    """Return what stands for `carrier`, its own orders and those for all; what cannot be read is left out."""
    is_paused = is_drained = False
    window: int | None = None
    rate: Rate | None = None
    paused_binds: set[str] = set()
    reconnects: list[Reconnect] = []
    classes: set[int] = set()
    accounts: set[str] = set()
    for order in orders:
        if order.carrier not in ("", carrier):
            continue
        match order.kind:
            case OrderKind.PAUSE if order.target:
                paused_binds.add(order.target)
            case OrderKind.PAUSE:
                is_paused = True
            case OrderKind.DRAIN:
                is_drained = True
            case OrderKind.RATE:
                rate = rate_in(order)
            case OrderKind.WINDOW:
                window = window_in(order)
            case OrderKind.RECONNECT:
                reconnects.append(Reconnect(order.target, int(order.value or 0), order.ordered_at))
            case OrderKind.HOLD_CLASS:
                classes.add(_CLASS_INDEX[order.target])
            case OrderKind.HOLD_ACCOUNT:
                accounts.add(order.target)
    return CarrierOrders(
        LinkWish(is_paused, is_drained, frozenset(paused_binds), window),
        rate,
        tuple(sorted(reconnects)),
        frozenset(classes),
        frozenset(accounts),
    )


def rate_in(order: Order) -> Rate:
    """Return the rate of an order; UnreadableOrderError when it is none."""
    try:
        return Rate.parse(order.value)
    except RateError as error:
        raise UnreadableOrderError(str(error)) from None


def window_in(order: Order) -> int:
    """Return the slots of an order, of one bind; UnreadableOrderError when they are none."""
    if not order.value.isascii() or not order.value.isdigit() or not 1 <= int(order.value) <= _MAX_WINDOW:
        raise UnreadableOrderError(f"window {order.value!r} is not a number from 1 to {_MAX_WINDOW}")
    return int(order.value)


def check(order: Order) -> None:
    """Raise UnreadableOrderError for an order that no worker could follow."""
    match order.kind:
        case OrderKind.RATE:
            rate_in(order)
        case OrderKind.WINDOW:
            window_in(order)
        case OrderKind.RECONNECT if not order.value.isdigit():
            raise UnreadableOrderError(f"reconnect {order.value!r} is not a running number")
        case OrderKind.HOLD_CLASS if order.target not in _CLASS_INDEX:
            raise UnreadableOrderError(f"class {order.target!r} is none of {', '.join(_CLASS_INDEX)}")
        case OrderKind.HOLD_ACCOUNT if not order.target:
            raise UnreadableOrderError("a hold of an account names none")
        case _:
            pass


class OrderBook:
    """The standing orders as this process last read them. While the store cannot be read they stand as they are.

    `version` counts the changes seen here.
    """

    def __init__(self, store: ControlStore, *, clock: Clock) -> None:
        self.version = 0
        self._store = store
        self._clock = clock
        self._stored_version: int | None = None
        self._orders: tuple[Order, ...] = ()
        self._by_carrier: dict[str, CarrierOrders] = {}

    @property
    def is_read(self) -> bool:
        """True once the store was read."""
        return self._stored_version is not None

    def of(self, carrier: str) -> CarrierOrders:
        """Return what stands for a carrier."""
        found = self._by_carrier.get(carrier)
        if found is None:
            found = self._by_carrier[carrier] = orders_of(carrier, self._orders)
        return found

    async def refresh(self) -> None:
        """Read what is new. Raises what the store raises; what expired does not stand any more even then."""
        self._expire()
        version = await self._store.version()
        if version != self._stored_version:
            orders = await self._store.standing(now_ms=self._clock.now_ms())
            self._stored_version = version
            self._take(tuple(order for order in orders if _is_readable(order)))

    def _expire(self) -> None:
        now_ms = self._clock.now_ms()
        self._take(tuple(o for o in self._orders if o.expires_at is None or o.expires_at > now_ms))

    def _take(self, orders: tuple[Order, ...]) -> None:
        if orders == self._orders:
            return
        self._orders = orders
        self._by_carrier.clear()
        self.version += 1
        _log.info("orders.changed", standing=len(orders), version=self._stored_version)


def _is_readable(order: Order) -> bool:
    try:
        check(order)
    except UnreadableOrderError as error:
        _log.warning("order.unreadable", carrier=order.carrier, kind=order.kind.value, error=str(error)[:200])
        return False
    return True
