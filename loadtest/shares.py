"""Shares of traffic as configuration writes them, and drawing by them: `"ESME_RSUBMITFAIL=0.01,0x45=0.05"`.

Used by the error mixes and the faults of every simulator.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Generic, TypeVar

K = TypeVar("K")


def parse_share(name: str, value: Any) -> float:
    """Return a share between 0 and 1. Raises ValueError naming what it is for."""
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = -1.0
    if isinstance(value, bool) or not 0 <= share <= 1:
        raise ValueError(f"{name} {value!r} is not a share between 0 and 1")
    return share


def parse_shares(name: str, text: str, *, key: Callable[[str], K]) -> dict[K, float]:
    """Return share by key from `"KEY=0.01,KEY=0.05"`; `key` reads one key, or raises ValueError. Raises ValueError."""
    shares: dict[K, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        word, equals, share = part.partition("=")
        try:
            shares[key(word.strip())] = float(share)
        except ValueError as error:
            raise ValueError(f"{name} part {part!r} is not NAME=share: {error}") from None
        if not equals or not 0 <= float(share) <= 1:
            raise ValueError(f"{name} part {part!r} is not a share between 0 and 1")
    if sum(shares.values()) > 1 + 1e-9:
        raise ValueError(f"{name} {text!r} add up to more than 1")
    return shares


def shares_text(value: Any) -> str:
    """Return a mix as text, whether it was written as text or as an object."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={share}" for name, share in value.items())
    return str(value)


class Mix(Generic[K]):
    """Draws one of several keys by its share, or None; the same seed draws the same."""

    __slots__ = ("_bounds", "_uniform", "shares")

    def __init__(self, shares: Mapping[K, float], *, seed: str) -> None:
        self._uniform: Callable[[], float] = Random(f"mix:{seed}").random
        self.set(shares)

    def set(self, shares: Mapping[K, float]) -> None:
        """Replace the shares, adding up to at most 1; the drawing goes on where it was."""
        self.shares = dict(shares)
        bound = 0.0
        self._bounds: list[tuple[float, K]] = []
        for key, share in shares.items():
            if share:
                bound += share
                self._bounds.append((bound, key))

    def draw(self) -> K | None:
        """Return the key drawn, None for the rest; draws nothing while there are no shares."""
        if not self._bounds:
            return None
        drawn = self._uniform()
        for bound, key in self._bounds:
            if drawn < bound:
                return key
        return None


class Chance:
    """Says yes for a share of the asks, `fallen` times so far; the same seed says the same."""

    __slots__ = ("_uniform", "fallen", "share")

    def __init__(self, share: float, *, seed: str) -> None:
        self._uniform: Callable[[], float] = Random(f"chance:{seed}").random
        self.share = share
        self.fallen = 0

    def falls(self) -> bool:
        """Draw once; at 0 nothing is drawn."""
        if self.share > 0 and self._uniform() < self.share:
            self.fallen += 1
            return True
        return False
