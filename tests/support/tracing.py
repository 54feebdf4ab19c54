"""Sampled messages, and somewhere to keep their spans, for tests of a part of the gateway."""

from gateway.domain.message import Message, TracedMessage
from gateway.telemetry.spans import Span

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def traced(message: Message, trace_id: str = TRACE) -> TracedMessage:
    """Return the message as it is when it was sampled."""
    copied = {name: getattr(message, name) for name in Message.__struct_fields__}
    return TracedMessage(**copied, trace_id=trace_id)


class KeptSpans:
    """Stands for `gateway.telemetry.spans.Spans` where only what was added matters."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def add(self, span: Span) -> None:
        self.spans.append(span)

    def told(self, *names: str) -> list[tuple[object, ...]]:
        """Return these attributes of every span."""
        return [tuple(span.attributes.get(name) for name in names) for span in self.spans]
