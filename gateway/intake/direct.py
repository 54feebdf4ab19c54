"""The way in for doors that bring messages and no JSON body: the SMPP server. Made by `Intake.direct`.

The same preparation, admission, group commit and counts as a POST; only parsing and rendering are left out. Messages
that a door has at hand together are one submission, so a full window of one session costs one future and one answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from gateway.domain.message import Message, Source
from gateway.intake.backlog import Backlog
from gateway.intake.journal import Journal, Kept, KeyConflict, KeyInUse, NotKept, Submission
from gateway.intake.metrics import IntakeMetrics
from gateway.intake.prepare import Circumstances, Preparer
from gateway.intake.requests import MessageDraft
from gateway.intake.tracing import IntakeTracing
from gateway.intake.wishes import WishLookUp
from gateway.ports.clock import Clock
from gateway.ports.consent_store import Wishes
from gateway.ports.intake_store import Account, KeyedRequest, StoreUnavailableError

_ACCEPTED = 202


@dataclass(frozen=True, slots=True)
class Entrant:
    """One message at the door. `message_id` is set where the door has named it already."""

    draft: MessageDraft
    origin: str | None = None
    message_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Nothing of this message was kept. `code` is of the problem catalogue or of a fault; `field` is its pointer."""

    code: str
    detail: str
    field: str = ""


class DirectIntake:
    """Accepts messages of one process while its `Intake` runs."""

    def __init__(
        self,
        *,
        preparer: Preparer,
        journal: Journal,
        backlog: Backlog,
        clock: Clock,
        metrics: IntakeMetrics,
        wishes: WishLookUp | None = None,
        tracing: IntakeTracing | None = None,
    ) -> None:
        self._wishes = wishes or WishLookUp(None)
        self._tracing = tracing
        self._preparer = preparer
        self._journal = journal
        self._backlog = backlog
        self._clock = clock
        self._metrics = metrics

    def check(self, entrant: Entrant, account: Account, *, source: Source) -> TurnedAway | None:
        """Return why this message could not be accepted as it is, or None; nothing is kept or counted."""
        prepared = self._prepare(entrant, account, source, self._clock.now_ms())
        return prepared if isinstance(prepared, TurnedAway) else None

    def is_within_quota(self, account: Account) -> bool:
        """Take one message from the account's allowance; False when it is spent."""
        allowance = self._backlog.take(account, 1)
        return allowance is None or allowance.admitted

    async def accept(
        self, entrants: Sequence[Entrant], account: Account, *, source: Source
    ) -> list[UUID | TurnedAway]:
        """Return, per entrant in order, the id of the durable message, or why there is none.

        Each is admitted or refused for itself, what is admitted becomes durable together.
        """
        now_ms = self._clock.now_ms()
        results: list[UUID | TurnedAway] = []
        messages: list[Message] = []
        wishes = None
        if self._wishes.concern(account):
            found = await self._wishes_of(entrants, account)
            if isinstance(found, TurnedAway):
                return [found for _ in entrants]
            wishes = found
        for entrant in entrants:
            prepared = self._prepare(entrant, account, source, now_ms, wishes)
            if isinstance(prepared, Message):
                refusal = self._admit(prepared, account)
                if refusal is None:
                    messages.append(prepared)
                    results.append(prepared.id)
                else:
                    results.append(refusal)
            else:
                results.append(prepared)
        refused = [result.code for result in results if isinstance(result, TurnedAway)]
        if refused:
            self._metrics.rejected(refused)
        if messages:
            failed = await self._keep(messages, account)
            if failed:
                results = [
                    failed.get(result, result) if isinstance(result, UUID) else result for result in results
                ]
        return results

    async def accept_once(
        self, entrant: Entrant, account: Account, *, source: Source, route: str, key: str
    ) -> UUID | TurnedAway:
        """Accept one message under a key that makes a repeat within a day change nothing; it has an id of its own.

        The account's allowance is not asked: this is for what was admitted before, in parts.
        """
        wishes = None
        if self._wishes.concern(account):
            found = await self._wishes_of((entrant,), account)
            if isinstance(found, TurnedAway):
                return found
            wishes = found
        prepared = self._prepare(entrant, account, source, self._clock.now_ms(), wishes)
        if isinstance(prepared, TurnedAway):
            self._metrics.rejected([prepared.code])
            return prepared
        keyed = KeyedRequest(account.id, route, key, sha256(key.encode()).digest(), _ACCEPTED)
        trace = None if self._tracing is None else self._tracing.apart()
        if trace is not None:
            (prepared,) = trace.choose((prepared,))
        submission = Submission((prepared,), account_id=account.id, status=_ACCEPTED, body=b"", keyed=keyed)
        match await self._journal.submit(submission):
            case Kept(replayed=replayed):
                if replayed:
                    self._metrics.deduplicated(1)
                else:
                    self._metrics.accepted((prepared,))
                    if trace is not None:
                        trace.kept()
                return prepared.id
            case KeyConflict() | KeyInUse():
                return TurnedAway("idempotency_key_in_use", "another process is accepting this message")
            case NotKept(reason=reason):
                return _not_kept(reason)

    async def _wishes_of(
        self, entrants: Sequence[Entrant], account: Account
    ) -> Mapping[str, Wishes] | TurnedAway | None:
        try:
            return await self._wishes.of(account, [entrant.draft for entrant in entrants])
        except (StoreUnavailableError, TimeoutError):
            return TurnedAway("unavailable", "the opt-outs cannot be read now")

    def _prepare(
        self,
        entrant: Entrant,
        account: Account,
        source: Source,
        now_ms: int,
        wishes: Mapping[str, Wishes] | None = None,
    ) -> Message | TurnedAway:
        prepared = self._preparer.prepare(
            entrant.draft,
            Circumstances(
                account,
                now_ms,
                source=source,
                origin=entrant.origin,
                message_id=entrant.message_id,
                wishes=wishes,
            ),
        )
        if isinstance(prepared, Message):
            return prepared
        code, detail, pointer = prepared[0]
        return TurnedAway(code, detail, pointer)

    def _admit(self, message: Message, account: Account) -> TurnedAway | None:
        full = self._backlog.full_lane((message,))
        if full is not None:
            return TurnedAway("backpressure", f"{full} is full")
        allowance = self._backlog.take(account, 1)
        if allowance is not None and not allowance.admitted:
            return TurnedAway("rate_limited", f"more than {allowance.quota} messages a second")
        return None

    async def _keep(self, messages: Sequence[Message], account: Account) -> dict[UUID, TurnedAway]:
        """Make messages durable; return those that are not, with the reason."""
        trace = None if self._tracing is None else self._tracing.apart()
        if trace is not None:
            messages = trace.choose(messages)
        submission = Submission(messages, account_id=account.id, status=_ACCEPTED, body=b"")
        outcome = await self._journal.submit(submission)
        if isinstance(outcome, Kept):
            self._metrics.accepted(messages)
            if trace is not None:
                trace.kept()
            return {}
        reason = outcome.reason if isinstance(outcome, NotKept) else "unavailable"
        if reason == "data" and len(messages) > 1:
            # One of them holds something the database refuses: only it shall pay for that.
            failed: dict[UUID, TurnedAway] = {}
            for message in messages:
                failed |= await self._keep((message,), account)
            return failed
        self._metrics.rejected(["backpressure" if reason == "full" else "other"] * len(messages))
        refusal = _not_kept(reason)
        return {message.id: refusal for message in messages}


def _not_kept(reason: str) -> TurnedAway:
    if reason == "full":
        return TurnedAway("backpressure", "too many messages wait for their commit")
    if reason == "data":
        return TurnedAway("internal_error", "the message store refused the message")
    return TurnedAway("unavailable", "the message could not be made durable")
