"""The WhatsApp Cloud API as a dialect: what a number may send now, how it is said, and what the answers mean.

`adapters.http.link` asks it for every message; `gateway.runtime.carriers` makes one for each shard. No I/O, no clock. The
words are in `whatsapp_words`, the codes in `whatsapp_errors`.

Before a message leaves, what is certain to be refused is refused here: a free text to somebody who did not write within
24 h (where that is enforced), a message too many to one person, one person too many in a day, a template that was never
approved. The statuses of these refusals are the carrier's own, so that one schedule serves both.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import msgspec

from adapters.http import whatsapp_errors as errors
from adapters.http.dialect import HttpRequest, HttpResponse
from adapters.http.whatsapp_media import MediaCache, upload_form
from adapters.http.whatsapp_words import message_body, own_reference
from gateway.domain.message import ContentKind, Message, OutboundSegment
from gateway.domain.outcomes import Ambiguous, Refusal, Refused, SubmitOutcome, Submitted
from gateway.domain.templates import Templates
from throttling.pairs import PairLimiter
from throttling.reach import ReachLimiter
from throttling.windows import ServiceWindows

OURS: Final = ""
"""The bind of refusals of our own: the link puts in its own name."""

MAX_ID: Final = 512
_MAX_COUNTED: Final = 20_000
_MAX_RETRY_AFTER_S: Final = 3_600
_MEDIA_CODES: Final = frozenset({100, 131009, 131052, 131053})

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class WhatsAppProfile:
    """One number. `messages_url` and `media_url` are those of its phone_number_id; times in milliseconds."""

    carrier: str
    messages_url: str
    media_url: str
    access_token: str = field(repr=False)
    templates: Templates = field(default_factory=Templates)
    preview_links: bool = False
    pair_interval_ms: int = 6_000
    pair_burst: int = 10
    reach_limit: int | None = None
    enforces_window: bool = False


class WhatsAppDialect:
    """Implements `adapters.http.dialect.HttpDialect` for one shard of one number.

    `windows` and `reach` are fed from outside with what happened before this process began; both may be left out.
    """

    def __init__(
        self,
        profile: WhatsAppProfile,
        *,
        windows: ServiceWindows | None = None,
        reach: ReachLimiter | None = None,
    ) -> None:
        self._profile = profile
        self._windows = windows if profile.enforces_window else None
        self._reach = reach
        self._pairs = PairLimiter(interval_ms=profile.pair_interval_ms, burst=profile.pair_burst)
        self._media = MediaCache()
        # A message that comes again, because nothing was sent, has its place with its person already.
        self._counted: OrderedDict[UUID, None] = OrderedDict()
        self._headers: Mapping[str, str] = {
            "authorization": f"Bearer {profile.access_token}",
            "content-type": "application/json",
        }

    @property
    def bulk_limit(self) -> int:
        """One: the API takes messages singly."""
        return 1

    # --- before it leaves -------------------------------------------------------------------------------------

    def refuses(self, segment: OutboundSegment, *, now_ms: int) -> SubmitOutcome | None:
        """Return the outcome of a message that must not be sent now."""
        message = segment.message
        rich = message.rich
        is_template = rich is not None and rich.kind is ContentKind.TEMPLATE
        if rich is not None and is_template:
            mismatch = self._profile.templates.mismatch(rich)
            if mismatch is not None:
                is_unknown = mismatch.field in ("name", "language")
                status = errors.TEMPLATE_UNKNOWN if is_unknown else errors.PARAMS_WRONG
                return Refused(status, OURS, Refusal.PERMANENT)
        elif self._is_window_shut(message, now_ms=now_ms):
            return Refused(errors.WINDOW_SHUT, OURS, Refusal.PERMANENT)
        if message.id in self._counted:
            return None
        if self._reach is not None and is_template and self._reach.take(message.recipient, now_ms=now_ms):
            return Refused(errors.REACH_LIMIT, OURS, Refusal.RETRY_LATER, try_other_route=True)
        if self._pairs.take(message.recipient, now_ms=now_ms):
            return Refused(errors.PAIR_LIMIT, OURS, Refusal.RETRY_LATER, try_other_route=True)
        self._count(message.id)
        return None

    def _is_window_shut(self, message: Message, *, now_ms: int) -> bool:
        windows = self._windows
        asked_ms = max(message.accepted_at, message.send_at or 0)
        return windows is not None and windows.is_shut(message.recipient, asked_ms=asked_ms, now_ms=now_ms)

    def _count(self, message_id: UUID) -> None:
        self._counted[message_id] = None
        if len(self._counted) > _MAX_COUNTED:
            self._counted.popitem(last=False)

    # --- files ------------------------------------------------------------------------------------------------

    def upload(self, segment: OutboundSegment, *, now_ms: int) -> str | None:
        """Return the file of ours that has to be uploaded before the message can go."""
        rich = segment.message.rich
        if rich is None or not rich.media_id:
            return None
        return rich.media_id if self._media.find(rich.media_id, now_ms=now_ms) is None else None

    def upload_request(self, media_id: str, *, content_type: str, name: str, octets: bytes) -> HttpRequest:
        """Return the request that uploads a file."""
        del media_id
        form_type, body = upload_form(content_type=content_type, name=name, octets=octets)
        return HttpRequest(
            "POST", self._profile.media_url, {**self._headers, "content-type": form_type}, body
        )

    def uploaded(self, media_id: str, response: HttpResponse, *, now_ms: int) -> SubmitOutcome | None:
        """Remember the id of an uploaded file, or return the outcome of the messages that wait for it."""
        tree = _tree(response.body)
        if 200 <= response.status < 300:
            carrier_id = tree.get("id")
            if isinstance(carrier_id, str | int) and carrier_id:
                self._media.put(media_id, str(carrier_id), now_ms=now_ms)
                return None
            # The message itself was not sent: trying again cannot double anything.
            return Refused("upload_without_id", OURS, Refusal.RETRY_LATER, try_other_route=True)
        outcome = _judged(response, tree, bind=OURS)
        if isinstance(outcome, Ambiguous):
            return Refused(outcome.reason, OURS, Refusal.RETRY_LATER, try_other_route=True)
        return outcome

    # --- messages ---------------------------------------------------------------------------------------------

    def request(self, segments: Sequence[OutboundSegment], *, now_ms: int) -> HttpRequest:
        """Return the request that submits one message."""
        profile = self._profile
        (segment,) = segments
        body = message_body(
            segment.message,
            templates=profile.templates,
            preview_links=profile.preview_links,
            media_id=lambda media_id: self._media.find(media_id, now_ms=now_ms),
        )
        return HttpRequest("POST", profile.messages_url, self._headers, _encode(body))

    def outcomes(
        self, response: HttpResponse, segments: Sequence[OutboundSegment], *, bind: str, response_ms: int
    ) -> list[SubmitOutcome]:
        """Return the outcome of the one message; whatever was written, there is one."""
        outcome = self._outcome(response, segments[0].message, bind=bind, response_ms=response_ms)
        if isinstance(outcome, Refused):
            # Tried again later, it is to stand in line again.
            self._counted.pop(segments[0].message.id, None)
        return [outcome] * len(segments)

    def _outcome(
        self, response: HttpResponse, message: Message, *, bind: str, response_ms: int
    ) -> SubmitOutcome:
        tree = _tree(response.body)
        if 200 <= response.status < 300 and "error" not in tree:
            wamid = _wamid(tree)
            if wamid:
                if message.rich is not None and message.rich.media_id:
                    self._media.serve(message.rich.media_id)
                return Submitted(wamid, bind, 0, response_ms)
            # WhatsApp always names an id: this may be somebody else's page.
            return Ambiguous("answer_without_id", bind)
        outcome = _judged(response, tree, bind=bind)
        media_id = message.rich.media_id if message.rich is not None else ""
        if media_id and _code(tree)[0] in _MEDIA_CODES and isinstance(outcome, Refused):
            return self._without_media(media_id, outcome)
        return outcome

    def _without_media(self, media_id: str, outcome: Refused) -> Refused:
        """Let the file be uploaded anew; where its id served before, it may have expired, and the message comes again."""
        served = self._media.has_served(media_id)
        self._media.forget(media_id)
        return (
            Refused(outcome.status, outcome.bind, Refusal.RETRY_LATER, try_other_route=True)
            if served
            else outcome
        )

    def normalise_id(self, carrier_message_id: str) -> str:
        """Return the id as it is: statuses repeat it exactly."""
        return carrier_message_id

    def reference(self, segment: OutboundSegment) -> str:
        """Return what statuses name the message by when its answer was lost."""
        return own_reference(segment.message)

    # --- for people -------------------------------------------------------------------------------------------

    def shown(self, request: HttpRequest) -> dict[str, object]:
        """Return a request without its secrets, numbers masked."""
        headers = {
            name: "Bearer ***" if name == "authorization" else value
            for name, value in request.headers.items()
        }
        body: object = f"<{len(request.body)} octets>"
        if request.headers.get("content-type") == "application/json":
            tree = _tree(request.body)
            if isinstance(tree.get("to"), str):
                tree["to"] = _masked(tree["to"])
            body = tree
        return {"method": request.method, "url": request.url, "headers": headers, "body": body}


def _judged(response: HttpResponse, tree: dict[str, Any], *, bind: str) -> SubmitOutcome:
    """Return the outcome of an answer that is no success."""
    code, subcode = _code(tree)
    rule = None if code is None else errors.rule_of(code, subcode=subcode)
    if rule is not None:
        reaction = rule.reaction
    elif code is None and response.status >= 500 and response.status != 503:
        # From something in between: whether the API took the message, nobody knows.
        return Ambiguous(f"HTTP_{response.status}", bind)
    else:
        reaction = errors.reaction_to_http(response.status)
    status = f"HTTP_{response.status}" if code is None else errors.status_name(code)
    return errors.outcome_of(reaction, status, bind=bind, retry_after_ms=_retry_after_ms(response))


def _tree(body: bytes) -> dict[str, Any]:
    try:
        tree = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _wamid(tree: dict[str, Any]) -> str:
    messages = tree.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    wamid = first.get("id") if isinstance(first, dict) else None
    return wamid[:MAX_ID] if isinstance(wamid, str) else ""


def _code(tree: dict[str, Any]) -> tuple[int | None, int | None]:
    error = tree.get("error")
    if not isinstance(error, dict):
        return None, None
    code, subcode = error.get("code"), error.get("error_subcode")
    return (
        code if isinstance(code, int) and not isinstance(code, bool) else None,
        subcode if isinstance(subcode, int) else None,
    )


def _retry_after_ms(response: HttpResponse) -> int | None:
    text = response.headers.get("retry-after", "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        return None
    return min(int(text), _MAX_RETRY_AFTER_S) * 1000


def _masked(number: str) -> str:
    return "•" * max(0, len(number) - 2) + number[-2:]
