"""A request at the door of intake, and what becomes of it: an answer or a refusal.

Made by `gateway.intake.entry`; the doors turn them into status and body.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from gateway.intake.answers import ItemResult
from gateway.intake.journal_outcomes import Kept, KeyConflict, KeyInUse
from gateway.intake.requests import BodyError
from gateway.intake.rich import Fault
from gateway.intake.tracing import RequestTrace
from gateway.policy.admission import Allowance
from gateway.ports.intake_store import Principal


class Answer(msgspec.Struct):
    """The request is durable (or was before: `replayed`). `message_id` is set for a single message."""

    status: int
    body: bytes
    message_id: str | None = None
    replayed: bool = False
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was kept. `code` is of the problem catalogue; pointers of faults begin with `#`."""

    code: str
    detail: str
    faults: tuple[Fault, ...] = ()
    retry_after_s: int | None = None
    allowance: Allowance | None = None
    results: Sequence[ItemResult] | None = None


class Request(msgspec.Struct):
    """Who asks, under which request id, with which Idempotency-Key, and the trace where traces are on."""

    principal: Principal
    request_id: str
    idempotency_key: str | None = None
    trace: RequestTrace | None = None


def replayed(kept: Kept, *, single: bool) -> Answer:
    """Return the first answer of a key once more."""
    message_id = None
    if single:
        # Bodies of single messages begin with their id: see answers.AcceptedMessage.
        head = kept.body[:64].decode("ascii", "replace")
        message_id = head.partition('"id":"')[2].partition('"')[0]
    return Answer(kept.status, kept.body, message_id, replayed=True)


def refused_key(outcome: KeyConflict | KeyInUse) -> Refusal:
    """Return why a key cannot be used."""
    if isinstance(outcome, KeyConflict):
        return Refusal("idempotency_key_reused", "this Idempotency-Key was used with another body")
    return Refusal(
        "idempotency_key_in_use", "the first request with this key is not finished", retry_after_s=1
    )


def refusal_of(error: BodyError) -> Refusal:
    """Return what a body is refused with."""
    faults = tuple(Fault(fault.code, fault.detail, f"#{fault.pointer}") for fault in error.faults)
    return Refusal(error.code, error.detail, faults)


def refusal_of_faults(faults: Sequence[Fault]) -> Refusal:
    """Return what a message with faults is refused with."""
    named = tuple(Fault(fault.code, fault.detail, f"#{fault.pointer}") for fault in faults)
    return Refusal("validation_failed", named[0].detail, named)
