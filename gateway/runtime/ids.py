"""Where message ids come from."""

import secrets
from collections.abc import Callable
from random import Random
from typing import Any

from gateway.domain.ids import new_uuid7


def new_id_source() -> Callable[[int], Any]:
    """Return a maker of message ids from (milliseconds)."""
    bits = Random(secrets.randbits(256)).getrandbits
    return lambda now_ms: new_uuid7(now_ms, bits(74))
