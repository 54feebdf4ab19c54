"""kill -9 of each role in turn while messages flow: nothing is lost, repeats stay within the promise (P1, P2)."""

import asyncio
import time

import pytest

from tests.support.ledger import Ledger, post_all, reconcile, until_settled
from tests.support.stack import Stack, demo_tree
from tests.support.traffic import rows

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(240)]

BINDS, WINDOW = 2, 100
RATE = 1500
# P2: one crash puts in doubt what was open, and what was claimed or answered and not yet committed: the windows, and
# at most a quarter of a second of the rate (`DispatchSettings.max_unflushed_s`, `max_claim_ahead_ms`).
BOUND = BINDS * WINDOW + RATE // 4


async def until_receipts_are_in(stack: Stack, ledger: Ledger) -> None:
    """Wait until the count of messages without a final state has stood still for two seconds."""
    waiting, still_since = -1, time.monotonic()
    while time.monotonic() - still_since < 2:
        await until_settled(stack, ledger, limit_s=10, open_states=("submitted",))
        if ledger.states["submitted"] != waiting:
            waiting, still_since = ledger.states["submitted"], time.monotonic()
        await asyncio.sleep(0.25)


@pytest.mark.parametrize("role", ["api", "dispatch", "back"])
async def test_kill_9_of_a_role_loses_nothing(role: str) -> None:
    tree = demo_tree(rate=f"{RATE}/s", binds=BINDS, window=WINDOW)
    async with Stack(tree) as stack:
        ledger = Ledger()
        messages = list(rows(10_000, prefix=role))
        first, rest = messages[:4_000], messages[4_000:]
        await post_all(
            stack, first, size=1_000, defaults={"from": "CAUDAL", "class": "transactional"}, ledger=ledger
        )
        posting = asyncio.create_task(
            post_all(
                stack, rest, size=1_000, defaults={"from": "CAUDAL", "class": "transactional"}, ledger=ledger
            )
        )
        pid = await stack.kill(role)
        await stack.until_ready(role, not_pid=pid)
        await posting
        await until_settled(stack, ledger, limit_s=90)
        await reconcile(stack, ledger)
        print(
            f"killed {role}: {len(ledger.accepted)} accepted, {dict(ledger.states)}, doubled {ledger.doubled_segments}"
        )
        assert len(ledger.accepted) == 10_000
        assert ledger.lost == []
        assert ledger.states["delivered"] == 10_000
        assert ledger.segments_received >= ledger.segments_expected
        assert ledger.doubled_segments <= (BOUND if role == "dispatch" else 0)


async def test_kill_9_of_dispatch_never_repeats_a_collections_message() -> None:
    tree = demo_tree(rate=f"{RATE}/s", binds=BINDS, window=WINDOW)
    async with Stack(tree) as stack:
        ledger = Ledger()
        await post_all(
            stack,
            list(rows(6_000, prefix="col")),
            size=1_000,
            defaults={"from": "CAUDAL", "class": "collections"},
            ledger=ledger,
        )
        pid = await stack.kill("dispatch")
        await stack.until_ready("dispatch", not_pid=pid)
        await until_settled(stack, ledger, limit_s=90, open_states=("submitted",))
        await until_receipts_are_in(stack, ledger)
        await reconcile(stack, ledger)
        in_doubt = ledger.states["submitted"]
        print(
            f"collections: {dict(ledger.states)}, received {ledger.segments_received} of {ledger.segments_expected}"
        )
        assert ledger.lost == []
        assert ledger.states["delivered"] + in_doubt == 6_000
        assert in_doubt <= BOUND
        assert ledger.segments_received <= ledger.segments_expected


async def test_kill_9_of_the_supervisor_leaves_nothing_running_and_a_new_start_goes_on() -> None:
    import psutil

    async with Stack() as stack:
        ledger = Ledger()
        await post_all(
            stack, list(rows(2_000, prefix="sup")), size=1_000, defaults={"from": "CAUDAL"}, ledger=ledger
        )
        assert stack.process is not None
        family = psutil.Process(stack.process.pid).children(recursive=True)
        stack.process.kill()
        await stack.stop()
        _, alive = psutil.wait_procs(family, timeout=20)
        assert alive == []
        await stack.start()
        # The simulator forgot what it had taken, so what waits for its receipts stays submitted: nothing is made up.
        await until_settled(stack, ledger, limit_s=90, open_states=("submitted",))
        assert sum(ledger.states.values()) == 2_000
        assert set(ledger.states) <= {"delivered", "submitted"}
