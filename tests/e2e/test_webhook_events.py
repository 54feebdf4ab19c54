"""Events of real messages at a real endpoint, through real processes, some of them killed."""

from collections import Counter

import pytest

from gateway.domain.ids import format_id, new_uuid7
from gateway.ports.clock import SystemClock
from gateway.ports.webhook_store import EndpointSettings
from gateway.store.embedded import dsn_of_running
from gateway.store.pool import Database
from gateway.store.webhooks import PostgresWebhooks
from tests.support.ledger import Ledger, post_all, until_settled
from tests.support.stack import Stack, demo_tree
from tests.support.traffic import rows
from tests.support.webhooks import SECRET, Receiver, receiving

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

MESSAGES = 3_000


async def an_endpoint(stack: Stack, url: str, **chosen: object) -> None:
    dsn = dsn_of_running(stack.folder / "var")
    assert dsn is not None
    db = await Database.connect(dsn, max_size=1, name="test")
    now_ms = SystemClock().now_ms()
    await PostgresWebhooks(db).create(
        "demo",
        format_id("whk", new_uuid7(now_ms, 1)),
        EndpointSettings(url, **chosen),  # type: ignore[arg-type]
        secret=SECRET,
        now_ms=now_ms,
    )
    await db.close()


def told(receiver: Receiver) -> dict[str, list[str]]:
    """Return the types by message, each event once, in the order of their first arrival."""
    seen: dict[str, list[str]] = {}
    known: set[str] = set()
    for event in receiver.events:
        if event["id"] not in known:
            known.add(event["id"])
            seen.setdefault(event["data"]["id"], []).append(event["type"])
    return seen


async def test_p6_every_message_is_told_of_in_order_though_back_is_killed_twice() -> None:
    async with receiving() as receiver, Stack(demo_tree() | {"webhooks": {"allow_loopback": True}}) as stack:
        await an_endpoint(stack, receiver.url, batch_max=50)
        ledger = Ledger()
        await post_all(stack, list(rows(MESSAGES)), size=500, defaults={"from": "CAUDAL"}, ledger=ledger)
        for _ in range(2):
            await receiver.until_events(len(receiver.events) + 300, deadline_s=30)
            pid = await stack.kill("back")
            await stack.until_ready("back", not_pid=pid)
        await until_settled(stack, ledger, limit_s=60)
        await receiver.until(lambda: sum(map(len, told(receiver).values())) >= 2 * MESSAGES, deadline_s=60)
        assert Counter(tuple(types) for types in told(receiver).values()) == {
            ("message.submitted", "message.delivered"): MESSAGES
        }
        assert set(told(receiver)) == set(ledger.accepted)
        receiver.heard[0].verify()
        # A kill repeats what was posted and not yet committed, and nothing else.
        assert len(receiver.events) - 2 * MESSAGES <= 2 * 2_000
