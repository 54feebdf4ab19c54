"""Makes the segments of a message when it is first picked: what has to be sent of it, under which reference."""

from gateway.dispatch.conclude import remaining
from gateway.dispatch.plan import CarrierPlan
from gateway.dispatch.references import References
from gateway.dispatch.work import Work
from gateway.domain.carried import replace
from gateway.domain.message import Message


class Cutter:
    """Cuts texts the way one carrier wants them, by the options that intake counted with (sms-domain B27)."""

    def __init__(self, plan: CarrierPlan, references: References) -> None:
        self._options = plan.segmentation
        self._draw_bits = plan.segmentation.draw_bits
        self._references = references
        self._picked = 0

    def cut(self, work: Work) -> None:
        """Fill `segments`, `data_coding`, `reference`, `order` and `todo`; SegmentationError when it cannot be cut.

        The `segment_count` of its message becomes the number of submits that this carrier gets: one for a long text
        in message_payload (B19), another than was counted where the message was counted for another carrier.
        """
        message = work.message
        self._picked += 1
        work.order = self._picked
        options = self._options
        is_parted = message.segment_count > 1 and options.is_parted
        reference = self._reference(message) if is_parted else None
        cut = options.cut(message.text, encoding=message.encoding, reference=reference or 0)
        count = len(cut.segments)
        if count > 1 and reference is None:  # it fitted one segment of the carrier that it comes from
            reference = self._reference(message)
            cut = options.cut(message.text, encoding=message.encoding, reference=reference)
        if count != message.segment_count:
            work.message = replace(message, segment_count=count)
        work.reference = reference
        work.segments = cut.segments
        work.data_coding = cut.data_coding
        if message.segments_done:
            work.todo = remaining(message, count)
        elif count == 1:
            work.todo = [1]
        else:
            work.todo = list(range(1, count + 1))

    def _reference(self, message: Message) -> int:
        """Return the reference of a long message: the one it has, over retries, or a new one (sms-domain B16)."""
        sender, recipient, reference = message.sender, message.recipient, message.reference
        if reference is not None and not reference >> self._draw_bits:
            self._references.keep(sender, recipient, reference)
            return reference
        return self._references.draw(sender, recipient, bits=self._draw_bits)
