"""The knobs of the message centre simulator by name: what `POST /faults`, timelines and settings may change.

latency, receipt_delay    "20ms" or "p50=20ms,p99=120ms": of submit responses, of receipts after them
errors, mps               mix of command_status; hidden limit of each system_id, above it ESME_RTHROTTLED
magic                     whether the last two digits of a destination choose what becomes of it
receipts, hold_receipts   send receipts at all; keep them back, and let them go at once
receipts_lost, receipts_duplicated, receipts_reordered, receipts_first       shares; first: before the response
fail                      share of the messages taken that end undeliverable
receipts_on               "any", "same" or "other" bind than the one that submitted
refuse_binds, refuse      answer binds with this status; refuse TCP connections (those that stand go on)
outage                    refuse TCP connections and cut those that stand: the carrier is gone
silence                   "submits": they get no response; "all": connections hang, enquire_link included
slow_reader               octets a second that are read of each connection, 0: as fast as it goes
disconnect, unbind, half_open      once: cut, unbind, or leave dead without a goodbye every connection (disconnect = 2: two)
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

from adapters.smpp.wire import constants as c
from loadtest.delays import Delay
from loadtest.faults import boolean, number
from loadtest.rates import HiddenLimit
from loadtest.shares import parse_share, shares_text
from loadtest.smsc.accounts import Account, Session
from loadtest.smsc.behaviour import Behaviour, parse_errors, status_code
from loadtest.smsc.receipt_faults import RECEIPTS_ON, ReceiptFaults
from loadtest.smsc.settings import SmscSettings


class Centre(Protocol):
    """What the knobs need of the message centre."""

    settings: SmscSettings
    accounts: dict[str, Account]
    sessions: dict[int, Session]
    behaviour: Behaviour
    receipt_faults: ReceiptFaults
    latency: Delay
    receipt_delay: Delay
    mps: float | None
    sends_receipts: bool
    holds_receipts: bool
    refuses_binds_with: int
    refuses: bool
    slow_reader: float
    answers_submits: bool
    is_silent: bool
    refuse_connections: Callable[[bool], None]

    def hold_receipts(self, is_held: bool) -> None:  # noqa: FBT001  # reads as a statement
        """Keep receipts back, or send all that piled up at once."""

    def fall_silent(self, is_silent: bool) -> None:  # noqa: FBT001  # reads as a statement
        """Hang every connection, or let them go on."""


class SmscKnobs:
    """`loadtest.faults.Knobs` of one centre; `disconnect`, `unbind` and `half_open` act once."""

    __slots__ = ("_centre",)

    def __init__(self, centre: Centre) -> None:
        self._centre = centre

    def standing(self) -> dict[str, Any]:
        """Return the value of each knob that does not act once, as `change` takes it."""
        centre = self._centre
        silence = "all" if centre.is_silent else "none" if centre.answers_submits else "submits"
        refusal = centre.refuses_binds_with
        faults = centre.receipt_faults
        return {
            "latency": centre.latency.text,
            "receipt_delay": centre.receipt_delay.text,
            "errors": {c.status_name(status): share for status, share in centre.behaviour.errors.items()},
            "mps": centre.mps,
            "magic": centre.behaviour.is_magic,
            "receipts": centre.sends_receipts,
            "hold_receipts": centre.holds_receipts,
            **{name: chance.share for name, chance in faults.shares.items()},
            "receipts_on": faults.receipts_on,
            "refuse_binds": c.status_name(refusal) if refusal else False,
            "refuse": centre.refuses,
            "outage": centre.refuses,
            "slow_reader": centre.slow_reader,
            "silence": silence,
        }

    def change(self, name: str, value: Any) -> Callable[[], None]:
        """Return the change that `name: value` asks for, fully checked. Raises ValueError or TypeError."""
        shares = self._centre.receipt_faults.shares
        if name in shares:
            share = parse_share(name, value)
            return lambda: setattr(shares[name], "share", share)
        make = _CHANGES.get(name)
        if make is None:
            raise ValueError(f"fault {name!r} is not one of {', '.join((*_CHANGES, *shares))}")
        return make(self._centre, value)


def _set_delay(attribute: str) -> Callable[[Centre, Any], Callable[[], None]]:
    def make(centre: Centre, value: Any) -> Callable[[], None]:
        delay = Delay(str(value), seed=f"{attribute}:{centre.settings.seed}")
        return lambda: setattr(centre, attribute, delay)

    return make


def _set_errors(centre: Centre, value: Any) -> Callable[[], None]:
    errors = parse_errors(shares_text(value))
    return lambda: centre.behaviour.set_errors(errors)


def _set_mps(centre: Centre, value: Any) -> Callable[[], None]:
    mps = None if value is None else float(value)
    if mps is not None:
        HiddenLimit(mps)

    def change() -> None:
        centre.mps = mps
        for account in centre.accounts.values():
            account.limit = None if mps is None else HiddenLimit(mps)

    return change


def _set_receipts(centre: Centre, value: Any) -> Callable[[], None]:
    wanted = boolean("receipts", value)
    return lambda: setattr(centre, "sends_receipts", wanted)


def _set_hold(centre: Centre, value: Any) -> Callable[[], None]:
    wanted = boolean("hold_receipts", value)
    return lambda: centre.hold_receipts(wanted)


def _set_magic(centre: Centre, value: Any) -> Callable[[], None]:
    wanted = boolean("magic", value)
    return lambda: setattr(centre.behaviour, "is_magic", wanted)


def _set_refusal(centre: Centre, value: Any) -> Callable[[], None]:
    status = c.ESME_RBINDFAIL if value is True else 0 if not value else status_code(str(value))
    return lambda: setattr(centre, "refuses_binds_with", status)


def _set_silence(centre: Centre, value: Any) -> Callable[[], None]:
    """`true` or "submits": submits get no answer; "all": connections hang, enquire_link included."""
    silence = {True: "submits", False: "none"}.get(value, value) if isinstance(value, bool) else value
    if silence not in {"none", "submits", "all"}:
        raise ValueError(f"silence {value!r} is not none, submits or all")

    def change() -> None:
        centre.answers_submits = silence != "submits"
        centre.fall_silent(silence == "all")

    return change


def _disconnect(centre: Centre, value: Any) -> Callable[[], None]:
    """`true`: every connection; a number: so many, the oldest first."""
    is_count = isinstance(value, int) and not isinstance(value, bool)
    count = int(number("disconnect", value, low=0, high=10_000)) if is_count else None
    wanted = is_count or boolean("disconnect", value)

    def change() -> None:
        if wanted:
            for session in tuple(centre.sessions.values())[:count]:
                session.drop()

    return change


def _unbind(centre: Centre, value: Any) -> Callable[[], None]:
    def change() -> None:
        if wanted:
            for session in tuple(centre.sessions.values()):
                session.unbind()

    wanted = boolean("unbind", value)
    return change


def _half_open(centre: Centre, value: Any) -> Callable[[], None]:
    """The connections that stand are dead from now on, without a goodbye; new ones work."""

    def change() -> None:
        if wanted:
            for session in tuple(centre.sessions.values()):
                session.die()

    wanted = boolean("half_open", value)
    return change


def _set_refuse(centre: Centre, value: Any) -> Callable[[], None]:
    wanted = boolean("refuse", value)

    def change() -> None:
        centre.refuses = wanted
        centre.refuse_connections(wanted)

    return change


def _set_outage(centre: Centre, value: Any) -> Callable[[], None]:
    wanted = boolean("outage", value)
    refuse, cut = _set_refuse(centre, wanted), _disconnect(centre, wanted)

    def change() -> None:
        refuse()
        cut()

    return change


def _set_slow_reader(centre: Centre, value: Any) -> Callable[[], None]:
    octets_per_s = number("slow_reader", value, low=0, high=1e9)
    return lambda: setattr(centre, "slow_reader", octets_per_s)


def _set_receipts_on(centre: Centre, value: Any) -> Callable[[], None]:
    if value not in RECEIPTS_ON:
        raise ValueError(f"receipts_on {value!r} is not one of {', '.join(RECEIPTS_ON)}")
    return lambda: setattr(centre.receipt_faults, "receipts_on", value)


_CHANGES: Final[dict[str, Callable[[Centre, Any], Callable[[], None]]]] = {
    "latency": _set_delay("latency"),
    "receipt_delay": _set_delay("receipt_delay"),
    "errors": _set_errors,
    "mps": _set_mps,
    "magic": _set_magic,
    "receipts": _set_receipts,
    "hold_receipts": _set_hold,
    "refuse_binds": _set_refusal,
    "receipts_on": _set_receipts_on,
    "refuse": _set_refuse,
    "outage": _set_outage,
    "slow_reader": _set_slow_reader,
    "half_open": _half_open,
    "silence": _set_silence,
    "disconnect": _disconnect,
    "unbind": _unbind,
}
