"""What is queued before a load: marketing messages that wait for carriers on hold. Used for `load.waiting`."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns
from typing import Final

from loadtest.running.bench import Bench
from loadtest.running.children import ChildError
from loadtest.running.gateway import GatewayError, OwnGateway
from loadtest.running.load import LoadProcess
from loadtest.running.orders import Order

BATCH: Final = 500
OPEN: Final = 4
_RATE_PER_S: Final = 50_000  # faster than any gateway takes them: requests wait for an open slot
_LIMIT_S: Final = 3_600.0


async def queue_before(
    bench: Bench,
    *,
    count: int,
    nonce: str,
    path: Path,
    interrupted: asyncio.Event,
    say: Callable[[str], None],
) -> Order:
    """Have `count` messages accepted and none submitted; the carriers go on at the end. Raises GatewayError.

    A gateway that was given submits meanwhile what its carriers take: its carriers are not ours to hold.
    """
    batch = min(BATCH, count)
    order = Order(
        target=bench.gateway.url,
        key=bench.gateway.key,
        accepted_path=str(path),
        nonce=nonce,
        stages=[(_RATE_PER_S, _RATE_PER_S, count / _RATE_PER_S)],
        arrivals="uniform",
        batch=batch,
        seed=bench.scenario.scenario.seed,
        mix={"marketing": 1.0},
        gsm7=1.0,
        segments={1: 1.0},
        duplicates=0.0,
        recipients=bench.scenario.load.recipients,
        max_open=OPEN,
    )
    gateway = bench.gateway
    held = bench.carriers if isinstance(gateway, OwnGateway) else []
    process = LoadProcess(order, name="queueing")
    try:
        for carrier in held:
            if isinstance(gateway, OwnGateway):
                await gateway.hold(carrier.settings.id, is_held=True)
        await process.start()
        process.begin(monotonic_ns())
        await _until_queued(process, count=count, interrupted=interrupted, say=say)
    except ChildError as error:
        raise GatewayError(str(error)) from None
    finally:
        await process.child.stop(limit_s=2.0)
        for carrier in held:
            if isinstance(gateway, OwnGateway):
                await gateway.hold(carrier.settings.id, is_held=False)
    return order


async def _until_queued(
    process: LoadProcess, *, count: int, interrupted: asyncio.Event, say: Callable[[str], None]
) -> None:
    accepted, seconds = 0, 0
    while not process.has_ended and not interrupted.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(interrupted.wait(), 1.0)
        seconds += 1
        accepted += process.taken_ticks().accepted
        if seconds % 5 == 0:
            say(f"queued before the load: {accepted} of {count}")
        if seconds > _LIMIT_S:
            raise GatewayError(f"only {accepted} of {count} messages were queued within {_LIMIT_S:.0f} s")
    if interrupted.is_set():
        return
    account = await process.finish(limit_s=30.0)
    if account.accepted < count - process.order.batch:
        reasons = ", ".join(f"{reason} ({n})" for reason, n in account.reasons.items()) or "no reason known"
        raise GatewayError(f"only {account.accepted} of {count} messages were queued: {reasons}")
