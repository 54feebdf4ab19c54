"""What a run promises and whether it was kept: one row for each line of `[promise]` in a scenario. Pure.

A promise is a number (exactly that), or a comparison with a number, a share (`2 %`), a duration (`100ms`) or a part of
the target (`0.98 * target`). Durations are measured in seconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loadtest.delays import parse_duration_ns

_FORM: Final = re.compile(r"\s*(<=|>=|<|>|==)?\s*(.+?)\s*")
_TARGET: Final = re.compile(r"(\d+(?:\.\d+)?)\s*\*\s*target|target")
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")

FIGURES: Final[dict[str, str]] = {
    "submitted_mps_worst_minute": "segments a second at the carriers, in the worst minute of a steady stage",
    "submitted_mps_mean": "segments a second at the carriers, over the steady stages",
    "contract_worst_second": "most segments in any second at one carrier, as part of its contract plus burst",
    "accept_p50": "intended start of a request to its 202, median",
    "accept_p95": "intended start of a request to its 202, 95th percentile",
    "accept_p99": "intended start of a request to its 202, 99th percentile",
    "otp_submit_p99": "acceptance of an otp message to its submit at a carrier, 99th percentile",
    "urgent_submit_p99": "acceptance of an otp or transactional message to its submit, 99th percentile",
    "submit_p99": "acceptance of any message to its submit, 99th percentile",
    "receipt_p95": "receipt sent by a carrier to the customer told, 95th percentile",
    "error_ratio": "requests answered 5xx or not at all, as part of all requests",
    "lost": "messages accepted that neither a carrier got nor the gateway ended, or that it calls delivered without",
    "duplicated": "messages that a carrier got more than once although their class forbids it, or without a cause",
    "duplicated_by_fault": "messages doubled by a fault, of classes that allow it",
    "stuck": "messages accepted that are not final at the end of the drain",
    "callbacks_missing": "messages final that their customer was not told of",
    "wrong_order": "messages to one recipient that a carrier got in another order than they were accepted",
    "recovery_after_event": "end of a fault to the offered rate at the carriers again, its own among them, the longest",
    "takeover_after_event": "begin of a carrier's fault to the offered rate at the carriers while it lasts, the longest",
    "throttled_ratio": "submits that a carrier throttled, as part of all",
}
"""What can be promised, and what each figure means."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One line of `[promise]`. `is_duration` is for people: the limit and the figure are seconds."""

    figure: str
    comparison: str
    limit: float
    text: str
    is_duration: bool = False
    of_target: bool = False

    def limit_at(self, target: float) -> float:
        """Return the limit where the target of the run is `target`."""
        return self.limit * target if self.of_target else self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """A promise with what was measured. `margin` is how far the figure is inside (above 0) or outside, as a share."""

    promise: Promise
    limit: float
    measured: float | None
    is_kept: bool
    margin: float | None


def parse_promise(figure: str, value: object) -> Promise:
    """Return a promise; ValueError names figure and value."""
    if figure not in FIGURES:
        raise ValueError(f"promise {figure!r} is not known; known: {', '.join(FIGURES)}")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"promise {figure} = {value!r} is neither a number nor a comparison")  # noqa: TRY004 - all that is wrong with a scenario is a ValueError
    text = str(value)
    form = _FORM.fullmatch(text)
    comparison, rest = (form[1] or "==", form[2]) if form is not None else ("==", text)
    target, share = _TARGET.fullmatch(rest), _SHARE.fullmatch(rest)
    if target is not None:
        return Promise(figure, comparison, float(target[1] or 1), text, of_target=True)
    if share is not None:
        return Promise(figure, comparison, float(share[1]) / 100, text)
    if _NUMBER.fullmatch(rest):
        return Promise(figure, comparison, float(rest), text)
    try:
        return Promise(figure, comparison, parse_duration_ns(rest) / 1e9, text, is_duration=True)
    except ValueError as error:
        raise ValueError(f"promise {figure} = {text!r}: {error}") from None


def judge(promise: Promise, measured: float | None, *, target: float) -> Row:
    """Return the row of a promise. What was not measured is not kept."""
    limit = promise.limit_at(target)
    if measured is None:
        return Row(promise, limit, None, False, None)
    kept = {
        "<=": measured <= limit,
        ">=": measured >= limit,
        "<": measured < limit,
        ">": measured > limit,
        "==": measured == limit,
    }[promise.comparison]
    return Row(promise, limit, measured, kept, _margin(promise.comparison, measured, limit))


def _margin(comparison: str, measured: float, limit: float) -> float | None:
    if comparison == "==" or not limit:
        return None
    share = (measured - limit) / limit
    return share if comparison.startswith(">") else -share


def verdict(
    promises: Mapping[str, Promise], figures: Mapping[str, float | None], *, target: float
) -> list[Row]:
    """Return a row for every promise, in their order."""
    return [judge(promise, figures.get(name), target=target) for name, promise in promises.items()]
