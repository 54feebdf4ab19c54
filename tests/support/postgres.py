"""One real PostgreSQL for the test session, and a fresh migrated database for each test that asks.

The session's server runs without fsync, for speed; tests that kill servers start their own.
"""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from gateway.store.embedded import EmbeddedPostgres
from gateway.store.migrate import migrate
from gateway.store.pool import Database

TEMPLATE = "template_migrated"


class PostgresServer:
    """A running server; makes and drops databases."""

    def __init__(self, embedded: EmbeddedPostgres, dsn: str) -> None:
        self.embedded = embedded
        self.dsn = dsn
        self._numbers = count(1)

    def create_database(self, *, template: str | None = TEMPLATE) -> str:
        """Make a database, a copy of the template, and return its address."""
        name = f"test_{next(self._numbers)}"
        self.execute(
            f"CREATE DATABASE {name}" + (f" TEMPLATE {template} STRATEGY FILE_COPY" if template else "")
        )
        return with_database(self.dsn, name)

    def drop_database(self, dsn: str) -> None:
        """Drop a database, whoever is still connected."""
        self.execute(f"DROP DATABASE IF EXISTS {urlsplit(dsn).path[1:]} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        """Run one statement as the owner of the server."""
        in_a_loop_of_its_own(_execute(self.dsn, statement))


def with_database(dsn: str, name: str) -> str:
    """Return the address of another database on the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


def in_a_loop_of_its_own(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a thread, so that it cannot disturb the loop of the test."""
    outcome: list[Any] = []

    def body() -> None:
        try:
            outcome.append((asyncio.run(work), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=body, name="test-database")
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=60)
    try:
        await connection.execute(statement)
    finally:
        await connection.close(timeout=10)


async def until(condition: Callable[[], bool], *, deadline_s: float = 20.0) -> None:
    """Return when something that another process causes has happened; TimeoutError past the deadline."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - what the server does sets no event of ours
            await asyncio.sleep(0.005)


def short_directory() -> Path:
    """Return a new folder whose path leaves room for a socket's name."""
    return Path(tempfile.mkdtemp(prefix="caudal-test-"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's server, with a migrated template."""
    folder = short_directory()
    embedded = EmbeddedPostgres(folder / "var", settings={"fsync": "off", "full_page_writes": "off"})
    try:
        server = PostgresServer(embedded, embedded.start())
        server.execute(f"CREATE DATABASE {TEMPLATE}")
        in_a_loop_of_its_own(migrate(with_database(server.dsn, TEMPLATE)))
        yield server
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a fresh, migrated database."""
    dsn = postgres_server.create_database()
    yield dsn
    postgres_server.drop_database(dsn)


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a fresh database without any table of ours."""
    dsn = postgres_server.create_database(template=None)
    yield dsn
    postgres_server.drop_database(dsn)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A pool on a fresh, migrated database."""
    database = await Database.connect(database_url, min_size=2, max_size=8, name="test")
    yield database
    await database.close()
