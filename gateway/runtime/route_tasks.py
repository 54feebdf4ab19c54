"""What `caudal routes explain` does: the rules of the configuration, and how the carriers are when a gateway runs."""

from collections.abc import Collection
from typing import Any

from gateway.domain.addresses import parse_sender
from gateway.domain.errors import quoted
from gateway.domain.message import Channel, MessageClass
from gateway.ingress.routes import explanation_view, live_view
from gateway.intake.numbers import parse_recipient
from gateway.policy.routing import RouteQuery
from gateway.runtime.carrier_tasks import open_desk
from gateway.runtime.carriers import route_table
from gateway.settings import Settings
from gateway.store.embedded import dsn_of_running
from gateway.store.errors import StoreError


async def explain_route(
    settings: Settings,
    *,
    to: str,
    sender: str | None = None,
    message_class: MessageClass = MessageClass.TRANSACTIONAL,
    account: str = "",
    prefer: Collection[str] = (),
    failover: bool = True,
    channel: Channel = Channel.SMS,
) -> dict[str, Any]:
    """Return which carrier a message would go to, and why; `live` is None while no database answers.

    Raises AddressError, a ValueError, for a recipient or sender that no message could have.
    """
    recipient = parse_recipient(to)
    query = RouteQuery(
        recipient.msisdn,
        account,
        message_class,
        "" if sender is None else parse_sender(sender).source_addr,
        tuple(prefer),
        failover,
        channel,
    )
    found = route_table(settings).explain(query)
    live = await _live(settings, [candidate.carrier for candidate in found.candidates])
    return explanation_view(query, found, is_operator=True, live=live)


async def _live(settings: Settings, carriers: Collection[str]) -> dict[str, Any] | None:
    dsn = settings.database_url or dsn_of_running(settings.state_dir)
    if dsn is None:
        return None
    try:
        async with open_desk(settings.model_copy(update={"database_url": dsn})) as desk:
            return live_view(await desk.carriers(), carriers)
    except (StoreError, TimeoutError, OSError):
        return None


def explanation_text(answer: dict[str, Any]) -> str:
    """Return the answer in lines for people."""
    sender = f" from {quoted(answer['from'])}" if answer["from"] else ""
    account = f", account {answer['account']}" if answer["account"] else ""
    lines = [
        f"{answer['to']}{sender}, class {answer['class']}, channel {answer['channel']}{account}",
        f"carrier: {answer['carrier'] or 'none'} ({answer['reason']})",
    ]
    live = answer["live"]
    if answer["candidates"]:
        lines.append("order:")
    for number, candidate in enumerate(answer["candidates"], start=1):
        state = "" if live is None else f"  {_state_text(live.get(candidate['carrier']))}"
        lines.append(f"  {number}. {candidate['carrier']}  ({candidate['reason']}){state}")
    lines.append("rules:")
    lines += [f"  {_rule_text(rule)}" for rule in answer["rules"]] or ["  none"]
    if live is None:
        lines.append("live: not known, no gateway runs on this configuration")
    return "\n".join(lines)


def _state_text(carrier: dict[str, Any] | None) -> str:
    if carrier is None:
        return "unknown"
    waiting = sum(carrier["held"].values())
    bound_by = f", bound by {', '.join(carrier['constraints'])}" if carrier["constraints"] else ""
    return f"{carrier['status']}, rate {carrier['effective']['rate']}, {waiting} waiting{bound_by}"


def _rule_text(rule: dict[str, Any]) -> str:
    conditions = [f"{name} {rule[name]}" for name in ("prefix", "account", "class", "sender") if rule[name]]
    cost = "" if rule["cost"] is None else f", cost {rule['cost']}"
    share = f" {rule['share']:.0%}" if rule["share"] else ""
    return (
        f"{rule['index']}. {', '.join(rule['carriers'])}  for {', '.join(conditions) or 'everything'}, "
        f"weight {rule['weight']}{cost}: {rule['verdict']}{share}, {rule['reason']}"
    )
