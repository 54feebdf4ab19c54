"""A WhatsApp number from the example's settings to the delivered message: windows, templates, files, statuses, replies."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from loadtest.http_carrier import HttpCarrier, HttpCarrierSettings
from tests.support.stack import Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(180)]

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy/examples/whatsapp.toml"
ANA = "+525512345612"
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40


def a_tree(port: int) -> dict[str, Any]:
    """The example as it is, on the port of the simulator, with a short patience."""
    tree = tomllib.loads(
        EXAMPLE.read_text(encoding="utf-8").replace("https://graph.facebook.com", f"http://127.0.0.1:{port}")
    )
    carrier = tree["carriers"]["whatsapp"]
    # Between two looks at who wrote, WhatsApp decides: the simulator knows at once.
    carrier["timeouts"] = {"answer_s": 1.0}
    return {"api": {"port": 0}, "admin": {"port": 0}, **tree}


def person(number: int) -> str:
    return f"+5255123457{number:02}"


class Bench:
    """The gateway and the number; what is posted goes by WhatsApp."""

    def __init__(self, stack: Stack, carrier: HttpCarrier) -> None:
        self.stack = stack
        self.carrier = carrier

    async def post(self, content: dict[str, Any], to: str = ANA, **more: Any) -> dict[str, Any]:
        more = {"class": "transactional", **more}
        return await self.stack.post(
            to=to, **{"from": "525512340000", "channel": "whatsapp"}, content=content, **more
        )

    async def final(self, content: dict[str, Any], to: str = ANA, **more: Any) -> dict[str, Any]:
        accepted = await self.post(content, to, **more)
        return await self.stack.final(accepted["id"], limit_s=60)

    def taken(self, to: str) -> list[dict[str, Any]]:
        number = to.removeprefix("+")
        return [row for row in self.carrier.record.rows() if row["destination"] == number and row["is_taken"]]


async def check_refusals(bench: Bench) -> None:
    """Outside of the window and off WhatsApp: the message ends with the code that says why."""
    late = await bench.final({"text": "¿Sigue ahí?"}, person(20))
    assert (late["status"], late["error"]) == ("rejected", "refused")
    _, timeline = await bench.stack.request("GET", f"/v1/messages/{late['id']}/events")
    assert "WA_131047" in json.dumps(timeline)

    bench.carrier.set(errors={"131026": 1.0})
    refused = await bench.final({"template": {"name": "order_update", "params": ["A1", "hoy"]}}, person(21))
    assert refused["status"] == "rejected"
    _, timeline = await bench.stack.request("GET", f"/v1/messages/{refused['id']}/events")
    assert "WA_131026" in json.dumps(timeline)
    bench.carrier.set(errors={}, fail=1.0, fail_code=131026)
    failed = await bench.final({"template": {"name": "order_update", "params": ["A1", "hoy"]}}, person(22))
    assert (failed["status"], failed["error"]) == ("undeliverable", "UNDELIVERABLE err:131026")
    bench.carrier.set(fail=0.0)


async def check_replies(bench: Bench) -> None:
    """A person writes: the account sees it, and a free text goes back."""
    first = await bench.final({"template": {"name": "order_update", "params": ["A1", "hoy"]}})
    assert first["status"] == "delivered"
    bench.carrier.tell({"id": "wamid.mo1", "from": "5215512345612", "text": "¿A qué hora?"})
    bench.carrier.tell({"id": "wamid.mo1", "from": "5215512345612", "text": "¿A qué hora?"})

    async def replies() -> list[dict[str, Any]]:
        _, page = await bench.stack.request("GET", "/v1/inbound")
        return page["data"]

    (one,) = await until(replies, limit_s=60)
    assert (one["from"], one["to"], one["text"]) == (ANA, "525512340000", "¿A qué hora?")
    assert (one["channel"], one["in_reply_to"]) == ("whatsapp", first["id"])
    answer = await bench.final({"text": "A las 10 ✅"})
    assert (answer["status"], answer["channel"], answer["segments"]) == ("delivered", "whatsapp", 1)


async def check_one_upload(bench: Bench) -> None:
    """Ten messages with one file: it is uploaded once, and statuses in any order end as delivered."""
    stack, carrier = bench.stack, bench.carrier
    status, media = await stack.request(
        "POST", "/v1/media?name=oferta.jpg", data=JPEG, headers={"Content-Type": "image/jpeg"}
    )
    assert status == 201, media
    people = [person(n) for n in range(30, 40)]
    for one in people:
        carrier.tell({"from": one.removeprefix("+"), "text": "hola"})
    await until(lambda: carrier.outbox.report()["waiting"] == 0, limit_s=60)
    carrier.set(receipts_reordered=1.0, read=1.0, receipts_duplicated=0.5)
    before = carrier.tally.requests
    messages = [{"to": one, "client_ref": one} for one in people]
    defaults = {
        "from": "525512340000",
        "channel": "whatsapp",
        "content": {"image": {"media_id": media["id"]}, "text": "Oferta"},
    }
    status, batch = await stack.request(
        "POST", "/v1/messages:batch", json={"defaults": defaults, "messages": messages}
    )
    assert (status, batch["accepted"]) == (202, 10), batch
    states = [(await stack.final(result["id"], limit_s=60))["status"] for result in batch["results"]]
    assert states == ["delivered"] * 10
    assert carrier.tally.requests - before == 11
    assert [len(bench.taken(one)) for one in people] == [1] * 10
    carrier.set(receipts_reordered=0.0, read=0.0, receipts_duplicated=0.0)


async def check_lost_answer(bench: Bench) -> None:
    """The answer never came, and the class is never doubled: the statuses name the message by our own id."""
    bench.carrier.set(unanswered=1.0)
    content = {"template": {"name": "order_update", "params": ["A1", "hoy"]}}
    final = await bench.final(content, person(50), **{"class": "marketing"})
    bench.carrier.set(unanswered=0.0)
    assert final["status"] == "delivered"
    assert len(bench.taken(person(50))) == 1


async def test_a_whatsapp_number_from_end_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_TOKEN", "token"), ("APP_SECRET", "secret"), ("VERIFY_TOKEN", "verify")):
        monkeypatch.setenv(f"WHATSAPP_{name}", value)
    async with HttpCarrier(HttpCarrierSettings(kind="whatsapp")) as carrier:
        port = carrier.port
    async with Stack(a_tree(port)) as stack:
        settings = HttpCarrierSettings(
            kind="whatsapp",
            port=port,
            callback_url=f"{stack.api}/callbacks/whatsapp",
            callback_retry_s=0.2,
        )
        async with HttpCarrier(settings) as carrier:
            assert await carrier.verify()
            bench = Bench(stack, carrier)
            await check_replies(bench)
            await check_refusals(bench)
            await check_one_upload(bench)
            await check_lost_answer(bench)

            # What was never approved is not even accepted.
            status, problem = await stack.request(
                "POST",
                "/v1/messages",
                json={
                    "to": ANA,
                    "from": "525512340000",
                    "channel": "whatsapp",
                    "content": {"template": {"name": "order_update", "language": "es", "params": ["1", "2"]}},
                },
            )
            assert (status, problem["errors"][0]["code"]) == (422, "invalid_template")
        said = "\n".join(stack.lines)
        assert [word for word in ("5512345612", "5512345730", "qué hora", "token=") if word in said] == []
