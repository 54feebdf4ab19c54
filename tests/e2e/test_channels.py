"""WhatsApp, then SMS, through the whole gateway: refused, failing, silent, late; and people who opted out."""

from typing import Any

from tests.support.stack import Stack, until
from tests.support.whatsapp import SMS_COST, WHATSAPP_COST, whatsapp_stack

SMS_TO = "+525512345600"
FINE, UNDELIVERABLE, SILENT, REFUSED = "+525512345611", "+525512345602", "+525512345604", "+525512345606"


def a_message(to: str, **fallback: Any) -> dict[str, Any]:
    first = {"channel": "whatsapp", "to": to, **({"fallback": fallback} if fallback else {})}
    return {
        "to": SMS_TO,
        "from": "ACME",
        "content": {"text": "Su pedido va en camino"},
        "channels": [
            first,
            {"channel": "sms", "from": "22222", "content": {"text": "Su pedido va en camino. ACME"}},
        ],
    }


async def told(stack: Stack, message_id: str, kind: str) -> list[dict[str, Any]]:
    status, body = await stack.request("GET", f"/v1/messages/{message_id}/events?limit=100")
    assert status == 200, body
    return [line for line in body["data"] if line["type"] == kind]


async def test_a_message_goes_to_sms_exactly_when_whatsapp_fails_or_is_silent_and_every_price_is_shown() -> (
    None
):
    async with whatsapp_stack(receipt_delay="50ms") as (stack, whatsapp):
        posted = {
            to: (await stack.post(**a_message(to, unless="sent", within_s=4)))["id"]
            for to in (FINE, UNDELIVERABLE, SILENT, REFUSED)
        }
        ends = {to: await stack.final(message_id, limit_s=90) for to, message_id in posted.items()}
        assert {to: (end["status"], end["channel"], end["carrier"]) for to, end in ends.items()} == {
            FINE: ("delivered", "whatsapp", "wa"),
            UNDELIVERABLE: ("delivered", "sms", "simulator"),
            SILENT: ("delivered", "sms", "simulator"),
            REFUSED: ("delivered", "sms", "simulator"),
        }
        assert all(end["channels"] == ["whatsapp", "sms"] for end in ends.values())
        assert [end["from"] for end in ends.values()] == ["ACME", "22222", "22222", "22222"]
        for to, reason in ((UNDELIVERABLE, "UNDELIVERABLE"), (SILENT, "timeout"), (REFUSED, "refused")):
            (fallback,) = await told(stack, posted[to], "fallback")
            assert fallback["reason"].startswith(reason)
            assert (fallback["from_cost"], fallback["cost"]) == (WHATSAPP_COST, SMS_COST)
            assert [one["channel"] for one in await told(stack, posted[to], "dlr")][-1] == "sms"
        assert await told(stack, posted[FINE], "fallback") == []
        await _late(stack, whatsapp)
        await _opted_out(stack)


async def _late(stack: Stack, whatsapp: Any) -> None:
    """WhatsApp says that it delivered when the SMS has been delivered: the second success is told, not hidden."""
    whatsapp.set(hold_receipts=True)
    message_id = (await stack.post(**a_message(FINE[:-2] + "12", within_s=1)))["id"]
    end = await stack.final(message_id, limit_s=90)
    assert (end["status"], end["channel"]) == ("delivered", "sms")
    whatsapp.set(hold_receipts=False)
    (double,) = await until(lambda: told(stack, message_id, "also_delivered"), limit_s=60)
    assert (double["channel"], double["cost"]) == ("whatsapp", WHATSAPP_COST)
    acknowledged = await told(stack, message_id, "acknowledged")
    assert [(one["step"], one["cost"]) for one in acknowledged] == [(1, WHATSAPP_COST), (2, SMS_COST)]


async def _opted_out(stack: Stack) -> None:
    """A channel that the person does not want is left out; without any the message is refused."""
    await stack.caudal("optouts", "add", "--account", "demo", "--channel", "whatsapp", FINE)

    async def goes_by_sms() -> bool:
        status, planned = await stack.request("POST", "/v1/messages:validate", json=a_message(FINE))
        assert status == 200, planned
        return [one["channel"] for one in planned["channels"]] == ["sms"]

    await until(goes_by_sms, limit_s=30)
    end = await stack.final((await stack.post(**a_message(FINE)))["id"], limit_s=60)
    assert (end["channel"], end["channels"]) == ("sms", ["sms"])
    status, body = await stack.request("PUT", "/v1/preferences/" + SMS_TO, json={"channels": ["whatsapp"]})
    assert status == 200, body

    async def is_refused() -> bool:
        status, body = await stack.request("POST", "/v1/messages", json=a_message(FINE))
        return status == 422 and [one["code"] for one in body["errors"]] == ["opted_out"]

    await until(is_refused, limit_s=30)
    status, body = await stack.request("GET", "/v1/optouts?channel=whatsapp")
    assert [(one["recipient"], one["source"]) for one in body["data"]] == [(FINE, "cli")]
    status, _ = await stack.request(
        "DELETE", "/v1/optouts", params={"recipient": FINE, "channel": "whatsapp"}
    )
    assert status == 204
    status, body = await stack.request("POST", "/v1/optouts:import", json={"recipients": [FINE, FINE]})
    assert (status, body) == (200, {"recipients": 1, "added": 1})
    for path in ("/v1/optouts", "/v1/optouts:import"):
        status, body = await stack.request("POST", path, json={"recipient": "+52", "recipients": ["+52"]})
        assert status == 422, body
