"""From the settings of carriers and routes to what dispatch, the SMPP adapter and routing want to be told.

Used by `gateway.runtime.wiring` alone.
"""

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from adapters.smpp.classify import classify
from adapters.smpp.link import SmppLink
from adapters.smpp.profile import AddressType, BindMode, CarrierProfile
from adapters.smpp.transport import TlsSettings as TlsFiles
from adapters.smpp.wire.constants import status_name
from gateway.dispatch.plan import CarrierPlan
from gateway.domain.cutting import SegmentationOptions
from gateway.domain.message import CLASSES
from gateway.policy.fairness import LaneShares
from gateway.policy.retry import RetryPolicy, StatusRule, Then
from gateway.policy.routing import RouteRule, RouteTable
from gateway.ports.clock import SystemClock
from gateway.ports.links import CarrierLink
from gateway.settings import (
    AddressingSettings,
    CarrierSettings,
    ScheduleSettings,
    Settings,
    SettingsError,
    TimingSettings,
    duration_ms,
    place_of,
    status_code,
)
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
            cost=route.cost,
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


def segmentation_options(carrier: CarrierSettings) -> SegmentationOptions:
    """Return how texts are counted and cut for a carrier: one value for intake and dispatch (sms-domain B27)."""
    dialect = carrier.profile
    return SegmentationOptions(
        split=dialect.split,
        reference_bits=dialect.reference_bits,
        packed=dialect.packed_septets,
        national_single_shift=dialect.national_single_shift,
        national_locking_shift=dialect.national_locking_shift,
        default_alphabet=dialect.default_alphabet,
    )


def carrier_plan(name: str, carrier: CarrierSettings, clock: SystemClock) -> CarrierPlan:
    """Return how dispatch drives one carrier."""
    profile = carrier_profile(name, carrier)

    def make_link(shard: int, shards: int) -> CarrierLink:
        return SmppLink(profile, clock=clock, shares=shards, shard=shard)

    return CarrierPlan(
        carrier=name,
        rate=Rate.parse(carrier.rate),
        burst=carrier.burst,
        link_factory=make_link,
        shards=carrier.shards,
        window=carrier.window * carrier.binds,
        window_slots=carrier.window,
        access=(replace(profile, window_slots=1, top_rate=None, burst=None), _tls_stamps(carrier)),
        segmentation=segmentation_options(carrier),
        retry=retry_policy(carrier),
        shares=lane_shares(carrier),
    )


def retry_policy(carrier: CarrierSettings) -> RetryPolicy:
    """Return when segments that the carrier refused are tried again."""
    schedule = carrier.retry
    return RetryPolicy(
        delays_ms={
            message_class: delays
            for message_class in CLASSES
            if (delays := _delays_ms(getattr(schedule, message_class))) is not None
        },
        statuses={
            status_name(status_code(text)): StatusRule(_delays_ms(rule), Then(rule.then))
            for text, rule in schedule.status.items()
        },
    )


def lane_shares(carrier: CarrierSettings) -> LaneShares:
    """Return how the class lanes share the carrier's rate."""
    weights = carrier.lanes.weights
    return LaneShares(
        carrier.lanes.otp_share, (weights.transactional, weights.collections, weights.marketing)
    )


def _delays_ms(schedule: ScheduleSettings) -> tuple[int, ...] | None:
    return None if schedule.delays is None else tuple([duration_ms(delay) for delay in schedule.delays])


def carrier_profile(name: str, carrier: CarrierSettings) -> CarrierProfile:
    """Return the carrier's dialect and access as the SMPP adapter wants them; raises SettingsError or ValueError."""
    dialect = carrier.profile
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
        address_range=dialect.address_range,
        tls=_tls(carrier) if carrier.tls.enabled else None,
        default_alphabet=dialect.default_alphabet,
        receipt_id_format=dialect.receipt_id_format,
        receipt_time_zone=ZoneInfo(dialect.receipt_time_zone) if dialect.receipt_time_zone else None,
        service_type=dialect.service_type,
        long_number=_address_type(dialect.long_number),
        short_code=_address_type(dialect.short_code),
        alphanumeric=_address_type(dialect.alphanumeric),
        recipient=_address_type(dialect.recipient),
        registered_delivery=dialect.registered_delivery | (_INTERMEDIATE * dialect.intermediate_receipts),
        priority_flag_otp=dialect.priority_flag_otp,
        protocol_id=dialect.protocol_id,
        esm_class=dialect.esm_class,
        sends_validity=dialect.sends_validity,
        data_coding_map=dict(dialect.data_coding),
        status_overrides={status_code(text): reaction for text, reaction in dialect.status.items()},
        bind_rate=carrier.bind_rate,
        window_slots=carrier.window,
        top_rate=carrier.rate,
        breaker_failures=carrier.breaker.failures,
        breaker_open_s=carrier.breaker.open_s,
        breaker_max_open_s=carrier.breaker.max_open_s,
        breaker_probes=carrier.breaker.probes,
        **{name: getattr(dialect, name) for name in TimingSettings.model_fields},
    )


def check_carriers(settings: Settings, *, source: str) -> None:
    """Build of every carrier what dispatch will build at its start; SettingsError has a line for each mistake.

    Nothing is connected. `source` is where the settings came from, so that a line names file, line and key.
    """
    faults: list[str] = []
    for name, carrier in settings.carriers.items():
        try:
            carrier_plan(name, carrier, SystemClock())
        except (SettingsError, ValueError) as error:
            key = next((key for key in _PASSWORD_KEYS if getattr(carrier, key)), "profile")
            path = ("carriers", name, key if isinstance(error, SettingsError) else "profile")
            faults.append(f"{place_of(source, *path)}: {'.'.join(path)}: {error}")
        faults += [
            f"{place_of(source, 'carriers', name, 'retry', 'status', text)}: carriers.{name}.retry.status.{text}: {fault}"
            for text, fault in _retry_faults(carrier)
        ]
        if carrier.tls.enabled:
            faults += [
                f"{place_of(source, 'carriers', name, 'tls', key)}: carriers.{name}.tls.{key}: {fault}"
                for key, fault in _tls_faults(carrier)
            ]
    if faults:
        raise SettingsError("\n".join(faults))


def _retry_faults(carrier: CarrierSettings) -> list[tuple[str, str]]:
    """Return (status, what is wrong) of schedules that would never be followed: no refusal comes of these codes."""
    overrides = {status_code(text): reaction for text, reaction in carrier.profile.status.items()}
    verdicts = [
        (text, classify("submit_sm_resp", status_code(text), overrides=overrides).status_class)
        for text in carrier.retry.status
    ]
    return [
        (text, f"the answer to {text} is {found}, not a retry; profile.status can give it another meaning")
        for text, found in verdicts
        if found not in _REFUSALS
    ]


_REFUSALS = frozenset({"retry_later", "failover", "permanent"})
_INTERMEDIATE = 0x10  # SMPP 3.4 §5.2.17, bit 4
_PASSWORD_KEYS = ("password_file", "password_env", "password")
_ENCRYPTED_KEY = b"ENCRYPTED"


def _tls_faults(carrier: CarrierSettings) -> list[tuple[str, str]]:
    """Return (key, what is wrong with it) of files that cannot be read or used."""
    tls = carrier.tls
    faults = []
    for key in ("ca_file", "certificate_file", "key_file"):
        path: Path | None = getattr(tls, key)
        if path is None:
            continue
        try:
            octets = path.read_bytes()
        except OSError as error:
            faults.append((key, f"cannot read {path}: {error.strerror}"))
            continue
        if key != "ca_file" and _ENCRYPTED_KEY in octets:
            # It would be asked for on a terminal that nobody watches.
            faults.append((key, f"the key in {path} has a passphrase; give one without"))
    if faults:
        return faults
    for key, settings in (
        ("ca_file", TlsFiles(ca_file=_text(tls.ca_file))),
        ("certificate_file", _tls(carrier)),
    ):
        try:
            settings.client_context()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", None) or error
            return [(key, f"not usable: {reason}")]
    return []


def _tls(carrier: CarrierSettings) -> TlsFiles:
    tls = carrier.tls
    return TlsFiles(
        ca_file=_text(tls.ca_file),
        certificate_file=_text(tls.certificate_file),
        key_file=_text(tls.key_file),
        server_hostname=tls.server_name,
        is_verified=tls.verify,
    )


def _tls_stamps(carrier: CarrierSettings) -> tuple[int, ...]:
    """Return when the files of TLS changed: a link reads them once, so new ones need a new link."""
    tls = carrier.tls
    files = (tls.ca_file, tls.certificate_file, tls.key_file) if tls.enabled else ()
    return tuple([path.stat().st_mtime_ns for path in files if path is not None and path.exists()])


def _address_type(addressing: AddressingSettings) -> AddressType:
    return AddressType(addressing.ton, addressing.npi)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
