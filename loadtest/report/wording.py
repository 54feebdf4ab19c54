"""Numbers as people read them: the one form for the live view, the reports and the comparison. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

from loadtest.promises import FIGURES

UNMEASURED: Final = "—"

Kind = Literal["duration", "share", "rate", "count"]

_SHARES: Final = frozenset(("contract_worst_second", "error_ratio", "throttled_ratio"))
_RATES: Final = frozenset(("submitted_mps_worst_minute", "submitted_mps_mean"))
_DURATIONS: Final = frozenset(
    (
        *(name for name in FIGURES if name.rpartition("_")[2] in ("p50", "p95", "p99")),
        "recovery_after_event",
        "takeover_after_event",
    )
)


def figure_kind(figure: str) -> Kind:
    """Return what a figure of a promise is measured in."""
    if figure in _DURATIONS:
        return "duration"
    if figure in _SHARES:
        return "share"
    return "rate" if figure in _RATES else "count"


def count_text(value: float | None) -> str:
    """Return a count or rate with thousands apart and at most one decimal: `2,778`, `296.2`."""
    if value is None:
        return UNMEASURED
    rounded = round(value, 1)
    return f"{rounded:,.0f}" if rounded == int(rounded) or abs(rounded) >= 1_000 else f"{rounded:,.1f}"


def seconds_text(value: float | None) -> str:
    """Return a duration in three digits with its unit: `250 µs`, `41 ms`, `1.2 s`, `3 m 05 s`, `2 h 01 m`."""
    if value is None:
        return UNMEASURED
    if value < 0:
        return f"-{seconds_text(-value)}"
    if value < 0.0009995:
        return f"{value * 1e6:.0f} µs" if value else "0 s"
    if value < 0.9995:
        return f"{_three(value * 1e3)} ms"
    if value < 99.95:
        return f"{_three(value)} s"
    whole = round(value)
    if whole < 3_600:
        return f"{whole // 60} m {whole % 60:02} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60:02} m"


def _three(value: float) -> str:
    """Return a number in three digits, without zeros at its end."""
    text = f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share_text(value: float | None) -> str:
    """Return a share in per cent: `98.8 %`, `0.05 %`."""
    if value is None:
        return UNMEASURED
    per_cent = value * 100
    digits = 1 if abs(per_cent) >= 10 else 2 if abs(per_cent) >= 0.1 else 4
    text = f"{per_cent:,.{digits}f}".rstrip("0").rstrip(".")
    return f"{text if text not in ('', '-0') else '0'} %"


def change_text(share: float | None) -> str:
    """Return a signed share: `+12.5 %`."""
    if share is None:
        return UNMEASURED
    return share_text(share) if share < 0 else f"+{share_text(share)}"


def clock_text(seconds: float) -> str:
    """Return a time since the start: `03:12`, `1:02:03`."""
    whole = max(0, int(seconds))
    minutes = f"{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 3_600}:{minutes}" if whole >= 3_600 else minutes


def moment_text(iso: str) -> str:
    """Return an instant of ISO 8601 as people read it: `2026-03-02 15:04:05 UTC`; another text as it is."""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return iso or UNMEASURED
    if moment.tzinfo is None:
        return iso
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def megabytes_text(value: float | None) -> str:
    """Return memory: `180 MB`, `7.9 GB`."""
    if value is None:
        return UNMEASURED
    return f"{value:.0f} MB" if value < 1_000 else f"{value / 1_000:.1f} GB"


_TEXTS: Final[dict[Kind, Callable[[float | None], str]]] = {
    "duration": seconds_text,
    "share": share_text,
    "rate": lambda value: UNMEASURED if value is None else f"{count_text(value)}/s",
    "count": count_text,
}


def figure_text(figure: str, value: float | None) -> str:
    """Return a figure of a promise with its unit."""
    return _TEXTS[figure_kind(figure)](value)
