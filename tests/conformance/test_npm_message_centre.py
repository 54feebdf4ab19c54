"""The whole pipeline with a message centre that nobody here wrote: the npm package `smpp` 0.5.1."""

import pytest

from tests.support.peers import npm_message_centre
from tests.support.stack import Stack, until

pytestmark = [pytest.mark.peer, pytest.mark.slow]

SHORT = "¿Su código es 4815? Válido por 5 min ñandú €"
LONG = "Estimado cliente, su pago fue recibido. " * 10


def tree(port: int, **carrier: object) -> dict[str, object]:
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "caudal",
        "password": "demo",
        "rate": "200/s",
        "profile": {"default_alphabet": "gsm7"},
        **carrier,
    }
    return {"api": {"port": 0}, "admin": {"port": 0}, "carriers": {"npm": settings}}


async def test_messages_of_each_alphabet_are_delivered_through_a_foreign_message_centre() -> None:
    async with npm_message_centre() as peer, Stack(tree(peer.port)) as stack:
        texts = [SHORT, LONG, "plain gsm 160", "€ { } [ ~ ] ñ ü ¿"]
        ids = [
            (await stack.post(to="+525512345678", **{"from": "CAUDAL"}, content={"text": text}))["id"]
            for text in texts
        ]
        for message_id in ids:
            assert (await stack.final(message_id))["status"] == "delivered"
        await peer.caught_up()
        heard = peer.of("submit_sm")
        assert len(heard) == 1 + 3 + 1 + 1
        assert {line["destination"] for line in heard} == {"525512345678"}
        whole = "".join(line["text"] for line in heard if line["udh"])
        assert whole == LONG.strip() or whole == LONG
        singles = {line["text"] for line in heard if not line["udh"]}
        assert singles == {SHORT, "plain gsm 160", "€ { } [ ~ ] ñ ü ¿"}
        await until(lambda: len(peer.of("receipt_acknowledged")) == len(heard), limit_s=10)
        assert all(line["command_status"] == 0 for line in peer.of("receipt_acknowledged"))


async def test_a_stop_unbinds_from_a_foreign_message_centre() -> None:
    async with npm_message_centre() as peer:
        async with Stack(tree(peer.port)) as stack:
            await until(lambda: peer.of("bind"), limit_s=10)
            assert await stack.stop() == 0
        await until(lambda: peer.of("unbind"), limit_s=10)


async def test_a_wrong_password_is_not_hammered() -> None:
    async with npm_message_centre(password="other") as peer, Stack(tree(peer.port)) as stack:
        await until(lambda: peer.of("bad_password"), limit_s=10)
        accepted = await stack.post(to="+525512345678", **{"from": "CAUDAL"}, content={"text": "waits"})
        _, body = await stack.request("GET", f"/v1/messages/{accepted['id']}")
        assert body["status"] == "queued"
        await peer.caught_up()
        assert len(peer.of("bad_password")) == 1


async def test_g3_throttled_messages_wait_and_are_delivered_once_by_tlv_receipts() -> None:
    """G3, B12, F3: no attempt is spent, nothing is sent twice, and the state comes from TLVs alone."""
    async with npm_message_centre() as peer, Stack(tree(peer.port)) as stack:
        await until(lambda: peer.of("bind"), limit_s=10)
        peer.tell("receipts", style="tlv")
        peer.tell("throttle", count=3)
        await peer.heard("done", 2)
        texts = [f"Código {number} 👍" for number in range(5)]
        ids = [
            (await stack.post(to="+525512345678", **{"from": "CAUDAL"}, content={"text": text}))["id"]
            for text in texts
        ]
        for message_id in ids:
            assert (await stack.final(message_id))["status"] == "delivered"
        await peer.caught_up()
        assert len(peer.of("refused")) == 3
        assert sorted(line["text"] for line in peer.of("submit_sm")) == texts
