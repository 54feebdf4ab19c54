"""The kinds of mandatory fields an SMPP PDU is made of (SMPP 3.4 §3.1), and how each is read and written.

A PDU's layout is a tuple of these; the codec walks it. Reading never goes past the end of the body it
is given and raises nothing but PduError; writing raises ValueError naming the field.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from adapters.smpp.wire.constants import (
    ESME_RINVCMDLEN,
    ESME_RINVDESTFLAG,
    ESME_RINVDLNAME,
    ESME_RINVDSTADR,
    ESME_RINVMSGLEN,
)

MAX_SHORT_MESSAGE_OCTETS = 254
"""SMPP 3.4 §5.2.22."""


class PduError(ValueError):
    """The body of a whole frame is bad; `command_status` is what its sender should be answered."""

    def __init__(self, command_status: int, detail: str) -> None:
        super().__init__(detail)
        self.command_status = command_status
        self.detail = detail


class Field(Protocol):
    """One mandatory field, or one run of repeated fields, of a PDU body."""

    @property
    def name(self) -> str:
        """Name of the field in SMPP 3.4, and of the PDU's attribute."""

    def read(self, body: bytes, at: int) -> tuple[Any, int]:
        """Return the value at `at` and the position after it."""

    def write(self, value: Any) -> bytes:
        """Return the octets of `value`."""


@dataclass(frozen=True, slots=True)
class Integer:
    """An unsigned big-endian integer of `octets` octets."""

    name: str
    octets: int = 1

    def read(self, body: bytes, at: int) -> tuple[int, int]:
        end = at + self.octets
        if end > len(body):
            raise PduError(ESME_RINVCMDLEN, f"the body ends before {self.name}")
        return int.from_bytes(body[at:end], "big"), end

    def write(self, value: int) -> bytes:
        try:
            return value.to_bytes(self.octets, "big")
        except OverflowError:
            raise ValueError(f"{self.name} {value} does not fit {self.octets} octet(s)") from None


@dataclass(frozen=True, slots=True)
class CString:
    """A NUL-terminated string of at most `max_octets` octets, the NUL counted.

    Decoded as Latin-1, so any octet goes in and comes out unchanged. `status` answers a value
    that is terminated but too long.
    """

    name: str
    max_octets: int
    status: int

    def read(self, body: bytes, at: int) -> tuple[str, int]:
        if at >= len(body):
            raise PduError(ESME_RINVCMDLEN, f"the body ends before {self.name}")
        # The search is bounded: a field without its NUL may not make us scan 64 KiB per field.
        end = body.find(b"\0", at, at + self.max_octets)
        if end < 0:
            if body.find(b"\0", at) < 0:
                raise PduError(ESME_RINVCMDLEN, f"{self.name} has no terminating NUL")
            raise PduError(self.status, f"{self.name} is longer than {self.max_octets} octets")
        return body[at:end].decode("latin-1"), end + 1

    def write(self, value: str) -> bytes:
        octets = value.encode("latin-1", "strict")
        if len(octets) >= self.max_octets:
            raise ValueError(f"{self.name} has {len(octets) + 1} octets, at most {self.max_octets} fit")
        if 0 in octets:
            raise ValueError(f"{self.name} holds a NUL")
        return octets + b"\0"


@dataclass(frozen=True, slots=True)
class ShortMessage:
    """sm_length and short_message (SMPP 3.4 §5.2.21, §5.2.22): length-prefixed, never NUL-terminated."""

    name: str = "short_message"

    def read(self, body: bytes, at: int) -> tuple[bytes, int]:
        if at >= len(body):
            raise PduError(ESME_RINVCMDLEN, "the body ends before sm_length")
        length = body[at]
        if length > MAX_SHORT_MESSAGE_OCTETS:
            raise PduError(ESME_RINVMSGLEN, f"sm_length {length} is above {MAX_SHORT_MESSAGE_OCTETS}")
        start = at + 1
        end = start + length
        if end > len(body):
            raise PduError(ESME_RINVMSGLEN, f"sm_length {length}, but {len(body) - start} octets are left")
        return body[start:end], end

    def write(self, value: bytes) -> bytes:
        if len(value) > MAX_SHORT_MESSAGE_OCTETS:
            raise ValueError(f"short_message has {len(value)} octets, at most {MAX_SHORT_MESSAGE_OCTETS} fit")
        return bytes((len(value),)) + value


class SmeAddress(NamedTuple):
    """A destination of submit_multi that is one SME (dest_flag 1)."""

    dest_addr_ton: int
    dest_addr_npi: int
    destination_addr: str


class DistributionList(NamedTuple):
    """A destination of submit_multi that is a distribution list (dest_flag 2)."""

    dl_name: str


class UnsuccessSme(NamedTuple):
    """A destination that submit_multi_resp reports as failed."""

    dest_addr_ton: int
    dest_addr_npi: int
    destination_addr: str
    error_status_code: int


_DEST_FLAG = Integer("dest_flag")
_DEST_TON = Integer("dest_addr_ton")
_DEST_NPI = Integer("dest_addr_npi")
_DEST_ADDR = CString("destination_addr", 21, ESME_RINVDSTADR)
_DL_NAME = CString("dl_name", 21, ESME_RINVDLNAME)
_ERROR_STATUS = Integer("error_status_code", 4)
_COUNT = Integer("number_of_dests")
_NO_UNSUCCESS = Integer("no_unsuccess")

_SME_FLAG = 1
_LIST_FLAG = 2


@dataclass(frozen=True, slots=True)
class DestAddresses:
    """number_of_dests and dest_address(es) of submit_multi (SMPP 3.4 §4.5.1.1)."""

    name: str = "dest_address"

    def read(self, body: bytes, at: int) -> tuple[tuple[SmeAddress | DistributionList, ...], int]:
        count, at = _COUNT.read(body, at)
        found: list[SmeAddress | DistributionList] = []
        for _ in range(count):
            flag, at = _DEST_FLAG.read(body, at)
            if flag == _SME_FLAG:
                ton, at = _DEST_TON.read(body, at)
                npi, at = _DEST_NPI.read(body, at)
                addr, at = _DEST_ADDR.read(body, at)
                found.append(SmeAddress(ton, npi, addr))
            elif flag == _LIST_FLAG:
                dl_name, at = _DL_NAME.read(body, at)
                found.append(DistributionList(dl_name))
            else:
                raise PduError(ESME_RINVDESTFLAG, f"dest_flag {flag} is neither 1 nor 2")
        return tuple(found), at

    def write(self, value: tuple[SmeAddress | DistributionList, ...]) -> bytes:
        parts = [_COUNT.write(len(value))]
        for item in value:
            if isinstance(item, SmeAddress):
                parts += (
                    b"\x01",
                    _DEST_TON.write(item.dest_addr_ton),
                    _DEST_NPI.write(item.dest_addr_npi),
                    _DEST_ADDR.write(item.destination_addr),
                )
            else:
                parts += (b"\x02", _DL_NAME.write(item.dl_name))
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class UnsuccessSmes:
    """no_unsuccess and unsuccess_sme(s) of submit_multi_resp (SMPP 3.4 §4.5.2.1)."""

    name: str = "unsuccess_sme"

    def read(self, body: bytes, at: int) -> tuple[tuple[UnsuccessSme, ...], int]:
        count, at = _NO_UNSUCCESS.read(body, at)
        found: list[UnsuccessSme] = []
        for _ in range(count):
            ton, at = _DEST_TON.read(body, at)
            npi, at = _DEST_NPI.read(body, at)
            addr, at = _DEST_ADDR.read(body, at)
            status, at = _ERROR_STATUS.read(body, at)
            found.append(UnsuccessSme(ton, npi, addr, status))
        return tuple(found), at

    def write(self, value: tuple[UnsuccessSme, ...]) -> bytes:
        parts = [_NO_UNSUCCESS.write(len(value))]
        for item in value:
            parts += (
                _DEST_TON.write(item.dest_addr_ton),
                _DEST_NPI.write(item.dest_addr_npi),
                _DEST_ADDR.write(item.destination_addr),
                _ERROR_STATUS.write(item.error_status_code),
            )
        return b"".join(parts)
