"""A gateway with WhatsApp beside SMS: the simulated Cloud API in this process, and the configuration that names it."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from loadtest.http_carrier.carrier import HttpCarrier
from loadtest.http_carrier.settings import HttpCarrierSettings
from tests.support.stack import Stack, demo_tree

CARRIER = "wa"
WHATSAPP_COST, SMS_COST = "0.05", "0.01"


def with_whatsapp(
    tree: dict[str, Any], *, port: int, rate: str = "500/s", window: int = 40
) -> dict[str, Any]:
    """Return the configuration with a WhatsApp number on that port and the prices of both channels."""
    tree["carriers"][CARRIER] = {
        "protocol": "whatsapp",
        "base_url": f"http://127.0.0.1:{port}",
        "phone_number_id": "106540352242922",
        "business_account_id": "102290129340398",
        "access_token": "token",
        "app_secret": "secret",
        "verify_token": "verify",
        "rate": rate,
        "window": window,
        "timeouts": {"reconnect_min_s": 0.2, "reconnect_max_s": 1.0},
    }
    tree["routes"] = [
        {"carriers": [CARRIER], "cost": WHATSAPP_COST},
        {"carriers": ["simulator"], "cost": SMS_COST},
    ]
    return tree


@asynccontextmanager
async def whatsapp_stack(
    tree: dict[str, Any] | None = None, *, rate: str = "500/s", seed: int = 1, **faults: Any
) -> AsyncIterator[tuple[Stack, HttpCarrier]]:
    """Run a gateway and the simulated WhatsApp, which tells it what becomes of messages."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    configured = with_whatsapp(tree or demo_tree(), port=port, rate=rate)
    async with Stack(configured) as stack:
        settings = HttpCarrierSettings(
            kind="whatsapp",
            port=port,
            callback_url=f"{stack.api}/callbacks/{CARRIER}",
            faults={"windows": "open", **faults},
            seed=seed,
        )
        async with HttpCarrier(settings) as carrier:
            yield stack, carrier
