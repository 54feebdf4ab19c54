"""The way in for single messages that need nothing but what is at hand. Made by `Intake.single` (decision 57).

The same preparation, admission, group commit and counts as any other, with nothing awaited: the journal calls back.
"""

import asyncio
from collections.abc import Callable

from gateway.domain.ids import format_id
from gateway.domain.message import Message
from gateway.intake.admission import Admission
from gateway.intake.answers import render_accepted
from gateway.intake.journal import Journal, JournalOutcome, Kept, Submission
from gateway.intake.lookups import LookUps
from gateway.intake.metrics import IntakeMetrics
from gateway.intake.outcomes import Answer, Refusal, Request
from gateway.intake.prepare import Circumstances, Preparer
from gateway.intake.requests import BodyError, parse_message
from gateway.policy.admission import Allowance
from gateway.ports.clock import Clock

_ACCEPTED = 202

Answering = Callable[[Answer | Refusal], None]


class SingleIntake:
    """Accepts messages of one process while its `Intake` runs."""

    def __init__(
        self,
        *,
        preparer: Preparer,
        journal: Journal,
        admission: Admission,
        look_ups: LookUps,
        clock: Clock,
        metrics: IntakeMetrics,
    ) -> None:
        self._preparer = preparer
        self._journal = journal
        self.admission = admission
        self._look_ups = look_ups
        self._clock = clock
        self._metrics = metrics
        self._uncounted: list[Message] = []

    def begin(self, body: bytes, request: Request, answer: Answering) -> bool:
        """Begin what `Intake.accept` does; `answer` is called, once, when the message is durable or refused.

        False where it is not the usual message: then nothing was begun, and `accept` is the way.
        """
        account = request.principal.account
        try:
            draft = parse_message(body)
        except BodyError:
            return False
        if self._look_ups.are_needed(account, draft):
            return False
        common = Circumstances(
            account, self._clock.now_ms(), request.request_id, is_test=request.principal.is_test
        )
        message = self._preparer.prepare(draft, common)
        if isinstance(message, tuple):
            return False
        allowance = self.admission.admit((message,), account)
        if isinstance(allowance, Refusal):
            answer(allowance)
            return True
        message_id = format_id("msg", message.id)
        submission = Submission(
            (message,),
            account_id=account.id,
            status=_ACCEPTED,
            body=render_accepted(message, message_id=message_id),
        )
        waiter = _Waiter(self, message, message_id, allowance, answer)
        refused = self._journal.enter(submission, waiter)
        if refused is not None:
            waiter.set_result(refused)
        return True

    def count_soon(self, message: Message) -> None:
        """Count what was accepted alone together with what the same flush kept."""
        if not self._uncounted:
            asyncio.get_running_loop().call_soon(self._count)
        self._uncounted.append(message)

    def _count(self) -> None:
        messages, self._uncounted = self._uncounted, []
        self._metrics.accepted(messages)


class _Waiter:
    """Waits for one outcome without a future: what is to be done with it is done at once, and raises nothing."""

    __slots__ = ("_allowance", "_answer", "_intake", "_is_done", "_message", "_message_id")

    def __init__(
        self,
        intake: SingleIntake,
        message: Message,
        message_id: str,
        allowance: Allowance | None,
        answer: Answering,
    ) -> None:
        self._intake = intake
        self._message = message
        self._message_id = message_id
        self._allowance = allowance
        self._answer = answer
        self._is_done = False

    def done(self) -> bool:
        """Tell whether the outcome was there."""
        return self._is_done

    def set_result(self, outcome: JournalOutcome, /) -> None:
        """Take the outcome, once."""
        if self._is_done:
            return
        self._is_done = True
        if type(outcome) is Kept:  # neither replayed nor a repeat: there is no key and no claim
            self._intake.count_soon(self._message)
            self._answer(Answer(outcome.status, outcome.body, self._message_id, allowance=self._allowance))
        else:
            concluded = self._intake.admission.concluded
            self._answer(concluded(outcome, (self._message,), self._allowance, self._message_id))
