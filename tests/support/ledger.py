"""The conservation check: accepted = received by the simulator = final in PostgreSQL, by id."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg

from gateway.domain.ids import uuid7_floor
from tests.support.stack import Stack, until

LOOK_SHARE = 20
_STATES = "SELECT state, count(*) AS n FROM messages WHERE id >= $1 GROUP BY state"
MAX_PAUSE_S = 2.0


@dataclass
class Ledger:
    """What one run accounts for. `accepted` maps message id to the (recipient, text) that was posted."""

    accepted: dict[str, tuple[str, str]] = field(default_factory=dict)
    states: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled_segments: int = 0
    segments_received: int = 0
    segments_expected: int = 0


async def post_all(
    stack: Stack,
    messages: list[dict[str, Any]],
    *,
    size: int,
    defaults: dict[str, Any],
    ledger: Ledger,
    limit_s: float = 60.0,
) -> None:
    """Post in batches; an answer that never came is tried again with the same Idempotency-Key, for so long each."""
    for index, start in enumerate(range(0, len(messages), size)):
        part = messages[start : start + size]
        headers = {"Idempotency-Key": f"{messages[0]['client_ref']}-{index}-{size}"}
        deadline = time.monotonic() + limit_s
        while True:
            try:
                status, body = await stack.request(
                    "POST",
                    "/v1/messages:batch",
                    json={"defaults": defaults, "messages": part},
                    headers=headers,
                )
            except (aiohttp.ClientError, OSError):
                status, body = 0, None
            if status == 202:
                break
            assert status in (0, 503), body
            assert time.monotonic() < deadline, f"still {status} after {limit_s} s"
            await asyncio.sleep(0.25)
        assert body["rejected"] == 0, [r for r in body["results"] if r["status"] == "rejected"][:3]
        for result, message in zip(body["results"], part, strict=True):
            ledger.accepted[result["id"]] = (message["to"].lstrip("+"), message["content"]["text"])
            ledger.segments_expected += result["segments"]


async def database(stack: Stack) -> asyncpg.Connection:
    """Connect to the gateway's own database."""
    from gateway.store.embedded import dsn_of_running

    dsn = dsn_of_running(stack.folder / "var")
    assert dsn is not None
    return await asyncpg.connect(dsn)


async def until_settled(
    stack: Stack, ledger: Ledger, *, limit_s: float, open_states: tuple[str, ...] = (), since_ms: int = 0
) -> None:
    """Wait until every accepted message is in the database and none is open (beyond `open_states`).

    With `since_ms` the ledger is of messages accepted since then, and no others are looked at.
    """
    connection = await database(stack)
    waiting = ("scheduled", "queued", "submitted")
    try:

        async def settled() -> bool:
            began = time.perf_counter()
            rows = await connection.fetch(_STATES, uuid7_floor(since_ms))
            ledger.states = Counter({row["state"]: row["n"] for row in rows})
            open_count = sum(ledger.states[state] for state in waiting if state not in open_states)
            is_settled = sum(ledger.states.values()) >= len(ledger.accepted) and open_count == 0
            if not is_settled:
                # Each look reads the whole table: those at a large one must not weigh on what is looked at.
                await asyncio.sleep(min(MAX_PAUSE_S, LOOK_SHARE * (time.perf_counter() - began)))
            return is_settled

        try:
            await until(settled, limit_s=limit_s, every_s=0.25)
        except AssertionError:
            raise AssertionError(
                f"not settled after {limit_s} s: {dict(ledger.states)} of {len(ledger.accepted)}"
            ) from None
    finally:
        await connection.close()


async def received_ids(stack: Stack) -> set[str]:
    """Return the id of every segment that the simulator accepted, from its own record."""
    found: set[str] = set()
    base, after = await stack.simulator(), -1
    while True:
        page = await stack.get_json(f"{base}/messages?after={after}&limit=10000")
        assert page["forgotten"] == 0
        found |= {one["message_id"] for one in page["messages"] if one["status"] == "ESME_ROK"}
        if not page["has_more"]:
            return found
        after = page["next_after"]


async def reconcile(stack: Stack, ledger: Ledger) -> Ledger:
    """Compare the accepted ids with the database, and the database's segments with the simulator's record."""
    from gateway.domain.ids import format_id

    connection = await database(stack)
    try:
        ids = {format_id("msg", row["id"]) for row in await connection.fetch("SELECT id FROM messages")}
        submitted = await connection.fetch(
            "SELECT message_id, segment_index, carrier_message_id FROM submissions WHERE carrier_message_id IS NOT NULL"
        )
    finally:
        await connection.close()
    ledger.lost = sorted(set(ledger.accepted) - ids)
    assert ids <= set(ledger.accepted), "the database holds messages that nobody was promised"
    received = await received_ids(stack)
    ledger.segments_received = len(received)
    recorded = {row["carrier_message_id"] for row in submitted}
    assert recorded <= received, "submissions are recorded that the simulator never accepted"
    pairs = {(row["message_id"], row["segment_index"]) for row in submitted}
    ledger.doubled_segments = ledger.segments_received - len(pairs)
    return ledger
