"""An HTTP carrier from the settings of the example to the delivered message: submit, signed receipts, a reply, a reload."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from loadtest.http_carrier import HttpCarrier, HttpCarrierSettings
from tests.support.stack import Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(120)]

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy/examples/http-sms.toml"
NUMBER = "56987654321"


def a_tree(port: int) -> dict[str, Any]:
    """The example as it is, with the port of the simulator."""
    tree = tomllib.loads(EXAMPLE.read_text(encoding="utf-8").replace(":8095/", f":{port}/"))
    return {"api": {"port": 0}, "admin": {"port": 0}, **tree}


def person(number: int) -> str:
    return f"+5255123456{number:02}"


async def test_messages_are_delivered_by_callbacks_and_replies_find_their_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AGGREGATOR_TOKEN", "token")
    monkeypatch.setenv("AGGREGATOR_SECRET", "secret")
    async with HttpCarrier(HttpCarrierSettings(kind="json")) as carrier:
        port = carrier.port
    async with Stack(a_tree(port)) as stack:
        settings = HttpCarrierSettings(
            kind="json",
            port=port,
            callback_url=f"{stack.api}/callbacks/aggregator",
            callback_retry_s=0.2,
            faults={"receipts_duplicated": 1.0, "receipt_batch": 20},
        )
        async with HttpCarrier(settings) as carrier:
            sent = [
                await stack.post(to=person(n), **{"from": NUMBER}, content={"text": f"Cita {n}"})
                for n in (10, 11, 2, 9)
            ]
            states = [(await stack.final(one["id"]))["status"] for one in sent]
            assert states == ["delivered", "delivered", "undeliverable", "delivered"]

            # What a person writes is stored once and shown with the message that it answers.
            for _ in range(2):
                carrier.tell({"id": "mo-1", "from": "5215512345610", "to": NUMBER, "text": "Sí, mañana"})
            carrier.tell({"id": "mo-2", "from": "5215512345610", "to": NUMBER, "text": "gracias"})

            async def replies() -> list[dict[str, Any]]:
                _, page = await stack.request("GET", "/v1/inbound")
                return page["data"][::-1] if len(page["data"]) >= 2 else []

            one, two = await until(replies, limit_s=20)
            assert (one["text"], one["from"], one["channel"]) == ("Sí, mañana", person(10), "sms")
            assert (one["in_reply_to"], two["text"]) == (sent[0]["id"], "gracias")

            # A secret that was changed counts from the reload on; what is refused meanwhile comes again.
            path = stack.folder / "caudal.toml"
            old = path.read_text()
            path.write_text(old.replace('secret_env = "AGGREGATOR_SECRET"', 'secret = "other"'))
            await stack.caudal("config", "reload")

            async def is_refused() -> bool:
                carrier.tell_raw(b"{}")
                return any("callbacks.not_understood" in line and "signature" in line for line in stack.lines)

            await until(is_refused, limit_s=20)
            last = await stack.post(to=person(12), **{"from": NUMBER}, content={"text": "Cita 12"})
            path.write_text(old)
            await stack.caudal("config", "reload")
            assert (await stack.final(last["id"]))["status"] == "delivered"

        said = "\n".join(stack.lines)
        assert [secret for secret in ("5512345610", "mañana", "secret-") if secret in said] == []
