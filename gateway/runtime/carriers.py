"""From the settings of carriers and routes to what dispatch, the SMPP adapter and routing want to be told.

Used by `gateway.runtime.wiring` alone.
"""

from pathlib import Path

from adapters.smpp.link import SmppLink
from adapters.smpp.profile import AddressType, BindMode, CarrierProfile
from adapters.smpp.transport import TlsSettings
from gateway.dispatch.plan import CarrierPlan
from gateway.policy.routing import RouteRule, RouteTable
from gateway.ports.clock import SystemClock
from gateway.ports.links import CarrierLink
from gateway.settings import CarrierSettings, Settings
from throttling.rates import Rate


def route_table(settings: Settings) -> RouteTable:
    """Return the routing rules; without any, all carriers take part in the order of the configuration."""
    rules = [
        RouteRule(
            carriers=route.carriers,
            prefix=route.prefix,
            account=route.account,
            message_class=route.message_class,
            sender=route.sender,
            weight=route.weight,
        )
        for route in settings.routes
    ]
    return RouteTable(rules, carriers=tuple(settings.carriers))


def test_carrier(settings: Settings) -> str | None:
    """Return the carrier that test keys are sent to: the one the simulator plays."""
    if not settings.simulator.enabled:
        return None
    port = settings.simulator.smpp_port
    return next((name for name, carrier in settings.carriers.items() if carrier.port == port), None)


def carrier_plan(name: str, carrier: CarrierSettings, clock: SystemClock) -> CarrierPlan:
    """Return how dispatch drives one carrier."""
    profile = carrier_profile(name, carrier)

    def make_link(shard: int, shards: int) -> CarrierLink:
        del shard
        return SmppLink(profile, clock=clock, shares=shards)

    return CarrierPlan(
        carrier=name,
        rate=Rate.parse(carrier.rate),
        burst=carrier.burst,
        link_factory=make_link,
        window=carrier.window * carrier.binds,
    )


def carrier_profile(name: str, carrier: CarrierSettings) -> CarrierProfile:
    """Return the carrier's dialect and access as the SMPP adapter wants them."""
    dialect, tls = carrier.profile, carrier.tls
    return CarrierProfile(
        carrier=name,
        host=carrier.host,
        port=carrier.port,
        system_id=carrier.system_id,
        password=carrier.resolved_password(),
        system_type=dialect.system_type,
        interface_version=dialect.interface_version,
        bind_mode=BindMode.TRX if carrier.bind_type == "transceiver" else BindMode.TX_RX,
        bind_count=carrier.binds,
        tls=TlsSettings(
            ca_file=_text(tls.ca_file),
            certificate_file=_text(tls.certificate_file),
            key_file=_text(tls.key_file),
            server_hostname=tls.server_name,
        )
        if tls.enabled
        else None,
        default_alphabet=dialect.default_alphabet,
        receipt_id_format=dialect.receipt_id_format,
        service_type=dialect.service_type,
        long_number=AddressType(dialect.long_number.ton, dialect.long_number.npi),
        short_code=AddressType(dialect.short_code.ton, dialect.short_code.npi),
        alphanumeric=AddressType(dialect.alphanumeric.ton, dialect.alphanumeric.npi),
        bind_rate=carrier.bind_rate,
        window_slots=carrier.window,
        bind_timeout_s=dialect.bind_timeout_s,
        response_timeout_s=dialect.response_timeout_s,
        enquire_link_s=dialect.enquire_link_s,
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
