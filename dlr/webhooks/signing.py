"""Signatures after the conventions of Standard Webhooks: HMAC-SHA256 of `id.timestamp.body`, one for each secret.

Pure: the caller brings the randomness and the time. Used by `dlr.webhooks.client`, and by whoever makes endpoints.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"
MIN_KEY_OCTETS: Final = 24
MAX_KEY_OCTETS: Final = 64
NEW_KEY_OCTETS: Final = 32


class SecretError(ValueError):
    """A text that is no secret. The text of the error says what is wrong and never shows the secret."""


def make_secret(key: bytes) -> str:
    """Return the secret of a random key of 24 to 64 octets; SecretError for another length."""
    _check(key)
    return PREFIX + base64.b64encode(key).decode()


def key_of(secret: str) -> bytes:
    """Return the key in a secret; SecretError."""
    if not secret.startswith(PREFIX):
        raise SecretError(f"a secret starts with {PREFIX}")
    try:
        key = base64.b64decode(secret[len(PREFIX) :], validate=True)
    except (binascii.Error, ValueError):
        raise SecretError(f"a secret is {PREFIX} and base64") from None
    _check(key)
    return key


def sign(keys: Sequence[bytes], webhook_id: str, *, timestamp_s: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one signature for each key, separated by spaces."""
    signed = b"%b.%d.%b" % (webhook_id.encode(), timestamp_s, body)
    return " ".join(
        ["v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    )


def _check(key: bytes) -> None:
    if not MIN_KEY_OCTETS <= len(key) <= MAX_KEY_OCTETS:
        raise SecretError(f"a key of {len(key)} octets; it has {MIN_KEY_OCTETS} to {MAX_KEY_OCTETS}")
