"""Opening the connection of a bind, and the short names of the ways in which that fails. Used by `bind`."""

import ssl
from collections.abc import Callable

from adapters.smpp.profile import CarrierProfile
from adapters.smpp.transport import SmppTransport, connect


class DialError(Exception):
    """No connection; `reason` is short and closed, `is_alert` says that an operator has to look at it."""

    def __init__(self, reason: str, *, is_alert: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_alert = is_alert


async def dial(
    profile: CarrierProfile, *, factory: Callable[[], SmppTransport], tls: ssl.SSLContext | None
) -> SmppTransport:
    """Return a connected transport within `connect_timeout_s`; raises DialError."""
    try:
        return await connect(
            profile.host,
            profile.port,
            factory=factory,
            timeout_s=profile.connect_timeout_s,
            tls=tls,
            server_hostname=None if profile.tls is None else profile.tls.server_hostname,
        )
    except TimeoutError:
        raise DialError("connect_timeout") from None
    except ssl.SSLError:
        raise DialError("tls_failed", is_alert=True) from None
    except ConnectionRefusedError:
        raise DialError("connect_refused") from None
    except OSError:
        raise DialError("connect_failed") from None
