"""How what carriers tell us becomes records: receipts on the topic `receipts`, messages of people on `mo`.

Used by `gateway.dispatch` for what comes over a link, and by `gateway.ingress.callbacks` for what comes by HTTP.
"""

from gateway.bus.codec import encode
from gateway.bus.topics import MO, RECEIPTS
from gateway.domain.receipts import MobileOriginated, Receipt
from gateway.ports.bus import Record


def inbound_record(item: Receipt | MobileOriginated) -> Record:
    """Return the record: what is said of one segment keeps its order, and so does what one person writes."""
    if isinstance(item, Receipt):
        key = f"{item.carrier}:{item.carrier_message_id}".encode()
        # Past the constructor of a NamedTuple, which is a Python function and costs twice as much.
        return tuple.__new__(Record, (RECEIPTS, key, encode(item)))
    return Record(MO, item.sender.encode(), encode(item))
