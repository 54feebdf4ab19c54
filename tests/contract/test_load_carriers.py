"""What a run reads of its simulated carriers over their control APIs, so that it sees what its faults do."""

import asyncio
from typing import Any

import aiohttp

from loadtest.running.carriers import Carrier, Counts
from loadtest.scenario import CarrierSettings
from tests.contract.test_http_carrier import message
from tests.contract.test_http_carrier import rig as http_rig
from tests.contract.test_smsc_faults import WITH_RECEIPT, bound, send_one, set_faults
from tests.contract.test_smsc_faults import rig as smsc_rig
from tests.support.esme import Esme


def a_carrier(port: int | None, kind: str) -> Carrier:
    settings = CarrierSettings.model_validate({"id": "telco_a", "kind": kind, "mps": 10})
    return Carrier(settings, control=f"http://127.0.0.1:{port}")


async def seen(carrier: Carrier, base: Counts, **wanted: Any) -> None:
    """Wait until the carrier has counted so much since."""
    async with aiohttp.ClientSession() as http:
        for _ in range(300):
            found = (await carrier.counts(http)).since(base)
            if {name: getattr(found, name) for name in wanted} == wanted:
                return
            await asyncio.sleep(0.1)
    raise AssertionError(f"{found} is not {wanted}")


async def counted(carrier: Carrier) -> Counts:
    async with aiohttp.ClientSession() as http:
        return await carrier.counts(http)


async def test_a_message_centre_counts_what_its_faults_do():
    faults = {"hold_receipts": True, "magic": False, "receipts_duplicated": 1}
    async with smsc_rig(http_port=0, faults=faults) as smsc:
        carrier = a_carrier(smsc.http_port, "smpp")
        base = await counted(carrier)
        async with bound(smsc) as esme:
            await esme.submit(**WITH_RECEIPT)
            set_faults(smsc, silence=True)
            send_one(esme)
            await seen(carrier, base, held=4, unanswered=1, fallen={"receipts_duplicated": 2}, closed=0)
            set_faults(smsc, silence=False, disconnect=True, refuse_binds=True)
            await seen(carrier, base, closed=1, bound=0)
        refused = Esme()
        await refused.connect(smsc.smpp_port)
        assert await refused.bind() != 0
        refused.transport.abort()
        await seen(carrier, base, binds_refused=1, submits=2, taken=1)


async def test_a_carrier_over_http_counts_what_its_faults_do():
    async with http_rig(faults={"fail": 1}) as (simulator, _, client):
        carrier = a_carrier(simulator.control_port, "json")
        base = await counted(carrier)
        await client.post(message("78"))
        await seen(carrier, base, fallen={"fail": 1}, closed=0, taken=1)
        simulator.set(disconnect=True)
        await seen(carrier, base, closed=1, bound=0)
        simulator.set(mps=1)
        for _ in range(2):
            await client.post(message("78"))
        await seen(carrier, base, throttled=1, taken=2)
