"""The way to PostgreSQL: a bounded number of connections to lend, and one more that listens for notifications.

Every process opens one `Database` through `gateway.runtime.wiring` and closes it at its end. Errors of the driver do
not leave this package: `StoreUnavailableError` (try again later; after a lost connection a commit may or may not have
happened), `TimeoutError` (a deadline passed), `StoreDataError` (the same statement will fail again).
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import asyncpg
import structlog

from gateway.ports.intake_store import StoreDataError, StoreUnavailableError

Connection = Any
"""An asyncpg connection of the pool; the driver's own proxy type is private."""

Callback = Callable[[str], None]
"""Gets the payload of a notification, or "" whenever some may have been missed."""

SESSION_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        # Statistics of a log or of a fresh daily partition are always wrong, and a plan made from them reads the
        # whole table. Everything on the hot paths has an index.
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "enable_bitmapscan": "off",
        # Planning a statement anew for its values costs more than these statements themselves.
        "plan_cache_mode": "force_generic_plan",
        "jit": "off",
        # A forgotten transaction would hold the heads of the bus.
        "idle_in_transaction_session_timeout": "60000",
        "timezone": "UTC",
    }
)

ACQUIRE_S = 5.0
COMMAND_S = 30.0
CONNECT_S = 30.0
_CLOSE_S = 10.0
_MEND_S = 5.0
_CONNECT_ONE_S = 5.0
_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)
_LISTENER_CHECK_S = 10.0

UNAVAILABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_DATA = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
_HOPELESS = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError, ssl.SSLError)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ours; cancellation and everything else pass."""
    try:
        yield
    except (TimeoutError, StoreUnavailableError):  # OSErrors too, but with names of their own
        raise
    except asyncpg.QueryCanceledError as error:
        raise TimeoutError(str(error)) from error
    except _DATA as error:
        raise StoreDataError(f"{type(error).__name__}: {error}") from error
    except UNAVAILABLE as error:
        raise StoreUnavailableError(f"{type(error).__name__}: {error}") from error


class Database:
    """Lends out at most `max_size` connections. Use `await Database.connect(...)`.

    The driver's own pool costs twice as much CPU as a small statement (tasks, timers and a proxy for every loan), so
    the lending is done here: without a free connection in between, a loan and its return never leave the caller's task.
    """

    def __init__(self, dsn: str, *, max_size: int, name: str, settings: Mapping[str, str]) -> None:
        self._dsn = dsn
        self._name = name
        self._settings = {**settings, "application_name": name}
        self._max_size = max_size
        self._waiting_count = 0
        self._free_slots = asyncio.Semaphore(max_size)
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._mending: set[asyncio.Task[None]] = set()
        self._callbacks: dict[str, list[Callback]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._listening: Connection | None = None
        self._is_closing = False

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        min_size: int = 1,
        max_size: int = 10,
        name: str = "caudal",
        deadline_s: float = CONNECT_S,
        settings: Mapping[str, str] = SESSION_SETTINGS,
    ) -> "Database":
        """Open `min_size` connections, trying again until the deadline; StoreUnavailableError says what kept them.

        `name` is shown in `pg_stat_activity`; `settings` hold for every session.
        """
        if not 1 <= min_size <= max_size:
            raise ValueError(f"min_size {min_size} must be from 1 to max_size {max_size}")
        database = cls(dsn, max_size=max_size, name=name, settings=settings)
        loop = asyncio.get_running_loop()
        until = loop.time() + deadline_s
        attempt = 0
        while len(database._idle) < min_size:
            try:
                database._idle.append(await database._connect())
            except _HOPELESS as error:
                await database.close()
                raise StoreUnavailableError(f"{_describe(dsn)} refuses us: {error}") from error
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                pause_s = _RETRY_S[min(attempt, len(_RETRY_S) - 1)]
                if loop.time() + pause_s > until:
                    await database.close()
                    raise StoreUnavailableError(
                        f"no PostgreSQL at {_describe(dsn)} within {deadline_s:g} s: {type(error).__name__}: {error}"
                    ) from error
                await pause(pause_s)
                attempt += 1
        return database

    @property
    def idle_count(self) -> int:
        """Connections that nobody has borrowed."""
        return len(self._idle)

    @property
    def used_count(self) -> int:
        """Connections that are lent, or mended after an interruption."""
        return max(0, len(self._open) - len(self._idle))

    @property
    def waiting_count(self) -> int:
        """Tasks that wait for a connection."""
        return self._waiting_count

    @property
    def is_listening(self) -> bool:
        """True while notifications arrive; without them callers poll."""
        return self._listening is not None

    async def close(self) -> None:
        """Close every connection, waiting a little for those in use."""
        self._is_closing = True
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
            self._listener = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                for _ in range(self._max_size):
                    await self._free_slots.acquire()
                for connection in self._idle:
                    with contextlib.suppress(*UNAVAILABLE, asyncpg.PostgresError):
                        await connection.close(timeout=_CLOSE_S)
        for connection in list(self._open):
            connection.terminate()
        for task in self._mending:
            task.cancel()
        await asyncio.gather(*self._mending, return_exceptions=True)
        self._idle.clear()

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """Lend a connection; TimeoutError after 5 s without a free one."""
        with translated():
            connection = await self._borrow()
            is_sure = False
            try:
                yield connection
                is_sure = True
            except (TimeoutError, asyncio.CancelledError, GeneratorExit):
                raise
            except BaseException:
                is_sure = True
                raise
            finally:
                self._give_back(connection, is_sure=is_sure)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Open a transaction: committed at a clean exit, rolled back by an exception."""
        async with self.acquire() as connection, connection.transaction():
            yield connection

    async def connect_alone(self, name: str, *, settings: Mapping[str, str]) -> Connection:
        """Return a connection beside those that are lent; the caller closes it. Raises what the driver raises."""
        return await asyncpg.connect(
            self._dsn,
            timeout=_CONNECT_ONE_S,
            command_timeout=_CONNECT_ONE_S,
            server_settings={**settings, "application_name": f"{self._name}.{name}"},
        )

    async def _connect(self) -> Connection:
        connection = await asyncpg.connect(
            self._dsn, timeout=_CONNECT_ONE_S, command_timeout=COMMAND_S, server_settings=self._settings
        )
        self._open.add(connection)
        connection.add_termination_listener(self._open.discard)
        return connection

    async def _borrow(self) -> Connection:
        if self._is_closing:
            raise StoreUnavailableError("the database is being closed")
        if self._free_slots.locked():
            self._waiting_count += 1
            try:
                async with asyncio.timeout(ACQUIRE_S):
                    await self._free_slots.acquire()
            except TimeoutError:
                raise TimeoutError(
                    f"none of {self._max_size} connections became free in {ACQUIRE_S:g} s"
                ) from None
            finally:
                self._waiting_count -= 1
        else:
            await self._free_slots.acquire()  # at once
        try:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
            return await self._connect()
        except BaseException:
            self._free_slots.release()
            raise

    def _give_back(self, connection: Connection, *, is_sure: bool) -> None:
        if connection.is_closed():
            self._free_slots.release()
        elif is_sure and not connection.is_in_transaction():
            self._idle.append(connection)
            self._free_slots.release()
        else:
            # Interrupted amid a statement or a transaction: not dropped, or the server would finish it, locks and all.
            task = asyncio.create_task(self._mend(connection), name="store.mend")
            self._mending.add(task)
            task.add_done_callback(self._mending.discard)

    async def _mend(self, connection: Connection) -> None:
        """Wait until an interrupted statement has ended, undo its transaction, and lend the connection again."""
        try:
            # Waits for the server to confirm the cancellation; also clears what the driver thinks of transactions.
            await connection.reset(timeout=_MEND_S)
            self._idle.append(connection)
        except (TimeoutError, *UNAVAILABLE, asyncpg.PostgresError):
            connection.terminate()
        finally:
            self._free_slots.release()

    async def listen(self, channel: str, callback: Callback) -> None:
        """Call `callback` with every payload notified on `channel`, and with "" after each (re)connection.

        Returns at once; the listener connects on its own and mends itself until `close`.
        """
        self._callbacks.setdefault(channel, []).append(callback)
        if self._listener is None:
            self._listener = asyncio.create_task(self._keep_listening(), name="store.listener")
        elif self._listening is not None:
            with contextlib.suppress(TimeoutError, *UNAVAILABLE):
                await self._listening.add_listener(channel, self._notified)
                callback("")

    async def _keep_listening(self) -> None:
        failures = 0
        log = structlog.get_logger()
        while not self._is_closing:
            try:
                await self._listen_once()
                failures = 0
            except (TimeoutError, *UNAVAILABLE, asyncpg.PostgresError) as error:
                if failures == 0:
                    log.warning("store.listener_lost", name=self._name, error=type(error).__name__)
                failures += 1
            await pause(_RETRY_S[min(failures, len(_RETRY_S) - 1)])

    async def _listen_once(self) -> None:
        """Listen on one connection until it ends."""
        connection = await self.connect_alone("listen", settings={})
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        try:
            subscribed: set[str] = set()
            while missing := self._callbacks.keys() - subscribed:  # callers may add some while we wait
                for channel in missing:
                    await connection.add_listener(channel, self._notified)
                subscribed |= missing
            self._listening = connection
            for callbacks in list(self._callbacks.values()):
                for callback in callbacks:
                    callback("")
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LISTENER_CHECK_S):
                        await ended.wait()
                if not ended.is_set():  # a dead peer is only found by asking
                    await connection.execute("SELECT 1")
        finally:
            self._listening = None
            connection.terminate()

    def _notified(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        for callback in self._callbacks.get(channel, ()):
            callback(str(payload))


async def pause(seconds: float) -> None:
    """Wait on the loop's clock."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


def _describe(dsn: str) -> str:
    """Return the address without its password."""
    scheme, separator, rest = dsn.partition("://")
    credentials, at, place = rest.rpartition("@")
    return (
        f"{scheme}{separator}{credentials.partition(':')[0]}{at}{place}" if separator else "the given address"
    )
