"""Concatenation references: two long messages in flight to one handset never share one (sms-domain B16).

One allocator per process, shared by all lanes: a handset does not care by which carrier its parts come.
"""

from collections import OrderedDict
from random import Random
from typing import Final

_MAX_PAIRS: Final = 50_000


class References:
    """A counter per (sender, recipient): a reference comes again only after all the others of its width did.

    A pair that was not seen lately starts anywhere (`random`), so a restart does not repeat what is in flight. At
    most `max_pairs` pairs are remembered, the least recently used are forgotten.
    """

    __slots__ = ("_last", "_max_pairs", "_random")

    def __init__(self, random: Random, *, max_pairs: int = _MAX_PAIRS) -> None:
        self._random = random
        self._max_pairs = max_pairs
        self._last: OrderedDict[tuple[str, str], int] = OrderedDict()

    def draw(self, sender: str, recipient: str, *, bits: int = 8) -> int:
        """Return the next reference of that many bits for this pair."""
        key = (sender, recipient)
        last = self._last.get(key)
        reference = self._random.getrandbits(bits) if last is None else (last + 1) & ((1 << bits) - 1)
        self._remember(key, reference)
        return reference

    def keep(self, sender: str, recipient: str, reference: int) -> None:
        """Note a reference drawn earlier (a resend): what is drawn next for the pair comes after it."""
        key = (sender, recipient)
        if key not in self._last:
            self._remember(key, reference)

    def __len__(self) -> int:
        """Count the pairs remembered."""
        return len(self._last)

    def _remember(self, key: tuple[str, str], reference: int) -> None:
        self._last[key] = reference
        self._last.move_to_end(key)
        if len(self._last) > self._max_pairs:
            self._last.popitem(last=False)
