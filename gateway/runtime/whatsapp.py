"""From the settings of WhatsApp carriers to what the dialect, the reader of callbacks and intake want to be told.

Used by `gateway.runtime.carriers` and `gateway.runtime.wiring` alone.
"""

from collections.abc import Mapping
from typing import Final

from adapters.http.whatsapp import WhatsAppDialect, WhatsAppProfile
from adapters.http.whatsapp_callbacks import WhatsAppCallbacks, WhatsAppCalls, WhatsAppNumber
from adapters.http.whatsapp_errors import PAIR_LIMIT, REACH_LIMIT, RULES, status_name
from gateway.dispatch.acquaintance import Acquaintance
from gateway.dispatch.plan import HTTP_STATUSES
from gateway.domain.templates import Templates
from gateway.policy.retry import StatusRule, Then
from gateway.settings import Settings, WhatsAppCarrierSettings, duration_ms
from throttling.windows import ServiceWindows

MAX_CALLBACK_OCTETS: Final = 3 * 1024 * 1024 + 64 * 1024
"""Meta's calls end at 3 MB."""

WHATSAPP_STATUSES: Final = (HTTP_STATUSES[0], *(status_name(rule.code) for rule in RULES), REACH_LIMIT)
"""What answers of WhatsApp are called, success first."""

_MINUTE_MS: Final = 60_000
_PAIR_STEPS: Final = (1, 2, 4, 8, 16, 32, 64)
_REACH_DELAYS_MS: Final = tuple(minutes * _MINUTE_MS for minutes in (15, 60, 180, 360))


def whatsapp_profile(name: str, carrier: WhatsAppCarrierSettings) -> WhatsAppProfile:
    """Return one number as its dialect wants it; SettingsError when a secret cannot be had."""
    root = carrier.url.removesuffix("/messages")
    return WhatsAppProfile(
        carrier=name,
        messages_url=carrier.url,
        media_url=f"{root}/media",
        access_token=carrier.resolved_access_token(),
        templates=carrier.approved_templates(),
        preview_links=carrier.preview_links,
        pair_interval_ms=duration_ms(carrier.pair_interval),
        pair_burst=carrier.pair_burst,
        reach_limit=carrier.reach_limit,
        enforces_window=carrier.service_window == "enforced",
    )


def whatsapp_dialect(
    profile: WhatsAppProfile, known: Acquaintance, *, shard: int, shards: int
) -> WhatsAppDialect:
    """Return the dialect of one shard, which has its part of the people that may be reached."""
    return WhatsAppDialect(profile, windows=known.windows, reach=known.reach_of(shard, shards))


def whatsapp_statuses(carrier: WhatsAppCarrierSettings) -> dict[str, StatusRule]:
    """Return the schedules of refusals that are over after a known time, unless the configuration has its own."""
    interval_ms = duration_ms(carrier.pair_interval)
    return {
        PAIR_LIMIT: StatusRule(tuple(step * interval_ms for step in _PAIR_STEPS), Then.FAILOVER),
        REACH_LIMIT: StatusRule(_REACH_DELAYS_MS, Then.FAILOVER),
    }


def acquaintances(settings: Settings, before: Mapping[str, Acquaintance]) -> dict[str, Acquaintance]:
    """Return what is to be known of each carrier; what is known `before` and still wanted stays."""
    people = {}
    for name, carrier in settings.carriers.items():
        if not isinstance(carrier, WhatsAppCarrierSettings):
            continue
        known = before.get(name)
        wants_windows = carrier.service_window == "enforced"
        is_same = (
            known is not None
            and known.reach_limit == carrier.reach_limit
            and (known.windows is not None) == wants_windows
        )
        people[name] = (
            known
            if known is not None and is_same
            else Acquaintance(
                name,
                windows=ServiceWindows() if wants_windows else None,
                reach_limit=carrier.reach_limit,
            )
        )
    return people


def whatsapp_calls(settings: Settings, name: str, carrier: WhatsAppCarrierSettings) -> WhatsAppCallbacks:
    """Return how the calls of one carrier are read; SettingsError when a secret cannot be had."""
    numbers = {
        one.phone_number_id: WhatsAppNumber(sibling, one.number.removeprefix("+"))
        for sibling, one in settings.carriers.items()
        if isinstance(one, WhatsAppCarrierSettings)
    }
    numbers[carrier.phone_number_id] = WhatsAppNumber(name, carrier.number.removeprefix("+"))
    return WhatsAppCallbacks(
        WhatsAppCalls(
            carrier=name,
            app_secret=carrier.resolved_app_secret(),
            verify_token=carrier.resolved_verify_token(),
            numbers=numbers,
        )
    )


def approved_templates(settings: Settings) -> dict[str, Templates]:
    """Return the approved templates of the carriers that list any."""
    return {
        name: carrier.approved_templates()
        for name, carrier in settings.carriers.items()
        if isinstance(carrier, WhatsAppCarrierSettings) and carrier.templates
    }
