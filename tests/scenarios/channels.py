"""Several channels as a scenario: WhatsApp fails, is silent or late, and SMS takes over; figures, and what is broken."""

import asyncio
import contextlib
import time
from typing import Any

from tests.scenarios.posting import BATCH, numbered, post_batch
from tests.support.kafka import kafka_server
from tests.support.ledger import database
from tests.support.stack import Stack, demo_tree, until
from tests.support.whatsapp import whatsapp_stack

_OPEN = "SELECT count(*) FROM messages WHERE state_rank < 3"
_STATES = "SELECT state, channel, count(*) FROM messages GROUP BY state, channel ORDER BY state, channel"

# A step succeeded when all its segments were delivered; here each has one.
_SUCCESSES = """
SELECT successes, count(*) FROM (
    SELECT m.id, count(DISTINCT s.steps_left) FILTER (WHERE s.receipt_state = 'delivered') AS successes
    FROM messages AS m LEFT JOIN submissions AS s ON s.message_id = m.id GROUP BY m.id
) AS each GROUP BY successes ORDER BY successes
"""
_UNEXPLAINED = """
SELECT count(*) FROM (
    SELECT s.message_id FROM submissions AS s WHERE s.receipt_state = 'delivered'
    GROUP BY s.message_id HAVING count(DISTINCT s.steps_left) > 1
) AS double
WHERE NOT EXISTS (SELECT 1 FROM message_events AS e WHERE e.message_id = double.message_id AND e.type = 'also_delivered')
"""
_REASONS = """
SELECT split_part(detail ->> 'reason', ' ', 1) AS why, count(*)
FROM message_events WHERE type = 'fallback' GROUP BY why
"""
_BEGUN_TWICE = """
SELECT count(*) FROM (
    SELECT message_id FROM message_events WHERE type = 'fallback' GROUP BY message_id HAVING count(*) > 1
) AS twice
"""


async def channels(
    *,
    messages: int = 10_000,
    failing: float = 0.30,
    silent: float = 0.20,
    late: float = 0.10,
    within_s: int = 5,
    late_s: int = 9,
    mps: float = 300,
    kills: int = 0,
    kafka: int = 0,
) -> dict[str, Any]:
    """Every message ends, exactly one billed success each where possible, each double success explained.

    Half of the `failing` share is refused at submit, half fails by receipt; `silent` says nothing, `late` says that it
    delivered `late_s` after it took the message. Meanwhile the role that begins channels is killed `kills` times. With `kafka` the bus is a broker of its own.
    """
    refused = failing / 2
    faults: dict[str, Any] = {
        "errors": {"131026": refused},
        "fail": (failing - refused) / (1 - refused),
        "silent": silent / (1 - failing),
        "late": late,
        "late_delay": f"{late_s}s",
        "receipt_delay": "200ms",
        "magic": False,
    }
    tree = demo_tree(rate=f"{mps:g}/s", receipt_delay="200ms")
    with contextlib.ExitStack() as beside:
        if kafka:
            server = await asyncio.to_thread(beside.enter_context, kafka_server())
            tree["kafka"] = {"bootstrap": server.bootstrap}
        return await _run(tree, faults, messages, within_s, late_s, mps, kills)


async def _run(
    tree: dict[str, Any],
    faults: dict[str, Any],
    messages: int,
    within_s: int,
    late_s: int,
    mps: float,
    kills: int,
) -> dict[str, Any]:
    async with whatsapp_stack(tree, rate=f"{mps:g}/s", **faults) as (stack, whatsapp):
        started = time.monotonic()
        await _post(stack, messages, within_s=within_s)
        for _ in range(kills):
            await asyncio.sleep(within_s / 2)
            killed = await stack.kill("back")
            await stack.until_ready("back", not_pid=killed)
        db = await database(stack)
        try:
            await until(lambda: _is_done(db, messages), limit_s=messages / mps * 4 + 240, every_s=1.0)
            took_s = time.monotonic() - started
            # What is late comes after the message is final: let it be told.
            await asyncio.sleep(late_s + 3)
            return await _judge(stack, whatsapp, db, messages, took_s=took_s)
        finally:
            await db.close()


async def _post(stack: Stack, messages: int, *, within_s: int) -> None:
    both = ["whatsapp", "sms"]
    first = {"channel": both[0], "fallback": {"unless": "sent", "within_s": within_s}}
    bodies = numbered(messages)
    while batch := [one for _, one in zip(range(BATCH), bodies, strict=False)]:
        await post_batch(stack, batch, channels=[first, both[1]])


async def _is_done(db: Any, messages: int) -> bool:
    total = await db.fetchval("SELECT count(*) FROM messages")
    return total == messages and await db.fetchval(_OPEN) == 0


async def _judge(stack: Stack, whatsapp: Any, db: Any, messages: int, *, took_s: float) -> dict[str, Any]:
    smsc = (await stack.get_json(await stack.simulator() + "/stats"))["submits"]
    successes = {row[0]: row[1] for row in await db.fetch(_SUCCESSES)}
    reasons = {row[0]: row[1] for row in await db.fetch(_REASONS)}
    unexplained = await db.fetchval(_UNEXPLAINED)
    begun_twice = await db.fetchval(_BEGUN_TWICE)
    figures = {
        "messages": messages,
        "took_s": round(took_s, 1),
        "ended": {f"{row[0]} by {row[1]}": row[2] for row in await db.fetch(_STATES)},
        "fallbacks": reasons,
        "whatsapp_requests": whatsapp.stats()["messages"],
        "whatsapp_taken": whatsapp.stats()["taken"],
        "sms_submitted": smsc,
        "successes_a_message": successes,
        "double_successes_unexplained": unexplained,
        "fallbacks_begun_twice": begun_twice,
    }
    assert successes.get(0, 0) == 0, f"messages without a success: {figures}"
    assert unexplained == 0, figures
    assert begun_twice == 0, figures
    assert smsc == sum(reasons.values()), f"SMS and fallbacks differ: {figures}"
    assert sum(successes.values()) == messages, figures
    return figures
