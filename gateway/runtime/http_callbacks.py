"""From the settings of an HTTP carrier's callbacks to the map that its calls are read by.

Used by `gateway.runtime.wiring.callbacks` for the endpoint, and by `gateway.runtime.carriers` to check a configuration.
"""

import ipaddress

from adapters.http.callbacks import CallbackMap, ReceiptMap, ReplyMap, When
from adapters.http.pointers import Pointer, parse_pointer
from adapters.http.signatures import BasicCheck, Check, HmacCheck, Network, SourceCheck, TokenCheck
from gateway.ports.callbacks import CallbackAnswer
from gateway.settings import (
    CallbackAuthSettings,
    CallbackReceiptSettings,
    CallbackReplySettings,
    CallbackSettings,
    CallbackWhenSettings,
    SettingsError,
)

_MEDIA = ("type", "id", "link", "name")


def callback_faults(carrier: str, settings: CallbackSettings) -> list[tuple[tuple[str, ...], str]]:
    """Return (keys below `callbacks`, what is wrong with them) of what only building the map can tell."""
    try:
        callback_map(carrier, settings, channel="")
    except SettingsError as error:
        return [(("auth",), str(error))]
    return []


def callback_map(carrier: str, settings: CallbackSettings, *, channel: str) -> CallbackMap:
    """Return the map that the calls of one carrier are read by; SettingsError when a secret cannot be had."""
    return CallbackMap(
        carrier=carrier,
        checks=_checks(settings.auth),
        receipt=None if settings.receipt is None else _receipt_map(settings.receipt),
        reply=None if settings.reply is None else _reply_map(settings.reply),
        ignored=tuple(_when(one) for one in settings.ignore),
        channel=channel,
        format=settings.format,
        charset=settings.charset,
        max_items=settings.max_items,
        answer=CallbackAnswer(
            settings.answer_status, settings.answer_body.encode("utf-8", "replace"), settings.answer_type
        ),
        refuses_unreadable=settings.unreadable == "refuse",
    )


def _checks(auth: CallbackAuthSettings) -> tuple[Check, ...]:
    checks: list[Check] = []
    if auth.networks:
        checks.append(SourceCheck(_networks(auth.networks), _networks(auth.proxies)))
    if auth.basic is not None:
        checks.append(BasicCheck(auth.basic.username, auth.basic.resolved_secrets()))
    if (token := auth.token) is not None:
        checks.append(
            TokenCheck(token.resolved_secrets(), token.header.lower(), token.query, prefix=token.prefix)
        )
    if (signature := auth.hmac) is not None:
        checks.append(
            HmacCheck(
                signature.header.lower(),
                signature.resolved_secrets(),
                algorithm=signature.algorithm,
                encoding=signature.encoding,
                prefix=signature.prefix,
                signed=signature.signed,
                timestamp_header=signature.timestamp_header.lower(),
                tolerance_ms=signature.tolerance_s * 1000,
            )
        )
    return tuple(checks)


def _receipt_map(receipt: CallbackReceiptSettings) -> ReceiptMap:
    return ReceiptMap(
        id=parse_pointer(receipt.id),
        state=parse_pointer(receipt.state),
        states={word.casefold(): state for word, state in receipt.states.items()},
        items=_places(receipt.items),
        when=None if receipt.when is None else _when(receipt.when),
        error=_pointer(receipt.error),
        time=_pointer(receipt.time),
    )


def _reply_map(reply: CallbackReplySettings) -> ReplyMap:
    media = {name: getattr(reply, f"media_{name}") for name in _MEDIA}
    return ReplyMap(
        sender=parse_pointer(reply.sender),
        items=_places(reply.items),
        when=None if reply.when is None else _when(reply.when),
        id=_pointer(reply.id),
        recipient=_pointer(reply.recipient),
        number=reply.number,
        text=_pointer(reply.text),
        time=_pointer(reply.time),
        media={name: parse_pointer(text) for name, text in media.items() if text},
    )


def _when(when: CallbackWhenSettings) -> When:
    return When(_pointer(when.field), when.query, frozenset(value.casefold() for value in when.equals))


def _places(items: str | tuple[str, ...]) -> tuple[Pointer, ...]:
    return tuple(parse_pointer(text) for text in ((items,) if isinstance(items, str) else items))


def _pointer(text: str) -> Pointer | None:
    return parse_pointer(text) if text else None


def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)
