"""What a whole gateway tells those who watch it: metrics, health, log levels; nothing of what people write."""

import json
import re
import signal
import subprocess
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.metrics import CATALOGUE, PREFIX
from tests.support.peers import need_command
from tests.support.stack import Stack, demo_tree, until

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.peer, pytest.mark.timeout(180)]

TEXT = "Su clave es 4815, no la comparta"
NUMBER = "+525512345678"


def tree_with_carriers_that_are_down() -> dict[str, Any]:
    tree = demo_tree()
    tree["api"]["drain_delay_s"] = 2.0
    tree["smpp_server"] = {"enabled": True, "port": 0}
    away = {**tree["carriers"]["simulator"], "port": 1, "credentials_expire": "2031-01-31"}
    tree["carriers"]["telco_b"] = away
    tree["carriers"]["telco_h"] = {
        "protocol": "http",
        "url": "http://127.0.0.1:1/",
        "callbacks": {
            "auth": {"token": {"header": "X-Token", "secret": "s3cret"}},
            "receipt": {"id": "/id", "state": "/status", "states": {"ok": "DELIVERED"}},
        },
    }
    tree["routes"] = [{"carriers": ["simulator", "telco_b"]}]
    return tree


async def scraped(stack: Stack) -> dict[str, str]:
    """Return the page of metrics of every process, by role, as service discovery lists them."""
    targets = await stack.get_json(stack.admin + "/sd")
    assert [one["labels"] for one in targets] == [
        {"role": role, "index": str(index)}
        for index, role in enumerate(("supervisor", "api", "dispatch", "back"))
    ]
    return {
        one["labels"]["role"]: await stack.get_text(f"http://{one['targets'][0]}/metrics") for one in targets
    }


async def readiness(stack: Stack, role: str) -> tuple[int, dict[str, str]]:
    port = (await stack.roles())[role]["admin_port"]
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/readyz") as answer,
    ):
        return answer.status, (await answer.json())["reasons"]


def samples(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(page)
        for one in family.samples
    }


def check_the_catalogue(pages: dict[str, str]) -> None:
    exported = {name for page in pages.values() for name in re.findall(r"^# TYPE (\S+)", page, re.MULTILINE)}
    assert {PREFIX + name for name in CATALOGUE} - exported == set()
    assert {name for name in exported if name.startswith(PREFIX)} == {PREFIX + name for name in CATALOGUE}
    # Without labels there is one series; with labels the known ones are there before anything happens.
    named = {key[0].removesuffix("_bucket") for page in pages.values() for key in samples(page)}
    assert {PREFIX + name for name in CATALOGUE} - named == set()


def check_by_promtool(pages: dict[str, str]) -> None:
    need_command("promtool", package="prometheus")
    for role, page in pages.items():
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, ""), role


async def test_a_gateway_is_watched_without_telling_what_people_write() -> None:
    async with Stack(tree_with_carriers_that_are_down()) as stack:

        async def binds_are_told() -> bool:
            return "caudal_carrier_window_size{" in (await scraped(stack))["dispatch"]

        await until(binds_are_told, limit_s=60)
        pages = await scraped(stack)
        check_the_catalogue(pages)
        check_by_promtool(pages)
        dispatch = samples(pages["dispatch"])
        end = dispatch[
            "caudal_credential_expiry_timestamp_seconds",
            frozenset({"owner": "telco_b", "kind": "password"}.items()),
        ]
        assert end == 1_927_670_400  # 2031-02-01
        hashes = {re.search(r'caudal_config_info\{hash="(\w+)"\} 1', page)[1] for page in pages.values()}
        assert len(hashes) == 1, "all processes run one configuration"

        accepted = await stack.post(to=NUMBER, **{"from": "ACME", "class": "otp"}, content={"text": TEXT})
        assert (await stack.final(accepted["id"]))["status"] == "delivered"

        async def is_counted() -> bool:
            found = samples((await scraped(stack))["back"])
            key = frozenset({"carrier": "simulator"}.items())
            return found["caudal_dlr_latency_seconds_count", key] == 1

        await until(is_counted, limit_s=60)
        told = "\n".join([*(await scraped(stack)).values(), *stack.lines])
        assert [
            secret for secret in (TEXT, "clave es", NUMBER[1:], NUMBER[3:], stack.key) if secret in told
        ] == []

        # A carrier that is down makes nobody unready: what is for others goes on, what is for it waits.
        down = frozenset({"carrier": "telco_b", "bind": "trx1", "state": "bound"}.items())
        assert samples((await scraped(stack))["dispatch"])["caudal_carrier_bind_state", down] == 0
        for role in ("api", "dispatch", "back"):
            assert await readiness(stack, role) == (200, {})
        assert await stack.get_json(stack.admin + "/readyz") == {"status": "ready", "reasons": {}}

        await check_log_levels(stack)
        await check_draining(stack)


async def check_log_levels(stack: Stack) -> None:
    found = json.loads(await stack.caudal("logs", "level", "bind", "debug", "--for", "10m", "--json"))
    assert set(found) == {"supervisor", "api", "dispatch", "back"}
    for levels in found.values():
        assert levels["configured"] == "info"
        (ordered,) = levels["ordered"]
        assert (ordered["logger"], ordered["level"]) == ("bind", "debug")
        assert 0 < ordered["for_s"] <= 600
    await stack.caudal("logs", "level", "bind", "default")
    assert json.loads(await stack.caudal("logs", "show", "--json"))["process"]["ordered"] == []
    refused = await stack.post_json(stack.admin + "/logs/level", {"level": "loud"})
    assert "'loud' is not one of" in refused["error"]
    audit = json.loads(await stack.caudal("carriers", "audit", "--json"))
    assert [(one["action"], one["subject"], one["detail"]["level"]) for one in audit[:2]] == [
        ("log_level", "logs of bind", "default"),
        ("log_level", "logs of bind", "debug"),
    ]


async def check_draining(stack: Stack) -> None:
    assert stack.process is not None
    ports = {role: facts["admin_port"] for role, facts in (await stack.roles()).items() if role == "api"}
    stack.process.send_signal(signal.SIGTERM)

    async def is_draining() -> bool:
        supervisor = await stack.get_json(stack.admin + "/readyz")
        api = await stack.get_json(f"http://127.0.0.1:{ports['api']}/readyz")
        return (
            supervisor["reasons"].get("supervisor") == "draining" and api["reasons"].get("api") == "draining"
        )

    await until(is_draining, limit_s=30, every_s=0.02)
