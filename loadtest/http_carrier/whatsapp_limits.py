"""Limits of a WhatsApp business account: windows with people, pace to one person, unique people in 24 hours. Pure."""

from typing import Final

MAX_REMEMBERED: Final = 1_000_000
DAY_NS: Final = 86_400_000_000_000


def _person(digits: str) -> str:
    """Return a number without the 1 of old that Mexican WhatsApp ids carry."""
    return f"52{digits[3:]}" if len(digits) == 13 and digits.startswith("521") else digits


class Windows:
    """Who has written lately to which number of ours."""

    __slots__ = ("_until_ns", "_window_ns")

    def __init__(self, *, window_s: float) -> None:
        self._window_ns = int(window_s * 1e9)
        self._until_ns: dict[tuple[str, str], int] = {}

    def open(self, phone_number_id: str, person: str, now_ns: int) -> None:
        """Note a message of a person."""
        key = (phone_number_id, _person(person))
        self._until_ns.pop(key, None)
        if len(self._until_ns) >= MAX_REMEMBERED:
            del self._until_ns[next(iter(self._until_ns))]
        self._until_ns[key] = now_ns + self._window_ns

    def is_open(self, phone_number_id: str, person: str, now_ns: int) -> bool:
        """Tell whether free messages may go to this person."""
        return self._until_ns.get((phone_number_id, _person(person)), 0) > now_ns


class PairLimit:
    """Messages of one number to one person: one each `gap_s`, `burst` at once."""

    __slots__ = ("_due_ns", "_gap_ns", "_slack_ns")

    def __init__(self, *, gap_s: float, burst: int) -> None:
        self._gap_ns = int(gap_s * 1e9)
        self._slack_ns = self._gap_ns * (burst - 1)
        self._due_ns: dict[str, int] = {}

    def takes(self, pair: str, now_ns: int) -> bool:
        """Take one, or return False when it is too early."""
        due_ns = max(self._due_ns.pop(pair, 0), now_ns)
        is_taken = due_ns - now_ns <= self._slack_ns
        if len(self._due_ns) >= MAX_REMEMBERED:
            del self._due_ns[next(iter(self._due_ns))]
        self._due_ns[pair] = due_ns + self._gap_ns if is_taken else due_ns
        return is_taken


class UniqueRecipients:
    """People written to first by the business, in any 24 hours."""

    __slots__ = ("_last_ns", "_max")

    def __init__(self, max_recipients: int) -> None:
        self._max = max_recipients
        self._last_ns: dict[str, int] = {}

    def takes(self, person: str, now_ns: int) -> bool:
        """Count a person, or return False when there are too many others."""
        people = self._last_ns
        while people and next(iter(people.values())) <= now_ns - DAY_NS:
            del people[next(iter(people))]
        if people.pop(person, None) is None and len(people) >= self._max:
            return False
        people[person] = now_ns
        return True
