"""SMPP 3.4 on the wire: octets to frames to PDUs and back, without sockets, clocks or the gateway.

A reader walks `framer` (stream to frames), `codec` (frame to PDU), `pdus` (what a PDU is), then the
contents: `udh`, `times`, `receipt_text`.
"""
