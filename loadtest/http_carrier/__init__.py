"""Simulated HTTP carriers: a JSON SMS API, the WhatsApp Cloud API, and one that takes anything.

Walk through it: `settings` (what it shall do) -> `carrier` (answers, receipts, time) with one `session` per connection
-> a kind (`json_sms`, `whatsapp`, `generic`) that knows the words -> `callbacks` (receipts and replies) -> `record` (the
ledger) -> `control` (live faults, ledger, rates) -> `service` (the process). `orders` are the knobs.

A request costs some 60 µs of CPU on a busy two-core machine, with its record and answer, a message of a bulk of 100 some
9 µs, a callback about as much as a request: a web framework in its place would cost half as much again for nothing.
"""

from loadtest.http_carrier.carrier import HttpCarrier
from loadtest.http_carrier.settings import GenericSettings, HttpCarrierSettings, Template, WhatsAppSettings

__all__ = ["GenericSettings", "HttpCarrier", "HttpCarrierSettings", "Template", "WhatsAppSettings"]
