"""Accounts, API keys and their cache, idempotency keys and client_refs, and the pool below them."""

import asyncio
import random
from dataclasses import replace
from uuid import UUID

import pytest

from gateway.ports.intake_store import (
    KEPT_MS,
    Account,
    ClientRefClaim,
    KeptAnswer,
    KeyedRequest,
    KeyRejection,
    StoreDataError,
    StoreUnavailableError,
)
from gateway.store.accounts import Accounts, compose_key, key_id
from gateway.store.idempotency import IdempotencyStore
from gateway.store.key_cache import KeyCache
from gateway.store.pool import Database
from tests.support.postgres import until

pytestmark = pytest.mark.postgres

NOW = 1_795_000_000_000
MINUTE = 60_000
PATIENCE_S = 20.0
ID = [UUID(int=n) for n in range(10)]


@pytest.fixture
def random_bytes():
    """Randomness that is the same in every run."""
    return random.Random(7).randbytes


@pytest.fixture
def accounts(db):
    """Accounts in a fresh database."""
    return Accounts(db, pepper=b"pepper")


@pytest.fixture
def store(db):
    """The store of repeats."""
    return IdempotencyStore(db)


# -- the text of a key -----------------------------------------------------------------------------------------------


def test_a_key_has_60_characters_with_its_id_inside(random_bytes):
    live, test = compose_key(random_bytes), compose_key(random_bytes, is_test=True)
    assert len(live) == len(test) == 60
    assert (live[:9], test[:9]) == ("cdl_live_", "cdl_test_")
    assert key_id(live) == live[9:21]
    assert live[21] == "_"
    assert live != compose_key(random_bytes)


def test_any_wrong_or_missing_character_is_noticed(random_bytes):
    key = compose_key(random_bytes)
    for at in range(60):
        other = "x" if key[at] != "x" else "y"
        assert key_id(key[:at] + other + key[at + 1 :]) is None
        assert key_id(key[:at] + key[at + 1 :]) is None
    for bad in ("", "cdl_live_", key + "0", key + "\n", key.upper(), "é" * 60):
        assert key_id(bad) is None


# -- accounts and keys -----------------------------------------------------------------------------------------------


async def test_a_key_makes_its_account_and_is_kept_as_a_digest_only(accounts, db, random_bytes):
    new = await accounts.create_key("acme", random=random_bytes, now_ms=NOW, scopes=["messages:send"])
    found = await accounts.find_key(key_id(new.text))
    assert found == new.stored
    assert found.account == Account("acme")
    assert (found.scopes, found.created_at, found.expires_at) == (frozenset({"messages:send"}), NOW, None)
    assert accounts.matches(found, new.text)
    assert not Accounts(db, pepper=b"other").matches(found, new.text)
    async with db.acquire() as connection:
        row = await connection.fetchval("SELECT k::text FROM api_keys AS k")
    assert new.text[22:54] not in row


async def test_a_second_key_joins_the_account_and_is_listed_with_the_first(accounts, random_bytes):
    first = await accounts.create_key("acme", random=random_bytes, now_ms=NOW)
    second = await accounts.create_key("acme", random=random_bytes, now_ms=NOW + 1, is_test=True)
    other = await accounts.create_key("beta.shop-1", random=random_bytes, now_ms=NOW + 2)
    assert await accounts.list_keys("acme") == [first.stored, second.stored]
    assert await accounts.list_keys() == [first.stored, second.stored, other.stored]
    assert await accounts.list_keys("nobody") == []


@pytest.mark.parametrize("name", ["", "Acme", "-acme", "a b", "a" * 64, "acme\n", "ñandu"])
async def test_an_account_name_that_is_none_is_refused(accounts, random_bytes, name):
    with pytest.raises(ValueError, match="account"):
        await accounts.create_key(name, random=random_bytes, now_ms=NOW)


async def test_scopes_and_expiry_are_checked(accounts, random_bytes):
    for scopes in (["messages:fly"], []):
        with pytest.raises(ValueError, match="scopes"):
            await accounts.create_key("acme", random=random_bytes, now_ms=NOW, scopes=scopes)
    with pytest.raises(ValueError, match="future"):
        await accounts.create_key("acme", random=random_bytes, now_ms=NOW, expires_at_ms=NOW)
    assert await accounts.find_account("acme") is None


async def test_a_key_is_revoked_once_by_id_or_text(accounts, random_bytes):
    new = await accounts.create_key("acme", random=random_bytes, now_ms=NOW)
    assert not await accounts.revoke_key("000000000000", now_ms=NOW)
    assert await accounts.revoke_key(new.text, now_ms=NOW + 5)
    assert not await accounts.revoke_key(new.stored.id, now_ms=NOW + 9)
    assert (await accounts.find_key(new.stored.id)).revoked_at == NOW + 5


async def test_the_defaults_of_an_account_are_kept(accounts):
    assert await accounts.create_account("acme", now_ms=NOW)
    assert not await accounts.create_account("acme", now_ms=NOW)
    changed = Account("acme", True, 3, 50, "MX", True)
    assert await accounts.update_account(changed)
    assert await accounts.find_account("acme") == changed
    assert not await accounts.update_account(replace(changed, id="nobody"))
    with pytest.raises(StoreDataError):
        await accounts.update_account(replace(changed, max_segments=0))


# -- the cache -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def cache(accounts, db):
    """A cache that follows revocations."""
    cache = KeyCache(accounts)
    await cache.start(db)
    await until(lambda: db.is_listening)
    return cache


async def test_the_cache_knows_valid_keys_and_says_why_others_are_refused(cache, accounts, random_bytes):
    new = await accounts.create_key(
        "acme", random=random_bytes, now_ms=NOW, expires_at_ms=NOW + MINUTE, is_test=True
    )
    principal = await cache.authenticate(new.text, now_ms=NOW)
    assert (principal.account.id, principal.key_id, principal.is_test) == ("acme", new.stored.id, True)
    assert principal.may("messages:send")
    assert not principal.may("carriers:control")
    assert await cache.authenticate(new.text, now_ms=NOW + MINUTE) == KeyRejection.EXPIRED
    assert await cache.authenticate(new.text[:-1] + "!", now_ms=NOW) == KeyRejection.MALFORMED
    assert await cache.authenticate(compose_key(random_bytes), now_ms=NOW) == KeyRejection.UNKNOWN


async def test_a_key_that_was_found_right_is_checked_again_when_its_entry_is_new(
    cache, accounts, random_bytes, monkeypatch
):
    new = await accounts.create_key("acme", random=random_bytes, now_ms=NOW)
    checked = []

    def matches(stored, text):
        checked.append(text)
        return Accounts.matches(accounts, stored, text)

    monkeypatch.setattr(accounts, "matches", matches)
    first = await cache.authenticate(new.text, now_ms=NOW)
    assert await cache.authenticate(new.text, now_ms=NOW) == first
    assert checked == [new.text]
    mistyped = new.text[:30] + ("A" if new.text[30] != "A" else "B") + new.text[31:]
    assert await cache.authenticate(mistyped, now_ms=NOW) == KeyRejection.MALFORMED
    assert await cache.authenticate(new.text, now_ms=NOW) == first
    assert checked == [new.text]
    cache.drop(new.stored.id)
    assert await cache.authenticate(new.text, now_ms=NOW) == first
    assert checked == [new.text, new.text]


async def test_the_id_of_a_key_with_another_secret_is_unknown(cache, accounts, random_bytes, monkeypatch):
    new = await accounts.create_key("acme", random=random_bytes, now_ms=NOW)
    forged = compose_key(random_bytes)
    monkeypatch.setattr(
        "gateway.store.accounts._draw", lambda random, length: new.stored.id if length == 12 else "A" * 32
    )
    forged = compose_key(random_bytes)
    assert key_id(forged) == new.stored.id
    assert await cache.authenticate(forged, now_ms=NOW) == KeyRejection.UNKNOWN


async def test_a_known_key_costs_no_look_up_until_its_time_is_over(
    cache, accounts, random_bytes, monkeypatch
):
    new = await accounts.create_key("acme", random=random_bytes, now_ms=NOW)
    loads = []
    find_key = accounts.find_key
    monkeypatch.setattr(accounts, "find_key", lambda found_id: loads.append(found_id) or find_key(found_id))
    answers = await asyncio.gather(*(cache.authenticate(new.text, now_ms=NOW) for _ in range(20)))
    assert len({answer.key_id for answer in answers}) == 1
    await cache.authenticate(new.text, now_ms=NOW + 9_999)
    await cache.authenticate(new.text[:-1] + "!", now_ms=NOW)
    assert len(loads) == 1
    await cache.authenticate(new.text, now_ms=NOW + 10_000)
    assert len(loads) == 2


async def test_a_recognised_key_is_believed_until_it_has_to_be_looked_up_again(cache, accounts, random_bytes):
    def known(key, now_ms=NOW):
        return cache.known(key.text.encode(), now_ms=now_ms)

    key = await accounts.create_key("acme", random=random_bytes, now_ms=NOW)
    brief = await accounts.create_key("acme", random=random_bytes, now_ms=NOW, expires_at_ms=NOW + 5_000)
    assert known(key) is None  # nobody has asked yet
    for one in (key, brief):
        await cache.authenticate(one.text, now_ms=NOW)
    found = known(key)
    assert found.principal == await cache.authenticate(key.text, now_ms=NOW)
    assert known(key, NOW + 9_999) is found
    assert [found.holds(NOW + at) for at in (-1, 0, 9_999, 10_000)] == [False, True, True, False]
    assert known(key, NOW + 10_000) is None
    assert cache.known(key.text[:-1].encode() + b"!", now_ms=NOW) is None
    assert [known(brief).holds(NOW + at) for at in (4_999, 5_000)] == [True, False]
    assert known(brief, NOW + 5_000) is None
    # What nobody would be told of any more holds no longer: read again, dropped, forgotten for want of room.
    await cache.authenticate(key.text, now_ms=NOW + 10_000)
    assert not found.holds(NOW)
    found = known(key, NOW + 10_000)
    cache.drop(key.stored.id)
    assert not found.holds(NOW + 10_000)
    await cache.authenticate(key.text, now_ms=NOW)
    found = known(key)
    cache.drop("")
    assert not found.holds(NOW)
    await cache.authenticate(key.text, now_ms=NOW)
    found = known(key)
    cache._max_entries = 1
    await cache.authenticate(brief.text, now_ms=NOW)
    assert not found.holds(NOW)
    assert known(brief).holds(NOW)


async def test_a_revoked_key_stops_at_once(cache, accounts, random_bytes):
    new = await accounts.create_key("acme", random=random_bytes, now_ms=NOW)
    await cache.authenticate(new.text, now_ms=NOW)
    await accounts.revoke_key(new.stored.id, now_ms=NOW)
    await until(lambda: not cache._entries)
    assert await cache.authenticate(new.text, now_ms=NOW) == KeyRejection.REVOKED


async def test_new_defaults_of_the_account_are_seen_at_once(cache, accounts, random_bytes):
    new = await accounts.create_key("acme", random=random_bytes, now_ms=NOW)
    await cache.authenticate(new.text, now_ms=NOW)
    await accounts.update_account(Account("acme", max_segments=2))
    await until(lambda: not cache._entries)
    assert (await cache.authenticate(new.text, now_ms=NOW)).account.max_segments == 2


async def test_a_revocation_during_a_load_is_not_cached_away(cache, accounts, random_bytes, monkeypatch):
    new = await accounts.create_key("acme", random=random_bytes, now_ms=NOW)
    find_key = accounts.find_key

    async def overtaken(found_id):
        found = await find_key(found_id)
        cache.drop(found_id)
        return found

    monkeypatch.setattr(accounts, "find_key", overtaken)
    await cache.authenticate(new.text, now_ms=NOW)
    assert not cache._entries


async def test_the_use_of_a_key_is_noted_at_most_once_a_minute(cache, accounts, random_bytes):
    new = await accounts.create_key("acme", random=random_bytes, now_ms=NOW)

    async def last_used():
        return (await accounts.find_key(new.stored.id)).last_used_at

    for now_ms, noted in ((NOW, NOW), (NOW + 20_000, NOW), (NOW + MINUTE, NOW + MINUTE)):
        await cache.authenticate(new.text, now_ms=now_ms)
        assert await last_used() == noted


async def test_the_cache_is_bounded(accounts, random_bytes):
    cache = KeyCache(accounts, max_entries=3)
    for _ in range(5):
        await cache.authenticate(compose_key(random_bytes), now_ms=NOW)
    assert len(cache._entries) == 3


# -- idempotency keys ------------------------------------------------------------------------------------------------


def keyed(key, *, account="acme", body=b"", status=0, fingerprint=b"f"):
    return KeyedRequest(account, "POST /v1/messages", key, fingerprint, status, body)


async def test_a_key_is_ours_the_first_time_and_answers_the_second(store, db):
    async with db.transaction() as tx:
        assert await store.reserve_keys(tx, [keyed("a"), keyed("b", status=202, body=b"B")], now_ms=NOW) == [
            None,
            None,
        ]
        await store.store_answers(tx, [keyed("a", status=202, body=b"A")])
    async with db.transaction() as tx:
        again = [keyed("b"), keyed("new"), keyed("a", fingerprint=b"other"), keyed("a", account="beta")]
        answers = await store.reserve_keys(tx, again, now_ms=NOW)
    assert answers == [KeptAnswer(b"f", 202, b"B"), None, KeptAnswer(b"f", 202, b"A"), None]
    assert await store.look_up("acme", "POST /v1/messages", "a", now_ms=NOW) == KeptAnswer(b"f", 202, b"A")
    assert await store.look_up("acme", "POST /v1/messages", "z", now_ms=NOW) is None


async def test_the_second_of_two_equal_keys_in_one_call_waits_for_the_first(store, db):
    async with db.transaction() as tx:
        both = [keyed("a", fingerprint=b"1"), keyed("a", fingerprint=b"2")]
        assert await store.reserve_keys(tx, both, now_ms=NOW) == [None, KeptAnswer(b"1", 0, b"")]


async def test_a_key_of_a_transaction_that_failed_is_free(store, db):
    with pytest.raises(RuntimeError, match="undo"):
        async with db.transaction() as tx:
            await store.reserve_keys(tx, [keyed("a")], now_ms=NOW)
            raise RuntimeError("undo")
    async with db.transaction() as tx:
        assert await store.reserve_keys(tx, [keyed("a")], now_ms=NOW) == [None]


async def test_concurrent_transactions_with_the_same_keys_agree_on_one_owner(store, db):
    async def request(number):
        async with db.transaction() as tx:
            names = ["a", "b", "c"] if number % 2 else ["c", "b", "a"]
            answers = await store.reserve_keys(tx, [keyed(name) for name in names], now_ms=NOW)
            body = b"%d" % number
            await store.store_answers(
                tx,
                [keyed(n, status=202, body=body) for n, a in zip(names, answers, strict=True) if a is None],
            )
            return [body if answer is None else answer.body for answer in answers]

    async with asyncio.timeout(PATIENCE_S):
        bodies = await asyncio.gather(*(request(number) for number in range(6)))
    assert len({body for answers in bodies for body in answers}) == 1


async def test_a_key_older_than_a_day_is_taken_over(store, db):
    async with db.transaction() as tx:
        await store.reserve_keys(tx, [keyed("a", status=202, body=b"old")], now_ms=NOW)
    later = NOW + KEPT_MS
    assert (await store.look_up("acme", "POST /v1/messages", "a", now_ms=later)).body == b"old"
    assert await store.look_up("acme", "POST /v1/messages", "a", now_ms=later + 1) is None
    async with db.transaction() as tx:
        assert await store.reserve_keys(tx, [keyed("a", status=202, body=b"new")], now_ms=later + 1) == [None]
    assert (await store.look_up("acme", "POST /v1/messages", "a", now_ms=later + 1)).body == b"new"


async def test_no_request_is_no_work(store):
    assert await store.reserve_keys(None, [], now_ms=NOW) == []
    await store.store_answers(None, [])
    assert await store.claim_client_refs(None, [], now_ms=NOW) == {}


# -- client_refs -----------------------------------------------------------------------------------------------------


def claim(ref, message_id, account="acme"):
    return ClientRefClaim(account, ref, message_id)


async def test_a_client_ref_belongs_to_its_first_message(store, db):
    async with db.transaction() as tx:
        assert await store.claim_client_refs(tx, [claim("r", ID[1]), claim("s", ID[2])], now_ms=NOW) == {}
    async with db.transaction() as tx:
        claims = [claim("r", ID[3]), claim("t", ID[4]), claim("r", ID[5], account="beta")]
        assert await store.claim_client_refs(tx, claims, now_ms=NOW) == {("acme", "r"): ID[1]}


async def test_a_client_ref_claimed_twice_in_one_call_goes_to_the_first(store, db):
    async with db.transaction() as tx:
        claims = [claim("r", ID[1]), claim("r", ID[2])]
        assert await store.claim_client_refs(tx, claims, now_ms=NOW) == {("acme", "r"): ID[1]}
    async with db.transaction() as tx:
        claims = [claim("r", ID[3]), claim("r", ID[4])]
        assert await store.claim_client_refs(tx, claims, now_ms=NOW) == {("acme", "r"): ID[1]}


async def test_a_client_ref_older_than_a_day_is_replaced(store, db):
    async with db.transaction() as tx:
        await store.claim_client_refs(tx, [claim("r", ID[1])], now_ms=NOW)
    async with db.transaction() as tx:
        assert await store.claim_client_refs(tx, [claim("r", ID[2])], now_ms=NOW + KEPT_MS + 1) == {}
    async with db.transaction() as tx:
        found = await store.claim_client_refs(tx, [claim("r", ID[3])], now_ms=NOW + KEPT_MS + 2)
    assert found == {("acme", "r"): ID[2]}


async def test_concurrent_claims_have_one_winner(store, db):
    async def batch(number):
        async with db.transaction() as tx:
            refs = ["r", "s"] if number % 2 else ["s", "r"]
            owners = await store.claim_client_refs(tx, [claim(ref, ID[number]) for ref in refs], now_ms=NOW)
            return {owners.get(("acme", ref), ID[number]) for ref in refs}

    async with asyncio.timeout(PATIENCE_S):
        winners = await asyncio.gather(*(batch(number) for number in range(6)))
    assert len(set.union(*winners)) == 1


async def test_purge_deletes_only_what_is_older_than_a_day(store, db, monkeypatch):
    monkeypatch.setattr("gateway.store.idempotency.PURGE_CHUNK", 3)
    async with db.transaction() as tx:
        await store.reserve_keys(tx, [keyed(f"old{n}") for n in range(7)] + [keyed("kept")], now_ms=NOW)
        await store.claim_client_refs(tx, [claim(f"old{n}", ID[n]) for n in range(4)], now_ms=NOW)
        await tx.execute(
            "UPDATE idempotency SET created_at = created_at + interval '1 minute' WHERE key = 'kept'"
        )
    assert await store.purge(now_ms=NOW + KEPT_MS) == 0
    assert await store.purge(now_ms=NOW + KEPT_MS + 1) == 11
    async with db.transaction() as tx:
        assert (await store.reserve_keys(tx, [keyed("kept")], now_ms=NOW))[0] is not None


# -- the pool --------------------------------------------------------------------------------------------------------


async def test_the_drivers_errors_do_not_leave_the_store(db):
    with pytest.raises(StoreDataError):
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO accounts VALUES ('Bad Name', now())")
    with pytest.raises(StoreUnavailableError):
        async with db.acquire() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(TimeoutError):
        async with db.acquire() as connection:
            await connection.execute("SELECT pg_sleep(20)", timeout=0.05)
    async with db.acquire() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_loans_are_bounded_and_a_connection_comes_back(database_url, monkeypatch):
    monkeypatch.setattr("gateway.store.pool.ACQUIRE_S", 0.1)
    database = await Database.connect(database_url, max_size=2, name="test")
    try:
        async with database.acquire() as first, database.acquire() as second:
            assert first is not second
            with pytest.raises(TimeoutError, match="none of 2 connections"):
                async with database.acquire():
                    pass
        async with database.acquire() as again:
            assert again in (first, second)
    finally:
        await database.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        async with database.acquire():
            pass


async def test_a_cancelled_transaction_is_undone_and_frees_its_locks_and_connection(database_url, db):
    database = await Database.connect(database_url, max_size=1, name="holder")

    async def hold():
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO accounts VALUES ('acme', now())")
            await tx.execute("SELECT pg_sleep(60)")

    try:
        async with asyncio.timeout(PATIENCE_S):
            task = asyncio.create_task(hold())
            async with db.acquire() as watcher:
                # The server drops a cancellation that comes before its statement.
                while not await watcher.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holder' "
                    "AND state = 'active' AND wait_event = 'PgSleep'"
                ):
                    pass
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO accounts VALUES ('acme', now())")
        assert not database._mending
    finally:
        await database.close()


async def test_a_connection_interrupted_at_any_moment_is_mended(database_url):
    database = await Database.connect(database_url, max_size=1, name="test")

    async def work():
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO accounts VALUES ('acme', now())")
            await tx.execute("SELECT pg_sleep(0.01)")
            raise RuntimeError("undo")

    try:
        for steps in range(30):
            task = asyncio.create_task(work())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with asyncio.timeout(PATIENCE_S), database.transaction() as tx:
                assert await tx.fetchval("SELECT count(*) FROM accounts") == 0
    finally:
        await database.close()


async def test_a_transaction_is_undone_by_an_exception(db):
    with pytest.raises(RuntimeError, match="undo"):
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO accounts VALUES ('acme', now())")
            raise RuntimeError("undo")
    async with db.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM accounts") == 0


async def test_no_server_is_a_clear_error_without_the_password(tmp_path):
    dsn = f"postgresql://caudal:hidden@/caudal?host={tmp_path}"
    with pytest.raises(StoreUnavailableError, match=r"within 0\.2 s") as caught:
        await Database.connect(dsn, name="test", deadline_s=0.2)
    assert "hidden" not in str(caught.value)


async def test_a_missing_database_is_not_tried_again(database_url):
    with pytest.raises(StoreUnavailableError, match=r"refuses us.*does not exist"):
        await Database.connect(database_url.replace("/test_", "/missing_"), name="test")


async def test_the_listener_mends_itself_and_says_that_news_may_be_missing(db):
    heard = []
    await db.listen("news", heard.append)
    await until(lambda: heard == [""])
    async with db.acquire() as connection:
        await connection.execute("SELECT pg_notify('news', 'one')")
        await until(lambda: heard == ["", "one"])
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test.listen' "
            "AND datname = current_database()"
        )
        await until(lambda: heard == ["", "one", ""])
        await connection.execute("SELECT pg_notify('news', 'two')")
    await until(lambda: heard[-1] == "two")


async def test_a_second_channel_joins_the_same_listener(db):
    first, second = [], []
    await db.listen("first", first.append)
    await until(lambda: first == [""])
    await db.listen("second", second.append)
    async with db.acquire() as connection:
        await connection.execute("SELECT pg_notify('first', '1'), pg_notify('second', '2')")
    await until(lambda: first[-1:] == ["1"] and second == ["", "2"])
