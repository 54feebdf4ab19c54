"""What people write, through real processes: simulator, dispatch, bus, back, API; across a kill -9 of `back`."""

from typing import Any

import pytest

from tests.support.stack import Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(120)]

PERSON, NUMBER = "525512345678", "22222"
LONG = "Quisiera cambiar mi cita del jueves al viernes por la tarde; gracias. " * 6


async def write(stack: Stack, text: str, **wish: Any) -> dict[str, Any]:
    """Let a person write to our number."""
    body = {"source": PERSON, "destination": NUMBER, "text": text, **wish}
    answer = await stack.post_json(await stack.simulator() + "/mo", body)
    assert "error" not in answer, answer
    return answer


async def until_taken(stack: Stack, count: int) -> None:
    """Wait until the gateway has acknowledged so many: they are durable then (P7)."""

    async def are_taken() -> bool:
        stats = await stack.get_json(await stack.simulator() + "/stats")
        return stats["originated"]["acknowledged"] == count

    await until(are_taken, limit_s=60)


async def inbox(stack: Stack, count: int) -> list[dict[str, Any]]:
    """Wait for so many messages; return them, the oldest first."""

    async def found() -> list[dict[str, Any]]:
        status, page = await stack.request("GET", "/v1/inbound")
        assert status == 200, page
        return page["data"][::-1] if len(page["data"]) >= count else []

    return await until(found, limit_s=60)


async def test_b28_segments_out_of_order_and_repeated_are_one_message_across_a_kill_of_back() -> None:
    """And a reply finds its message, what is nobody's stays for operators, and no page of ours tells a number."""
    async with Stack() as stack:
        sent = await stack.post(
            to="+" + PERSON, **{"from": NUMBER}, content={"text": "¿Confirma su cita? Responda SI"}
        )
        await stack.final(sent["id"])
        assert await write(stack, LONG, order=[3, 1, 3]) == {"segments": 3, "queued": 3}
        await until_taken(stack, 3)
        pid = await stack.kill("back")
        await write(stack, LONG, order=[2])
        await until_taken(stack, 4)
        await stack.until_ready("back", not_pid=pid)
        (joined,) = await inbox(stack, 1)
        assert joined["text"] == LONG
        assert (joined["from"], joined["to"], joined["segments"]) == ("+" + PERSON, NUMBER, 3)
        assert (joined["partial"], joined["missing_segments"]) == (False, [])
        assert joined["in_reply_to"] == sent["id"]
        status, one = await stack.request("GET", f"/v1/inbound/{joined['id']}")
        assert (status, one) == (200, joined)

        # What follows shows that nothing more came of the repeats, and whose a number is.
        given = await stack.caudal("inbound", "numbers", "add", "33333", "--account", "demo")
        assert given == "33333 belongs to demo"
        await write(stack, "¿Sí?", destination="33333")
        await write(stack, "hola", destination="44444", source="56987654321")
        await until_taken(stack, 6)
        both = await inbox(stack, 2)
        assert [one["text"] for one in both] == [LONG, "¿Sí?"]
        listed = await stack.caudal("inbound", "list", "--json")
        assert joined["id"] in listed
        assert PERSON not in listed
        assert "Quisiera" not in listed

        status, problem = await stack.request("GET", "/v1/inbound?unassigned=true")
        assert (status, problem["code"]) == (403, "missing_scope")
        stack.key = await stack.caudal("keys", "create", "--account", "ops", "--scope", "carriers:control")

        async def unassigned() -> list[dict[str, Any]]:
            _, page = await stack.request("GET", "/v1/inbound?unassigned=true")
            return page["data"]

        (nobodys,) = await until(unassigned, limit_s=60)
        assert (nobodys["text"], nobodys["to"]) == ("hola", "44444")
        await stack.caudal("inbound", "numbers", "add", "44444", "--account", "demo")
        # The sweeper looks, too: whoever is first finds it.
        assert await stack.caudal("inbound", "assign") in {
            "messages that have an account now: 1",
            "messages that have an account now: 0",
        }
        assert await unassigned() == []
        said = "\n".join(stack.lines)
        assert [secret for secret in (PERSON, PERSON[2:], "Quisiera", "hola") if secret in said] == []
