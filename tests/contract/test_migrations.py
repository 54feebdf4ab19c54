"""Migrations: in order, once, by one of many, and never backwards."""

import asyncio

import pytest

from gateway.store import migrate as module
from gateway.store.migrate import Migration, MigrationError, bundled, migrate
from gateway.store.pool import Database

pytestmark = pytest.mark.postgres


def step(name, sql, checksum="c"):
    return Migration(name, sql, checksum)


TABLE = step("0001_one", "CREATE TABLE one (n int); INSERT INTO one VALUES (1);")


@pytest.fixture
async def empty(empty_database_url):
    """A pool on a database without any table of ours."""
    database = await Database.connect(empty_database_url, max_size=8, name="test")
    yield database
    await database.close()


async def value(database, statement):
    async with database.acquire() as connection:
        return await connection.fetchval(statement)


async def test_the_bundled_ones_apply_in_order_and_only_once(empty_database_url):
    applied = await migrate(empty_database_url)
    assert applied == [one.name for one in bundled()]
    assert applied[:2] == ["0001_bus", "0002_accounts"]
    assert applied == sorted(applied)
    assert await migrate(empty_database_url) == []


async def test_what_is_new_is_added_to_what_is_there(empty):
    await migrate(empty, migrations=[TABLE])
    assert await migrate(empty, migrations=[TABLE, step("0002_two", "INSERT INTO one VALUES (2)")]) == [
        "0002_two"
    ]
    assert await value(empty, "SELECT sum(n) FROM one") == 3


async def test_many_starters_at_once_migrate_once(empty):
    results = await asyncio.gather(*(migrate(empty, migrations=[TABLE]) for _ in range(5)))
    assert sorted(results, key=len) == [[], [], [], [], ["0001_one"]]
    assert await value(empty, "SELECT count(*) FROM one") == 1


async def test_a_failed_one_leaves_nothing_and_can_be_mended(empty):
    broken = step("0002_two", "CREATE TABLE two (n int); SELECT 1 / 0;")
    with pytest.raises(Exception, match="division by zero"):
        await migrate(empty, migrations=[TABLE, broken])
    assert await value(empty, "SELECT to_regclass('two')") is None
    assert await migrate(empty, migrations=[TABLE, step("0002_two", "CREATE TABLE two (n int)")]) == [
        "0002_two"
    ]


async def test_a_database_newer_than_the_program_is_refused(empty):
    await migrate(empty, migrations=[TABLE, step("0002_two", "SELECT 1")])
    with pytest.raises(MigrationError, match="newer than this program: it has 0002_two"):
        await migrate(empty, migrations=[TABLE])


async def test_a_changed_one_is_refused(empty):
    await migrate(empty, migrations=[TABLE])
    with pytest.raises(MigrationError, match="0001_one was changed"):
        await migrate(empty, migrations=[TABLE._replace(checksum="d")])


async def test_one_with_a_number_already_passed_is_refused(empty):
    await migrate(empty, migrations=[step("0002_two", "SELECT 1")])
    with pytest.raises(MigrationError, match="higher number"):
        await migrate(empty, migrations=[TABLE, step("0002_two", "SELECT 1")])


async def test_a_lock_that_is_not_given_back_ends_in_a_clear_error(empty):
    async with empty.acquire() as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", module._LOCK)
        with pytest.raises(TimeoutError, match="another process"):
            await migrate(empty, migrations=[TABLE], lock_s=0.2)
        await connection.execute("SELECT pg_advisory_unlock($1)", module._LOCK)
    assert await migrate(empty, migrations=[TABLE]) == ["0001_one"]
