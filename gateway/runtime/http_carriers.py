"""From the settings of HTTP carriers to what the HTTP adapter wants to be told.

Used by `gateway.runtime.carriers`.
"""

import re

from adapters.http.answers import AnswerMapping
from adapters.http.classify import Rule, Verdict, classify
from adapters.http.mapping import HttpMapping
from adapters.http.profile import HttpProfile
from gateway.runtime.carrier_tls import tls_files
from gateway.settings import HttpCarrierSettings, HttpRuleSettings, WhatsAppCarrierSettings

_REFUSALS = frozenset({"retry_later", "failover", "permanent"})
_STATUS_NAME = re.compile(r"HTTP_([1-5]\d\d)").fullmatch


def http_profile(
    name: str,
    carrier: HttpCarrierSettings | WhatsAppCarrierSettings,
    *,
    connections: int | None = None,
    linger_ms: float = 0.0,
) -> HttpProfile:
    """Return where a carrier is and how it is driven; ValueError out of range."""
    timeouts = carrier.timeouts
    return HttpProfile(
        carrier=name,
        url=carrier.url,
        bind_count=carrier.binds,
        window_slots=carrier.window,
        connections=connections,
        linger_ms=linger_ms,
        tls=tls_files(carrier.tls),
        bind_rate=carrier.bind_rate,
        top_rate=carrier.rate,
        burst=carrier.burst,
        connect_s=timeouts.connect_s,
        send_s=timeouts.send_s,
        answer_s=timeouts.answer_s,
        idle_s=timeouts.idle_s,
        reconnect_min_s=timeouts.reconnect_min_s,
        reconnect_max_s=timeouts.reconnect_max_s,
        breaker_failures=carrier.breaker.failures,
        breaker_open_s=carrier.breaker.open_s,
        breaker_max_open_s=carrier.breaker.max_open_s,
        breaker_probes=carrier.breaker.probes,
    )


def http_mapping(name: str, carrier: HttpCarrierSettings) -> HttpMapping:
    """Return a carrier's words as data; SettingsError when its secret cannot be had."""
    request, response, auth = carrier.request, carrier.response, carrier.auth
    return HttpMapping(
        carrier=name,
        url=carrier.url,
        method=carrier.method,
        headers=dict(carrier.headers),
        auth=auth.type,
        auth_name=auth.name,
        username=auth.username,
        secret=auth.resolved_secret(),
        body_format=request.format,
        content_type=request.content_type,
        query=dict(request.query),
        body=request.body,
        bulk_limit=request.bulk.limit,
        bulk_list=request.bulk.list,
        max_characters=carrier.max_characters,
        answer=AnswerMapping(
            id_pointers=response.id,
            id_pattern=response.id_pattern,
            needs_id=response.needs_id,
            code_pointers=response.code,
            code_pattern=response.code_pattern,
            ok_codes=frozenset(response.ok_codes),
            list_pointer=response.list,
            reference_pointer=response.reference,
            rules=tuple([_rule(rule) for rule in response.rules]),
        ),
    )


def retry_faults(carrier: HttpCarrierSettings) -> list[tuple[str, str]]:
    """Return (status, what is wrong) of schedules that would never be followed: no refusal comes of these answers."""
    rules = [_rule(rule) for rule in carrier.response.rules]
    faults = []
    for text in carrier.retry.status:
        found = _verdict(text, rules)
        if found is not None and found.answer_class not in _REFUSALS:
            detail = f"the answer {text} is {found.answer_class}, not a retry; response.rules can give it another meaning"
            faults.append((text, detail))
    return faults


def _verdict(text: str, rules: list[Rule]) -> Verdict | None:
    """Return what is known of an answer by its name alone; None where its status has a say as well."""
    status = _STATUS_NAME(text)
    if status is not None:
        return classify(int(status[1]), rules=rules)
    return next((rule.verdict for rule in rules if text in rule.codes), None)


def _rule(rule: HttpRuleSettings) -> Rule:
    statuses: set[int] = set()
    for status in rule.status:
        if isinstance(status, int):
            statuses.add(status)
        else:
            first = int(status[0]) * 100
            statuses.update(range(first, first + 100))
    # Whatever asks for another try may go to another carrier when its tries are used up here.
    moves = rule.reaction in ("retry_later", "failover") or rule.other_route
    return Rule(
        Verdict(rule.reaction, other_route=moves, alert=rule.alert),
        statuses=frozenset(statuses),
        codes=frozenset(rule.code),
        matches=None if rule.matches is None else re.compile(rule.matches),
    )
