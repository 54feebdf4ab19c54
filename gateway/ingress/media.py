"""`/v1/media`: files that an account gives us to send, kept for 30 days.

A file is uploaded once and named by its id in as many messages as wanted. Its type is what it says it is only if it
begins as that type does; its name is cleaned before it is kept.
"""

import asyncio
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

from fastapi import FastAPI, Request, Response

from gateway.domain.ids import format_id
from gateway.domain.instants import rfc3339
from gateway.domain.media import CONTENT_TYPES, LARGEST, MAX_OCTETS, clean_name, is_what_it_says, kind_of
from gateway.ingress.auth import READ, SEND, Gate
from gateway.ingress.exchange import BodyTooLargeError, read_body, read_headers
from gateway.ingress.hot import RETRY_AFTER
from gateway.ingress.multipart import FormFile, MultipartError, read_form_file
from gateway.ingress.openapi import AUTH_CODES, Responses, problems
from gateway.ingress.plain import admit, json_response, refuse_unknown
from gateway.ingress.problems import ProblemError
from gateway.ports.clock import Clock
from gateway.ports.media_store import MEDIA_KEPT_MS, MediaFacts, MediaStore

MEDIA_ROUTE: Final = "/v1/media"
MAX_UPLOADS: Final = 8
"""Uploads read at a time in one process: each is held in memory whole."""

_FORM_ROOM: Final = 64 * 1024
_BODY_DEADLINE_S: Final = 60.0

_EXAMPLE: dict[str, Any] = {
    "id": "med_01kaq3m7x2f0g8h9jkmnpqrstv",
    "type": "image/jpeg",
    "kind": "image",
    "name": "oferta.jpg",
    "size": 182_044,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "created_at": "2026-11-22T03:00:00.412Z",
    "expires_at": "2026-12-22T03:00:00.412Z",
}


def _answers(status: int, description: str, *codes: str) -> Responses:
    content = {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}}
    return {
        status: {"description": description, "content": content},
        **problems(*AUTH_CODES, "validation_failed", "unavailable", *codes),
    }


_UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
            },
            "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_UPLOAD_CODES: Final = (
    "bad_request",
    "media_full",
    "request_timeout",
    "body_too_large",
    "unsupported_media_type",
)


class Media:
    """The three endpoints. `max_octets` is how large the files of one account may be together."""

    def __init__(
        self,
        store: MediaStore,
        *,
        gate: Gate,
        clock: Clock,
        new_id: Callable[[int], UUID],
        max_octets: int,
    ) -> None:
        self._store = store
        self._gate = gate
        self._clock = clock
        self._new_id = new_id
        self._max_octets = max_octets
        self._uploads = 0

    def register(self, app: FastAPI) -> None:
        """Add the routes to the application itself."""
        one = MEDIA_ROUTE + "/{media_id}"
        app.add_api_route(
            MEDIA_ROUTE,
            self.upload,
            methods=["POST"],
            tags=["media"],
            summary="Keep a file to send",
            responses=_answers(201, "The file is kept.", *_UPLOAD_CODES),
            status_code=201,
            openapi_extra=_UPLOAD,
            response_class=Response,
        )
        app.add_api_route(
            one,
            self.get_media,
            methods=["GET"],
            tags=["media"],
            summary="Read what is known of a file",
            responses=_answers(200, "The file, without its octets.", "not_found"),
            response_class=Response,
        )
        app.add_api_route(
            one,
            self.delete_media,
            methods=["DELETE"],
            tags=["media"],
            summary="Delete a file",
            responses={204: {"description": "It is gone."}, **problems(*AUTH_CODES, "not_found")},
            status_code=204,
            response_class=Response,
        )

    async def upload(self, request: Request) -> Response:
        """A file as the body, its type in Content-Type and its name in `?name=`; or a form with one file."""
        account_id = (await admit(self._gate, request, SEND)).account.id
        refuse_unknown(request, {"name"})
        if self._uploads >= MAX_UPLOADS:
            detail = f"{MAX_UPLOADS} files are being uploaded already"
            raise ProblemError("backpressure", detail, headers=[RETRY_AFTER])
        self._uploads += 1
        try:
            facts = await self._keep(account_id, await _read_file(request))
        finally:
            self._uploads -= 1
        return json_response(_shown(facts), status=201, location=f"{MEDIA_ROUTE}/{facts.id}")

    async def _keep(self, account_id: str, file: FormFile) -> MediaFacts:
        content_type = checked_type(file)
        now_ms = self._clock.now_ms()
        digest = await asyncio.to_thread(sha256, file.octets)
        facts = MediaFacts(
            id=format_id("med", self._new_id(now_ms)),
            account_id=account_id,
            content_type=content_type,
            name=clean_name(file.name),
            size=len(file.octets),
            sha256=digest.hexdigest(),
            created_at=now_ms,
            expires_at=now_ms + MEDIA_KEPT_MS,
        )
        if not await self._store.add(facts, file.octets, max_octets=self._max_octets):
            detail = f"the files of the account would be larger than {self._max_octets} octets together"
            raise ProblemError("media_full", detail)
        return facts

    async def get_media(self, request: Request, media_id: str) -> Response:
        """What is known of a file; 404 for one that is not the account's, or has expired."""
        account_id = (await admit(self._gate, request, SEND, READ)).account.id
        refuse_unknown(request, set())
        facts = await self._store.find(account_id, media_id, now_ms=self._clock.now_ms())
        if facts is None:
            raise ProblemError("not_found", "there is no such file")
        return json_response(_shown(facts))

    async def delete_media(self, request: Request, media_id: str) -> Response:
        """Delete a file; messages that name it and have not gone yet will fail."""
        account_id = (await admit(self._gate, request, SEND)).account.id
        refuse_unknown(request, set())
        if not await self._store.remove(account_id, media_id):
            raise ProblemError("not_found", "there is no such file")
        return json_response(None, status=204)


def checked_type(file: FormFile) -> str:
    """Return the type of a file that is what it says it is and not too large; ProblemError otherwise."""
    content_type = file.content_type.partition(";")[0].strip().lower()
    kind = kind_of(content_type)
    if kind is None:
        said = f"the type {content_type[:64]!r} cannot be sent" if content_type else "the file has no type"
        raise ProblemError("unsupported_media_type", f"{said}; types: {', '.join(CONTENT_TYPES)}")
    if not file.octets:
        raise _invalid("the file is empty")
    limit = MAX_OCTETS[kind]
    if len(file.octets) > limit:
        detail = f"the file has {len(file.octets)} octets, the limit of the kind {kind} is {limit}"
        raise ProblemError("body_too_large", detail)
    if not is_what_it_says(content_type, file.octets):
        raise _invalid(f"the file does not begin as {content_type} does")
    return content_type


async def _read_file(request: Request) -> FormFile:
    headers = read_headers(request.scope["headers"])
    is_form = headers.content_type.partition(";")[0].strip().lower() == "multipart/form-data"
    most = LARGEST + _FORM_ROOM * is_form
    try:
        async with asyncio.timeout(_BODY_DEADLINE_S):
            body = await read_body(request.receive, content_length=headers.content_length, max_octets=most)
    except BodyTooLargeError:
        raise ProblemError("body_too_large", f"the body is above the limit of {most} octets") from None
    except TimeoutError:
        detail = f"the body did not arrive within {_BODY_DEADLINE_S:g} s"
        raise ProblemError("request_timeout", detail, headers=[(b"connection", b"close")]) from None
    name = request.query_params.get("name", "")
    if not is_form:
        return FormFile(unquote(name), headers.content_type, body)
    try:
        file = read_form_file(body, headers.content_type)
    except MultipartError as error:
        raise ProblemError("bad_request", f"the body: {error}") from None
    return file._replace(name=name) if name else file


def _invalid(detail: str) -> ProblemError:
    errors = [{"pointer": "#", "detail": detail, "code": "invalid_media"}]
    return ProblemError("validation_failed", detail, errors=errors)


def _shown(facts: MediaFacts) -> dict[str, Any]:
    return {
        "id": facts.id,
        "type": facts.content_type,
        "kind": kind_of(facts.content_type),
        "name": facts.name,
        "size": facts.size,
        "sha256": facts.sha256,
        "created_at": rfc3339(facts.created_at),
        "expires_at": rfc3339(facts.expires_at),
    }
