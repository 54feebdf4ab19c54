"""Files that were uploaded to the simulated Cloud API: checked for type and size, kept within a total of octets."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from loadtest.http_carrier.whatsapp_errors import RefusedError

_MIB: Final = 1 << 20
MAX_UPLOAD_OCTETS: Final = 101 * _MIB

MEDIA_KINDS: Final[Mapping[str, tuple[int, tuple[str, ...]]]] = {
    "image": (5 * _MIB, ("image/jpeg", "image/png")),
    "video": (16 * _MIB, ("video/mp4", "video/3gpp")),
    "audio": (16 * _MIB, ("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg")),
    "sticker": (500 * 1_024, ("image/webp",)),
    "document": (
        100 * _MIB,
        (
            "text/plain",
            "application/pdf",
            "application/msword",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ),
    ),
}
"""Octets and types of each kind; a document may be of any of the types."""

_KIND_BY_TYPE: Final = {name: kind for kind, (_, names) in MEDIA_KINDS.items() for name in names}


@dataclass(frozen=True, slots=True)
class Media:
    """One file."""

    content_type: str
    name: str
    octets: bytes
    sha256: str


class MediaStore:
    """Files by id; when there are too many octets the oldest go."""

    def __init__(self, *, max_octets: int) -> None:
        self._max_octets = max_octets
        self._octets = 0
        self._count = 0
        self._files: dict[str, Media] = {}

    def put(self, content_type: str, name: str, octets: bytes) -> str:
        """Keep a file and return its id. Raises RefusedError (100, 131053) for types and sizes that are not taken."""
        content_type = content_type.partition(";")[0].strip().lower()
        kind = _KIND_BY_TYPE.get(content_type)
        if kind is None:
            raise RefusedError(
                100, f"file of type {content_type[:80]} is not one of {', '.join(_KIND_BY_TYPE)}"
            )
        limit = MEDIA_KINDS[kind][0]
        if not 0 < len(octets) <= limit:
            raise RefusedError(
                131053, f"{content_type} has {len(octets)} octets, the limits are 1 and {limit}"
            )
        self._count += 1
        media_id = str(1_000_000_000_000_000 + self._count)
        self._files[media_id] = Media(content_type, name, octets, sha256(octets).hexdigest())
        self._octets += len(octets)
        while self._octets > self._max_octets and len(self._files) > 1:
            self.forget(next(iter(self._files)))
        return media_id

    def get(self, media_id: str) -> Media | None:
        """Return a file, None when it is not there."""
        return self._files.get(media_id)

    def forget(self, media_id: str) -> bool:
        """Delete a file; False when it is not there."""
        media = self._files.pop(media_id, None)
        if media is not None:
            self._octets -= len(media.octets)
        return media is not None

    def can_send(self, media_id: str, kind: str) -> bool:
        """Tell whether a file is there and may be sent as this kind."""
        media = self._files.get(media_id)
        if media is None:
            return False
        return kind == "document" or _KIND_BY_TYPE[media.content_type] == kind


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form."""

    name: str
    filename: str
    content_type: str
    octets: bytes


def parse_form(content_type: str, body: bytes) -> list[Part]:
    """Return the parts of a multipart/form-data body (RFC 7578). Raises RefusedError (100)."""
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    boundary = next((one[9:].strip('"') for one in parameters if one.lower().startswith("boundary=")), "")
    if kind.lower() != "multipart/form-data" or not boundary:
        raise RefusedError(100, "the upload is not multipart/form-data")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise RefusedError(100, "the form has no end")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, gap, octets = piece.partition(b"\r\n\r\n")
    if not gap:
        raise RefusedError(100, "a part of the form has no headers")
    headers = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    disposition = headers.get("content-disposition", "")
    found = {}
    for parameter in disposition.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        found[name.lower()] = value.strip('"')
    return Part(
        found.get("name", ""),
        found.get("filename", ""),
        headers.get("content-type", "text/plain"),
        octets,
    )
