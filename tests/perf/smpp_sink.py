"""A message centre as cheap as it can be: raw octets in, ready-made octets out, no SMPP library at all.

`python -m tests.perf.smpp_sink --receipts` prints its port as one JSON line and serves one ESME after another until
its standard input ends. Every submit_sm gets its response at once, and with `--receipts` its receipt right behind it.
"""

import argparse
import json
import os
import socket
import struct
import sys
import threading

_HEADER = struct.Struct(">IIII")
_BINDS = frozenset({1, 2, 9})
_SUBMIT_SM, _ENQUIRE_LINK, _UNBIND = 4, 0x15, 6
_ID_OCTETS = 10
_TEXT = b"id:%b sub:001 dlvrd:001 submit date:2601151230 done date:2601151231 stat:DELIVRD err:000 text:"


def _receipt_template() -> tuple[bytes, bytes, bytes]:
    """Return the octets of the receipt's body around its two ids: before, between, after."""
    text = _TEXT % (b"\xff" * _ID_OCTETS)
    body = b"\0\x01\x01525512345678\0\x00\x0012345\0\x04\0\0\0\0\0\0\0\0" + bytes((len(text),)) + text
    body += b"\0\x1e\0" + bytes((_ID_OCTETS + 1,)) + b"\xff" * _ID_OCTETS + b"\0" + b"\x04\x27\0\x01\x02"
    before, between, after = body.split(b"\xff" * _ID_OCTETS)
    return before, between, after


def serve(connection: socket.socket, *, sends_receipts: bool) -> None:
    """Answer one ESME until it leaves."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    before, between, after = _receipt_template()
    deliver_head = struct.pack(">III", 16 + len(before + between + after) + 2 * _ID_OCTETS, 5, 0)
    response_head = struct.pack(">III", 16 + _ID_OCTETS + 1, 0x80000004, 0)
    pending, number = b"", 0
    while data := connection.recv(1 << 18):
        data = pending + data
        at, end = 0, len(data)
        out: list[bytes] = []
        while end - at >= 16:
            length, command_id, _, sequence = _HEADER.unpack_from(data, at)
            if end - at < length:
                break
            if command_id == _SUBMIT_SM:
                number += 1
                message_id = b"%010d" % number
                out.append(response_head + data[at + 12 : at + 16] + message_id + b"\0")
                if sends_receipts:
                    head = deliver_head + number.to_bytes(4, "big")
                    out.append(head + before + message_id + between + message_id + after)
            elif command_id in _BINDS:
                out.append(_HEADER.pack(21, command_id | 0x80000000, 0, sequence) + b"sink\0")
            elif command_id in {_ENQUIRE_LINK, _UNBIND}:
                out.append(_HEADER.pack(16, command_id | 0x80000000, 0, sequence))
            at += length
        pending = data[at:]
        if out:
            connection.sendall(b"".join(out))


def _end_with_standard_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Listen and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--receipts", action="store_true")
    given = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(json.dumps({"port": server.getsockname()[1]}), flush=True)
        threading.Thread(target=_end_with_standard_input, name="sink.stdin", daemon=True).start()
        while True:
            connection, _ = server.accept()
            with connection:
                try:
                    serve(connection, sends_receipts=given.receipts)
                except ConnectionError:
                    continue


if __name__ == "__main__":
    main()
