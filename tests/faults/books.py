"""The books of one run: what was promised, what the database says, what the carrier has, by id."""

import asyncio
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults.load import Load
from tests.faults.rig import Rig

SETTLE_S = 90.0
_STILL_S = 4.0
_PATIENCE_S = 30.0

_STATES = """
SELECT m.id, m.state, m.state_rank, ids.known,
       EXISTS (SELECT 1 FROM deferred WHERE deferred.message_id = m.id) AS is_deferred
FROM messages AS m
LEFT JOIN LATERAL (
    SELECT array_agg(carrier_message_id) AS known FROM submissions AS s
    WHERE s.message_id = m.id AND s.carrier_message_id IS NOT NULL
) AS ids ON true
WHERE m.id = ANY ($1::uuid[])
"""


@dataclass
class Outcome:
    """One run's books.

    `doubled` counts repeats of otp and transactional, which `bound` limits; `repeated` those of collections and
    marketing, which have to be none. `in_doubt` are messages that wait for a receipt and may never get one.
    `recovery_s` is from the end of the fault until a message posted then is delivered, `drained_s` until everything
    accepted before has been handed to the carrier.
    """

    fault: str
    bus: str
    seed: int
    bound: int = 0
    is_garbled: bool = False
    accepted: int = 0
    lost: int = 0
    doubled: int = 0
    repeated: int = 0
    in_doubt: int = 0
    recovery_s: float = 0.0
    drained_s: float = 0.0
    took_s: float = 0.0
    detail: str = ""
    states: dict[str, int] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise AssertionError where a promise is broken."""
        assert not self.trouble, self
        assert self.accepted > 0, self
        assert self.lost == 0, self
        assert self.doubled <= self.bound, self
        assert self.repeated <= (self.bound if self.is_garbled else 0), self

    def facts(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


async def until_handed_over(rig: Rig, load: Load, *, limit_s: float) -> None:
    """Wait until everything accepted up to now has been submitted, or is over."""
    owed = list(load.accepted)
    deadline = time.monotonic() + limit_s
    statement = "SELECT count(*) FROM messages WHERE id = ANY ($1::uuid[]) AND state_rank >= 2"
    while (await rig.fetch(statement, owed))[0][0] < len(owed):
        if time.monotonic() > deadline:
            raise AssertionError(f"the backlog of {len(owed)} was not drained after {limit_s:.0f} s")
        await asyncio.sleep(0.1)


async def settle(rig: Rig, load: Load) -> None:
    """Wait until nothing can follow: all is final, but for what was in doubt and must not be sent again.

    Where receipts went astray with the fault, counts that stand still for some seconds are the end. Not where the
    carrier says that the gateway has acknowledged a receipt which is to be seen nowhere: that is worth a long wait.
    """
    last: Counter[str] = Counter()
    deadline = still_since = time.monotonic()
    deadline += SETTLE_S
    while time.monotonic() < deadline:
        rows = await rig.fetch(_STATES, list(load.accepted))
        waiting = len(load.accepted) - len(rows)
        awaited = 0
        for row in rows:
            if row["state_rank"] < 2:
                waiting += 1
            elif row["state_rank"] == 2:
                message_class = load.accepted[row["id"]][1]
                awaited += row["known"] is not None or message_class.resends_in_doubt
        if not waiting and not awaited:
            return
        states = Counter(row["state"] for row in rows)
        if states != last:
            last, still_since = states, time.monotonic()
        still_s = time.monotonic() - still_since
        if not waiting and still_s > _STILL_S:
            if still_s > _PATIENCE_S or not await _owes_receipts(rig, rows):
                return
            await asyncio.sleep(1)
        await asyncio.sleep(0.2)


async def _owes_receipts(rig: Rig, rows: list[Any]) -> bool:
    """Tell whether a message that waits has a receipt which the gateway has acknowledged."""
    acknowledged = {one["message_id"] for one in await rig.look_ahead() if one["receipt"] == "acknowledged"}
    return any(one in acknowledged for row in rows if row["state_rank"] == 2 for one in row["known"] or ())


async def account(rig: Rig, load: Load, outcome: Outcome, *, ends: frozenset[str]) -> None:
    """Fill in the outcome; `ends` are the final states that the fault may lead to."""
    rows = {row["id"]: row for row in await rig.fetch(_STATES, list(load.accepted))}
    taken = await rig.new_rows()
    acknowledged = {row["message_id"] for row in taken if row["receipt"] == "acknowledged"}
    outcome.accepted = len(load.accepted)
    outcome.states = dict(Counter(row["state"] for row in rows.values()))
    outcome.in_doubt = outcome.states.get("submitted", 0)
    outcome.doubled, outcome.repeated = _repeats(rig, load)
    causes: Counter[str] = Counter()
    for message_id, (recipient, message_class) in load.accepted.items():
        cause = _why_lost(
            rows.get(message_id),
            is_received=rig.received[recipient] > 0,
            may_be_unsent=not message_class.resends_in_doubt,
            acknowledged=acknowledged,
            is_garbled=outcome.is_garbled,
            ends=ends,
        )
        if cause:
            causes[cause] += 1
    outcome.lost = sum(causes.values())
    outcome.trouble += [f"{count} {cause}" for cause, count in causes.items()]


async def look_back(rig: Rig) -> None:
    """Count the repeats of every run of a rig again: what came after its books were closed counts too."""
    await rig.new_rows()
    for outcome, load in rig.runs:
        counted = (outcome.doubled, outcome.repeated)
        outcome.doubled, outcome.repeated = _repeats(rig, load)
        if (outcome.doubled, outcome.repeated) != counted:
            outcome.trouble.append(f"repeats after the end of the run, before which there were {counted}")


def _repeats(rig: Rig, load: Load) -> tuple[int, int]:
    """Return how often the carrier got again what may be sent again, and what may not."""
    found = [0, 0]
    for recipient, message_class in load.accepted.values():
        found[not message_class.resends_in_doubt] += max(rig.received[recipient] - 1, 0)
    return found[0], found[1]


def _why_lost(
    row: Any,
    *,
    is_received: bool,
    may_be_unsent: bool,
    acknowledged: set[str],
    is_garbled: bool,
    ends: frozenset[str],
) -> str:
    """Return why the gateway has not kept its word on a message; empty where it has."""
    if row is None:
        return "unknown to the database"
    state = row["state"]
    if state in ("queued", "scheduled"):
        return "" if is_garbled and row["is_deferred"] else f"still {state}"
    if is_garbled:
        return ""
    if state == "submitted":
        if not is_received and not may_be_unsent:
            return "counted as sent, and the carrier has it not"
        if any(one in acknowledged for one in row["known"] or ()):
            return "without the receipt that the carrier had acknowledged"
        return ""
    if state == "delivered":
        return "" if is_received else "delivered, and the carrier has it not"
    return "" if state in ends else f"ended as {state}"
