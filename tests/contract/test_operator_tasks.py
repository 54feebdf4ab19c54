"""What `caudal accounts`, `webhooks` and `receipts` do, on a real database beside a running gateway."""

from pathlib import Path

import pytest

from gateway.domain.ids import format_id, new_uuid7
from gateway.ingress.webhook_desk import Wish
from gateway.ports.clock import SystemClock
from gateway.ports.webhook_store import EXHAUSTED, AttemptRow
from gateway.runtime import account_tasks, admin_tasks, receipt_tasks, webhook_tasks
from gateway.settings import Settings
from gateway.store.pool import Database
from gateway.store.webhook_delivery import PostgresDelivery
from tests.support.records import BackHalf, receipt

pytestmark = pytest.mark.postgres


@pytest.fixture
async def settings(db: Database, database_url: str, tmp_path: Path) -> Settings:
    settings = Settings(
        database_url=database_url,
        state_dir=tmp_path,
        retention_days=30,
        webhooks={"allow_loopback": True},
    )
    await admin_tasks.create_key(settings, account="acme", scopes=(), expires_days=None, is_test=False)
    return settings


async def test_settings_of_an_account_are_changed_one_by_one(settings: Settings) -> None:
    changed = await account_tasks.change_account(
        settings, "acme", {"retention_days": 5, "messages_per_second": 100, "default_region": "MX"}
    )
    assert changed is not None
    changed = await account_tasks.change_account(settings, "acme", {"messages_per_second": None})
    [listed] = await account_tasks.list_accounts(settings)
    assert listed == changed
    assert (listed["retention_days"], listed["messages_per_second"], listed["default_region"]) == (
        5,
        None,
        "MX",
    )
    assert await account_tasks.change_account(settings, "nobody", {"transliterate": True}) is None


async def test_an_account_keeps_its_messages_no_longer_than_everybody(settings: Settings) -> None:
    with pytest.raises(ValueError, match=r"31 days.* 30 "):
        await account_tasks.change_account(settings, "acme", {"retention_days": 31})
    with pytest.raises(ValueError, match="'mx'"):
        await account_tasks.change_account(settings, "acme", {"default_region": "mx"})
    assert (await account_tasks.list_accounts(settings))[0]["retention_days"] == 30


async def test_an_endpoint_is_made_disabled_enabled_and_deleted(settings: Settings) -> None:
    made = await webhook_tasks.create_webhook(
        settings, account="acme", wish=Wish("http://127.0.0.1:9/hook", types=["message.delivered"])
    )
    assert made["secret"].startswith("whsec_")
    tested = await webhook_tasks.act(settings, made["id"], "test")
    assert not tested["is_ok"]
    assert [
        one["type"] for one in await webhook_tasks.list_attempts(settings, made["id"], status=None, limit=9)
    ] == ["webhook.test"]
    assert (await webhook_tasks.act(settings, made["id"], "disable"))["status"] == "disabled"
    with pytest.raises(ValueError, match="disabled"):
        await webhook_tasks.act(settings, made["id"], "test")
    assert (await webhook_tasks.act(settings, made["id"], "enable"))["status"] == "live"
    listed = await webhook_tasks.list_webhooks(settings, account=None)
    assert [(one["account"], one["id"], one["waiting_events"]) for one in listed] == [("acme", made["id"], 0)]
    assert "secret" not in listed[0]
    assert (await webhook_tasks.act(settings, made["id"], "delete"))["deleted"]
    with pytest.raises(ValueError, match="no webhook"):
        await webhook_tasks.act(settings, made["id"], "enable")


async def test_wrong_wishes_are_told_by_name(settings: Settings) -> None:
    for account, wish, said in (
        ("nobody", Wish("https://hooks.acme.example/"), "nobody"),
        ("acme", Wish("https://10.0.0.1/"), "10.0.0.1"),
        ("acme", Wish("http://127.0.0.1:9/", types=["message.read"]), "message.read"),
    ):
        with pytest.raises(ValueError, match=said):
            await webhook_tasks.create_webhook(settings, account=account, wish=wish)


async def test_events_that_were_given_up_are_replayed(settings: Settings, db: Database) -> None:
    made = await webhook_tasks.create_webhook(settings, account="acme", wish=Wish("http://127.0.0.1:9/"))
    now_ms = SystemClock().now_ms()
    rows = [
        AttemptRow(
            new_uuid7(now_ms - 60_000 + n, n),
            new_uuid7(now_ms - 90_000, n),
            made["id"],
            "acme",
            new_uuid7(now_ms - 90_000, 100 + n),
            "message.delivered",
            10,
            EXHAUSTED,
            500,
            12,
            "http_5xx: 500",
            now_ms - 90_000,
            b"{}",
        )
        for n in range(3)
    ]
    async with db.transaction() as tx:
        await PostgresDelivery(db).record(tx, rows)
    common = {"since_hours": None, "event_type": None, "status": "exhausted", "limit": 10}
    one = await webhook_tasks.replay(
        settings, made["id"], event_id=format_id("evt", rows[0].event_id), **common
    )
    rest = await webhook_tasks.replay(settings, made["id"], event_id=None, **common)
    assert (one["events"], rest["events"]) == (1, 2)
    [listed] = await webhook_tasks.list_webhooks(settings, account="acme")
    assert listed["waiting_events"] == 3


async def test_orphans_are_listed_and_put_on_their_topic_again(settings: Settings, db: Database) -> None:
    back = await BackHalf(db).start()
    await back.put_receipts(*(receipt(f"foreign{n}", err="21b") for n in range(4)))
    await back.turn()
    await back.parking.expire(limit=10, max_rows=1)
    listed = await receipt_tasks.list_orphans(settings, carrier=None, limit=3)
    assert [(one["carrier_message_id"], one["reason"], one["err"]) for one in listed] == [
        ("foreign3", "waiting", "21b"),
        ("foreign2", "crowded_out", "21b"),
        ("foreign1", "crowded_out", "21b"),
    ]
    assert await receipt_tasks.replay(settings, carrier="telco_b", limit=10) == 0
    assert await receipt_tasks.replay(settings, carrier=None, limit=10) == 3
    await back.turn()
    assert (await back.count("parked_receipts"), await back.count("orphan_receipts")) == (4, 0)
