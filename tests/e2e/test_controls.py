"""Operators' orders on a whole gateway: pause, resume, rate, hold, and that they outlive a kill -9 of dispatch."""

import asyncio
from typing import Any

import pytest

from tests.support.stack import BIN, Stack, demo_tree, until

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(240)]

WHY = {"reason": "test"}
TO = "+5255123456{:02d}"


async def order(stack: Stack, method: str, path: str, **body: Any) -> Any:
    status, answer = await stack.request(method, path, json=body | WHY)
    assert status in (200, 201), answer
    return answer


async def until_applied(stack: Stack, condition: Any) -> dict[str, Any]:
    """Wait until dispatch reports that it follows; return the carrier."""

    async def applied() -> Any:
        _, carrier = await stack.request("GET", "/v1/carriers/simulator")
        return carrier if carrier["shards"] and condition(carrier, carrier["shards"][0]) else None

    return await until(applied, limit_s=10)


async def post(stack: Stack, count: int, *, key: str, first: int = 10) -> list[str]:
    """Post one message a recipient with a key; return the ids."""
    headers = {"Authorization": f"Bearer {key}"}
    messages = [
        {"to": TO.format(first + n), "from": "ACME", "content": {"text": f"Folio {n}"}} for n in range(count)
    ]
    status, body = await stack.request(
        "POST", "/v1/messages:batch", json={"messages": messages}, headers=headers
    )
    assert status == 202, body
    return [one["id"] for one in body["results"]]


async def statuses(stack: Stack, ids: list[str], *, key: str) -> set[str]:
    headers = {"Authorization": f"Bearer {key}"}
    found = [await stack.request("GET", f"/v1/messages/{one}", headers=headers) for one in ids]
    return {body["status"] for _, body in found}


async def until_delivered(stack: Stack, ids: list[str], *, key: str) -> None:
    async def delivered() -> bool:
        return await statuses(stack, ids, key=key) == {"delivered"}

    await until(delivered, limit_s=15)


async def received(stack: Stack) -> int:
    return int((await stack.get_json(await stack.simulator() + "/rate"))["count"])


async def test_orders_are_followed_and_outlive_a_kill_of_dispatch() -> None:
    async with Stack(demo_tree(rate="500/s")) as stack:
        sender, stack.key = (
            stack.key,
            await stack.caudal("keys", "create", "--account", "ops", "--scope", "carriers:control"),
        )
        other = await stack.caudal("keys", "create", "--account", "other")

        # A paused carrier keeps its sessions and its queue, also when dispatch is killed meanwhile.
        await order(stack, "POST", "/v1/carriers/simulator:pause")
        await until_applied(stack, lambda _, shard: shard["orders"]["is_paused"])
        ids = await post(stack, 3, key=sender)
        pid = await stack.kill("dispatch")
        await stack.until_ready("dispatch", not_pid=pid)
        paused = await until_applied(
            stack,
            lambda carrier, shard: (
                {bind["state"] for bind in shard["binds"]} == {"paused"}
                and carrier["held"]["transactional"] == 3
            ),
        )
        assert paused["status"] == "paused"
        assert await statuses(stack, ids, key=sender) == {"queued"}
        assert await received(stack) == 0
        await order(stack, "POST", "/v1/carriers/simulator:resume")
        await until_delivered(stack, ids, key=sender)

        # A rate is seen by the carrier.
        await order(stack, "PATCH", "/v1/carriers/simulator", mps=20)
        await until_applied(stack, lambda _, shard: shard["orders"]["rate"] == "20/s")
        await stack.post_json(await stack.simulator() + "/reset", {})
        ids = await post(stack, 50, key=sender)
        await until_delivered(stack, ids, key=sender)
        rate = await stack.get_json(await stack.simulator() + "/rate")
        assert rate["count"] == 50
        # Of a contract of 500: what a busy machine holds up comes together.
        assert rate["worst_count"] <= 20 + 6
        assert 10 <= rate["mean_per_s"] <= 21
        await order(stack, "PATCH", "/v1/carriers/simulator", mps=None)

        # A hold on one account leaves the others alone.
        hold = await order(stack, "POST", "/v1/holds", account="other")
        await until_applied(stack, lambda _, shard: shard["orders"]["held_accounts"] == ["other"])
        held, free = await post(stack, 2, key=other), await post(stack, 2, key=sender, first=70)
        await until_delivered(stack, free, key=sender)
        assert await statuses(stack, held, key=other) == {"queued"}
        said = await stack.caudal("carriers", "release", hold["id"], "--reason", "paid")
        assert "account other at all carriers goes on" in said
        await until_delivered(stack, held, key=other)

        # The command line stands at the same desk.
        listed, paused, wrong = await asyncio.gather(
            stack.caudal("carriers", "list"),
            stack.caudal("carriers", "pause", "simulator", "--reason", "night", "--for", "30m"),
            failing(stack, "carriers", "set", "simulator", "--mps", "3000", "--reason", "more"),
        )
        assert "simulator" in listed
        assert paused.startswith("simulator: paused, rate 500/s, window 100; orders: pause until ")
        assert wrong[0] == 1
        assert wrong[1].startswith("caudal: mps '3000/s' is above the limit of 500/s, which is the rate that")

        _, audit = await stack.request("GET", "/v1/audit")
        told = [(one["action"], one["subject"]) for one in reversed(audit["data"])]
        assert told == [
            ("give", "simulator pause"),
            ("withdraw", "simulator pause"),
            ("give", "simulator rate"),
            ("withdraw", "simulator rate"),
            ("give", "all hold_account other"),
            ("withdraw", "all hold_account other"),
            ("give", "simulator pause"),
        ]
        assert [one["reason"] for one in audit["data"][:3]] == ["night", "paid", "test"]
        assert audit["data"][0]["actor"].startswith("cli:")
        assert audit["data"][2]["actor"] == stack.key.split("_")[2]

        await stack.stop()
        code, told_off = await failing(stack, "carriers", "list")
        assert (code, told_off.count("\n")) == (1, 0)
        assert "`caudal serve` does not run" in told_off


async def failing(stack: Stack, *arguments: str) -> tuple[int | None, str]:
    """Run a command that must fail; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        str(BIN / "caudal"),
        *arguments,
        cwd=stack.folder,
        env=stack.environment,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, said.decode().strip()
