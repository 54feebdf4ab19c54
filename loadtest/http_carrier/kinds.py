"""Which class plays which kind of carrier."""

from typing import TYPE_CHECKING

from loadtest.http_carrier.exchange import Kind
from loadtest.http_carrier.generic import Generic
from loadtest.http_carrier.json_sms import JsonSms
from loadtest.http_carrier.settings import HttpCarrierSettings
from loadtest.http_carrier.whatsapp import WhatsApp

if TYPE_CHECKING:
    from loadtest.http_carrier.carrier import HttpCarrier


def make_kind(settings: HttpCarrierSettings, carrier: "HttpCarrier") -> Kind:
    """Return the kind that the settings name."""
    if settings.kind == "json":
        return JsonSms(
            carrier,
            carrier.orders,
            token=settings.token,
            secret=settings.secret,
            max_bulk=settings.max_bulk,
            clock=carrier.clock,
        )
    if settings.kind == "whatsapp":
        return WhatsApp(carrier, carrier.orders, settings=settings)
    return Generic(carrier, carrier.orders, settings=settings)
