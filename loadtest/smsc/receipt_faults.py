"""What goes wrong with receipts: bad news, lost, twice, late enough to be overtaken, before the response, on this bind or another."""

from random import Random
from typing import Final

from loadtest.shares import Chance

RECEIPTS_ON: Final = ("any", "same", "other")
"""Where a receipt is delivered: over any bind in turn, the one that submitted, or another one."""

REORDER_NS: Final = 500_000_000
DUPLICATE_NS: Final = 1_000_000_000
_SHARES: Final = ("receipts_lost", "receipts_duplicated", "receipts_reordered", "receipts_first", "fail")


class ReceiptFaults:
    """Shares of receipts to which something happens; the same seed draws the same."""

    __slots__ = ("_draw", "receipts_on", "shares")

    def __init__(self, *, seed: int) -> None:
        self._draw = Random(f"receipt_faults:{seed}").random
        self.shares = {name: Chance(0, seed=f"{name}:{seed}") for name in _SHARES}
        self.receipts_on = "any"

    def fails(self) -> bool:
        """Tell whether the next message that was taken ends undeliverable."""
        return self.shares["fail"].falls()

    def is_first(self) -> bool:
        """Tell whether the next receipt comes before the response."""
        return self.shares["receipts_first"].falls()

    def times(self, due_ns: int) -> tuple[int, ...]:
        """Return when a receipt due at `due_ns` is sent: never, once, or twice."""
        shares = self.shares
        if shares["receipts_lost"].falls():
            return ()
        if shares["receipts_reordered"].falls():
            due_ns += int(self._draw() * REORDER_NS)
        if shares["receipts_duplicated"].falls():
            return due_ns, due_ns + int(self._draw() * DUPLICATE_NS)
        return (due_ns,)
