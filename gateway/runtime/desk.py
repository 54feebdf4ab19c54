"""The operators' desk, for the API and for `caudal carriers`."""

from gateway.ingress.carrier_views import CarrierFacts
from gateway.ingress.desk import Desk
from gateway.ports.clock import SystemClock
from gateway.runtime.pepper import load_pepper
from gateway.settings import AnyCarrier, CarrierSettings, Settings
from gateway.store.accounts import Accounts
from gateway.store.controls import PostgresControls
from gateway.store.pool import Database


def carrier_facts(settings: Settings) -> dict[str, CarrierFacts]:
    """Return what operators may know of the configured carriers: no secrets."""
    return {name: _facts(name, carrier) for name, carrier in settings.carriers.items()}


def _facts(name: str, carrier: AnyCarrier) -> CarrierFacts:
    bind_type = carrier.bind_type if isinstance(carrier, CarrierSettings) else ""
    # As the links name them: adapters.smpp.bind_work, adapters.http.bind.
    modes = {"transceiver": ("trx",), "transmitter_receiver": ("tx", "rx")}.get(bind_type, ("http",))
    return CarrierFacts(
        id=name,
        protocol=carrier.protocol,
        rate=carrier.rate,
        burst=carrier.burst,
        window=carrier.window,
        binds=carrier.binds,
        bind_type=bind_type,
        bind_names=tuple(f"{mode}{number}" for number in range(1, carrier.binds + 1) for mode in modes),
        shards=carrier.shards,
    )


def make_desk(db: Database, settings: Settings) -> Desk:
    """Return the desk on an open database."""
    accounts = Accounts(db, pepper=load_pepper(settings))

    async def account_exists(name: str) -> bool:
        return await accounts.find_account(name) is not None

    return Desk(
        PostgresControls(db),
        carriers=carrier_facts(settings),
        clock=SystemClock(),
        account_exists=account_exists,
    )
