"""The one way a message enters: parse, prepare, admit, keep, answer.

Called by every door (HTTP now). What a client may get wrong is a `Refusal` value with a code of the problem
catalogue; the door gives it a status and a body.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from uuid import UUID

from msgspec.structs import replace

from gateway.domain.ids import format_id
from gateway.domain.message import Message
from gateway.intake.admission import RETRY_AFTER_S, Admission
from gateway.intake.answers import item_results, render_accepted, render_batch, render_validated
from gateway.intake.backlog import Backlog
from gateway.intake.direct import DirectIntake
from gateway.intake.journal import (
    Journal,
    Kept,
    KeyConflict,
    KeyInUse,
    Owners,
    Submission,
    repeat_outcome,
)
from gateway.intake.lookups import LookUps
from gateway.intake.metrics import IntakeMetrics
from gateway.intake.outcomes import (
    Answer,
    Refusal,
    Request,
    refusal_of,
    refusal_of_faults,
    refused_key,
    replayed,
)
from gateway.intake.prepare import Circumstances, Preparer
from gateway.intake.requests import BodyError, MessageDraft, parse_batch, parse_message
from gateway.intake.rich import Fault
from gateway.intake.single import SingleIntake
from gateway.intake.tracing import IntakeTracing, RequestTrace
from gateway.policy.admission import Allowance
from gateway.ports.clock import Clock
from gateway.ports.intake_store import (
    Idempotency,
    KeyedRequest,
    StoreUnavailableError,
)

MESSAGES_ROUTE = "/v1/messages"
BATCH_ROUTE = "/v1/messages:batch"
MAX_SHOWN_FAULTS = 100
_ACCEPTED = 202
_VALIDATED = 200
# Preparing this many takes some 5 ms; then other requests get their turn.
_SLICE_MESSAGES = 250


class Intake:
    """Accepts messages of one process. `running` owns its background tasks."""

    def __init__(
        self,
        *,
        preparer: Preparer,
        journal: Journal,
        backlog: Backlog,
        idempotency: Idempotency,
        clock: Clock,
        metrics: IntakeMetrics,
        new_id: Callable[[int], UUID],
        look_ups: LookUps | None = None,
        max_batch_messages: int = 10_000,
        look_up_deadline_s: float = 5.0,
        tracing: IntakeTracing | None = None,
    ) -> None:
        self._preparer = preparer
        self._journal = journal
        self._backlog = backlog
        self._idempotency = idempotency
        self._clock = clock
        self._metrics = metrics
        self._new_id = new_id
        self._look_ups = look_ups or LookUps()
        self._max_batch_messages = max_batch_messages
        self._look_up_deadline_s = look_up_deadline_s
        self._tracing = tracing
        self._admission = Admission(backlog, metrics)

    def direct(self) -> DirectIntake:
        """Return the way in for doors whose messages are no JSON bodies; it works while `running`."""
        return DirectIntake(
            preparer=self._preparer,
            journal=self._journal,
            backlog=self._backlog,
            clock=self._clock,
            metrics=self._metrics,
            wishes=self._look_ups.wishes,
            tracing=self._tracing,
        )

    def single(self) -> SingleIntake:
        """Return the way in for single messages that need no waiting; it works while `running`."""
        return SingleIntake(
            preparer=self._preparer,
            journal=self._journal,
            admission=self._admission,
            look_ups=self._look_ups,
            clock=self._clock,
            metrics=self._metrics,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the group commit and the backlog figures; at the end flush what waits."""
        backlog = asyncio.create_task(self._backlog.run(), name="intake.backlog")
        journal = asyncio.create_task(self._journal.run(), name="intake.journal")
        try:
            yield
        finally:
            backlog.cancel()
            self._journal.close()  # every flush has a deadline, so this ends
            await asyncio.gather(journal, backlog, return_exceptions=True)

    async def accept(self, body: bytes, request: Request) -> Answer | Refusal:
        """Accept the body of `POST /v1/messages`."""
        try:
            draft = parse_message(body)
        except BodyError as error:
            return self._refused_body(error)
        common = await self._circumstances(request, (draft,))
        if isinstance(common, Refusal):
            return common
        prepared = self._preparer.prepare(draft, common)
        keyed = _keyed(request, MESSAGES_ROUTE, body)
        if isinstance(prepared, tuple):
            refusal = self._refused_message(prepared)
            return await self._replay_or(refusal, keyed, single=True)
        allowance = self._admission.admit((prepared,), request.principal.account)
        if isinstance(allowance, Refusal):
            return await self._replay_or(allowance, keyed, single=True)
        if request.trace is not None:
            (prepared,) = request.trace.choose((prepared,))
        message_id = format_id("msg", prepared.id)
        answer = render_accepted(prepared, message_id=message_id)
        submission = Submission(
            (prepared,),
            account_id=prepared.account_id,
            status=_ACCEPTED,
            body=answer,
            keyed=keyed._replace(status=_ACCEPTED, body=answer) if keyed else None,
        )
        return await self._keep(submission, (prepared,), allowance, message_id, trace=request.trace)

    async def accept_batch(self, body: bytes, request: Request) -> Answer | Refusal:
        """Accept the body of `POST /v1/messages:batch`; one bad item refuses the others only with reject_all."""
        try:
            batch = parse_batch(body, max_messages=self._max_batch_messages)
        except BodyError as error:
            return self._refused_body(error)
        self._metrics.batch_size(len(batch.items))
        drafts = [item for item in batch.items if isinstance(item, MessageDraft)]
        common = await self._circumstances(request, drafts)
        if isinstance(common, Refusal):
            return common
        common = replace(common, batch_id=self._new_id(common.now_ms))
        prepared = await self._prepare_all(batch.items, common)
        client_refs = [item.client_ref if isinstance(item, MessageDraft) else None for item in batch.items]
        messages = [item for item in prepared if isinstance(item, Message)]
        refused = len(prepared) - len(messages)
        keyed = _keyed(request, BATCH_ROUTE, body)
        if refused and (batch.reject_all or not messages):
            refusal = self._refused_batch(prepared, client_refs, refused)
            return await self._replay_or(refusal, keyed)
        allowance = self._admission.admit(messages, request.principal.account)
        if isinstance(allowance, Refusal):
            return await self._replay_or(allowance, keyed)
        if request.trace is not None:
            messages = list(request.trace.choose(messages))
        batch_id = common.batch_id
        assert batch_id is not None

        def render(owners: Owners) -> bytes:
            return render_batch(batch_id, item_results(prepared, client_refs, owners=owners))

        answer = render({})
        submission = Submission(
            messages,
            account_id=common.account.id,
            status=_ACCEPTED,
            body=answer,
            keyed=keyed._replace(status=_ACCEPTED, body=answer) if keyed else None,
            claim_client_refs=True,
            render=render,
        )
        kept = await self._keep(submission, messages, allowance, None, trace=request.trace)
        if refused and isinstance(kept, Answer) and not kept.replayed:
            self._metrics.rejected([item[0].code for item in prepared if isinstance(item, tuple)])
        return kept

    async def validate(self, body: bytes, request: Request) -> Answer | Refusal:
        """Return what accepting the body of `POST /v1/messages:validate` would do; nothing is sent or kept."""
        try:
            draft = parse_message(body)
        except BodyError as error:
            return refusal_of(error)
        common = await self._circumstances(request, (draft,))
        if isinstance(common, Refusal):
            return common
        prepared = self._preparer.prepare(draft, common)
        if isinstance(prepared, tuple):
            return refusal_of_faults(prepared)
        return Answer(_VALIDATED, render_validated(prepared, units=self._preparer.units_of(prepared)))

    async def _circumstances(
        self, request: Request, drafts: Sequence[MessageDraft]
    ) -> Circumstances | Refusal:
        """Return what the messages have in common, with what they name that has to exist."""
        principal = request.principal
        common = Circumstances(
            principal.account, self._clock.now_ms(), request.request_id, is_test=principal.is_test
        )
        try:
            return await self._look_ups.complete(common, drafts)
        except (StoreUnavailableError, TimeoutError):
            detail = "what the request names cannot be looked up now"
            return Refusal("unavailable", detail, retry_after_s=RETRY_AFTER_S)

    async def _prepare_all(
        self, items: Sequence[MessageDraft | tuple[Fault, ...]], common: Circumstances
    ) -> list[Message | tuple[Fault, ...]]:
        prepare = self._preparer.prepare
        prepared: list[Message | tuple[Fault, ...]] = []
        for start in range(0, len(items), _SLICE_MESSAGES):
            if start:
                await asyncio.sleep(0)
            prepared += [
                prepare(item, common) if isinstance(item, MessageDraft) else item
                for item in items[start : start + _SLICE_MESSAGES]
            ]
        return prepared

    async def _keep(
        self,
        submission: Submission,
        messages: Sequence[Message],
        allowance: Allowance | None,
        message_id: str | None,
        *,
        trace: RequestTrace | None = None,
    ) -> Answer | Refusal:
        outcome = await self._journal.submit(submission)
        return self._admission.concluded(outcome, messages, allowance, message_id, trace=trace)

    async def _replay_or(
        self, refusal: Refusal, keyed: KeyedRequest | None, *, single: bool = False
    ) -> Answer | Refusal:
        """Return the first answer of a used key: what made a repeat impossible must not hide that it is one."""
        if keyed is None:
            return refusal
        try:
            async with asyncio.timeout(self._look_up_deadline_s):
                kept = await self._idempotency.look_up(
                    keyed.account_id, keyed.route, keyed.key, now_ms=self._clock.now_ms()
                )
        except Exception:  # noqa: BLE001 - the refusal is right whether or not the key was used
            return refusal
        if kept is None:
            return refusal
        outcome = repeat_outcome(keyed, kept)
        if isinstance(outcome, Kept):
            self._metrics.deduplicated(1)
            return replayed(outcome, single=single)
        return refused_key(outcome) if isinstance(outcome, KeyConflict | KeyInUse) else refusal

    def _refused_body(self, error: BodyError) -> Refusal:
        self._metrics.rejected(["other"])
        return refusal_of(error)

    def _refused_message(self, faults: tuple[Fault, ...]) -> Refusal:
        self._metrics.rejected([faults[0].code])
        return refusal_of_faults(faults)

    def _refused_batch(
        self,
        prepared: Sequence[Message | tuple[Fault, ...]],
        client_refs: Sequence[str | None],
        refused: int,
    ) -> Refusal:
        bad = [(index, item) for index, item in enumerate(prepared) if isinstance(item, tuple)]
        self._metrics.rejected([item[0].code for _, item in bad])
        faults = tuple(
            Fault(fault.code, fault.detail, f"#/messages/{index}{fault.pointer}")
            for index, item in bad[:MAX_SHOWN_FAULTS]
            for fault in item
        )
        why = "" if refused == len(prepared) else ", and on_error is reject_all"
        results = [result for result in item_results(prepared, client_refs) if result.error is not None]
        detail = f"{refused} of {len(prepared)} messages were refused{why}; none was accepted"
        return Refusal("batch_rejected", detail, faults[:MAX_SHOWN_FAULTS], results=results)


def _keyed(request: Request, route: str, body: bytes) -> KeyedRequest | None:
    if request.idempotency_key is None:
        return None
    account_id = request.principal.account.id
    return KeyedRequest(account_id, route, request.idempotency_key, sha256(body).digest())
