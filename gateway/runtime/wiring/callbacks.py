"""What HTTP carriers call on our side: from settings to the endpoint that they call, for the role `api`."""

from adapters.http.callbacks import MappedCallbacks
from adapters.http.mapping import normalise_id
from gateway.ingress.callbacks import CallbackMetrics, Callbacks, CarrierCalls
from gateway.ingress.group_append import GroupAppend
from gateway.runtime.http_callbacks import callback_map
from gateway.runtime.whatsapp import MAX_CALLBACK_OCTETS, whatsapp_calls
from gateway.runtime.wiring.parts import Base
from gateway.settings import HttpCarrierSettings, Settings, WhatsAppCarrierSettings


def make_callbacks(base: Base) -> Callbacks:
    """Return the endpoint that carriers call; without any such carrier it knows none."""
    calls = carrier_calls(base.settings)
    return Callbacks(
        calls,
        appends=GroupAppend(base.bus, clock=base.clock),
        clock=base.clock,
        metrics=CallbackMetrics(base.registry, carriers=calls),
    )


def carrier_calls(settings: Settings) -> dict[str, CarrierCalls]:
    """Return how the calls of each carrier are read; SettingsError when a secret cannot be had."""
    calls = {}
    for name, carrier in settings.carriers.items():
        if isinstance(carrier, HttpCarrierSettings) and carrier.callbacks is not None:
            call_map = callback_map(name, carrier.callbacks, channel=carrier.channel.value)
            reader = MappedCallbacks(call_map, normalise_id=normalise_id)
            calls[name] = CarrierCalls(reader, carrier.callbacks.max_body_octets)
        elif isinstance(carrier, WhatsAppCarrierSettings):
            calls[name] = CarrierCalls(whatsapp_calls(settings, name, carrier), MAX_CALLBACK_OCTETS)
    return calls
