"""Files on their way to WhatsApp: the form that uploads one, and which ids WhatsApp knows ours by.

Used by `adapters.http.whatsapp`. A file is uploaded once and named by its id in every message after that, until shortly
before WhatsApp deletes it.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Final, NamedTuple

KEPT_MS: Final = 29 * 24 * 3_600 * 1_000
"""WhatsApp keeps what was uploaded for 30 days."""
MAX_KNOWN: Final = 10_000
_QUOTED: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class _Known(NamedTuple):
    carrier_id: str
    uploaded_ms: int
    served: bool = False


class MediaCache:
    """The carrier's ids of files; the ones used longest ago are forgotten beyond `max_known`, and uploaded again."""

    __slots__ = ("_kept_ms", "_known", "_max_known")

    def __init__(self, *, kept_ms: int = KEPT_MS, max_known: int = MAX_KNOWN) -> None:
        self._kept_ms = kept_ms
        self._max_known = max_known
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def find(self, media_id: str, *, now_ms: int) -> str | None:
        """Return the carrier's id of a file that it still has."""
        known = self._known.get(media_id)
        if known is None:
            return None
        if now_ms - known.uploaded_ms >= self._kept_ms:
            del self._known[media_id]
            return None
        self._known.move_to_end(media_id)
        return known.carrier_id

    def serve(self, media_id: str) -> None:
        """Take note that a message with the file was taken: the file itself is in order."""
        known = self._known.get(media_id)
        if known is not None and not known.served:
            self._known[media_id] = known._replace(served=True)

    def has_served(self, media_id: str) -> bool:
        """Return True when a message with the file was taken before."""
        known = self._known.get(media_id)
        return known is not None and known.served

    def put(self, media_id: str, carrier_id: str, *, now_ms: int) -> None:
        """Remember the carrier's id of a file."""
        self._known[media_id] = _Known(carrier_id, now_ms)
        self._known.move_to_end(media_id)
        if len(self._known) > self._max_known:
            self._known.popitem(last=False)

    def forget(self, media_id: str) -> None:
        """Let the file be uploaded again when it is wanted next."""
        self._known.pop(media_id, None)


def upload_form(*, content_type: str, name: str, octets: bytes) -> tuple[str, bytes]:
    """Return (Content-Type, body) of the form that uploads a file (RFC 7578)."""
    # Drawn from the file itself: what it does not contain, and the same for the same file.
    boundary = "caudal" + blake2b(octets, digest_size=16).hexdigest()
    file_name = (name or "file").translate(_QUOTED)
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in (("messaging_product", "whatsapp"), ("type", content_type))
    )
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    body = b"".join((head.encode(), octets, f"\r\n--{boundary}--\r\n".encode()))
    return f"multipart/form-data; boundary={boundary}", body
