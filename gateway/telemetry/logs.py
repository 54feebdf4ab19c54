"""Logs: structlog JSON lines on standard output, full numbers masked whatever the caller passes (P8).

A flood of one line is not repeated: after some of them in a window the rest are counted, and said in one line.
"""

import atexit
import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from time import monotonic
from typing import Any, Final

import structlog

_NUMBER = re.compile(r"(?<![\w-])\+?(\d{3,5})\d{4,8}(\d{2})(?![\w-])")
_MASKED_KEYS = frozenset({"recipient", "destination_addr", "to"})
_FORBIDDEN_KEYS = frozenset({"text", "short_message", "password", "body"})
_LEVELS = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}

FLOOD_LINES: Final = 10
FLOOD_WINDOW_S: Final = 10.0
MAX_WATCHED_LINES: Final = 1_000

MAX_LEVELS: Final = 50


class Levels:
    """Which lines are logged: the configured level, and what an operator ordered beside it, for a time or until the end.

    A logger is the first word of an event: `bind` of `bind.changed`. An order for one logger goes before that for all,
    which is kept under "", and both before the configuration. `now` is a monotonic clock in seconds.
    """

    def __init__(self, *, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._configured = logging.INFO
        self._orders: dict[str, tuple[int, float]] = {}
        # Below it nothing is logged, whoever says it: most lines that are not wanted cost one comparison.
        self._floor = logging.INFO
        self._next_end = float("inf")

    def configure(self, level: str) -> None:
        """Follow the configuration; what was ordered stays."""
        self._configured = _LEVELS[level]
        self._sum_up()

    def order(self, level: str | None, *, logger: str = "", for_s: float | None = None) -> None:
        """Log this from now on; None ends an order. ValueError for an unknown level or too many loggers."""
        if level is None:
            self._orders.pop(logger, None)
        elif level not in _LEVELS:
            raise ValueError(f"level {level!r} is not one of debug, info, warning, error")
        elif logger not in self._orders and len(self._orders) >= MAX_LEVELS:
            raise ValueError(
                f"{MAX_LEVELS} loggers have a level of their own, which is the limit: end some first"
            )
        else:
            self._orders[logger] = (
                _LEVELS[level],
                self._now() + for_s if for_s is not None else float("inf"),
            )
        self._sum_up()

    def passes(self, method: str, event: object) -> bool:
        """Tell whether a line is logged."""
        level = _LEVELS.get(method, logging.ERROR)
        if not self._orders:
            return level >= self._floor
        if self._now() >= self._next_end:
            self._end_orders()
        return level >= self._floor and level >= self._least_of(str(event).partition(".")[0])

    def shown(self) -> dict[str, Any]:
        """Return the levels as people read them; `for_s` is what is left of an order, None without an end."""
        self._end_orders()
        now = self._now()
        return {
            "configured": logging.getLevelName(self._configured).lower(),
            "ordered": [
                {
                    "logger": logger,
                    "level": logging.getLevelName(level).lower(),
                    "for_s": None if end == float("inf") else round(end - now),
                }
                for logger, (level, end) in sorted(self._orders.items())
            ],
        }

    def _least_of(self, logger: str) -> int:
        found = self._orders.get(logger) or self._orders.get("")
        return self._configured if found is None else found[0]

    def _end_orders(self) -> None:
        now = self._now()
        self._orders = {logger: one for logger, one in self._orders.items() if one[1] > now}
        self._sum_up()

    def _sum_up(self) -> None:
        levels = [level for level, _ in self._orders.values()]
        for_all = self._orders.get("", (self._configured, 0.0))[0]
        self._floor = min([for_all, *levels])
        self._next_end = min((end for _, end in self._orders.values()), default=float("inf"))


# Asked for every line: a level that is part of the cached loggers could not change while they live.
LEVELS: Final = Levels()


def mask_number(number: str) -> str:
    """Return the number with its middle hidden: enough to compare by eye, not enough to call."""
    digits = number.lstrip("+")
    if len(digits) < 8:
        return "•" * len(digits)
    return f"+{digits[:5]}•••••{digits[-2:]}"


def masked(text: str) -> str:
    """Return the text with every full number in it masked."""
    return _NUMBER.sub(lambda found: mask_number(found.group()), text)


def _redact(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in line.items():
        if key in _FORBIDDEN_KEYS:
            line[key] = "[redacted]"
        elif key in _MASKED_KEYS:
            line[key] = mask_number(str(value))
        elif isinstance(value, str) and key not in ("ts", "message_id", "request_id"):
            line[key] = masked(value)
    return line


def _drop_below(_: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if not LEVELS.passes(method, line.get("event")):
        raise structlog.DropEvent
    return line


class FloodGuard:
    """Lets `lines` of one event (and carrier) through in each window, and says how many more there were.

    Whoever logs next, of whatever event, finds what has ended: `write` gets a summary for it. At most
    MAX_WATCHED_LINES different ones are told apart; beyond that new ones pass unwatched until a window has ended.
    """

    def __init__(
        self,
        write: Callable[[dict[str, Any]], None],
        *,
        lines: int = FLOOD_LINES,
        window_s: float = FLOOD_WINDOW_S,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._write = write
        self._lines = lines
        self._window_s = window_s
        self._now = now
        self._since: dict[tuple[str, str, str], list[float]] = {}  # when its window began, lines in it
        self._next_end = float("inf")

    def __call__(self, _: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        now = self._now()
        if now >= self._next_end:
            self._end_windows(now)
        key = (method, str(line.get("event")), str(line.get("carrier", "")))
        found = self._since.get(key)
        if found is None:
            if len(self._since) < MAX_WATCHED_LINES:
                self._since[key] = [now, 1]
                self._next_end = min(self._next_end, now + self._window_s)
            return line
        found[1] += 1
        if found[1] > self._lines:
            raise structlog.DropEvent
        return line

    def flush(self) -> None:
        """Say now what every window has kept back."""
        self._end_windows(float("inf"))

    def _end_windows(self, now: float) -> None:
        ended = [key for key, (began, _) in self._since.items() if now - began >= self._window_s]
        for key in ended:
            _, count = self._since.pop(key)
            if count > self._lines:
                method, event, carrier = key
                summary: dict[str, Any] = {
                    "event": "log.not_repeated",
                    "of": event,
                    "level": method,
                    "lines": int(count) - self._lines,
                    "within_s": self._window_s,
                }
                self._write(summary | ({"carrier": carrier} if carrier else {}))
        self._next_end = min(
            (began + self._window_s for began, _ in self._since.values()), default=float("inf")
        )


def set_level(level: str) -> None:
    """Log nothing below this level from now on, but for what was ordered."""
    LEVELS.configure(level)


def configure_logs(*, level: str = "info", role: str = "") -> None:
    """Set up structlog for this process; call once, at start."""
    set_level(level)
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts")
    render = structlog.processors.JSONRenderer(ensure_ascii=False)

    def say(summary: dict[str, Any]) -> None:
        merged = structlog.contextvars.merge_contextvars(None, "warning", summary)
        sys.stdout.write(
            f"{render(None, 'warning', _redact(None, 'warning', stamp(None, 'warning', merged)))!s}\n"
        )
        sys.stdout.flush()

    guard = FloodGuard(say)
    atexit.register(guard.flush)
    structlog.configure(
        processors=[
            _drop_below,
            guard,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.format_exc_info,
            _redact,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
