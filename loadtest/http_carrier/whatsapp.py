"""The WhatsApp Cloud API as far as messages, media and webhooks go: `POST /v{N}.0/{phone_number_id}/messages` and `/media`.

Free messages need an open window of 24 hours, which a person's message opens; templates must be approved in their
language. Statuses and messages of people are told by callback, signed with `X-Hub-Signature-256` over the raw body.
Refusals come in the answer, or for the codes of `late_errors` as a `failed` status after a 200, as the real one often does.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from loadtest.http_carrier.exchange import Desk, Message, Notice, Reply, Request, Status, Verdict
from loadtest.http_carrier.media import MAX_UPLOAD_OCTETS, MEDIA_KINDS, MediaStore, parse_form
from loadtest.http_carrier.orders import Orders
from loadtest.http_carrier.settings import HttpCarrierSettings
from loadtest.http_carrier.whatsapp_checks import Outgoing, Templates, content, recipient
from loadtest.http_carrier.whatsapp_errors import ERRORS, RefusedError, error_reply, status_error
from loadtest.http_carrier.whatsapp_limits import PairLimit, UniqueRecipients, Windows

MAX_BODY_OCTETS: Final = 1 << 20
FAILED_BY_DEFAULT: Final = 131026
_PATH: Final = re.compile(r"/v\d{1,3}\.0/(\d{1,20})(?:/(messages|media))?")
_FILE_PATH: Final = re.compile(r"/media-files/(\d{1,20})")
_WORDS: Final = {"throttled": "130429", "refused": "131026", "system_error": "131000"}
_HTTP_CODES: Final = {401: 190, 403: 10, 429: 4, 503: 2}
_REPLY_KEYS: Final = frozenset(
    (
        "id",
        "from",
        "to",
        "name",
        "text",
        "context_id",
        "type",
        "mime_type",
        "base64",
        "caption",
        "filename",
        "payload",
    )
)


class WhatsApp:
    """The kind `whatsapp`."""

    def __init__(self, desk: Desk, orders: Orders, *, settings: HttpCarrierSettings) -> None:
        account = settings.whatsapp
        self._desk = desk
        self._orders = orders
        self._authorization = f"Bearer {settings.token}"
        self._secret = settings.secret.encode()
        self._account_id = account.account_id
        self._numbers = dict(account.phone_number_ids)
        self._late_errors = frozenset(account.late_errors)
        self._writes_old_ids = account.writes_old_mexican_ids
        self._templates = Templates(tuple(account.templates))
        self._pairs = None
        if account.pair_gap_s is not None:
            self._pairs = PairLimit(gap_s=account.pair_gap_s, burst=account.pair_burst)
        self._unique = None
        if account.max_unique_recipients is not None:
            self._unique = UniqueRecipients(account.max_unique_recipients)
        self.windows = Windows(window_s=account.window_s)
        self.media = MediaStore(max_octets=account.media_octets)
        self._decode = msgspec.json.Decoder(Outgoing).decode
        self._encode = msgspec.json.Encoder().encode
        self._reply_count = 0

    def max_body(self, path: str) -> int:
        """Return the most octets that a request may have: uploads are long."""
        return MAX_UPLOAD_OCTETS if path.endswith("/media") else MAX_BODY_OCTETS

    def codes(self, word: str) -> str:
        """Return the code of an error. Raises ValueError."""
        if not word.isdigit() or int(word) not in ERRORS:
            raise ValueError(
                f"error {word!r} is neither one of {', '.join(map(str, ERRORS))} nor an HTTP status 400..599"
            )
        return word

    def statuses(self, fate: str) -> tuple[Status, ...]:
        """Return the statuses of a message, in their order."""
        if fate == "undeliverable":
            return (Status("failed", self._orders.fail_code or FAILED_BY_DEFAULT),)
        if fate.startswith("failed:"):
            return (Status("failed", int(fate[7:])),)
        return _STATUSES[fate]

    def failed(self, request: Request, http_status: int) -> Reply:  # noqa: ARG002  # the same for all
        """Answer with a failure of the whole request, as the Graph API says it."""
        reply = error_reply(_HTTP_CODES.get(http_status, 1 if http_status >= 500 else 100))
        headers = reply.headers
        if http_status == 429 and self._orders.retry_after_s:
            headers += b"Retry-After: %d\r\n" % self._orders.retry_after_s
        return reply._replace(status=http_status, headers=headers)

    # -- requests ----------------------------------------------------------------------------------

    def requested(self, request: Request) -> Reply:
        """Answer one request."""
        try:
            if request.headers.get("authorization", "") != self._authorization:
                raise RefusedError(190, "the access token could not be decrypted")
            found = _PATH.fullmatch(request.path)
            if found is not None:
                node, edge = found[1], found[2]
                if edge is None:
                    return self._node(request, node)
                if node not in self._numbers:
                    raise RefusedError(33, f"object {node} does not exist")
                if request.method != "POST":
                    raise RefusedError(100, f"unsupported {request.method} request")
                return self._submit(request, node) if edge == "messages" else self._upload(request)
            return self._file(request)
        except RefusedError as refusal:
            return error_reply(refusal.code, refusal.details)

    def _submit(self, request: Request, phone_number_id: str) -> Reply:
        try:
            outgoing = self._decode(request.body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return error_reply(100, str(error))
        if outgoing.status == "read":
            return Reply(200, b'{"success":true}')
        to, text, verdict = outgoing.to, b"", Verdict()
        try:
            to = recipient(outgoing)
            text = content(outgoing, self._templates, has_media=self.media.can_send).encode(
                "utf-8", "replace"
            )
            code, details, verdict = self._decide(outgoing, phone_number_id, to, request.arrival_ns)
        except RefusedError as refusal:
            code, details = refusal.code, refusal.details
        message = Message(to, phone_number_id, outgoing.biz_opaque_callback_data, text, outgoing.type[:20])
        if code in self._late_errors:
            code, verdict = 0, Verdict(fate=f"failed:{code}")
        http_status = ERRORS.get(code, (400, ""))[0] if code else 200
        number = self._desk.take(
            request, message, code=str(code) if code else "", verdict=verdict, http_status=http_status
        )
        numbers = range(number, number + 1)
        if code:
            reply = error_reply(code, details)
            if code == 130429 and self._orders.throttle_as == "429":
                reply = reply._replace(status=429)
            return reply._replace(numbers=numbers)
        body = {
            "messaging_product": "whatsapp",
            "contacts": [{"input": outgoing.to, "wa_id": self._wa_id(to)}],
            "messages": [{"id": self._desk.message_id(number), "message_status": "accepted"}],
        }
        return Reply(
            200,
            self._encode(body),
            numbers=numbers,
            is_answered=verdict.is_answered,
            awaits_receipt=verdict.is_receipt_first,
        )

    def _decide(
        self, outgoing: Outgoing, phone_number_id: str, to: str, now_ns: int
    ) -> tuple[int, str, Verdict]:
        """Return the code of a well-formed message (0: taken), its details, and what becomes of it."""
        orders = self._orders
        if not orders.takes(phone_number_id, now_ns):
            return 130429, "Cloud API message throughput has been reached", Verdict()
        if self._pairs is not None and not self._pairs.takes(f"{phone_number_id} {to}", now_ns):
            return 131056, "too many messages from this number to the same recipient", Verdict()
        is_open = orders.windows == "open" or self.windows.is_open(phone_number_id, to, now_ns)
        if not is_open and outgoing.type != "template":
            return 131047, "more than 24 hours have passed since the recipient last replied", Verdict()
        if not is_open and self._unique is not None and not self._unique.takes(to, now_ns):
            return 131048, "the messaging limit of the portfolio is reached", Verdict()
        verdict = self._desk.judge(to)
        word = _WORDS.get(verdict.refusal, verdict.refusal)
        return (int(word), "", verdict) if word else (0, "", verdict)

    def _upload(self, request: Request) -> Reply:
        parts = {
            part.name: part for part in parse_form(request.headers.get("content-type", ""), request.body)
        }
        product = parts.get("messaging_product")
        if product is None or product.octets.strip() != b"whatsapp":
            raise RefusedError(100, "messaging_product is not whatsapp")
        file = parts.get("file")
        if file is None or not file.filename:
            raise RefusedError(100, "file is missing, or has no name")
        given = parts.get("type")
        content_type = given.octets.decode("latin-1").strip() if given is not None else file.content_type
        return Reply(200, self._encode({"id": self.media.put(content_type, file.filename, file.octets)}))

    def _node(self, request: Request, node: str) -> Reply:
        """Answer about a number or a file by its id."""
        number = self._numbers.get(node)
        if number is not None and request.method == "GET":
            told = {
                "verified_name": "Simulator",
                "display_phone_number": number,
                "quality_rating": "GREEN",
                "id": node,
            }
            return Reply(200, self._encode(told | {"throughput": {"level": "STANDARD"}}))
        media = self.media.get(node)
        if media is None:
            raise RefusedError(100, f"object {node} does not exist")
        if request.method == "DELETE":
            return Reply(200, self._encode({"success": self.media.forget(node)}))
        if request.method != "GET":
            raise RefusedError(100, f"unsupported {request.method} request")
        told = {
            "messaging_product": "whatsapp",
            "url": f"http://{request.headers.get('host', '')}/media-files/{node}",
            "mime_type": media.content_type,
            "sha256": media.sha256,
            "id": node,
        }
        return Reply(200, self._encode(told | {"file_size": len(media.octets)}))

    def _file(self, request: Request) -> Reply:
        found = _FILE_PATH.fullmatch(request.path)
        media = None if found is None else self.media.get(found[1])
        if media is None or request.method != "GET":
            raise RefusedError(100, "object does not exist")
        return Reply(200, media.octets, b"Content-Type: %b\r\n" % media.content_type.encode())

    # -- callbacks ---------------------------------------------------------------------------------

    def callback(self, notices: list[Notice], *, unix_ns: int) -> tuple[bytes, bytes]:
        """Return headers and body of a signed call; each number has its changes, statuses and messages apart."""
        raw = notices[0].raw
        if raw is not None:
            body = raw
        else:
            told: dict[tuple[str, str], list[Any]] = {}
            contacts: dict[str, list[Any]] = {}
            for notice in notices:
                if notice.reply is None:
                    status = self._status(notice, unix_ns)
                    told.setdefault((notice.source, "statuses"), []).append(status)
                else:
                    message = {"timestamp": str(unix_ns // 1_000_000_000)} | dict(notice.reply)
                    name = message.pop("profile_name")
                    contact = {"profile": {"name": name}, "wa_id": message["from"]}
                    contacts.setdefault(notice.destination, []).append(contact)
                    told.setdefault((notice.destination, "messages"), []).append(message)
            changes = [
                {
                    "value": {
                        "messaging_product": "whatsapp",
                        "metadata": {
                            "display_phone_number": self._numbers.get(phone_number_id, ""),
                            "phone_number_id": phone_number_id,
                        },
                        **({"contacts": contacts[phone_number_id]} if what == "messages" else {}),
                        what: entries,
                    },
                    "field": "messages",
                }
                for (phone_number_id, what), entries in told.items()
            ]
            entry = {"id": self._account_id, "changes": changes}
            body = self._encode({"object": "whatsapp_business_account", "entry": [entry]})
        signature = hmac.digest(self._secret, body, "sha256").hex().encode()
        return b"Content-Type: application/json\r\nX-Hub-Signature-256: sha256=%b\r\n" % signature, body

    def _status(self, notice: Notice, unix_ns: int) -> dict[str, Any]:
        status: dict[str, Any] = {
            "id": self._desk.message_id(notice.number),
            "status": notice.state,
            "timestamp": str(unix_ns // 1_000_000_000),
            "recipient_id": self._wa_id(notice.destination),
        }
        if notice.ref:
            status["biz_opaque_callback_data"] = notice.ref
        if notice.state == "failed":
            status["errors"] = [status_error(notice.error)]
        elif notice.state == "sent":
            status["pricing"] = {
                "billable": True,
                "pricing_model": "PMP",
                "category": "utility",
                "type": "regular",
            }
        return status

    def reply(self, wish: Mapping[str, Any]) -> Notice:
        """Return the notice of a person's message, and open the window.

        `{"from", "text"}`, or `{"from", "type": "image", "mime_type", "base64", "caption"}`; `to` is a phone number id.
        """
        unknown = sorted(set(map(str, wish)) - _REPLY_KEYS)
        if unknown or "from" not in wish:
            raise ValueError(
                f"a reply has from and any of {', '.join(sorted(_REPLY_KEYS))}; not {', '.join(unknown)}"
            )
        phone_number_id = str(wish.get("to", next(iter(self._numbers))))
        if phone_number_id not in self._numbers:
            raise ValueError(f"to {phone_number_id!r} is no phone number id: {', '.join(self._numbers)}")
        person = str(wish["from"]).lstrip("+")
        self._reply_count += 1
        kind = str(wish.get("type", "text"))
        message: dict[str, Any] = {
            "from": self._wa_id(person),
            "id": str(wish.get("id", f"wamid.REPLY{self._desk.unix_ns():x}{self._reply_count:x}")),
            "type": kind,
            "profile_name": str(wish.get("name", "Simulated person")),
        }
        if "context_id" in wish:
            message["context"] = {"from": self._numbers[phone_number_id], "id": str(wish["context_id"])}
        if kind == "text":
            message["text"] = {"body": str(wish.get("text", ""))}
        elif kind == "button":
            message["button"] = {"text": str(wish.get("text", "")), "payload": str(wish.get("payload", ""))}
        elif kind in MEDIA_KINDS:
            message[kind] = self._received(wish)
        else:
            raise ValueError(f"type {kind!r} is not one of text, button, {', '.join(MEDIA_KINDS)}")
        self.windows.open(phone_number_id, person, self._desk.clock())
        return Notice(-1, "REPLY", phone_number_id, person, reply=message)

    def _received(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a file that a person sent; return how the message tells of it."""
        try:
            octets = base64.b64decode(str(wish.get("base64", "")), validate=True)
            media_id = self.media.put(str(wish.get("mime_type", "")), str(wish.get("filename", "")), octets)
        except binascii.Error as error:
            raise ValueError(f"base64 cannot be decoded: {error}") from None
        except RefusedError as refusal:
            raise ValueError(refusal.details) from None
        media = self.media.get(media_id)
        assert media is not None
        told = {"id": media_id, "mime_type": media.content_type, "sha256": media.sha256}
        for name in ("caption", "filename"):
            if name in wish:
                told[name] = str(wish[name])
        return told

    def _wa_id(self, digits: str) -> str:
        """Return the WhatsApp id of a number; Mexican ones may still have the 1 of old."""
        if self._writes_old_ids and len(digits) == 12 and digits.startswith("52"):
            return f"521{digits[2:]}"
        return digits


_STATUSES: Final[dict[str, tuple[Status, ...]]] = {
    "delivered": (Status("sent"), Status("delivered")),
    "read": (Status("sent"), Status("delivered"), Status("read")),
    "expired": (Status("sent"), Status("failed", FAILED_BY_DEFAULT)),
    "sent": (Status("sent"),),
    "silent": (),
}
