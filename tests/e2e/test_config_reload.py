"""SIGHUP on a whole gateway: carriers and routes change while it runs, what did not change notices nothing."""

import asyncio
import json
import os
import signal
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import BIN, Stack, demo_tree, toml, until

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(240)]


def tree_of_two() -> dict[str, Any]:
    # A login for each: the simulator gives a receipt to any session of the login that submitted.
    more = [part for name in ("second", "third") for part in ("--system-id", name, "--password", "demo")]
    tree = demo_tree(rate="500/s", binds=1, arguments=more)
    one = tree["carriers"].pop("simulator")
    tree["carriers"] = {"telco_a": one, "telco_b": one | {"system_id": "second"}}
    tree["routes"] = [{"carriers": ["telco_a"]}]
    return tree


def write(stack: Stack, tree: dict[str, Any]) -> None:
    # Plain values first: TOML has no way back from a table.
    ordered = {key: value for key, value in tree.items() if not isinstance(value, dict | list)} | tree
    (stack.folder / "caudal.toml").write_text(toml(ordered))


def said(stack: Stack, event: str, role: str = "supervisor") -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in stack.lines if line.startswith("{")]
    return [line for line in lines if (line.get("event"), line.get("role")) == (event, role)]


async def carriers(stack: Stack) -> dict[str, dict[str, Any]]:
    _, body = await stack.request("GET", "/v1/carriers")
    return {one["id"]: one for one in body["data"]}


def bound_since(carrier: dict[str, Any]) -> list[str]:
    return [bind["bound_since"] for shard in carrier["shards"] for bind in shard["binds"]]


async def until_up(stack: Stack, *names: str) -> dict[str, dict[str, Any]]:
    async def up() -> Any:
        found = await carriers(stack)
        return found if [name for name in names if found[name]["status"] != "up"] == [] else None

    return await until(up, limit_s=60)


async def send(stack: Stack, to: str) -> str:
    """Send a message; return the carrier that delivered it."""
    accepted = await stack.post(to=to, **{"from": "ACME"}, content={"text": "hola"})
    final = await stack.final(accepted["id"])
    assert final["status"] == "delivered"
    return str(final["carrier"])


async def test_sighup_changes_adds_and_removes_carriers_and_leaves_the_others_alone() -> None:
    tree = tree_of_two()
    async with Stack(tree) as stack:
        assert await send(stack, "+56987654321") == "telco_a"
        before = await until_up(stack, "telco_a", "telco_b")
        assert "telco_c" not in before

        changed = deepcopy(tree)
        changed["carriers"]["telco_a"]["rate"] = "200/s"
        changed["carriers"]["telco_c"] = tree["carriers"]["telco_b"] | {"system_id": "third"}
        changed["routes"].insert(0, {"carriers": ["telco_c"], "prefix": "569"})
        changed["retention_days"] = 7
        write(stack, changed)
        assert stack.process is not None
        stack.process.send_signal(signal.SIGHUP)
        await until(
            lambda: all(said(stack, "config.applied", role) for role in ("api", "dispatch", "back")),
            limit_s=60,
        )
        after = await until_up(stack, "telco_a", "telco_b", "telco_c")
        assert await send(stack, "+56987654321") == "telco_c"
        assert await send(stack, "+525512345678") == "telco_a"
        assert after["telco_a"]["configured"]["rate"] == "200/s"
        assert after["telco_a"]["shards"][0]["limit_per_s"] == 200
        for untouched in ("telco_a", "telco_b"):
            assert bound_since(after[untouched]) == bound_since(before[untouched])
        assert said(stack, "config.needs_restart")[0]["keys"] == ["retention_days"]

        # A file that cannot be used changes nothing, and says where.
        broken = deepcopy(changed)
        broken["routes"] = [{"carriers": ["telco_x"]}]
        write(stack, broken)
        stack.process.send_signal(signal.SIGHUP)
        await until(lambda: said(stack, "config.refused"), limit_s=60)
        (refused,) = said(stack, "config.refused")
        assert "telco_x" in refused["error"]
        assert refused["error"].startswith("caudal.toml")
        assert await send(stack, "+56987654321") == "telco_c"

        # A removed carrier goes; the order to reload came by the command line.
        del changed["carriers"]["telco_b"], changed["retention_days"]
        write(stack, changed)
        assert "is fine; asked pid" in await stack.caudal("config", "reload")
        await until(
            lambda: all(
                len(said(stack, "config.applied", role)) == 2 for role in ("api", "dispatch", "back")
            ),
            limit_s=60,
        )
        left = await carriers(stack)
        assert list(left) == ["telco_a", "telco_c"]
        assert bound_since(left["telco_a"]) == bound_since(before["telco_a"])

        pid = await stack.kill("dispatch")  # and a role that starts again has the new carriers
        await stack.until_ready("dispatch", not_pid=pid)
        assert await send(stack, "+56987654321") == "telco_c"
        audit = json.loads(await stack.caudal("carriers", "audit", "--json"))
        assert [(one["action"], one["actor"]) for one in audit] == [("reload", "sighup")] * 2
        assert [one["detail"]["added"] + one["detail"]["removed"] for one in audit] == [
            ["telco_b"],
            ["telco_c"],
        ]


async def test_a_role_that_runs_alone_reads_its_own_file_again(tmp_path: Path, database_url: str) -> None:
    tree = tree_of_two()
    carriers = tree["carriers"]
    tree = {"database_url": database_url, "admin": {"port": 0}, "carriers": carriers}
    path = tmp_path / "caudal.toml"
    path.write_text(toml(tree))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CAUDAL_")}
    alone = await asyncio.create_subprocess_exec(
        *(str(BIN / "caudal"), "run", "back"), cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert alone.stdout is not None
    output = alone.stdout

    async def until_event(event: str) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while (line := json.loads(await output.readline()))["event"] != event:
                pass
        return dict(line)

    try:
        await until_event("ready")
        carriers["telco_c"] = dict(carriers["telco_b"])
        path.write_text(toml(tree))
        alone.send_signal(signal.SIGHUP)
        assert (await until_event("config.read"))["added"] == ["telco_c"]
        assert (await until_event("config.applied"))["carriers"] == 3
        path.write_text("[api]\nport = 'x'\n")
        alone.send_signal(signal.SIGHUP)
        assert (await until_event("config.refused"))["error"].startswith("caudal.toml:2: api.port")
    finally:
        alone.terminate()
        assert await asyncio.wait_for(alone.wait(), 30) == 0
