"""Receipt dates are the carrier's local time without zone; what we measure, we measure by our clocks (F8)."""

from adapters.smpp.profile import CarrierProfile
from adapters.smpp.translate import Translator
from adapters.smpp.wire.pdus import DeliverSm
from gateway.domain.receipts import Receipt

NOW_MS = 1_760_000_000_000


def receipt_of(text: bytes) -> Receipt:
    profile = CarrierProfile(carrier="telco", host="mc", port=2775, system_id="a", password="b")
    item = Translator(profile).inbound(DeliverSm(esm_class=4, short_message=text), bind="trx1", now_ms=NOW_MS)
    assert isinstance(item, Receipt)
    return item


def test_f8_dates_stay_as_the_carrier_wrote_them_and_the_time_of_arrival_is_ours() -> None:
    receipt = receipt_of(b"id:7F submit date:2601151200 done date:2601151201 stat:DELIVRD err:000 text:")
    assert (receipt.submit_date, receipt.done_date) == ("2026-01-15T12:00:00", "2026-01-15T12:01:00")
    assert receipt.received_at == NOW_MS


def test_f8_a_date_of_another_zone_or_none_changes_nothing_of_the_arrival() -> None:
    for done in (b"2601150001", b"0000000000", b""):
        assert receipt_of(b"id:7F done date:" + done + b" stat:DELIVRD").received_at == NOW_MS
