"""Messages of people, on their way to the ESME as deliver_sm: whole, long ones in segments, and raw ones that lie.

`POST /mo` asks for them. Like a carrier, the simulator sends again what was refused or not answered.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.tlv import Tlv, encode_tlvs
from adapters.smpp.wire.udh import build_udh, concatenation_element
from loadtest.smsc.accounts import Account, Session
from loadtest.smsc.text import gsm7_octets

MAX_WAITING: Final = 100_000
MAX_ORDER: Final = 1_000
MAX_ADDRESS: Final = 20
MAX_SEGMENTS: Final = 255
_MAX_SHORT_MESSAGE: Final = 255
_HEADER_OCTETS: Final = {"udh8": 6, "udh16": 7, "sar": 6}
_ALONE: Final = {"gsm7": 160, "latin1": 140, "ucs2": 140}
_DATA_CODINGS: Final = {
    "gsm7": c.DATA_CODING_DEFAULT,
    "latin1": c.DATA_CODING_LATIN1,
    "ucs2": c.DATA_CODING_UCS2,
}
ENCODINGS: Final = ("auto", *_DATA_CODINGS)
SPLITS: Final = (*_HEADER_OCTETS, "payload")


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /mo`.

    Either `text`, cut as `split` says where it is too long for one segment, or `short_message_hex` as it is. `order`
    names the segments to send, from 1, in their order and as often as wanted; by default each once.
    """

    source: str
    destination: str
    text: str | None = None
    short_message_hex: str | None = None
    encoding: str = "auto"
    split: str = "udh8"
    reference: int = 1
    order: list[int] | None = None
    system_id: str | None = None
    data_coding: int | None = None
    esm_class: int = 0
    tlvs: dict[str, str] = {}


class Originated(NamedTuple):
    """One deliver_sm, ready to be sent."""

    body: bytes


@dataclass(slots=True)
class OriginatedTally:
    """What became of them; `requeued` counts those without an answer."""

    queued: int = 0
    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    requeued: int = 0


class Centre(Protocol):
    """What the originator needs of the message centre."""

    clock: Callable[[], int]


class Originator:
    """The queue of each account, and the way out of it over the sessions that receive."""

    __slots__ = ("_centre", "_retry_s", "_waiting", "tally")

    def __init__(self, centre: Centre, *, retry_s: float) -> None:
        self._centre = centre
        self._retry_s = retry_s
        self._waiting: dict[str, deque[Originated]] = {}
        self.tally = OriginatedTally()

    def put(self, account: Account, messages: list[Originated]) -> None:
        """Queue messages; ValueError when more would wait than may."""
        waiting = self._waiting.setdefault(account.system_id, deque())
        if len(waiting) + len(messages) > MAX_WAITING:
            raise ValueError(f"{len(waiting)} messages wait already, the limit is {MAX_WAITING}")
        waiting.extend(messages)
        self.tally.queued += len(messages)
        self.pump(account)

    def pump(self, account: Account) -> None:
        """Send what waits, oldest first, while a receiver has room."""
        waiting = self._waiting.get(account.system_id)
        touched: set[Session] = set()
        while waiting:
            session = next((one for one in account.receivers if one.connection.free_slots), None)
            if session is None:
                break
            message = waiting.popleft()
            session.connection.send_body(
                c.DELIVER_SM, message.body, context=message, now_ns=self._centre.clock()
            )
            self.tally.sent += 1
            touched.add(session)
        for session in touched:
            session.flush()

    def answered(self, account: Account, message: Originated, *, status: int, is_late: bool) -> None:
        """Note a deliver_sm_resp: 0 ends the message, anything else brings it back after a pause."""
        if status == c.ESME_ROK:
            self.tally.acknowledged += 1
            return
        self.tally.refused += 1
        if not is_late:
            asyncio.get_running_loop().call_later(self._retry_s, self.unanswered, account, [message])

    def unanswered(self, account: Account, messages: list[Originated]) -> None:
        """Put messages back to the front, in their order."""
        self.tally.requeued += len(messages)
        self._waiting.setdefault(account.system_id, deque()).extendleft(reversed(messages))
        self.pump(account)

    def forget(self) -> None:
        """Forget the counts; what waits stays."""
        self.tally = OriginatedTally()

    def report(self) -> dict[str, Any]:
        """Return the counts, and how many wait."""
        return {**asdict(self.tally), "waiting": sum(map(len, self._waiting.values()))}


def read_wish(body: bytes) -> Wish:
    """Return what a request asks for; ValueError names what is wrong."""
    try:
        wish = msgspec.json.decode(body, type=Wish)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    for name, address in (("source", wish.source), ("destination", wish.destination)):
        if not (address.isascii() and len(address) <= MAX_ADDRESS and "\0" not in address):
            raise ValueError(f"{name} {address[:40]!r} is not at most {MAX_ADDRESS} ASCII characters")
    if (wish.text is None) == (wish.short_message_hex is None):
        raise ValueError("give text or short_message_hex, one of them")
    for name, value, allowed in (("encoding", wish.encoding, ENCODINGS), ("split", wish.split, SPLITS)):
        if value not in allowed:
            raise ValueError(f"{name} {value[:40]!r} is not one of {', '.join(allowed)}")
    for name, number in (("esm_class", wish.esm_class), ("data_coding", wish.data_coding or 0)):
        if not 0 <= number <= 0xFF:
            raise ValueError(f"{name} {number} is not within 0..255")
    return wish


def messages_of(wish: Wish) -> tuple[int, list[Originated]]:
    """Return the number of segments, and the messages to send in the order asked for; ValueError names the fault."""
    tlvs = tuple(Tlv(int(tag, 16), bytes.fromhex(value)) for tag, value in wish.tlvs.items())
    if wish.short_message_hex is not None:
        octets = bytes.fromhex(wish.short_message_hex)
        made = [_body(wish, octets, data_coding=wish.data_coding or 0, tlvs=tlvs)]
    else:
        made = list(_segments(wish, tlvs))
    order = list(range(1, len(made) + 1)) if wish.order is None else wish.order
    if len(order) > MAX_ORDER:
        raise ValueError(f"order has {len(order)} entries, the limit is {MAX_ORDER}")
    for index in order:
        if not 1 <= index <= len(made):
            raise ValueError(f"order names segment {index}, there are {len(made)}")
    return len(made), [Originated(made[index - 1]) for index in order]


def _segments(wish: Wish, tlvs: tuple[Tlv, ...]) -> Iterator[bytes]:
    encoding, units = _encoded(wish.text or "", wish.encoding)
    data_coding = _DATA_CODINGS[encoding] if wish.data_coding is None else wish.data_coding
    octets = b"".join(units)
    if wish.split == "payload":
        payload = Tlv(c.TAG_MESSAGE_PAYLOAD, octets)
        yield _body(wish, b"", data_coding=data_coding, tlvs=(*tlvs, payload))
        return
    if len(octets) <= _ALONE[encoding]:
        yield _body(wish, octets, data_coding=data_coding, tlvs=tlvs)
        return
    header_octets = _HEADER_OCTETS[wish.split]
    # On the air a header takes whole octets of the 140; unpacked, a septet has one of its own.
    room = (140 - header_octets) * 8 // 7 if encoding == "gsm7" else 140 - header_octets
    pieces = _cut(units, room)
    if len(pieces) > MAX_SEGMENTS:
        raise ValueError(f"the text needs {len(pieces)} segments, the limit is {MAX_SEGMENTS}")
    for index, piece in enumerate(pieces, start=1):
        if wish.split == "sar":
            place = (
                Tlv(c.TAG_SAR_MSG_REF_NUM, wish.reference.to_bytes(2, "big")),
                Tlv(c.TAG_SAR_TOTAL_SEGMENTS, bytes((len(pieces),))),
                Tlv(c.TAG_SAR_SEGMENT_SEQNUM, bytes((index,))),
            )
            yield _body(wish, piece, data_coding=data_coding, tlvs=(*tlvs, *place))
        else:
            element = concatenation_element(
                wish.reference,
                segment_count=len(pieces),
                segment_index=index,
                reference_bits=int(wish.split[3:]),
            )
            user_data = build_udh([element]) + piece
            yield _body(wish, user_data, data_coding=data_coding, tlvs=tlvs, more_esm_class=c.ESM_UDHI)


def _encoded(text: str, encoding: str) -> tuple[str, list[bytes]]:
    """Return the alphabet and the octets of each character, which no segment may cut in two."""
    if encoding in ("auto", "gsm7"):
        septets = gsm7_octets(text)
        if septets is not None:
            return "gsm7", septets
        if encoding == "gsm7":
            raise ValueError("the text has a character that is not in the GSM alphabet")
    if encoding == "latin1":
        return "latin1", [character.encode("latin-1") for character in text]
    return "ucs2", [character.encode("utf-16-be", "surrogatepass") for character in text]


def _cut(units: list[bytes], room: int) -> list[bytes]:
    pieces: list[bytes] = []
    piece = b""
    for unit in units:
        if len(piece) + len(unit) > room:
            pieces.append(piece)
            piece = b""
        piece += unit
    return [*pieces, piece]


def _body(
    wish: Wish, short_message: bytes, *, data_coding: int, tlvs: tuple[Tlv, ...], more_esm_class: int = 0
) -> bytes:
    """Return the body of a deliver_sm (SMPP 3.4 §4.6.1)."""
    if len(short_message) > _MAX_SHORT_MESSAGE:
        raise ValueError(f"short_message has {len(short_message)} octets, the limit is {_MAX_SHORT_MESSAGE}")
    return b"\0\1\1%b\0\0\0%b\0%c\0\0\0\0\0\0%c\0%c%b%b" % (
        wish.source.encode(),
        wish.destination.encode(),
        wish.esm_class | more_esm_class,
        data_coding,
        len(short_message),
        short_message,
        encode_tlvs(tlvs),
    )
