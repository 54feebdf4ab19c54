"""Logs: structlog JSON lines on standard output, full numbers masked whatever the caller passes (P8)."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_NUMBER = re.compile(r"(?<![\w-])\+?(\d{3,5})\d{4,8}(\d{2})(?![\w-])")
_MASKED_KEYS = frozenset({"recipient", "destination_addr", "to"})
_FORBIDDEN_KEYS = frozenset({"text", "short_message", "password", "body"})
_LEVELS = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}

# Asked for every line: a level that is part of the cached loggers could not change while they live.
_least = [logging.INFO]


def mask_number(number: str) -> str:
    """Return the number with its middle hidden: enough to compare by eye, not enough to call."""
    digits = number.lstrip("+")
    if len(digits) < 8:
        return "•" * len(digits)
    return f"+{digits[:5]}•••••{digits[-2:]}"


def _redact(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in line.items():
        if key in _FORBIDDEN_KEYS:
            line[key] = "[redacted]"
        elif key in _MASKED_KEYS:
            line[key] = mask_number(str(value))
        elif isinstance(value, str) and key not in ("ts", "message_id", "request_id"):
            line[key] = _NUMBER.sub(lambda found: mask_number(found.group()), value)
    return line


def _drop_below(_: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if _LEVELS.get(method, logging.ERROR) < _least[0]:
        raise structlog.DropEvent
    return line


def set_level(level: str) -> None:
    """Log nothing below this level from now on."""
    _least[0] = _LEVELS[level]


def configure_logs(*, level: str = "info", role: str = "") -> None:
    """Set up structlog for this process; call once, at start."""
    set_level(level)
    structlog.configure(
        processors=[
            _drop_below,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            _redact,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
