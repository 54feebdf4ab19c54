"""The simulated WhatsApp Cloud API over real sockets: messages, windows, templates, media, limits, webhooks."""

import asyncio
import base64
import hashlib
import hmac
import io
import json
from typing import Any

import aiohttp
import pytest

from loadtest.http_carrier import Template, WhatsAppSettings
from tests.contract.test_http_carrier import Client, acknowledged, rig

PERSON = "525512345678"
PHONE = "106540352242922"
MESSAGES = f"/v21.0/{PHONE}/messages"


def text(to: str = PERSON, body: str = "hola", **more: Any) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": body}, **more}


def template(
    *values: str, to: str = PERSON, name: str = "order_update", language: str = "es_MX", **more: Any
) -> Any:
    parameters = [{"type": "text", "text": value} for value in values]
    content = {"name": name, "language": {"code": language}}
    if values:
        content["components"] = [{"type": "body", "parameters": parameters}]
    return {"messaging_product": "whatsapp", "to": to, "type": "template", "template": content, **more}


async def code(client: Client, tree: Any, *, path: str = MESSAGES, **more: Any) -> tuple[int, int]:
    """Return the HTTP status and the error code of an answer, 0 when it was taken."""
    answer = await client.post(tree, path=path, **more)
    return answer.status, json.loads(answer.body).get("error", {}).get("code", 0)


def statuses(sink: Any) -> list[tuple[str, str]]:
    """Return id and status of every status told, in order."""
    return [
        (status["id"], status["status"])
        for call in sink.calls
        for change in call.tree["entry"][0]["changes"]
        for status in change["value"].get("statuses", [])
    ]


async def test_a_template_is_taken_and_its_statuses_are_signed_over_the_raw_body():
    async with rig(kind="whatsapp", secret="app secret") as (carrier, sink, client):
        answer = await client.post(template("Ana", "17", biz_opaque_callback_data="r-1"), path=MESSAGES)
        tree = json.loads(answer.body)
        assert tree["contacts"] == [{"input": PERSON, "wa_id": PERSON}]
        wamid = tree["messages"][0]["id"]
        assert wamid.startswith("wamid.")
        await carrier.until(acknowledged(carrier, 2))
        assert sorted(statuses(sink)) == [(wamid, "delivered"), (wamid, "sent")]
        for call in sink.calls:
            wanted = hmac.new(b"app secret", call.body, hashlib.sha256).hexdigest()
            assert call.headers["x-hub-signature-256"] == f"sha256={wanted}"
            value = call.tree["entry"][0]["changes"][0]["value"]
            assert value["metadata"]["phone_number_id"] == PHONE
            assert value["statuses"][0]["recipient_id"] == PERSON
            assert value["statuses"][0]["biz_opaque_callback_data"] == "r-1"
        (row,) = carrier.record.rows()
        assert (row["ref"], row["form"], row["text"]) == ("r-1", "template", "order_update:es_MX|Ana|17")


async def test_free_text_needs_a_window_which_a_persons_message_opens():
    async with rig(kind="whatsapp") as (carrier, sink, client):
        assert await code(client, text()) == (400, 131047)
        control = Client(carrier.control_url)
        await control.post({"from": PERSON, "text": "hola?", "name": "Ana"}, path="/mo")
        assert await code(client, text()) == (200, 0)
        await carrier.until(acknowledged(carrier, 1))
        value = sink.calls[0].tree["entry"][0]["changes"][0]["value"]
        assert value["contacts"] == [{"profile": {"name": "Ana"}, "wa_id": PERSON}]
        assert (value["messages"][0]["from"], value["messages"][0]["text"]) == (PERSON, {"body": "hola?"})
        assert await code(client, text(to="525512345679")) == (400, 131047)
        carrier.set(windows="open")
        assert await code(client, text(to="525512345679")) == (200, 0)
        control.channel.close()


async def test_a_window_closes_again():
    account = WhatsAppSettings(window_s=0.001)
    async with rig(kind="whatsapp", whatsapp=account) as (carrier, _, client):
        carrier.tell({"from": PERSON, "text": "hola"})
        await carrier.until(acknowledged(carrier, 1))
        await asyncio.sleep(0.002)  # longer than the window
        assert await code(client, text()) == (400, 131047)


@pytest.mark.parametrize(
    ("tree", "wanted"),
    [
        (template("Ana"), (400, 132000)),
        (template("Ana", "17", language="es"), (404, 132001)),
        (template("Ana", "17", name="unknown"), (404, 132001)),
        (text(body="x" * 4_097), (400, 100)),
        (text(to=""), (400, 131008)),
        (text(to="me"), (400, 131009)),
        ({**text(), "messaging_product": "sms"}, (400, 100)),
        ({**text(), "type": "hologram"}, (400, 131051)),
        ({**text(), "type": "image"}, (400, 131008)),
        ({**text(), "type": "image", "image": {"id": "404"}}, (400, 100)),
        ({**text(), "type": "document", "document": {"id": "1", "link": "https://x"}}, (400, 100)),
        (b"[", (400, 100)),
    ],
)
async def test_what_is_wrong_in_a_message_has_its_code(tree, wanted):
    async with rig(kind="whatsapp", faults={"windows": "open"}) as (_, __, client):
        assert await code(client, tree) == wanted


async def test_a_wrong_token_or_number_is_refused():
    async with rig(kind="whatsapp") as (_, __, client):
        assert await code(client, text(), token="old") == (401, 190)
        assert await code(client, text(), path="/v21.0/1/messages") == (400, 33)


async def test_limits_of_number_pair_and_portfolio_have_their_codes():
    account = WhatsAppSettings(pair_gap_s=3_600, max_unique_recipients=2)
    async with rig(kind="whatsapp", whatsapp=account) as (carrier, _, client):
        seen = [await code(client, template("a", "b", to=f"52551234567{n}")) for n in (1, 1, 2, 4)]
        assert seen == [(200, 0), (400, 131056), (200, 0), (400, 131048)]
        carrier.set(mps=0.001)
        seen = [await code(client, template("a", "b", to=f"52551234569{n}")) for n in (1, 2)]
        assert seen == [(400, 131048), (429, 130429)]
        carrier.set(throttle_as="body")
        assert await code(client, template("a", "b", to="525512345693")) == (400, 130429)


async def test_shares_fail_are_silent_or_read_and_magic_numbers_choose():
    async with rig(kind="whatsapp", faults={"fail": 1, "fail_code": 131049}) as (carrier, sink, client):
        await client.post(template("a", "b"), path=MESSAGES)
        await carrier.until(acknowledged(carrier, 1))
        status = sink.calls[0].tree["entry"][0]["changes"][0]["value"]["statuses"][0]
        assert (status["status"], status["errors"][0]["code"]) == ("failed", 131049)
        carrier.set(fail=0, silent=1)
        await client.post(template("a", "b"), path=MESSAGES)
        assert carrier.stats()["waiting"]["receipts_scheduled"] == 0
        carrier.set(silent=0, read=1)
        await client.post(template("a", "b"), path=MESSAGES)
        await carrier.until(acknowledged(carrier, 4))
        assert {state for _, state in statuses(sink)[1:]} == {"sent", "delivered", "read"}
        assert await code(client, template("a", "b", to="525512345606")) == (400, 131026)


async def test_statuses_of_a_message_come_in_the_wrong_order():
    faults = {"receipts_reordered": 1, "receipt_batch": 5, "hold_receipts": True}
    async with rig(kind="whatsapp", faults=faults) as (carrier, sink, client):
        await client.post(template("a", "b", to="525512345601"), path=MESSAGES)
        await carrier.until(lambda: carrier.stats()["callbacks"]["waiting"] == 3)
        carrier.set(hold_receipts=False)
        await carrier.until(acknowledged(carrier, 1))
        assert [state for _, state in statuses(sink)] == ["read", "delivered", "sent"]


async def test_a_refusal_may_come_late_as_a_failed_status():
    account = WhatsAppSettings(late_errors=(131047,))
    async with rig(kind="whatsapp", whatsapp=account) as (carrier, sink, client):
        assert await code(client, text()) == (200, 0)
        await carrier.until(acknowledged(carrier, 1))
        status = sink.calls[0].tree["entry"][0]["changes"][0]["value"]["statuses"][0]
        assert (status["status"], status["errors"][0]["code"]) == ("failed", 131047)


async def test_media_are_uploaded_checked_sent_read_and_deleted():
    async with (
        rig(kind="whatsapp", faults={"windows": "open"}) as (carrier, _, client),
        aiohttp.ClientSession(headers={"Authorization": "Bearer token"}) as http,
    ):

        async def upload(octets: bytes, content_type: str) -> Any:
            form = aiohttp.FormData({"messaging_product": "whatsapp", "type": content_type})
            form.add_field("file", io.BytesIO(octets), filename="foto.png", content_type=content_type)
            async with http.post(f"{carrier.url}/v21.0/{PHONE}/media", data=form) as answer:
                return await answer.json()

        octets = b"\x89PNG\r\n--not-a-boundary\r\n" + bytes(range(256))
        media_id = (await upload(octets, "image/png"))["id"]
        assert (await upload(b"x" * (5 * 1024 * 1024 + 1), "image/png"))["error"]["code"] == 131053
        assert (await upload(b"x", "image/tiff"))["error"]["code"] == 100
        image = {"type": "image", "image": {"id": media_id, "caption": "foto"}}
        assert await code(client, {**text(), **image}) == (200, 0)
        assert await code(client, {**text(), "type": "audio", "audio": {"id": media_id}}) == (400, 100)
        document = {"type": "document", "document": {"id": media_id, "filename": "a.png"}}
        assert await code(client, {**text(), **document}) == (200, 0)
        async with http.get(f"{carrier.url}/v21.0/{media_id}") as answer:
            facts = await answer.json()
        assert (facts["mime_type"], facts["file_size"]) == ("image/png", len(octets))
        assert facts["sha256"] == hashlib.sha256(octets).hexdigest()
        async with http.get(facts["url"]) as answer:
            assert await answer.read() == octets
        async with http.delete(f"{carrier.url}/v21.0/{media_id}") as answer:
            assert await answer.json() == {"success": True}
        async with http.get(facts["url"]) as answer:
            assert answer.status == 400


async def test_a_person_sends_a_picture_which_can_be_fetched():
    async with rig(kind="whatsapp") as (carrier, sink, client):
        octets = base64.b64encode(b"jpeg").decode()
        carrier.tell(
            {"from": PERSON, "type": "image", "mime_type": "image/jpeg", "base64": octets, "caption": "ve"}
        )
        await carrier.until(acknowledged(carrier, 1))
        (received,) = sink.calls[0].tree["entry"][0]["changes"][0]["value"]["messages"]
        assert (received["type"], received["image"]["caption"]) == ("image", "ve")
        headers = b"Authorization: Bearer token\r\n"
        path = f"/v21.0/{received['image']['id']}"
        facts = json.loads((await client.channel.request("GET", path, headers=headers)).body)
        fetched = await client.channel.request("GET", f"/media-files/{facts['id']}", headers=headers)
        assert fetched.body == b"jpeg"
        with pytest.raises(ValueError, match="type 'hologram' is not one of text"):
            carrier.tell({"from": PERSON, "type": "hologram"})


async def test_the_callback_url_is_verified_with_the_challenge():
    async with rig(kind="whatsapp", verify_token="open sesame") as (carrier, sink, _client):
        sink.answer = lambda called: (200, called.query["hub.challenge"])
        control = Client(carrier.control_url)
        answer = await control.post({}, path="/verify")
        assert json.loads(answer.body) == {"verified": True}
        query = sink.calls[0].query
        assert (query["hub.mode"], query["hub.verify_token"]) == ("subscribe", "open sesame")
        sink.answer = lambda _: (403, "")
        assert json.loads((await control.post({}, path="/verify")).body) == {"verified": False}
        control.channel.close()


async def test_mexican_ids_may_have_the_1_of_old_and_still_open_the_window():
    account = WhatsAppSettings(writes_old_mexican_ids=True, templates=(Template("hola", "es_MX"),))
    async with rig(kind="whatsapp", whatsapp=account) as (carrier, _sink, client):
        carrier.tell({"from": "5215512345678", "text": "hola"})
        answer = json.loads((await client.post(text(), path=MESSAGES)).body)
        assert answer["contacts"][0]["wa_id"] == "5215512345678"
        await carrier.until(acknowledged(carrier, 3))
