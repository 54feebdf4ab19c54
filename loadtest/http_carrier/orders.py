"""The standing orders of an HTTP carrier: every knob of its behaviour, and the decisions they lead to; without I/O.

The words are those of the message centre simulator (`loadtest.smsc.knobs`) where both have the knob:

    latency, receipt_delay, late_delay   "20ms" or "p50=20ms,p99=120ms": of answers, of each receipt, of late receipts
    errors                               mix: HTTP statuses (whole requests) and the carrier's words (single messages)
    mps                                  hidden limit of messages a second, for each sender's number with WhatsApp
    throttle_as, retry_after_s           "429" or "body": how the limit is told; Retry-After of 429 and 503
    magic                                whether the last two digits of a destination choose what becomes of it
    disconnect_mix                       mix of before_read, after_read, mid_answer: where the connection ends
    garbage                              mix of octets, html, empty, cut_json, other_json, wrong_length: wrong answers
    unanswered                           share taken and never answered; silence "submits": all; "all": nothing is read
    refuse                               new connections are refused, those that stand go on
    outage                               new connections are refused and those that stand are cut: the carrier is gone
    slow_reader, slow_answer             octets a second, 0: as fast as it goes
    fail, fail_code, silent, late, read  shares of messages that fail, are never told of, told late, read; and the code
    receipts, hold_receipts              send receipts at all; keep them back, and let them go at once
    receipt_batch                        receipts in one callback, at most
    receipts_lost, receipts_duplicated, receipts_reordered, receipts_first       shares; first: before the response
    windows                              "known" or "open": whether WhatsApp's 24-hour windows are looked at
    disconnect, half_open                once: cut every connection; leave every one dead without a goodbye
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from loadtest.delays import Delay
from loadtest.faults import boolean, number
from loadtest.http_carrier.exchange import Kind, Verdict
from loadtest.rates import HiddenLimit
from loadtest.shares import Chance, Mix, parse_share, parse_shares, shares_text

MAX_REMEMBERED_NUMBERS: Final = 100_000
REFUSALS_PER_NUMBER: Final = 2
MAX_LIMITS: Final = 1_000

BREAKS: Final = ("before_read", "after_read", "mid_answer")
GARBAGE: Final = ("octets", "html", "empty", "cut_json", "other_json", "wrong_length")
FATES: Final = ("delivered", "read", "undeliverable", "expired", "sent", "silent")

_BY_SUFFIX: Final = {
    "01": Verdict(fate="read"),
    "02": Verdict(fate="undeliverable"),
    "03": Verdict(fate="expired"),
    "04": Verdict(fate="silent"),
    "06": Verdict(refusal="refused"),
    "08": Verdict(is_answered=False),
    "09": Verdict(is_receipt_first=True),
}
_REFUSED_FIRST: Final = {"05": Verdict(refusal="throttled"), "07": Verdict(refusal="system_error")}
TAKEN: Final = Verdict()
_THROTTLED: Final = Verdict(refusal="throttled")


class Orders:
    """Knobs by name, see `KNOBS`; the carrier reads the attributes, `acts` are what a knob does at once."""

    def __init__(self, *, seed: int, acts: Mapping[str, Callable[[Any], None]]) -> None:
        self._seed = seed
        self._acts = acts
        self._kind: Kind | None = None
        self._refusals: dict[str, int] = {}
        self._limits: dict[str, HiddenLimit] = {}
        self.latency = Delay("0", seed=f"latency:{seed}")
        self.receipt_delay = Delay("0", seed=f"receipt_delay:{seed}")
        self.late_delay = Delay("30s", seed=f"late_delay:{seed}")
        self.errors: Mix[str] = Mix({}, seed=f"errors:{seed}")
        self.http_errors: Mix[int] = Mix({}, seed=f"http_errors:{seed}")
        self.breaks: Mix[str] = Mix({}, seed=f"breaks:{seed}")
        self.garbage: Mix[str] = Mix({}, seed=f"garbage:{seed}")
        self.shares = {name: Chance(0, seed=f"{name}:{seed}") for name in SHARES}
        self.mps: float | None = None
        self.throttle_as = "429"
        self.retry_after_s = 1
        self.is_magic = True
        self.sends_receipts = True
        self.holds_receipts = False
        self.receipt_batch = 1
        self.fail_code = 0
        self.silence = "none"
        self.refuses = False
        self.slow_reader = 0.0
        self.slow_answer = 0.0
        self.windows = "known"

    def serve(self, kind: Kind) -> None:
        """Say whose words the error mix is written in."""
        self._kind = kind

    def forget(self) -> None:
        """Start the counting of refused tries anew."""
        self._refusals.clear()

    # -- knobs -------------------------------------------------------------------------------------

    def standing(self) -> dict[str, Any]:
        """Return the value of each knob that does not act once, as `change` takes it."""
        errors = {str(status): share for status, share in self.http_errors.shares.items()}
        return {
            "latency": self.latency.text,
            "receipt_delay": self.receipt_delay.text,
            "late_delay": self.late_delay.text,
            "errors": errors | dict(self.errors.shares),
            "disconnect_mix": dict(self.breaks.shares),
            "garbage": dict(self.garbage.shares),
            **{name: chance.share for name, chance in self.shares.items()},
            "mps": self.mps,
            "throttle_as": self.throttle_as,
            "retry_after_s": self.retry_after_s,
            "magic": self.is_magic,
            "receipts": self.sends_receipts,
            "hold_receipts": self.holds_receipts,
            "receipt_batch": self.receipt_batch,
            "fail_code": self.fail_code,
            "silence": self.silence,
            "refuse": self.refuses,
            "outage": self.refuses,
            "slow_reader": self.slow_reader,
            "slow_answer": self.slow_answer,
            "windows": self.windows,
        }

    def change(self, name: str, value: Any) -> Callable[[], None]:
        """Return the change that `name: value` asks for, fully checked. Raises ValueError or TypeError."""
        if name in self.shares:
            share = parse_share(name, value)
            return lambda: setattr(self.shares[name], "share", share)
        make = KNOBS.get(name)
        if make is None:
            raise ValueError(f"fault {name!r} is not one of {', '.join((*KNOBS, *SHARES))}")
        return make(self, name, value)

    def act(self, name: str, value: Any) -> None:
        """Do at once what a knob means for connections and queues."""
        self._acts[name](value)

    def split_errors(self, text: str) -> tuple[dict[int, float], dict[str, float]]:
        """Return the shares of whole requests by HTTP status, and of messages by the carrier's word."""

        def key(word: str) -> str:
            if word.isdigit() and 400 <= int(word) <= 599:
                return word
            return word if self._kind is None else self._kind.codes(word)

        shares = parse_shares("errors", text, key=key)
        whole = {int(word): share for word, share in shares.items() if word.isdigit() and int(word) < 600}
        return whole, {
            word: share for word, share in shares.items() if not word.isdigit() or int(word) >= 600
        }

    # -- decisions ---------------------------------------------------------------------------------

    def takes(self, key: str, now_ns: int) -> bool:
        """Take a token of the hidden limit of this sender, or return False when there is none."""
        if self.mps is None:
            return True
        limit = self._limits.get(key)
        if limit is None:
            if len(self._limits) >= MAX_LIMITS:
                self._limits.pop(next(iter(self._limits)))
            limit = self._limits[key] = HiddenLimit(self.mps)
        return limit.takes(now_ns)

    def set_mps(self, mps: float | None) -> None:
        """Replace the hidden limit."""
        self.mps = mps
        self._limits.clear()

    def judge(self, destination: str) -> Verdict:
        """Decide on a well-formed message that the hidden limit let through."""
        word = self.errors.draw()
        if word is not None:
            return Verdict(refusal=word)
        verdict = self._by_number(destination) if self.is_magic else TAKEN
        shares = self.shares
        if verdict is TAKEN:
            if shares["fail"].falls():
                verdict = Verdict(fate="undeliverable")
            elif shares["silent"].falls():
                verdict = Verdict(fate="silent")
            elif shares["read"].falls():
                verdict = Verdict(fate="read")
        if not verdict.refusal:
            if shares["receipts_first"].falls():
                verdict = verdict._replace(is_receipt_first=True)
            if shares["unanswered"].falls():
                verdict = verdict._replace(is_answered=False)
        return verdict

    def _by_number(self, destination: str) -> Verdict:
        suffix = destination[-2:]
        refusal = _REFUSED_FIRST.get(suffix)
        if refusal is None:
            return _BY_SUFFIX.get(suffix, TAKEN)
        refusals = self._refusals
        count = refusals.pop(destination, 0)
        if count >= REFUSALS_PER_NUMBER:
            return TAKEN
        if len(refusals) >= MAX_REMEMBERED_NUMBERS:
            del refusals[next(iter(refusals))]
        refusals[destination] = count + 1
        return refusal


SHARES: Final = (
    "fail",
    "silent",
    "late",
    "read",
    "unanswered",
    "receipts_lost",
    "receipts_duplicated",
    "receipts_reordered",
    "receipts_first",
)
"""Knobs that are a share of the messages, 0 to 1."""

Maker = Callable[[Orders, str, Any], Callable[[], None]]


def _delay(orders: Orders, name: str, value: Any) -> Callable[[], None]:
    delay = Delay(str(value), seed=f"{name}:{orders._seed}")  # noqa: SLF001  # this module's own
    return lambda: setattr(orders, name, delay)


def _errors(orders: Orders, _: str, value: Any) -> Callable[[], None]:
    whole, words = orders.split_errors(shares_text(value))

    def change() -> None:
        orders.http_errors.set(whole)
        orders.errors.set(words)

    return change


def _mix(attribute: str, allowed: tuple[str, ...]) -> Maker:
    def make(orders: Orders, name: str, value: Any) -> Callable[[], None]:
        def key(word: str) -> str:
            if word not in allowed:
                raise ValueError(f"{word!r} is not one of {', '.join(allowed)}")
            return word

        shares = parse_shares(name, shares_text(value), key=key)
        mix: Mix[str] = getattr(orders, attribute)
        return lambda: mix.set(shares)

    return make


def _mps(orders: Orders, _: str, value: Any) -> Callable[[], None]:
    mps = None if value is None else number("mps", value, low=0, high=1_000_000)
    if mps is not None:
        HiddenLimit(mps)
    return lambda: orders.set_mps(mps)


def _one_of(attribute: str, allowed: tuple[str, ...]) -> Maker:
    def make(orders: Orders, name: str, value: Any) -> Callable[[], None]:
        if str(value) not in allowed:
            raise ValueError(f"{name} {value!r} is not one of {', '.join(allowed)}")
        return lambda: setattr(orders, attribute, str(value))

    return make


def _switch(attribute: str) -> Maker:
    def make(orders: Orders, name: str, value: Any) -> Callable[[], None]:
        wanted = boolean(name, value)
        return lambda: setattr(orders, attribute, wanted)

    return make


def _count(attribute: str, *, low: int, high: int) -> Maker:
    def make(orders: Orders, name: str, value: Any) -> Callable[[], None]:
        wanted = int(number(name, value, low=low, high=high))
        return lambda: setattr(orders, attribute, wanted)

    return make


def _octets_per_s(attribute: str) -> Maker:
    def make(orders: Orders, name: str, value: Any) -> Callable[[], None]:
        wanted = number(name, value, low=0, high=1e9)
        return lambda: setattr(orders, attribute, wanted)

    return make


def _acting(attribute: str) -> Maker:
    """A switch that also does something when it is turned."""

    def make(orders: Orders, name: str, value: Any) -> Callable[[], None]:
        wanted = boolean(name, value)

        def change() -> None:
            setattr(orders, attribute, wanted)
            orders.act(name, wanted)

        return change

    return make


def _silence(orders: Orders, _: str, value: Any) -> Callable[[], None]:
    """`true` or "submits": requests get no answer; "all": connections hang, nothing is read."""
    silence = ("submits" if value else "none") if isinstance(value, bool) else value
    if silence not in {"none", "submits", "all"}:
        raise ValueError(f"silence {value!r} is not none, submits or all")

    def change() -> None:
        orders.silence = silence
        orders.act("silence", silence)

    return change


def _outage(orders: Orders, _: str, value: Any) -> Callable[[], None]:
    refuse, cut = _acting("refuses")(orders, "refuse", value), _once(orders, "disconnect", value)

    def change() -> None:
        refuse()
        cut()

    return change


def _once(orders: Orders, name: str, value: Any) -> Callable[[], None]:
    wanted = boolean(name, value)
    return lambda: orders.act(name, None) if wanted else None


KNOBS: Final[dict[str, Maker]] = {
    "latency": _delay,
    "receipt_delay": _delay,
    "late_delay": _delay,
    "errors": _errors,
    "disconnect_mix": _mix("breaks", BREAKS),
    "garbage": _mix("garbage", GARBAGE),
    "mps": _mps,
    "throttle_as": _one_of("throttle_as", ("429", "body")),
    "retry_after_s": _count("retry_after_s", low=0, high=86_400),
    "magic": _switch("is_magic"),
    "receipts": _switch("sends_receipts"),
    "hold_receipts": _acting("holds_receipts"),
    "receipt_batch": _count("receipt_batch", low=1, high=1_000),
    "fail_code": _count("fail_code", low=0, high=9_999_999),
    "silence": _silence,
    "refuse": _acting("refuses"),
    "outage": _outage,
    "slow_reader": _octets_per_s("slow_reader"),
    "slow_answer": _octets_per_s("slow_answer"),
    "windows": _one_of("windows", ("known", "open")),
    "disconnect": _once,
    "half_open": _once,
}
"""Knobs that are no plain share; the last two act once."""
