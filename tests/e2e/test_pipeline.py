"""The whole life of messages through real processes: HTTP, PostgreSQL, SMPP, receipts, timeline."""

import signal
from collections import Counter

import psutil
import pytest

from tests.support.ledger import Ledger, post_all, received_ids, reconcile, until_settled
from tests.support.stack import Stack
from tests.support.traffic import rows

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

OTP_TEXT = "¿Su código es 48151623? Válido por 5 min ñandú €"
THREE_SEGMENTS = "Estimado cliente, su pago fue recibido. " * 10


async def test_a_message_is_delivered_with_a_complete_timeline() -> None:
    async with Stack() as stack:
        accepted = await stack.post(
            to="+525512345678", **{"from": "CAUDAL", "class": "otp"}, content={"text": OTP_TEXT}
        )
        assert accepted["status"] == "queued"
        assert accepted["encoding"] == "ucs2"
        assert accepted["segments"] == 1
        final = await stack.final(accepted["id"])
        assert final["status"] == "delivered"
        _, timeline = await stack.request("GET", f"/v1/messages/{accepted['id']}/events")
        types = [event["type"] for event in timeline["data"]]
        assert types[0] == "accepted"
        assert types[-1] == "dlr"
        assert {"accepted", "submitted", "dlr"} <= set(types)
        times = [event["at"] for event in timeline["data"]]
        assert times == sorted(times)
        await assert_nothing_leaked(stack, secrets=("48151623", "5512345678", stack.key))


async def assert_nothing_leaked(stack: Stack, *, secrets: tuple[str, ...]) -> None:
    """P8: neither text nor number nor key is in logs or metrics."""
    ports = [facts["admin_port"] for facts in (await stack.roles()).values() if "admin_port" in facts]
    assert len(ports) == 3
    pages = [await stack.get_text(f"http://127.0.0.1:{port}/metrics") for port in ports]
    assert all("caudal_" in page for page in pages)
    said = "\n".join(stack.lines + pages)
    database_log = next((stack.folder / "var").glob("*.log")).read_text()
    assert [secret for secret in secrets if secret in said or secret in database_log] == []


async def test_a_message_of_three_segments_is_delivered_when_all_segments_are() -> None:
    async with Stack() as stack:
        accepted = await stack.post(
            to="+525512345678", **{"from": "CAUDAL"}, content={"text": THREE_SEGMENTS}
        )
        assert (accepted["segments"], accepted["encoding"]) == (3, "gsm7")
        assert (await stack.final(accepted["id"]))["status"] == "delivered"
        heard = await stack.get_json(await stack.simulator() + "/messages?limit=10")
        parts = heard["messages"]
        assert len(parts) == 3
        assert len({(part["destination"], part["source"]) for part in parts}) == 1
        _, timeline = await stack.request("GET", f"/v1/messages/{accepted['id']}/events")
        assert Counter(event["type"] for event in timeline["data"])["dlr"] == 3


async def test_magic_numbers_end_as_they_should() -> None:
    wanted = {
        "01": "delivered",
        "02": "undeliverable",
        "03": "expired",
        "05": "delivered",
        "06": "rejected",
        "09": "delivered",
    }
    async with Stack() as stack:
        ids = {
            suffix: (
                await stack.post(to=f"+5255123456{suffix}", **{"from": "CAUDAL"}, content={"text": "hola"})
            )["id"]
            for suffix in wanted
        }
        ended = {suffix: (await stack.final(one, limit_s=60))["status"] for suffix, one in ids.items()}
        assert ended == wanted


async def test_a_csv_of_10_000_messages_is_conserved() -> None:
    async with Stack() as stack:
        ledger = Ledger()
        await post_all(stack, list(rows(10_000)), size=1_000, defaults={"from": "CAUDAL"}, ledger=ledger)
        assert len(ledger.accepted) == 10_000
        await until_settled(stack, ledger, limit_s=60)
        await reconcile(stack, ledger)
        assert ledger.states == Counter({"delivered": 10_000})
        assert ledger.lost == []
        assert ledger.segments_received == ledger.segments_expected
        assert ledger.doubled_segments == 0


async def test_a_stop_leaves_no_process_and_a_new_start_keeps_the_messages() -> None:
    async with Stack() as stack:
        accepted = await stack.post(to="+525512345678", **{"from": "CAUDAL"}, content={"text": "hola"})
        await stack.final(accepted["id"])
        assert stack.process is not None
        family = psutil.Process(stack.process.pid).children(recursive=True)
        assert len(family) >= 5
        assert await stack.stop(signal.SIGINT) == 0
        _, alive = psutil.wait_procs(family, timeout=5)
        assert alive == []
        await stack.start()
        status, body = await stack.request("GET", f"/v1/messages/{accepted['id']}")
        assert (status, body["status"]) == (200, "delivered")


async def test_a_second_gateway_on_the_same_state_directory_is_refused_with_a_reason() -> None:
    async with Stack() as stack:
        second = Stack(folder=stack.folder)
        with pytest.raises(AssertionError, match="in use"):
            await second.start()
        assert second.process is not None
        assert await second.process.wait() == 1


async def test_a_repeated_request_is_answered_the_same_and_sent_once() -> None:
    async with Stack() as stack:
        body = {"to": "+525512345678", "from": "CAUDAL", "content": {"text": "una vez"}}
        first = await stack.request("POST", "/v1/messages", json=body, headers={"Idempotency-Key": "k1"})
        again = await stack.request("POST", "/v1/messages", json=body, headers={"Idempotency-Key": "k1"})
        other = await stack.request(
            "POST", "/v1/messages", json={**body, "to": "+525512345679"}, headers={"Idempotency-Key": "k1"}
        )
        assert first == again
        assert first[0] == 202
        assert other[0] == 422
        await stack.final(first[1]["id"])
        assert len(await received_ids(stack)) == 1
