"""Opaque page cursors: signed, bound to the account and the list, with the filters inside (http-api section 1)."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any

import msgspec

_SIGNATURE_OCTETS = 16
_MAX_TEXT = 2_048


class CursorError(ValueError):
    """The text is no cursor of this account and list."""


class Cursors:
    """Signs and reads cursors. `secret` must be the same in every process that serves the API."""

    def __init__(self, secret: bytes) -> None:
        # A key of its own, so that a signature here can never serve elsewhere.
        self._key = hmac.digest(secret, b"caudal.cursor.v1", "sha256")

    def write(self, kind: str, account_id: str, payload: dict[str, Any]) -> str:
        """Return the cursor of a place in a list."""
        octets = msgspec.json.encode(payload)
        return urlsafe_b64encode(self._sign(kind, account_id, octets) + octets).decode().rstrip("=")

    def read(self, kind: str, account_id: str, text: str) -> dict[str, Any]:
        """Return what `write` was given; CursorError for anything else."""
        if len(text) > _MAX_TEXT or not text.isascii():
            raise CursorError("not a cursor")
        try:
            octets = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raise CursorError("not a cursor") from None
        signature, octets = octets[:_SIGNATURE_OCTETS], octets[_SIGNATURE_OCTETS:]
        if not hmac.compare_digest(signature, self._sign(kind, account_id, octets)):
            raise CursorError("not a cursor of this list")
        payload: dict[str, Any] = msgspec.json.decode(octets)
        return payload

    def _sign(self, kind: str, account_id: str, octets: bytes) -> bytes:
        # The lengths keep (kind, account) pairs apart whatever characters they hold.
        head = f"{len(kind)}:{kind}{len(account_id)}:{account_id}".encode()
        return hmac.new(self._key, head + octets, sha256).digest()[:_SIGNATURE_OCTETS]
