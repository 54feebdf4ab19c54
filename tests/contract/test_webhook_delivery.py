"""Webhooks end to end on a real database, against an endpoint on loopback that answers as told."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from dlr.webhooks.guard import Guard
from dlr.webhooks.signing import make_secret
from gateway.bus.members import Membership
from gateway.bus.topics import WEBHOOKS
from gateway.domain.ids import format_id
from gateway.ports.bus import Record
from gateway.ports.clock import SystemClock
from gateway.ports.webhook_store import ReplayFilter
from gateway.store.leases import PostgresLeases
from gateway.store.pool import Database
from tests.support.webhooks import SECRET, Heard, Receiver, Rig, a_notice, receiving

pytestmark = pytest.mark.postgres

DELIVERIES = """
SELECT (SELECT count(*) FROM webhook_deliveries WHERE state = $1) + CASE $1 WHEN 'delivered' THEN (
    SELECT coalesce(sum(length(event_ids) / 16), 0)::bigint FROM webhook_posts) ELSE 0 END
"""
BACKLOG = "SELECT count(*) FROM webhook_backlog"


@pytest.fixture
async def rig(db: Database) -> AsyncIterator[Rig]:
    rig = await Rig(db).start()
    yield rig
    await rig.kill()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def test_an_event_is_posted_signed_and_recorded(rig: Rig, receiver: Receiver) -> None:
    endpoint = await rig.endpoint(receiver.url, types=("message.delivered",))
    notice = a_notice()
    await rig.put(notice, a_notice("message.failed"), a_notice(account="other"))
    await receiver.until_events(1)
    (heard,) = receiver.heard
    assert heard.verify() == {
        "id": format_id("evt", notice.id),
        "type": "message.delivered",
        "timestamp": heard.payload["timestamp"],
        "data": notice.data,
    }
    assert heard.id == format_id("evt", notice.id)
    assert heard.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        heard.verify(make_secret(b"x" * 32))
    await rig.until_value(1, DELIVERIES, "delivered")
    (attempt,) = await rig.store.attempts_of(notice.subject_id, limit=10)
    assert (attempt.endpoint_id, attempt.attempt, attempt.status_code) == (endpoint.id, 1, 200)
    assert await rig.value(BACKLOG) == 0
    await rig.until_value(3, "SELECT next_offset FROM bus_position WHERE group_name = 'webhooks'")
    assert rig.metric("webhook_attempts_total", outcome="ok") == 1
    assert rig.metric("webhook_delivery_delay_seconds_count") == 1


async def test_a_batch_endpoint_gets_many_events_in_one_post(rig: Rig, receiver: Receiver) -> None:
    await rig.endpoint(receiver.url, batch_max=100)
    notices = [a_notice() for _ in range(250)]
    await rig.put(*notices)
    await receiver.until_events(250)
    assert receiver.event_ids == [format_id("evt", one.id) for one in notices]
    assert len(receiver.heard) < 20
    assert max(len(one.events) for one in receiver.heard) <= 100
    for one in receiver.heard:
        assert one.payload["type"] == "batch"
        assert one.verify()["data"] == one.events
    await rig.until_value(250, DELIVERIES, "delivered")
    # Each POST is a row or two; each event is an attempt all the same.
    assert await rig.value("SELECT count(*) FROM webhook_posts") <= 2 * len(receiver.heard)
    (attempt,) = await rig.store.attempts_of(notices[99].subject_id, limit=10)
    assert (attempt.event_id, attempt.attempt, attempt.status_code) == (notices[99].id, 1, 200)
    listed = await rig.store.attempts("acme", attempt.endpoint_id, limit=1000)
    assert {one.event_id for one in listed} == {one.id for one in notices}
    assert len({one.id for one in listed}) == 250


async def test_every_endpoint_of_the_account_gets_the_event_and_a_named_one_alone(
    rig: Rig, receiver: Receiver
) -> None:
    await rig.endpoint(f"{receiver.base}/a")
    named = await rig.endpoint(f"{receiver.base}/b")
    await rig.put(a_notice(), a_notice(endpoint_id=named.id), a_notice(endpoint_id="whk_unknown"))
    await receiver.until_events(3)
    await rig.until_value(3, "SELECT next_offset FROM bus_position WHERE group_name = 'webhooks'")
    assert sorted(one.path for one in receiver.heard) == ["/a", "/b", "/b"]


async def test_a_failed_attempt_is_repeated_with_the_same_id(rig: Rig, receiver: Receiver) -> None:
    answers = iter([500, 503, 200])
    receiver.answer = lambda _: next(answers)
    await rig.endpoint(receiver.url)
    notice = a_notice()
    await rig.put(notice)
    await receiver.until_events(3)
    assert {one.id for one in receiver.heard} == {format_id("evt", notice.id)}
    await rig.until_value(0, BACKLOG)
    attempts = await rig.store.attempts_of(notice.subject_id, limit=10)
    assert [(one.attempt, one.state, one.status_code) for one in attempts] == [
        (1, "failed", 500),
        (2, "failed", 503),
        (3, "delivered", 200),
    ]
    assert rig.metric("webhook_attempts_total", outcome="http_5xx") == 2


async def test_an_event_is_kept_after_its_last_attempt_and_can_be_replayed(
    rig: Rig, receiver: Receiver
) -> None:
    receiver.answer = 400
    endpoint = await rig.endpoint(receiver.url)
    notice = a_notice()
    await rig.put(notice)
    await rig.until_value(1, DELIVERIES, "exhausted")
    assert await rig.value(BACKLOG) == 0
    assert len(receiver.heard) == rig.schedule.max_attempts
    receiver.answer = 200
    now_ms = rig.clock.now_ms()
    done = await rig.store.replay("acme", endpoint.id, ReplayFilter(0), limit=10, now_ms=now_ms)
    assert done.events == 1
    await rig.until_value(1, DELIVERIES, "delivered")
    assert receiver.heard[-1].id == receiver.heard[0].id
    assert receiver.heard[-1].body == receiver.heard[0].body


async def test_retry_after_puts_everything_off(rig: Rig, receiver: Receiver) -> None:
    answers = iter([web.Response(status=429, headers={"retry-after": "1"})])
    receiver.answer = lambda _: next(answers, 200)
    await rig.endpoint(receiver.url)
    await rig.put(a_notice())
    await receiver.until_events(1)
    await rig.until_value(1, BACKLOG)
    await rig.put(a_notice())
    await receiver.until_events(3)
    assert receiver.heard[1].at - receiver.heard[0].at >= 0.95


async def test_gone_disables_the_endpoint_and_tells_the_others(rig: Rig, receiver: Receiver) -> None:
    receiver.answer = lambda heard: 410 if heard.path == "/gone" else 200
    gone = await rig.endpoint(f"{receiver.base}/gone", types=("message.delivered",))
    await rig.endpoint(f"{receiver.base}/other", types=("webhook.disabled",))
    await rig.put(a_notice())
    await receiver.until(lambda: any(one.path == "/other" for one in receiver.heard))
    told = next(one for one in receiver.heard if one.path == "/other")
    assert told.payload["type"] == "webhook.disabled"
    assert told.payload["data"]["webhook_id"] == gone.id
    view = await rig.store.get("acme", gone.id)
    assert view is not None
    assert view.disabled_reason == "gone"
    await rig.until_value(1, DELIVERIES, "exhausted")
    await rig.put(a_notice())
    await rig.until_value(3, "SELECT next_offset FROM bus_position WHERE group_name = 'webhooks'")
    assert [one.path for one in receiver.heard].count("/gone") == 1


async def test_a_redirect_is_not_followed(rig: Rig, receiver: Receiver) -> None:
    receiver.answer = lambda one: web.Response(status=302, headers={"location": f"{receiver.base}/else"})
    await rig.endpoint(receiver.url)
    notice = a_notice()
    await rig.put(notice)
    await receiver.until_events(2)
    assert {one.path for one in receiver.heard} == {"/hook"}
    await rig.until_value(True, "SELECT count(*) > 0 FROM webhook_deliveries WHERE status_code = 302")
    attempts = await rig.store.attempts_of(notice.subject_id, limit=1)
    assert attempts[0].error == "http_4xx: 302, redirects are not followed"


async def test_an_address_that_became_private_is_blocked_at_delivery(
    db: Database, receiver: Receiver
) -> None:
    rig = Rig(db)
    await rig.start()
    await rig.stop()
    port = int(receiver.base.rpartition(":")[2])
    answers = iter([["203.0.114.9"]])

    def look_up(host: str, _: int) -> list[Any]:
        return [(2, 1, 6, "", (one, port)) for one in next(answers, ["127.0.0.1"])]

    guard = Guard(allow_http=True, look_up=look_up)
    target = await guard.check(f"http://hooks.example.com:{port}/hook")
    assert target.host == "hooks.example.com"
    await rig.endpoint(target.url)
    rig.run(guard=guard)
    notice = a_notice()
    await rig.put(notice)
    await rig.until_value(True, "SELECT count(*) > 0 FROM webhook_deliveries")
    (attempt, *_) = await rig.store.attempts_of(notice.subject_id, limit=9)
    assert attempt.error == "blocked: hooks.example.com stands for an address that is not public"
    assert receiver.heard == []
    assert rig.metric("webhook_attempts_total", outcome="blocked") >= 1
    await rig.kill()


async def test_a_rotated_secret_signs_with_both_until_its_grace_ends(rig: Rig, receiver: Receiver) -> None:
    endpoint = await rig.endpoint(receiver.url)
    newer = make_secret(b"n" * 32)
    now_ms = rig.clock.now_ms()
    await rig.store.rotate_secret("acme", endpoint.id, secret=newer, old_until=now_ms + 60_000, now_ms=now_ms)
    assert rig.directory is not None
    await rig.directory.refresh()
    await rig.put(a_notice())
    await receiver.until_events(1)
    (heard,) = receiver.heard
    assert len(heard.headers["webhook-signature"].split()) == 2
    assert heard.verify(SECRET) == heard.verify(newer)


async def test_a_slow_endpoint_delays_no_other(rig: Rig, receiver: Receiver) -> None:
    go = asyncio.Event()

    async def slowly(_: Heard) -> int:
        await go.wait()
        return 200

    await rig.kill()
    rig.run(timeout_s=60.0)
    async with receiving(slowly) as slow:
        await rig.endpoint(slow.url, account="slow")
        await rig.endpoint(receiver.url, account="fast")
        for _ in range(40):
            await rig.put(*(a_notice(account="slow") for _ in range(10)), a_notice(account="fast"))
            await asyncio.sleep(0.03)
        await receiver.until_events(40)  # while the other has answered nothing
        assert 1 <= slow.most_in_flight <= 4
        go.set()


async def test_events_of_one_message_keep_their_order_through_failures(rig: Rig, receiver: Receiver) -> None:
    failures = {"left": 3}

    def answer(heard: Heard) -> int:
        if heard.payload["type"] == "message.submitted" and failures["left"]:
            failures["left"] -= 1
            return 500
        return 200

    receiver.answer = answer
    await rig.endpoint(receiver.url)
    first = a_notice("message.submitted")
    await rig.put(first)
    await receiver.until_events(1)
    await rig.put(a_notice("message.delivered", subject=first.subject_id))
    await rig.until_value(2, DELIVERIES, "delivered")
    assert [event["type"] for event in receiver.events] == ["message.submitted"] * 4 + ["message.delivered"]


async def test_the_next_event_of_a_message_waits_for_the_one_in_flight(rig: Rig, receiver: Receiver) -> None:
    release = asyncio.Event()

    async def hold(heard: Heard) -> int:
        if heard.payload["type"] == "message.submitted":
            await release.wait()
        return 200

    receiver.answer = hold
    await rig.endpoint(receiver.url)
    first = a_notice("message.submitted")
    other = a_notice("message.delivered")
    await rig.put(first, a_notice("message.delivered", subject=first.subject_id), other)
    await receiver.until_events(2)
    assert [event["type"] for event in receiver.events] == ["message.submitted", "message.delivered"]
    assert receiver.event_ids[1] == format_id("evt", other.id)
    release.set()
    await receiver.until_events(3)


async def test_a_dead_endpoint_costs_a_probe_and_drains_when_it_is_back(db: Database) -> None:
    rig = await Rig(db, drain_per_s=400.0, direct_wait_s=0.3).start()
    try:
        async with receiving(500) as receiver:
            await rig.endpoint(receiver.url, batch_max=20, max_in_flight=2)
            for _ in range(6):  # enough to open the circuit
                await rig.put(a_notice())
                await asyncio.sleep(0.05)
            await receiver.until_events(5)
            loop = asyncio.get_running_loop()
            began = loop.time()
            await rig.put(*(a_notice() for _ in range(600)))
            await rig.until_value(606, BACKLOG)
            assert len(receiver.events) < 30 + 10 * (loop.time() - began)  # it is probed all the while
            receiver.answer = 200
            await rig.until_value(0, BACKLOG, deadline_s=60)
            drained = [one for one in receiver.heard if len(one.events) > 1]
            duration = drained[-1].at - drained[0].at
            assert sum(len(one.events) for one in drained) / max(duration, 0.001) < 400 * 1.5
            assert loop.time() - drained[0].at > 1.0
            assert len(set(receiver.event_ids)) == 606
            assert await rig.value(DELIVERIES, "delivered") == 606
    finally:
        await rig.kill()


async def test_a_backlog_of_one_endpoint_with_a_single_slot_leaves_first_attempts_their_turn(
    db: Database,
) -> None:
    rig = await Rig(db, tick_s=0.1).start()
    async with receiving(500) as receiver:
        await rig.endpoint(receiver.url, max_in_flight=1)
        await rig.put(*(a_notice() for _ in range(30)))
        await rig.until_value(True, "SELECT count(*) > 20 FROM webhook_backlog")
        is_held, is_put = asyncio.Event(), asyncio.Event()
        asked = iter(range(1_000))

        async def slowly(_: Heard) -> int:
            # Three are taken: the endpoint has recovered, and most of what waits is left.
            if next(asked) == 3:
                is_held.set()
                await is_put.wait()
            await asyncio.sleep(0.05)
            return 200

        receiver.answer = slowly
        await asyncio.wait_for(is_held.wait(), 30)
        fresh = a_notice()
        await rig.put(fresh)
        is_put.set()
        await rig.until_value(0, BACKLOG)
        await receiver.until(lambda: format_id("evt", fresh.id) in receiver.event_ids)
        assert receiver.most_in_flight == 1
        assert receiver.event_ids.index(format_id("evt", fresh.id)) < len(receiver.event_ids) - 1
        await rig.kill()


async def test_one_bad_event_is_parted_from_its_batch(rig: Rig, receiver: Receiver) -> None:
    bad = a_notice()
    bad_id = format_id("evt", bad.id)
    receiver.answer = lambda heard: 500 if bad_id in {one["id"] for one in heard.events} else 200
    await rig.endpoint(receiver.url, batch_max=16)
    await rig.put(*(a_notice() for _ in range(7)), bad, *(a_notice() for _ in range(7)))
    await rig.until_value(14, DELIVERIES, "delivered")
    await rig.until_value(1, DELIVERIES, "exhausted")
    await rig.put(a_notice())
    await rig.until_value(15, DELIVERIES, "delivered")


async def test_killed_between_post_and_commit_the_event_comes_again_with_its_id(
    db: Database, receiver: Receiver
) -> None:
    rig = await Rig(db, linger_s=3.0).start()  # a POST is answered long before the next commit
    await rig.endpoint(receiver.url)
    notice = a_notice()
    await rig.put(notice)
    await receiver.until_events(1, deadline_s=20)
    await asyncio.sleep(0.1)
    await rig.kill()
    assert await rig.value("SELECT count(*) FROM webhook_deliveries") == 0
    rig.settings = Rig(db).settings
    rig.run()
    await receiver.until_events(2)
    assert receiver.heard[0].id == receiver.heard[1].id == format_id("evt", notice.id)
    await rig.until_value(1, DELIVERIES, "delivered")
    await rig.kill()


async def test_two_processes_do_not_deliver_the_same(db: Database, receiver: Receiver) -> None:
    one, two = await Rig(db).start("one"), await Rig(db).start("two")
    await one.endpoint(receiver.url)
    await one.put(*(a_notice() for _ in range(50)))
    await receiver.until_events(50)
    await one.until_value(50, DELIVERIES, "delivered")
    await one.kill()  # without releasing anything: the other follows when the lease ends
    await one.put(*(a_notice() for _ in range(50)))
    await receiver.until_events(100)
    await one.until_value(100, DELIVERIES, "delivered")
    assert len(set(receiver.event_ids)) == len(receiver.events) == 100
    await two.kill()


async def test_a_process_that_comes_gets_its_part_and_nothing_is_delivered_twice(
    db: Database, receiver: Receiver
) -> None:
    members = [Membership(owner, clock=SystemClock()) for owner in ("one", "two")]
    one = await Rig(db).start("one", partitions=2, membership=members[0])
    await one.endpoint(receiver.url)
    await one.put(*(a_notice() for _ in range(20)))
    await receiver.until_events(20)

    async def owners() -> set[str]:
        return {one.owner for one in await PostgresLeases(db).in_force()}

    assert await owners() == {"one"}
    for membership in members:
        membership.see(["one", "two"], leases=[])
    two = await Rig(db).start("two", partitions=2, membership=members[1])
    async with asyncio.timeout(20):
        while await owners() != {"one", "two"}:  # noqa: ASYNC110 - the database sets no event of ours
            await asyncio.sleep(0.05)
    await one.put(*(a_notice() for _ in range(40)))
    await receiver.until_events(60)
    await one.until_value(60, DELIVERIES, "delivered")
    assert len(set(receiver.event_ids)) == len(receiver.events) == 60
    await one.kill()
    await two.kill()


async def test_a_stop_lets_open_posts_end_and_commits(rig: Rig, receiver: Receiver) -> None:
    async def slowly(_: Heard) -> int:
        await asyncio.sleep(0.5)
        return 200

    receiver.answer = slowly
    await rig.endpoint(receiver.url)
    await rig.put(a_notice(), a_notice())
    await receiver.until_events(2)
    await rig.stop()
    assert await rig.value(DELIVERIES, "delivered") == 2


async def test_a_record_that_is_no_notice_is_kept_apart(rig: Rig, receiver: Receiver) -> None:
    await rig.endpoint(receiver.url)
    await rig.bus.append([Record(WEBHOOKS, b"x", b"not json"), Record(WEBHOOKS, b"x", b'{"v":9}')])
    await rig.put(a_notice())
    await receiver.until_events(1)
    await rig.until_value(2, "SELECT count(*) FROM dead_records WHERE topic = $1", WEBHOOKS)


async def test_too_large_a_backlog_gives_events_up_to_be_replayed(db: Database) -> None:
    rig = await Rig(db, max_backlog=5).start()
    async with receiving(500) as receiver:
        endpoint = await rig.endpoint(receiver.url)
        for _ in range(6):
            await rig.put(a_notice())
            await asyncio.sleep(0.05)
        await receiver.until_events(5)
        await rig.put(*(a_notice() for _ in range(20)))
        await rig.until_value(True, "SELECT count(*) >= 15 FROM webhook_deliveries WHERE attempt = 0")
        listed = await rig.store.attempts("acme", endpoint.id, states=("exhausted",), limit=1)
        assert listed[0].error == "more than 5 events wait"
        await rig.kill()


async def test_an_endpoint_that_failed_for_days_is_disabled_when_it_costs_an_event(db: Database) -> None:
    rig = await Rig(db, disable_after_ms=200).start()
    async with receiving(500) as receiver:
        endpoint = await rig.endpoint(receiver.url)
        await rig.put(a_notice())
        await rig.until_value(
            "failing", "SELECT disabled_reason FROM webhook_endpoints WHERE id = $1", endpoint.id
        )
        await rig.until_value(1, DELIVERIES, "exhausted")
        await rig.kill()


async def test_what_waits_for_a_deleted_endpoint_is_dropped(rig: Rig) -> None:
    async with receiving(500) as receiver:
        endpoint = await rig.endpoint(receiver.url)
        await rig.put(a_notice())
        await rig.until_value(1, BACKLOG)
        await rig.store.delete("acme", endpoint.id)
        await rig.kill()
        rig.run()  # the first sweep is at the start
        await rig.until_value(0, BACKLOG)


def test_the_receiver_of_these_tests_verifies_as_a_customer_does() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(
            b"{}", {"webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
        )
