"""One fault under load, then the books: what was accepted, lost, doubled, and how soon work went on.

`python -m tests.faults` (`make faults`) is the long form, `test_under_fault.py` the short one. A rig lives through
many runs: each has recipients and message ids of its own, and waits for its end before the next begins.
"""

import asyncio
import random
import time

from gateway.domain.ids import format_id
from gateway.domain.message import MessageClass
from tests.faults.books import Outcome, account, settle, until_handed_over
from tests.faults.catalogue import Fault
from tests.faults.load import Load
from tests.faults.rig import MPS, NUMBERS_A_RUN, Rig

RECOVERY_S = 120.0
RUN_S = 300.0


async def under_fault(fault: Fault, rig: Rig, *, seed: int) -> Outcome:
    """Post steadily, do the harm at a random moment, wait until all is settled, and account for every message."""
    pick = random.Random(f"{fault.name}:{seed}")
    outcome = Outcome(fault.name, rig.bus, seed, bound=fault.bound, is_garbled=fault.garbles)
    started = time.monotonic()
    await rig.new_rows()
    rig.sequence += 1
    load = Load(
        rig.stack,
        first=rig.sequence * NUMBERS_A_RUN,
        per_s=MPS * 2 / 3,
        key=f"{fault.name}-{seed}-{rig.sequence}",
    )
    try:
        async with asyncio.timeout(RUN_S), asyncio.TaskGroup() as group:
            posting = group.create_task(load.run(), name="faults.load")
            await asyncio.sleep(pick.uniform(0.5, 1.5))
            outcome.detail = await fault.inject(rig, pick) or ""
            await _recover(rig, load, outcome)
            load.stop()
            await posting
            await settle(rig, load)
        await account(rig, load, outcome, ends=fault.ends)
        rig.runs.append((outcome, load))
    finally:
        await load.close()
    outcome.took_s = round(time.monotonic() - started, 1)
    return outcome


async def _recover(rig: Rig, load: Load, outcome: Outcome) -> None:
    """Measure from the end of the fault until new work is done, and until the old work is."""
    lifted = time.monotonic()

    async def measure_probe() -> None:
        [message_id] = await load.post(1, MessageClass.TRANSACTIONAL)
        statement = "SELECT 1 FROM messages WHERE id = $1 AND state = 'delivered'"
        while not await rig.fetch(statement, message_id):
            if time.monotonic() - lifted > RECOVERY_S:
                raise AssertionError(
                    f"{format_id('msg', message_id)} was not delivered {RECOVERY_S:.0f} s after the fault"
                )
            await asyncio.sleep(0.05)
        outcome.recovery_s = round(time.monotonic() - lifted, 2)

    async def measure_backlog() -> None:
        if not outcome.is_garbled:  # there, refusals that nobody sent make messages wait for their retry
            await until_handed_over(rig, load, limit_s=RECOVERY_S)
            outcome.drained_s = round(time.monotonic() - lifted, 2)

    async with asyncio.TaskGroup() as group:
        group.create_task(measure_probe(), name="faults.probe")
        group.create_task(measure_backlog(), name="faults.backlog")
