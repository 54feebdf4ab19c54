"""What a run proves: PASS, FAIL, or INVALID with the reasons in sentences. Pure.

A promise on what must never happen (lost, doubled, out of order) that is broken is a FAIL whatever else was wrong:
however late the generator was, what is lost is lost. Everything else says nothing about the gateway when the generator
was late, or when a promise was missed on a machine that others kept busy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loadtest.promises import FIGURES, Row

MAX_LATENESS_S: Final = 0.05
MIN_SENT: Final = 0.99
MAX_FOREIGN: Final = 0.25
"""Part of all cores that other programs may use before the machine counts as starved."""
MIN_IDLE: Final = 0.10

NEVER_EXCUSED: Final = frozenset(("lost", "duplicated", "wrong_order"))


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which a run was made. `foreign` and `idle` are parts of all cores, means over the load.

    `trouble` is why there is nothing to judge (target unreachable, generator died); empty where there is something.
    `unfelt` are the faults of the scenario that did nothing: what was kept under them is not proved.
    """

    offered: int
    sent: int
    lateness_p99_s: float | None
    foreign: float = 0.0
    idle: float = 1.0
    trouble: str = ""
    aborted: str = ""
    refusals: Mapping[str, int] | None = None
    unmeasured: Mapping[str, str] | None = None
    unfelt: Sequence[str] = ()


def doubts(conditions: Conditions) -> list[str]:
    """Return why the generator did not do what the scenario says; empty where it did."""
    found = []
    late_s = conditions.lateness_p99_s
    if late_s is not None and late_s > MAX_LATENESS_S:
        found.append(
            f"the generator was late: its requests left {late_s * 1000:.0f} ms after they were due (99th percentile; "
            f"the limit is {MAX_LATENESS_S * 1000:.0f} ms)"
        )
    if conditions.offered and conditions.sent < MIN_SENT * conditions.offered and not conditions.aborted:
        found.append(
            f"the generator sent {conditions.sent} of {conditions.offered} messages that were due "
            f"({conditions.sent / conditions.offered:.1%}; at least {MIN_SENT:.0%} are needed)"
        )
    return found


def starved(conditions: Conditions) -> str:
    """Return that other programs had the machine; empty where they had not."""
    if conditions.foreign <= MAX_FOREIGN or conditions.idle >= MIN_IDLE:
        return ""
    return (
        f"the machine was busy with other programs: they had {conditions.foreign:.0%} of its cores, "
        f"{conditions.idle:.0%} was idle"
    )


def judge_run(
    rows: Sequence[Row], conditions: Conditions
) -> tuple[Literal["PASS", "FAIL", "INVALID"], list[str]]:
    """Return the verdict and its reasons in sentences, the decisive ones first."""
    if conditions.trouble:
        return "INVALID", [_sentence(conditions.trouble)]
    missed = [row for row in rows if not row.is_kept]
    reasons = [_missed(row, conditions.unmeasured or {}) for row in missed]
    doubted = [_sentence(one) for one in doubts(conditions)]
    unfelt = [_sentence(one) for one in conditions.unfelt]
    busy = starved(conditions)
    never = [row for row in missed if row.promise.figure in NEVER_EXCUSED and row.measured is not None]
    if never:
        return "FAIL", [*reasons, *doubted, *([_sentence(busy)] if busy else [])]
    if conditions.aborted:
        return "FAIL", [_sentence(conditions.aborted), *reasons]
    if doubted:
        return "INVALID", [*doubted, *([_sentence(busy)] if busy else []), *unfelt, *reasons]
    if missed and busy and all(row.measured is not None for row in missed):
        return "INVALID", [_sentence(busy), *unfelt, *reasons]
    if missed:
        return "FAIL", [*reasons, *unfelt, *_refusals(conditions)]
    if unfelt:
        return "INVALID", unfelt
    if not rows:
        return "PASS", ["The scenario promises nothing."]
    return "PASS", [f"All {len(rows)} promises were kept." if len(rows) > 1 else "The promise was kept."]


def _refusals(conditions: Conditions) -> list[str]:
    told = sorted((conditions.refusals or {}).items(), key=lambda item: -item[1])[:3]
    return [f"The generator noted {count} times: {reason}." for reason, count in told]


def _missed(row: Row, unmeasured: Mapping[str, str]) -> str:
    figure, promise = row.promise.figure, row.promise
    limit = f"{promise.comparison} {row.limit:g}{' s' if promise.is_duration else ''}"
    if row.measured is None:
        why = unmeasured.get(figure, "nothing was there to measure it on")
        return f"{figure} was not measured ({why}), so {promise.text!r} was not kept."
    unit = " s" if promise.is_duration else ""
    return f"{figure} is {row.measured:.6g}{unit}, promised is {limit}: {FIGURES[figure]}."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
