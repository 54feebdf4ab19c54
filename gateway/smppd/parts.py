"""Long messages that customers cut themselves: parts are kept and answered one by one, and leave as one message.

A part's `submit_sm_resp` promises that it is durable (P1), so it goes into a table first. The part that completes its
set makes the message, under the id of the first part and under a key that makes a second try harmless; whoever dies
in between leaves the set to the sweeper of any process. A set that stays incomplete is given up after a while, with a
receipt of EXPIRED for the parts that asked: a handset would have shown nothing either.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
import structlog

from adapters.smpp.wire import constants as c
from gateway.domain.alphabets import TextAlphabet
from gateway.domain.lifecycle import State
from gateway.domain.message import MessageClass, Source
from gateway.intake.direct import DirectIntake, Entrant, TurnedAway
from gateway.intake.requests import MessageDraft
from gateway.intake.rich import Content
from gateway.ports.clock import Clock
from gateway.ports.intake_store import Account
from gateway.ports.smpp_store import Credentials, PartRow, PartStore, ReceiptQueue, SmppCredential
from gateway.ports.store import Transactions
from gateway.smppd.ids import format_smpp_id
from gateway.smppd.origin import Origin, write_origin
from gateway.smppd.reading import SubmitRead, Wording, joined
from gateway.smppd.receipts import EXPIRY_MS, receipts_of
from gateway.smppd.statuses import WORTH_ANOTHER_TRY, status_of

_log = structlog.get_logger()

ROUTE: Final = "smpp:parts"
SWEEP_EVERY_S: Final = 5.0
STALE_MS: Final = 10_000
"""A complete set this old was left by a process that died, or by a full queue: any process finishes it."""
GIVE_UP_MS: Final = 300_000
_SWEEP_SETS: Final = 500


class _Facts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a part says besides its octets; of the first part it is what the message will say."""

    to: str | None
    sender: str | None
    message_class: MessageClass
    send_at: float | None
    expires_at: float | None
    alphabet: TextAlphabet
    single_shift: int
    locking_shift: int
    origin: Origin


_ENCODE: Final = msgspec.json.Encoder().encode
_FACTS: Final = msgspec.json.Decoder(_Facts)


@dataclass(frozen=True, slots=True)
class Part:
    """A part at the door: what was read of it, and whom its receipt goes to."""

    read: SubmitRead
    origin: Origin


class PartDesk:
    """Keeps the parts of one process's sessions; `run` sweeps until it is cancelled."""

    def __init__(
        self,
        store: PartStore,
        *,
        db: Transactions,
        receipts: ReceiptQueue,
        credentials: Credentials,
        intake: DirectIntake,
        clock: Clock,
        new_id: Callable[[int], UUID],
        receipt_expiry_ms: int = EXPIRY_MS,
        give_up_ms: int = GIVE_UP_MS,
        stale_ms: int = STALE_MS,
        sweep_every_s: float = SWEEP_EVERY_S,
    ) -> None:
        self._store = store
        self._db = db
        self._receipts = receipts
        self._credentials = credentials
        self._intake = intake
        self._clock = clock
        self._new_id = new_id
        self._receipt_expiry_ms = receipt_expiry_ms
        self._give_up_ms = give_up_ms
        self._stale_ms = stale_ms
        self._sweep_every_s = sweep_every_s

    async def keep(
        self, parts: Sequence[Part], credential: SmppCredential
    ) -> tuple[list[UUID | int], list[tuple[str, bytes]]]:
        """Make parts durable; return for each its id or the status that refuses it, and the sets to look at.

        What would be refused as a message is refused here already, as far as one part tells it. Raises what the store
        raises.
        """
        now_ms = self._clock.now_ms()
        results: list[UUID | int] = []
        rows: list[PartRow] = []
        for part in parts:
            refused = self._intake.check(Entrant(part.read.draft), credential.account, source=Source.SMPP)
            if refused is not None:
                results.append(status_of(refused))
            elif not self._intake.is_within_quota(credential.account):
                results.append(c.ESME_RTHROTTLED)
            else:
                row = _row(part, credential.system_id, part_id=self._new_id(now_ms), now_ms=now_ms)
                rows.append(row)
                results.append(row.part_id)
        kept = await self._store.keep(rows)
        by_id = {
            # None: the place is another message's that is not finished yet; the same reference may come again soon.
            row.part_id: c.ESME_RMSGQFUL if part_id is None else part_id
            for row, part_id in zip(rows, kept, strict=True)
        }
        keys = [(row.system_id, row.set_key) for row in rows]
        return [by_id[one] if isinstance(one, UUID) else one for one in results], keys

    async def finish(self, keys: Sequence[tuple[str, bytes]]) -> None:
        """Make messages of those sets that are complete."""
        for rows in await self._store.complete(keys):
            await self._finish(rows)

    async def run(self) -> None:
        """Finish what was left behind and give up what stays incomplete, until cancelled."""
        failing = False
        while True:
            try:
                await self.sweep()
                failing = False
            except Exception as error:  # noqa: BLE001 - the rows stay, the next sweep sees them again
                if not failing:
                    _log.warning("smppd.parts.sweep_failed", error=type(error).__name__)
                failing = True
            await asyncio.sleep(self._sweep_every_s)

    async def sweep(self) -> None:
        """Finish old sets that are complete, give up old ones that are not; once."""
        now_ms = self._clock.now_ms()
        keys = await self._store.stale(before_ms=now_ms - self._stale_ms, limit=_SWEEP_SETS)
        if not keys:
            return
        await self.finish(keys)
        async with self._db.transaction() as tx:
            given_up = await self._store.take_incomplete(
                tx, before_ms=now_ms - self._give_up_ms, limit=_SWEEP_SETS
            )
            owed = [
                receipt
                for row in given_up
                for receipt in receipts_of(
                    _FACTS.decode(row.facts).origin,
                    message_id=row.part_id,
                    state=State.EXPIRED,
                    done_at=now_ms,
                    expiry_ms=self._receipt_expiry_ms,
                )
            ]
            await self._receipts.add(tx, owed)
        if given_up:
            _log.info("smppd.parts.given_up", parts=len(given_up), receipts=len(owed))

    async def _finish(self, rows: list[PartRow]) -> None:
        first = rows[0]
        account = await self._account_of(first.system_id)
        if account is None:  # the credential was deleted since
            if first.received_at < self._clock.now_ms() - self._give_up_ms:
                _log.warning("smppd.parts.orphaned", system_id=first.system_id, parts=len(rows))
                await self._store.forget(rows)
            return
        facts = [_FACTS.decode(row.facts) for row in rows]
        entrant = _entrant(rows, facts)
        outcome = await self._intake.accept_once(
            entrant, account, source=Source.SMPP, route=ROUTE, key=f"{first.system_id}:{first.part_id}"
        )
        if isinstance(outcome, TurnedAway):
            if status_of(outcome) in WORTH_ANOTHER_TRY:
                return  # the sweeper comes again
            await self._tell_refused(rows, facts)
        await self._store.forget(rows)

    async def _tell_refused(self, rows: Sequence[PartRow], facts: Sequence[_Facts]) -> None:
        """Owe a receipt of REJECTED for what was answered in parts and cannot be a message."""
        now_ms = self._clock.now_ms()
        owed = [
            receipt
            for row, one in zip(rows, facts, strict=True)
            for receipt in receipts_of(
                one.origin,
                message_id=row.part_id,
                state=State.REJECTED,
                done_at=now_ms,
                expiry_ms=self._receipt_expiry_ms,
            )
        ]
        async with self._db.transaction() as tx:
            await self._receipts.add(tx, owed)
        _log.info("smppd.parts.refused", parts=len(rows), receipts=len(owed))

    async def _account_of(self, system_id: str) -> Account | None:
        credential = await self._credentials.find(system_id, now_ms=self._clock.now_ms())
        return None if credential is None else credential.account


def _row(part: Part, system_id: str, *, part_id: UUID, now_ms: int) -> PartRow:
    read = part.read
    place, draft, wording = read.place, read.draft, read.wording
    assert place is not None
    facts = _Facts(
        draft.to,
        draft.sender,
        draft.message_class or MessageClass.TRANSACTIONAL,
        None if draft.send_at is None else draft.send_at.timestamp(),
        None if draft.expires_at is None else draft.expires_at.timestamp(),
        wording.alphabet,
        wording.single_shift,
        wording.locking_shift,
        part.origin,
    )
    return PartRow(
        system_id,
        place.key,
        place.sequence,
        place.total,
        part_id,
        wording.octets,
        _ENCODE(facts).decode(),
        now_ms,
    )


def _entrant(rows: Sequence[PartRow], facts: Sequence[_Facts]) -> Entrant:
    """Return the message of a complete set; all of its parts that asked are told of its end."""
    first = facts[0]
    whole = joined(
        [
            Wording(row.octets, one.alphabet, one.single_shift, one.locking_shift)
            for row, one in zip(rows, facts, strict=True)
        ]
    )
    asking = [
        (row, one)
        for row, one in zip(rows, facts, strict=True)
        if one.origin.registered_delivery & c.RECEIPT_MASK
    ]
    origin = first.origin
    if asking:
        origin = Origin(
            origin.system_id,
            asking[0][1].origin.registered_delivery,
            origin.source,
            origin.destination,
            tuple(format_smpp_id(row.part_id) for row, _ in asking),
        )
    draft = MessageDraft(
        to=first.to,
        sender=first.sender,
        message_class=first.message_class,
        content=Content(text=whole.text()),
        send_at=_instant(first.send_at),
        expires_at=_instant(first.expires_at),
    )
    return Entrant(draft, write_origin(origin), rows[0].part_id)


def _instant(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
