"""A capture file written by hand: TCP segments between two loopback addresses, for dissectors to read."""

import struct
from collections.abc import Iterable
from pathlib import Path

SMPP_PORT = 2775
_CLIENT_PORT = 40_000
_CLIENT, _SERVER = bytes((127, 0, 0, 1)), bytes((127, 0, 0, 2))
_LINKTYPE_RAW_IPV4 = 228
_PUSH_ACK = 0x18


def write_pcap(path: Path, exchange: Iterable[tuple[bool, bytes]]) -> None:
    """Write (from_client, octets) pairs as one TCP connection to port 2775, one packet each, a millisecond apart."""
    packets = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, _LINKTYPE_RAW_IPV4)]
    sent = {True: 1, False: 1}
    for number, (from_client, octets) in enumerate(exchange, 1):
        source, target = (_CLIENT, _SERVER) if from_client else (_SERVER, _CLIENT)
        ports = (_CLIENT_PORT, SMPP_PORT) if from_client else (SMPP_PORT, _CLIENT_PORT)
        tcp = struct.pack(
            "!HHIIBBHHH", *ports, sent[from_client], sent[not from_client], 0x50, _PUSH_ACK, 65_535, 0, 0
        )
        tcp = (
            tcp[:16]
            + _checksum(source + target + struct.pack("!BBH", 0, 6, 20 + len(octets)) + tcp + octets)
            + tcp[18:]
        )
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(octets), number, 0, 64, 6, 0, source, target)
        ip = ip[:10] + _checksum(ip) + ip[12:]
        frame = ip + tcp + octets
        sent[from_client] += len(octets)
        packets.append(struct.pack("<IIII", 1_795_000_000, number * 1_000, len(frame), len(frame)) + frame)
    path.write_bytes(b"".join(packets))


def _checksum(octets: bytes) -> bytes:
    """Return the Internet checksum (RFC 1071)."""
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
