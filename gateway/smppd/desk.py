"""Where submits become messages: limits, reading, intake, parts, answers. One per process, behind all its sessions.

The submits of one read are one submission to the group commit: one task, one future, and answers in one write.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import structlog

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import SubmitSm
from gateway.domain.message import MessageClass, Source
from gateway.intake.direct import DirectIntake, Entrant
from gateway.ports.clock import Clock
from gateway.smppd.customers import Customer
from gateway.smppd.ids import format_smpp_id
from gateway.smppd.metrics import ServerMetrics
from gateway.smppd.origin import origin_of, write_origin
from gateway.smppd.parts import Part, PartDesk
from gateway.smppd.reading import read_submit
from gateway.smppd.session import EsmeSession
from gateway.smppd.statuses import status_of

_log = structlog.get_logger()

Place = tuple[int, int]
"""command_id and sequence_number: what an answer needs."""

_REPORT_EVERY_NS: Final = 1_000_000_000


class SubmitDesk:
    """Takes submits of all sessions. `idle` waits until every one is answered."""

    def __init__(
        self,
        *,
        intake: DirectIntake,
        parts: PartDesk,
        classes: Mapping[str, MessageClass],
        clock: Clock,
        metrics: ServerMetrics,
    ) -> None:
        self._intake = intake
        self._parts = parts
        self._classes = {name.upper(): message_class for name, message_class in classes.items()}
        self._clock = clock
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()
        self._report_due_ns = 0

    def take(self, session: EsmeSession, customer: Customer, asked: list[tuple[int, int, Any]]) -> None:
        """Refuse at once what can be refused, and keep the rest; `open_submits` counts them already."""
        now_ns, now_ms = self._clock.monotonic_ns(), self._clock.now_ms()
        credential = customer.credential
        window = credential.window
        # Those of this read came after all that were open before it.
        room = window - (session.open_submits - len(asked))
        entrants: list[Entrant] = []
        places: list[Place] = []
        parts: list[Part] = []
        part_places: list[Place] = []
        statuses: Counter[int] = Counter()
        for command_id, sequence_number, pdu in asked:
            status = (
                c.ESME_RTHROTTLED if room <= 0 else customer.throttle(now_ns=now_ns, metrics=self._metrics)
            )
            room -= 1
            if not status:
                read = read_submit(pdu, credential, classes=self._classes, now_ms=now_ms)
                if isinstance(read, int):
                    status = read
                else:
                    origin = origin_of(pdu, system_id=credential.system_id)
                    if read.place is None:
                        entrants.append(Entrant(read.draft, write_origin(origin)))
                        places.append((command_id, sequence_number))
                    else:
                        parts.append(Part(read, origin))
                        part_places.append((command_id, sequence_number))
            if status:
                session.answer(command_id, sequence_number, status, "")
                statuses[status] += 1
        if statuses:
            self._metrics.submits(statuses)
        if entrants:
            self.spawn(self._keep(session, customer, entrants, places), name="smppd.submit")
        if parts:
            self.spawn(self._keep_parts(session, customer, parts, part_places), name="smppd.parts")

    async def accept(self, customer: Customer, pdus: list[SubmitSm], told: UUID) -> list[int]:
        """Return the status of each of a submit_multi's messages.

        The first that can be read has the id `told`, and all have their receipts under it.
        """
        now_ms = self._clock.now_ms()
        told_ids = (format_smpp_id(told),)
        results: list[int] = []
        entrants: list[Entrant] = []
        for pdu in pdus:
            read = read_submit(pdu, customer.credential, classes=self._classes, now_ms=now_ms)
            if isinstance(read, int):
                results.append(read)
            elif read.place is not None:
                results.append(c.ESME_RINVESMCLASS)  # parts to many at once: nobody sends them
            else:
                results.append(c.ESME_ROK)
                origin = origin_of(pdu, system_id=customer.credential.system_id, told_ids=told_ids)
                entrants.append(Entrant(read.draft, write_origin(origin), None if entrants else told))
        outcomes = iter(await self._intake.accept(entrants, customer.credential.account, source=Source.SMPP))
        return [status or _status(next(outcomes)) for status in results]

    def spawn(self, work: Any, *, name: str) -> None:
        """Own a task until its end; windows bound how many there are."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Return once every request that was taken is answered."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def cancel(self) -> None:
        """End every task now."""
        for task in self._tasks:
            task.cancel()

    async def _keep(
        self, session: EsmeSession, customer: Customer, entrants: list[Entrant], places: list[Place]
    ) -> None:
        answers: list[UUID | int]
        try:
            found = await self._intake.accept(entrants, customer.credential.account, source=Source.SMPP)
            answers = [one if isinstance(one, UUID) else status_of(one) for one in found]
        except Exception as error:  # noqa: BLE001 - whatever it is, every request has its answer
            self._report(error)
            answers = [c.ESME_RSYSERR] * len(places)
        self._answer(session, places, answers)

    async def _keep_parts(
        self, session: EsmeSession, customer: Customer, parts: list[Part], places: list[Place]
    ) -> None:
        keys: list[tuple[str, bytes]] = []
        answers: list[UUID | int]
        try:
            answers, keys = await self._parts.keep(parts, customer.credential)
        except Exception as error:  # noqa: BLE001 - as above
            self._report(error)
            answers = [c.ESME_RSYSERR] * len(places)
        self._answer(session, places, answers)
        try:
            await self._parts.finish(keys)
        except Exception as error:  # noqa: BLE001 - the parts are durable, the sweeper finishes them
            self._report(error)

    def _answer(self, session: EsmeSession, places: list[Place], answers: list[UUID | int]) -> None:
        statuses: Counter[int] = Counter()
        for (command_id, sequence_number), answer in zip(places, answers, strict=True):
            if isinstance(answer, UUID):
                session.answer(command_id, sequence_number, c.ESME_ROK, format_smpp_id(answer))
                statuses[c.ESME_ROK] += 1
            else:
                session.answer(command_id, sequence_number, answer, "")
                statuses[answer] += 1
        self._metrics.submits(statuses)
        session.flush_soon()

    def _report(self, error: Exception) -> None:
        """Log a failure, at most one line a second: a database that is down fails every one of them."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._report_due_ns:
            self._report_due_ns = now_ns + _REPORT_EVERY_NS
            _log.warning("smppd.submit_failed", error=type(error).__name__)


def _status(outcome: Any) -> int:
    return c.ESME_ROK if isinstance(outcome, UUID) else status_of(outcome)
