"""What a request of the API meets between preparation and the journal, and what the journal's outcome means to it.

Used by `gateway.intake.entry` and `gateway.intake.single`; both are counted here.
"""

from collections.abc import Sequence

from gateway.domain.message import Message
from gateway.intake.backlog import Backlog
from gateway.intake.journal_outcomes import JournalOutcome, Kept, KeyConflict, KeyInUse, NotKept
from gateway.intake.metrics import IntakeMetrics
from gateway.intake.outcomes import Answer, Refusal, refused_key, replayed
from gateway.intake.tracing import RequestTrace
from gateway.policy.admission import Allowance
from gateway.ports.intake_store import Account

RETRY_AFTER_S = 2


class Admission:
    """Lets messages in as far as there is room, and turns outcomes into answers."""

    def __init__(self, backlog: Backlog, metrics: IntakeMetrics) -> None:
        self._backlog = backlog
        self._metrics = metrics

    def admit(self, messages: Sequence[Message], account: Account) -> Allowance | Refusal | None:
        """Return what the account may still send (None: as much as it likes), or why these messages may not enter."""
        full = self._backlog.full_lane(messages)
        if full is not None:
            self._metrics.rejected(["backpressure"] * len(messages))
            detail = f"{full} is full; nothing of this request was accepted"
            return Refusal("backpressure", detail, retry_after_s=RETRY_AFTER_S)
        allowance = self._backlog.take(account, len(messages))
        if allowance is not None and not allowance.admitted:
            self._metrics.rejected(["rate_limited"] * len(messages))
            detail = f"more than {allowance.quota} messages a second"
            return Refusal(
                "rate_limited", detail, retry_after_s=max(1, allowance.retry_after_s), allowance=allowance
            )
        return allowance

    def concluded(
        self,
        outcome: JournalOutcome,
        messages: Sequence[Message],
        allowance: Allowance | None,
        message_id: str | None,
        *,
        trace: RequestTrace | None = None,
    ) -> Answer | Refusal:
        """Return what a request is answered. `message_id` is set for a single message."""
        match outcome:
            case Kept(replayed=True):
                self._metrics.deduplicated(1)
                return replayed(outcome, single=message_id is not None)
            case Kept(owners=owners):
                if owners:  # the hash of a UUID is not cheap
                    self._metrics.deduplicated(len(owners))
                    messages = [message for message in messages if message.id not in owners]
                self._metrics.accepted(messages)
                if trace is not None:
                    trace.kept(owners)
                return Answer(outcome.status, outcome.body, message_id, allowance=allowance)
            case KeyConflict() | KeyInUse():
                return refused_key(outcome)
            case NotKept(reason=reason):
                self._metrics.rejected(["backpressure" if reason == "full" else "other"] * len(messages))
                if reason == "full":
                    detail = "too many messages wait for their commit"
                    return Refusal("backpressure", detail, retry_after_s=RETRY_AFTER_S)
                if reason == "data":
                    return Refusal("internal_error", "the message store refused the messages")
                detail = "the messages could not be made durable"
                return Refusal("unavailable", detail, retry_after_s=RETRY_AFTER_S)
