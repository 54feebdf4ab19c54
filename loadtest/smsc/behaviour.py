"""What becomes of a submit: hidden limit, error mix and magic numbers; a decision without I/O."""

from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from adapters.smpp.wire import constants as c
from loadtest.rates import HiddenLimit
from loadtest.shares import parse_shares
from loadtest.smsc.receipts import DELIVERED, EXPIRED, UNDELIVERABLE

MAX_REMEMBERED_NUMBERS: Final = 100_000
REFUSALS_PER_NUMBER: Final = 2


class Verdict(NamedTuple):
    """`state` is the final message_state, 0 when the message vanishes; `is_answered` False means no response ever."""

    status: int
    state: int = 0
    is_answered: bool = True
    is_receipt_first: bool = False


TAKEN: Final = Verdict(c.ESME_ROK, DELIVERED)
_THROTTLED: Final = Verdict(c.ESME_RTHROTTLED)

_BY_SUFFIX: Final = {
    "01": TAKEN,
    "02": Verdict(c.ESME_ROK, UNDELIVERABLE),
    "03": Verdict(c.ESME_ROK, EXPIRED),
    "04": Verdict(c.ESME_ROK),
    "06": Verdict(c.ESME_RINVDSTADR),
    "08": Verdict(c.ESME_ROK, DELIVERED, is_answered=False),
    "09": Verdict(c.ESME_ROK, DELIVERED, is_receipt_first=True),
}
_REFUSED_FIRST: Final = {"05": _THROTTLED, "07": Verdict(c.ESME_RSYSERR)}


def status_code(name: str) -> int:
    """Return the command_status called `name`, or written as 0x... Raises ValueError."""
    code = _STATUS_CODES.get(name)
    if code is not None:
        return code
    try:
        code = int(name, 16)
    except ValueError:
        raise ValueError(f"command_status {name!r} is neither a known name nor 0x...") from None
    if not 0 < code <= 0xFFFFFFFF:
        raise ValueError(f"command_status {name!r} is outside 1..0xFFFFFFFF")
    return code


_STATUS_CODES: Final = {name: code for code, name in c.STATUS_NAMES.items()}


def parse_errors(text: str) -> dict[int, float]:
    """Return share by command_status from `"ESME_RSUBMITFAIL=0.01,0x45=0.05"`. Raises ValueError."""
    return parse_shares("errors", text, key=status_code)


class Behaviour:
    """The standing orders of the simulator; changed live by the HTTP API."""

    __slots__ = ("_error_bounds", "_refusals", "_uniform", "errors", "is_magic")

    def __init__(
        self, *, errors: dict[int, float] | None = None, is_magic: bool = True, seed: int = 0
    ) -> None:
        self._uniform: Callable[[], float] = Random(f"errors:{seed}").random
        self._refusals: dict[str, int] = {}
        self.is_magic = is_magic
        self.set_errors(errors or {})

    def set_errors(self, errors: dict[int, float]) -> None:
        """Replace the error mix: share by command_status, adding up to at most 1."""
        self.errors = dict(errors)
        bound = 0.0
        self._error_bounds: list[tuple[float, Verdict]] = []
        for status, share in errors.items():
            bound += share
            self._error_bounds.append((bound, Verdict(status)))

    def forget(self) -> None:
        """Start the counting of refused tries anew."""
        self._refusals.clear()

    def judge(self, destination: str, *, limit: HiddenLimit | None, now_ns: int) -> Verdict:
        """Decide on a well-formed submit to `destination`."""
        if limit is not None and not limit.takes(now_ns):
            return _THROTTLED
        if self._error_bounds:
            drawn = self._uniform()
            for bound, verdict in self._error_bounds:
                if drawn < bound:
                    return verdict
        if not self.is_magic:
            return TAKEN
        suffix = destination[-2:]
        refusal = _REFUSED_FIRST.get(suffix)
        if refusal is not None:
            return refusal if self._is_refused_again(destination) else TAKEN
        return _BY_SUFFIX.get(suffix, TAKEN)

    def _is_refused_again(self, destination: str) -> bool:
        refusals = self._refusals
        count = refusals.pop(destination, 0)
        if count >= REFUSALS_PER_NUMBER:
            return False
        if len(refusals) >= MAX_REMEMBERED_NUMBERS:
            del refusals[next(iter(refusals))]
        refusals[destination] = count + 1
        return True
