"""Makes the segments of a message when it is first picked: what has to be sent of it, under which reference."""

from dataclasses import replace

from gateway.dispatch.conclude import remaining
from gateway.dispatch.plan import CarrierPlan
from gateway.dispatch.references import References
from gateway.dispatch.work import Work
from gateway.domain.message import Message
from gateway.domain.segmentation import segment_text


class Cutter:
    """Cuts texts the way one carrier wants them."""

    def __init__(self, plan: CarrierPlan, references: References) -> None:
        self._split = plan.split
        self._reference_bits = plan.reference_bits
        self._draw_bits = 16 if plan.split == "sar" else plan.reference_bits
        self._references = references
        self._picked = 0

    def cut(self, work: Work) -> None:
        """Fill `segments`, `data_coding`, `order` and `todo` of the work; SegmentationError when it cannot be cut."""
        message = work.message
        self._picked += 1
        work.order = self._picked
        if message.segment_count > 1:
            message = work.message = self._with_reference(message)
        cut = segment_text(
            message.text,
            encoding=message.encoding,
            reference=message.reference or 0,
            reference_bits=self._reference_bits,
            split=self._split,
        )
        work.segments = cut.segments
        work.data_coding = cut.data_coding
        if message.segments_done:
            work.todo = remaining(message, len(cut.segments))
        elif len(cut.segments) == 1:
            work.todo = [1]
        else:
            work.todo = list(range(1, len(cut.segments) + 1))

    def _with_reference(self, message: Message) -> Message:
        """Return the message with its reference, which stays with it over retries (sms-domain B16)."""
        sender, recipient = message.sender, message.recipient
        if message.reference is not None and not message.reference >> self._draw_bits:
            self._references.keep(sender, recipient, message.reference)
            return message
        return replace(message, reference=self._references.draw(sender, recipient, bits=self._draw_bits))
