"""From the settings of carriers and routes to what dispatch, the SMPP adapter and routing want to be told.

Used by `gateway.runtime.wiring` alone.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from zoneinfo import ZoneInfo

from adapters.http.dialect import HttpDialect
from adapters.http.link import HttpLink
from adapters.http.mapping import MappedDialect
from adapters.http.profile import HttpProfile
from adapters.http.templates import TemplateError
from adapters.smpp.classify import classify
from adapters.smpp.link import SmppLink
from adapters.smpp.profile import AddressType, BindMode, CarrierProfile
from adapters.smpp.wire.constants import status_name
from gateway.dispatch.acquaintance import Acquaintance
from gateway.dispatch.plan import HTTP_STATUSES, SMPP_STATUSES, CarrierPlan, LinkFactory
from gateway.domain.cutting import WHOLE, SegmentationOptions
from gateway.domain.message import CLASSES, Channel
from gateway.policy.fairness import LaneShares
from gateway.policy.retry import RetryPolicy, StatusRule, Then
from gateway.policy.routing import RouteRule, RouteTable
from gateway.ports.clock import SystemClock
from gateway.ports.links import CarrierLink
from gateway.ports.media_store import MediaSource
from gateway.runtime.carrier_tls import tls_faults, tls_files, tls_stamps
from gateway.runtime.http_callbacks import callback_faults
from gateway.runtime.http_carriers import http_mapping, http_profile, retry_faults
from gateway.runtime.whatsapp import (
    WHATSAPP_STATUSES,
    whatsapp_dialect,
    whatsapp_profile,
    whatsapp_statuses,
)
from gateway.settings import (
    AddressingSettings,
    AnyCarrier,
    CarrierSettings,
    HttpCarrierSettings,
    ScheduleSettings,
    Settings,
    SettingsError,
    TimingSettings,
    WhatsAppCarrierSettings,
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
    channels = {name: Channel(carrier.channel) for name, carrier in settings.carriers.items()}
    return RouteTable(rules, carriers=tuple(settings.carriers), channels=channels)


def failover_pairs(settings: Settings) -> set[tuple[str, str]]:
    """Return which carriers may hand a message to which; without routes each to any."""
    lists = [route.carriers for route in settings.routes] or [tuple(settings.carriers)]
    return {pair for carriers in lists for pair in permutations(dict.fromkeys(carriers), 2)}


def test_carrier(settings: Settings) -> str | None:
    """Return the carrier that test keys are sent to: the one the simulator plays."""
    if not settings.simulator.enabled:
        return None
    port = settings.simulator.smpp_port
    return next((name for name, carrier in settings.smpp_carriers.items() if carrier.port == port), None)


def segmentation_options(carrier: AnyCarrier) -> SegmentationOptions:
    """Return how texts are counted and cut for a carrier: one value for intake and dispatch (sms-domain B27)."""
    if isinstance(carrier, HttpCarrierSettings):
        return SegmentationOptions(
            split=WHOLE,
            max_characters=carrier.max_characters,
            counts_segments=carrier.counts == "segments",
        )
    if not isinstance(carrier, CarrierSettings):
        return SegmentationOptions(split=WHOLE)
    dialect = carrier.profile
    return SegmentationOptions(
        split=dialect.split,
        reference_bits=dialect.reference_bits,
        packed=dialect.packed_septets,
        national_single_shift=dialect.national_single_shift,
        national_locking_shift=dialect.national_locking_shift,
        default_alphabet=dialect.default_alphabet,
    )


def carrier_plan(
    name: str,
    carrier: AnyCarrier,
    clock: SystemClock,
    *,
    media: MediaSource | None = None,
    known: Acquaintance | None = None,
) -> CarrierPlan:
    """Return how dispatch drives one carrier; SettingsError or ValueError for what cannot be driven.

    `media` is where links read files that a carrier must have first, `known` what the process knows of the people that
    a WhatsApp carrier writes to.
    """
    if isinstance(carrier, CarrierSettings):
        profile = carrier_profile(name, carrier)
        stamps = tls_stamps(carrier.tls) if carrier.tls.enabled else ()

        def make_smpp(shard: int, shards: int) -> CarrierLink:
            return SmppLink(profile, clock=clock, shares=shards, shard=shard)

        access = (replace(profile, window_slots=1, top_rate=None, burst=None), stamps)
        return _plan(name, carrier, make_smpp, access)
    where, make_dialect, words = http_words(name, carrier, known)
    make_dialect(0, carrier.shards)  # what cannot be said is told now

    def make_http(shard: int, shards: int) -> CarrierLink:
        dialect = make_dialect(shard, shards)
        return HttpLink(where, dialect, clock=clock, media=media, shares=shards, shard=shard)

    reach = (replace(where, window_slots=1, top_rate=None, burst=None), words, tls_stamps(carrier.tls))
    return _plan(name, carrier, make_http, reach)


def _plan(name: str, carrier: AnyCarrier, make_link: LinkFactory, access: object) -> CarrierPlan:
    return CarrierPlan(
        carrier=name,
        rate=Rate.parse(carrier.rate),
        burst=carrier.burst,
        link_factory=make_link,
        shards=carrier.shards,
        window=carrier.window * carrier.binds,
        window_slots=carrier.window,
        access=access,
        segmentation=segmentation_options(carrier),
        retry=retry_policy(carrier),
        shares=lane_shares(carrier),
        statuses=_usual_statuses(carrier),
    )


def _usual_statuses(carrier: AnyCarrier) -> tuple[str, ...]:
    if isinstance(carrier, WhatsAppCarrierSettings):
        return WHATSAPP_STATUSES
    return SMPP_STATUSES if isinstance(carrier, CarrierSettings) else HTTP_STATUSES


def http_words(
    name: str, carrier: HttpCarrierSettings | WhatsAppCarrierSettings, known: Acquaintance | None
) -> tuple[HttpProfile, Callable[[int, int], HttpDialect], object]:
    """Return where an HTTP carrier is, what makes its dialect for (shard, shards), and what both are made of."""
    if isinstance(carrier, HttpCarrierSettings):
        mapping = http_mapping(name, carrier)
        where = http_profile(
            name, carrier, connections=carrier.max_connections, linger_ms=carrier.request.bulk.linger_ms
        )
        return where, lambda _shard, _shards: MappedDialect(mapping), mapping
    profile = whatsapp_profile(name, carrier)
    people = known or Acquaintance(name)
    return (
        http_profile(name, carrier),
        lambda shard, shards: whatsapp_dialect(profile, people, shard=shard, shards=shards),
        profile,
    )


def retry_policy(carrier: AnyCarrier) -> RetryPolicy:
    """Return when segments that the carrier refused are tried again."""
    schedule = carrier.retry
    return RetryPolicy(
        delays_ms={
            message_class: delays
            for message_class in CLASSES
            if (delays := _delays_ms(getattr(schedule, message_class))) is not None
        },
        statuses=_own_statuses(carrier)
        | {
            status_name(status_code(text)) if isinstance(carrier, CarrierSettings) else text: StatusRule(
                _delays_ms(rule), Then(rule.then)
            )
            for text, rule in schedule.status.items()
        },
    )


def _own_statuses(carrier: AnyCarrier) -> dict[str, StatusRule]:
    return whatsapp_statuses(carrier) if isinstance(carrier, WhatsAppCarrierSettings) else {}


def lane_shares(carrier: AnyCarrier) -> LaneShares:
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
        tls=tls_files(carrier.tls) if carrier.tls.enabled else None,
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
    faults: list[tuple[tuple[str, ...], str]] = []
    for name, carrier in settings.carriers.items():
        own = ("carriers", name)
        try:
            carrier_plan(name, carrier, SystemClock())
        except TemplateError as error:
            faults.append(((*own, *error.path), str(error)))
        except (SettingsError, ValueError) as error:
            faults.append(((*own, *_key_of(carrier, error)), str(error)))
        faults += [((*own, "retry", "status", text), fault) for text, fault in _retry_faults(carrier)]
        if not isinstance(carrier, CarrierSettings) or carrier.tls.enabled:
            faults += [((*own, "tls", key), fault) for key, fault in tls_faults(carrier.tls)]
        if isinstance(carrier, HttpCarrierSettings) and carrier.callbacks is not None:
            found = callback_faults(name, carrier.callbacks)
            faults += [((*own, "callbacks", *keys), fault) for keys, fault in found]
    if faults:
        raise SettingsError(
            "\n".join([f"{place_of(source, *path)}: {'.'.join(path)}: {fault}" for path, fault in faults])
        )


def _key_of(carrier: AnyCarrier, error: Exception) -> tuple[str, ...]:
    """Return the key that an error is about which does not say so itself."""
    if isinstance(carrier, HttpCarrierSettings):
        found = next((key for key in _SECRET_KEYS if getattr(carrier.auth, key)), "type")
        return ("auth", found) if isinstance(error, SettingsError) else ("url",)
    if isinstance(carrier, CarrierSettings):
        key = next((key for key in _PASSWORD_KEYS if getattr(carrier, key)), "profile")
        return (key if isinstance(error, SettingsError) else "profile",)
    return ()


def _retry_faults(carrier: AnyCarrier) -> list[tuple[str, str]]:
    """Return (status, what is wrong) of schedules that would never be followed: no refusal comes of these codes."""
    if isinstance(carrier, HttpCarrierSettings):
        return retry_faults(carrier)
    if not isinstance(carrier, CarrierSettings):
        return []
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
_SECRET_KEYS = ("secret_file", "secret_env", "secret")


def _address_type(addressing: AddressingSettings) -> AddressType:
    return AddressType(addressing.ton, addressing.npi)
