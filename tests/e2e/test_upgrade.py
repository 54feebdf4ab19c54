"""From the database of the previous release, killed with messages in every place, to the end of every one of them.

The files in `tests/data/upgrade` were made by `tests.support.upgrade`; their name is the last migration of that release.
"""

import json
import time
from collections import Counter
from pathlib import Path

import asyncpg
import pytest

from gateway.domain.ids import parse_id
from gateway.store.migrate import bundled
from tests.faults.clocks import ROLES, Clocks, need_faketime
from tests.support.smsc import Smsc
from tests.support.stack import Stack, until
from tests.support.upgrade import FOLDER, send_receipt

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(180)]

RELEASES = sorted(path for path in FOLDER.glob("*.json"))
REPEATED = {"otp", "transactional"}
DOUBTFUL = "in doubt or in the lane"


@pytest.fixture(params=RELEASES, ids=lambda path: path.stem)
def release(request) -> Path:
    return request.param


async def test_p6_what_the_previous_release_had_in_hand_comes_to_its_end_after_the_update(
    release, postgres_server, tmp_path
):
    need_faketime()
    facts = json.loads(release.read_text())
    messages = {parse_id("msg", one["id"]): one for one in facts["messages"]}
    # Messages expire: the roles live in the minute in which the release was killed.
    clocks = Clocks(tmp_path / "clocks")
    for role in ROLES:
        clocks.set(role, round(facts["made_at_ms"] / 1000 - time.time()))
    dsn = postgres_server.create_database(template=None)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(release.with_suffix(".sql").read_text())
        await connection.execute("RESET ALL")
        known = {row[0] for row in await connection.fetch("SELECT name FROM schema_migrations")}
        assert max(known).startswith(release.stem)
        async with Smsc("--first-message-id", str(0x10000000)) as smsc:
            tree = {
                "database_url": dsn,
                "api": {"port": 0},
                "admin": {"port": 0},
                "carriers": {"telco": smsc.carrier(rate="200/s", binds=2, window=10)},
            }
            async with Stack(tree, serve=clocks.serve):
                await see_to_the_end(messages, connection, smsc)
                taken = Counter(
                    row["destination"] for row in await smsc.messages() if row["status"] == "ESME_ROK"
                )
        states = dict(await connection.fetch("SELECT id, state FROM messages"))
        applied = {row[0] for row in await connection.fetch("SELECT name FROM schema_migrations")}
    finally:
        await connection.close()
        postgres_server.drop_database(dsn)
    assert applied == {one.name for one in bundled()}
    assert states.keys() == messages.keys(), "lost, or made up"
    wrong = [
        (one["where"], one["class"], states[id_], one["taken"], taken[one["to"]])
        for id_, one in messages.items()
        if not is_right(one, state=states[id_], taken=taken[one["to"]])
    ]
    assert wrong == []


async def see_to_the_end(messages, connection, smsc) -> None:
    """Let time come for what waited for it, send the receipts that are owed, and wait."""
    await connection.execute("UPDATE deferred SET due_at = due_at - interval '1 day'")
    owed = [one for one in messages.values() if one["where"] == "waits for its receipt"]
    for one in owed:
        [carrier_message_id] = one["carrier_message_ids"]
        await send_receipt(smsc, carrier_message_id, one["to"])

    async def are_over() -> bool:
        rows = await connection.fetch("SELECT id, state FROM messages")
        states = {row["id"]: row["state"] for row in rows}
        return all(
            states.get(id_) == "delivered" or (states.get(id_) == "submitted" and may_stay_open(one))
            for id_, one in messages.items()
        )

    try:
        await until(are_over, limit_s=60, every_s=0.2)
    except AssertionError:
        rows = await connection.fetch("SELECT id, state FROM messages")
        left = Counter(
            (messages[row["id"]]["where"], messages[row["id"]]["class"], row["state"]) for row in rows
        )
        raise AssertionError(f"not over: {left}") from None


def may_stay_open(one) -> bool:
    """True for what was in doubt and must not be sent again: it waits for a receipt without a name."""
    return one["where"] == DOUBTFUL and one["class"] not in REPEATED


def is_right(one, *, state: str, taken: int) -> bool:
    """True when the message ended as it should and the new carrier got it as often as it should."""
    if one["where"] == "deferred":
        return (state, taken) == ("delivered", 1)
    if one["where"] != DOUBTFUL:
        return (state, taken) == ("delivered", 0)
    if one["class"] in REPEATED:
        return (state, taken) == ("delivered", 1)
    # What the old carrier had is not sent again; what it had not was sent once, or claimed and is in doubt.
    return (
        state == "submitted" and taken == 0
        if one["taken"]
        else state in ("delivered", "submitted") and taken <= 1
    )
