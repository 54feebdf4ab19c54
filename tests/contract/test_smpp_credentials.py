"""`caudal smpp credentials` on a real database: made, listed, changed, disabled, deleted; bad values are named."""

import json

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.support.postgres import in_a_loop_of_its_own

pytestmark = pytest.mark.postgres


@pytest.fixture
def caudal(database_url, tmp_path, monkeypatch):
    """Run a command; return (exit code, what it said)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAUDAL_DATABASE_URL", database_url)
    monkeypatch.setenv("CAUDAL_SECURITY__PEPPER", "pepper")

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["smpp", "credentials", *arguments])
        return result.exit_code, result.output.strip()

    return run


def of(database_url, system_id, password):
    """Return whether this is the password, by the cache that answers binds."""
    from gateway.store.pool import Database
    from gateway.store.smpp_credentials import CredentialCache, SmppCredentials

    async def ask():
        db = await Database.connect(database_url, max_size=1, name="test")
        try:
            cache = CredentialCache(SmppCredentials(db, pepper=b"pepper"))
            found = await cache.find(system_id, now_ms=0)
            return cache.matches(found, system_id=system_id, password=password)
        finally:
            await db.close()

    return in_a_loop_of_its_own(ask())


def test_h13_the_life_of_a_credential(caudal, database_url) -> None:
    code, password = caudal("create", "--account", "acme", "--system-id", "acme01", "--mps", "50")
    assert (code, len(password), password.isalnum()) == (0, 8, True)
    assert of(database_url, "acme01", password)
    assert not of(database_url, "acme01", password[:-1] + ("a" if password[-1] != "a" else "b"))
    assert not of(database_url, "nobody", password)
    assert caudal("create", "--account", "acme", "--system-id", "acme01")[0] == 1
    code, listed = caudal("list", "--json")
    (row,) = json.loads(listed)
    assert row | {"created_at": ""} == {
        "system_id": "acme01",
        "account": "acme",
        "state": "enabled",
        "max_binds": 2,
        "window": 50,
        "mps": 50,
        "allow": "any",
        "class": "transactional",
        "alphabet": "gsm7",
        "created_at": "",
    }
    assert password not in listed
    assert caudal("set", "acme01", "--mps", "0", "--allow", "10.0.0.0/8", "--class", "otp")[0] == 0
    (row,) = json.loads(caudal("list", "--json")[1])
    assert (row["mps"], row["allow"], row["class"]) == ("none", "10.0.0.0/8", "otp")
    assert of(database_url, "acme01", password)
    code, new = caudal("set", "acme01", "--new-password")
    assert code == 0
    assert of(database_url, "acme01", new)
    assert not of(database_url, "acme01", password)
    assert caudal("disable", "acme01") == (0, "disabled")
    assert json.loads(caudal("list", "--json")[1])[0]["state"] == "disabled"
    assert caudal("enable", "acme01") == (0, "enabled")
    assert caudal("delete", "acme01") == (0, "deleted")
    assert json.loads(caudal("list", "--json")[1]) == []
    assert caudal("delete", "acme01")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--system-id", "sixteencharacter"), "1 to 15"),
        (("--system-id", "año"), "printable ASCII"),
        (("--system-id", "ok", "--password", "ninechars"), "1 to 8"),
        (("--system-id", "ok", "--password", ""), "1 to 8"),
        (("--system-id", "ok", "--allow", "10.0.0.1/8"), "10.0.0.1/8"),
        (("--system-id", "ok", "--max-binds", "0"), "1<=x<=100"),
        (("--system-id", "ok", "--class", "spam"), "spam"),
    ],
)
def test_h13_a_bad_value_is_named_with_its_limit(caudal, arguments, named) -> None:
    code, said = caudal("create", "--account", "acme", *arguments)
    assert code in (1, 2)
    assert named in said
