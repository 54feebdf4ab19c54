"""The orders of operators, their audit, the reports of dispatch and its members, on a real PostgreSQL."""

import asyncio

import pytest

from gateway.ports.control_store import AuditEntry, CarrierReport, Order, OrderKind, TooManyOrdersError
from gateway.store.controls import KEEP_MS, PostgresControls

NOW_MS = 1_795_316_400_000


def order(kind=OrderKind.PAUSE, *, carrier="telco_a", target="", value="", at=NOW_MS, expires_at=None):
    return Order(carrier, kind, target, value, "maintenance", "key:k1", at, expires_at)


@pytest.fixture
def controls(db):
    return PostgresControls(db)


async def test_an_order_stands_until_it_is_withdrawn(controls):
    await controls.give(order())
    assert await controls.standing(now_ms=NOW_MS + 1) == [order()]
    ended = await controls.withdraw(
        "telco_a", OrderKind.PAUSE, "", actor="cli:ana", reason="done", now_ms=NOW_MS + 2
    )
    assert ended
    assert await controls.standing(now_ms=NOW_MS + 3) == []
    again = await controls.withdraw(
        "telco_a", OrderKind.PAUSE, "", actor="cli:ana", reason="done", now_ms=NOW_MS + 4
    )
    assert not again


async def test_a_new_order_replaces_the_one_of_the_same_carrier_kind_and_target(controls):
    await controls.give(order(OrderKind.RATE, value="80/s"))
    await controls.give(order(OrderKind.RATE, value="40/s", at=NOW_MS + 5))
    await controls.give(order(OrderKind.PAUSE, target="tx1"))
    await controls.give(order(OrderKind.PAUSE, target="tx2"))
    standing = await controls.standing(now_ms=NOW_MS + 6)
    assert [(one.kind, one.target, one.value) for one in standing] == [
        (OrderKind.PAUSE, "tx1", ""),
        (OrderKind.PAUSE, "tx2", ""),
        (OrderKind.RATE, "", "40/s"),
    ]
    (_, newest), *_ = [
        entry for entry in await controls.audit(before_id=None, limit=9) if "rate" in entry[1].subject
    ]
    assert (newest.action, newest.subject) == ("replace", "telco_a rate")
    assert newest.detail == {
        "value": "40/s",
        "expires_at": None,
        "before": {"value": "80/s", "expires_at": None},
    }


async def test_an_order_past_its_expiry_does_not_stand_and_is_no_order_to_withdraw(controls):
    await controls.give(order(expires_at=NOW_MS + 100))
    assert len(await controls.standing(now_ms=NOW_MS + 99)) == 1
    assert await controls.standing(now_ms=NOW_MS + 100) == []
    given = await controls.withdraw(
        "telco_a", OrderKind.PAUSE, "", actor="a", reason="r", now_ms=NOW_MS + 100
    )
    assert not given
    await controls.give(order(at=NOW_MS + 200))
    assert [entry.action for _, entry in await controls.audit(before_id=None, limit=9)] == ["give", "give"]


async def test_one_order_more_than_can_be_followed_is_refused(controls, monkeypatch):
    monkeypatch.setattr("gateway.store.controls.MAX_ORDERS", 2)
    await controls.give(order(expires_at=NOW_MS + 10))
    await controls.give(order(OrderKind.DRAIN))
    version = await controls.version()
    with pytest.raises(TooManyOrdersError, match="2 orders stand"):
        await controls.give(order(OrderKind.HOLD_ACCOUNT, target="acme"))
    assert await controls.version() == version
    await controls.give(order(OrderKind.DRAIN, at=NOW_MS + 1))  # in the place of the one before
    await controls.give(order(OrderKind.HOLD_ACCOUNT, target="acme", at=NOW_MS + 10))  # one has expired


async def test_the_version_changes_with_every_change(controls):
    seen = [await controls.version()]
    await controls.give(order())
    seen.append(await controls.version())
    await controls.give(order(at=NOW_MS + 1))
    seen.append(await controls.version())
    await controls.withdraw("telco_a", OrderKind.PAUSE, "", actor="a", reason="r", now_ms=NOW_MS + 2)
    seen.append(await controls.version())
    await controls.note(AuditEntry(NOW_MS, "a", "reload", "configuration", "", {}))
    assert seen == sorted(set(seen))
    assert await controls.version() == seen[-1]


async def test_each_reconnect_has_a_number_of_its_own_also_when_two_ask_at_once(controls):
    await asyncio.gather(*(controls.give(order(OrderKind.RECONNECT, at=NOW_MS + n)) for n in range(4)))
    (standing,) = await controls.standing(now_ms=NOW_MS + 9)
    values = [entry.detail["value"] for _, entry in await controls.audit(before_id=None, limit=9)]
    assert len(set(values)) == 4
    assert standing.value == max(values, key=int)


async def test_the_audit_is_read_page_by_page_newest_first(controls):
    for n in range(5):
        await controls.note(
            AuditEntry(
                NOW_MS + n, "cli:ana", "reload", "configuration", f"r{n}\x00", {"changed": ["telco_a"]}
            )
        )
    first = await controls.audit(before_id=None, limit=2)
    second = await controls.audit(before_id=first[-1][0], limit=9)
    assert [entry.reason for _, entry in first + second] == [f"r{n}\ufffd" for n in (4, 3, 2, 1, 0)]
    assert second[0][1].detail == {"changed": ["telco_a"]}


async def test_a_report_replaces_the_one_of_its_shard(controls):
    old = CarrierReport("telco_a", 0, "h1", NOW_MS, {"constraint": "rate"})
    other = CarrierReport("telco_a", 1, "h2", NOW_MS + 1, {"binds": [{"bind": "tx1"}]})
    new = CarrierReport("telco_a", 0, "h3", NOW_MS + 2, {"constraint": "window"})
    await controls.report([old, other])
    await controls.report([old, new])
    await controls.report([])
    assert await controls.reports(since_ms=0) == [new, other]
    assert await controls.reports(since_ms=NOW_MS + 2) == [new]


async def test_reports_and_members_that_nobody_renews_are_purged(controls):
    await controls.report([CarrierReport("telco_a", 0, "h1", NOW_MS, {})])
    await controls.beat("h1", now_ms=NOW_MS)
    await controls.give(order(expires_at=NOW_MS + 1))
    await controls.give(order(OrderKind.DRAIN))
    await controls.purge(now_ms=NOW_MS + KEEP_MS)
    assert len(await controls.reports(since_ms=0)) == 1
    await controls.purge(now_ms=NOW_MS + KEEP_MS + 2)
    assert await controls.reports(since_ms=0) == []
    assert await controls.members(since_ms=0) == []
    assert [one.kind for one in await controls.standing(now_ms=0)] == [OrderKind.DRAIN]


async def test_members_are_those_that_beat_and_did_not_leave(controls):
    for owner, at in (("h2", NOW_MS), ("h1", NOW_MS), ("h1", NOW_MS + 50), ("h3", NOW_MS + 60)):
        await controls.beat(owner, now_ms=at)
    await controls.leave("h3")
    assert await controls.members(since_ms=NOW_MS) == ["h1", "h2"]
    assert await controls.members(since_ms=NOW_MS + 1) == ["h1"]
