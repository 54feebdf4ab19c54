"""What an HTTP carrier's answer means for the message that got it: rules from the configuration, then one table.

Pure. The dialects ask it for every answer. A status or code that nobody knows is never success.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, Literal, NamedTuple

from gateway.domain.outcomes import Ambiguous, Refusal, Refused, SubmitOutcome, Submitted, Throttled, Unsent

AnswerClass = Literal["ok", "throttle", "retry_later", "failover", "permanent", "ambiguous", "login"]
"""`login`: the carrier does not know us, so it took nothing and will take nothing."""

MAX_RETRY_AFTER_MS: Final = 3_600_000
MAX_CODE_CHARACTERS: Final = 32
_CODE: Final = re.compile(r"[!-~]{1,32}", re.ASCII).fullmatch
_REFUSALS: Final = {
    "retry_later": Refusal.RETRY_LATER,
    "failover": Refusal.FAILOVER,
    "permanent": Refusal.PERMANENT,
}


class Verdict(NamedTuple):
    """What follows from one answer; `other_route` says that another carrier may take it, `alert` asks for a person."""

    answer_class: AnswerClass
    other_route: bool = False
    alert: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of `[[carriers.<id>.response.rules]]`: all conditions that are given hold."""

    verdict: Verdict
    statuses: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()
    matches: re.Pattern[str] | None = None

    def fits(self, status: int, code: str | None, text: str) -> bool:
        """Tell whether an answer is of this kind."""
        if self.statuses and status not in self.statuses:
            return False
        if self.codes and code not in self.codes:
            return False
        return self.matches is None or self.matches.search(text) is not None


OK: Final = Verdict("ok")
THROTTLE: Final = Verdict("throttle")
RETRY_LATER: Final = Verdict("retry_later", other_route=True)
# Not a word about the message: the address, the account or the contract is wrong, which another carrier's is not.
ROUTE_FAULT: Final = Verdict("failover", other_route=True, alert=True)
UNKNOWN_CODE: Final = Verdict("failover", other_route=True)
PERMANENT: Final = Verdict("permanent")
AMBIGUOUS: Final = Verdict("ambiguous")
LOGIN: Final = Verdict("login", alert=True)

# RFC 9110 §15; 429: RFC 6585 §4, 425: RFC 8470 §5.2, 507: RFC 4918 §11.5.
_VERDICTS: Final[dict[int, Verdict]] = {
    401: LOGIN,
    402: ROUTE_FAULT,
    403: ROUTE_FAULT,
    404: ROUTE_FAULT,
    405: ROUTE_FAULT,
    406: ROUTE_FAULT,
    407: LOGIN,
    408: RETRY_LATER,  # it waited for the request and did not get it
    409: RETRY_LATER,
    410: ROUTE_FAULT,
    411: ROUTE_FAULT,
    415: ROUTE_FAULT,
    423: RETRY_LATER,
    425: RETRY_LATER,
    426: ROUTE_FAULT,
    429: THROTTLE,
    431: ROUTE_FAULT,
    500: RETRY_LATER,
    501: ROUTE_FAULT,
    # A proxy speaks, which had sent the request on: nobody knows what became of it.
    502: AMBIGUOUS,
    503: RETRY_LATER,
    504: AMBIGUOUS,
    505: ROUTE_FAULT,
    507: RETRY_LATER,
    511: ROUTE_FAULT,
}


def classify(
    status: int,
    *,
    code: str | None = None,
    text: str = "",
    rules: Sequence[Rule] = (),
    ok_codes: frozenset[str] = frozenset(),
    has_retry_after: bool = False,
) -> Verdict:
    """Return what an answer means. `text` is its body, for rules that look at it."""
    for rule in rules:
        if rule.fits(status, code, text):
            return rule.verdict
    if 200 <= status < 300:
        return OK if code is None or code in ok_codes else UNKNOWN_CODE
    if status == 503 and has_retry_after:  # it says itself that it is only too much
        return THROTTLE
    found = _VERDICTS.get(status)
    if found is not None:
        return found
    if 400 <= status < 500:
        return PERMANENT
    # Redirects are not followed: they would take secrets and messages to whoever the answer names.
    return ROUTE_FAULT if status < 400 else RETRY_LATER


def outcome_of(
    verdict: Verdict,
    *,
    status_name: str,
    bind: str,
    carrier_message_id: str = "",
    sequence_number: int = 0,
    response_ms: int = 0,
    retry_after_ms: int | None = None,
) -> SubmitOutcome:
    """Return the outcome that a verdict comes to."""
    answer_class = verdict.answer_class
    if answer_class == "ok":
        return Submitted(carrier_message_id, bind, sequence_number, response_ms)
    refusal = _REFUSALS.get(answer_class)
    if refusal is not None:
        return Refused(status_name, bind, refusal, try_other_route=verdict.other_route, alert=verdict.alert)
    if answer_class == "throttle":
        return Throttled(status_name, bind, retry_after_ms)
    if answer_class == "login":
        return Unsent("unauthorised")
    return Ambiguous(status_name.lower(), bind)


def name_of(status: int, code: str | None) -> str:
    """Return what timelines, metrics and retry schedules call an answer: its code, or `HTTP_` and the status."""
    if code is not None and _CODE(code):
        return code
    return f"HTTP_{status}"


def retry_after_ms(value: str, *, date: str = "") -> int | None:
    """Return the milliseconds that a Retry-After header asks for, at most an hour (RFC 9110 §10.2.3).

    A date counts from the `date` of the answer, which is the clock that it was made by. None for what says nothing.
    """
    value = value.strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return min(int(float(value[:12]) * 1000), MAX_RETRY_AFTER_MS)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0, min(int(wait.total_seconds() * 1000), MAX_RETRY_AFTER_MS))
