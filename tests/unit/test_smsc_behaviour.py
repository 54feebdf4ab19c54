import pytest

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import DataSm, SubmitSm, Tlv
from loadtest.delays import Delay, parse_duration_ns
from loadtest.rates import HiddenLimit
from loadtest.smsc.behaviour import TAKEN, Behaviour, parse_errors
from loadtest.smsc.checks import as_submit, is_smpp_time, submit_status
from loadtest.smsc.receipts import DELIVERED, EXPIRED, UNDELIVERABLE
from loadtest.smsc.settings import SmscSettings
from loadtest.ticks import TickQueue

MS = 1_000_000
NUMBER = "5255123456"


def judge(behaviour: Behaviour, destination: str):
    return behaviour.judge(destination, limit=None, now_ns=0)


@pytest.mark.parametrize(
    ("suffix", "status", "state", "is_answered", "is_receipt_first"),
    [
        ("01", 0, DELIVERED, True, False),
        ("02", 0, UNDELIVERABLE, True, False),
        ("03", 0, EXPIRED, True, False),
        ("04", 0, 0, True, False),
        ("06", c.ESME_RINVDSTADR, 0, True, False),
        ("08", 0, DELIVERED, False, False),
        ("09", 0, DELIVERED, True, True),
        ("78", 0, DELIVERED, True, False),
    ],
)
def test_the_last_two_digits_choose_the_outcome(suffix, status, state, is_answered, is_receipt_first):
    assert judge(Behaviour(), NUMBER + suffix) == (status, state, is_answered, is_receipt_first)
    assert judge(Behaviour(is_magic=False), NUMBER + suffix) == TAKEN


@pytest.mark.parametrize(("suffix", "status"), [("05", c.ESME_RTHROTTLED), ("07", c.ESME_RSYSERR)])
def test_a_number_is_refused_twice_and_then_taken_each_for_itself(suffix, status):
    behaviour = Behaviour()
    answers = [judge(behaviour, NUMBER + suffix).status for _ in range(4)]
    assert answers == [status, status, 0, status]
    assert judge(behaviour, "569876543" + suffix).status == status


def test_the_error_mix_has_its_shares_and_is_repeatable():
    mix = parse_errors("ESME_RSUBMITFAIL=0.1, ESME_RTHROTTLED=0.2,0x4AB=0.05")
    assert mix == {c.ESME_RSUBMITFAIL: 0.1, c.ESME_RTHROTTLED: 0.2, 0x4AB: 0.05}

    def run(seed):
        behaviour = Behaviour(errors=mix, seed=seed)
        return [judge(behaviour, NUMBER + "99").status for _ in range(10_000)]

    first = run(7)
    assert first == run(7)
    assert first != run(8)
    for status, share in mix.items():
        assert first.count(status) == pytest.approx(10_000 * share, rel=0.15)


@pytest.mark.parametrize(
    "text", ["ESME_NONSENSE=0.1", "ESME_RSYSERR", "ESME_RSYSERR=2", "0x45=0.6,0x08=0.6", "0x0=0.1"]
)
def test_a_bad_error_mix_is_refused(text):
    with pytest.raises(ValueError, match="errors"):
        parse_errors(text)


def test_the_hidden_limit_allows_its_rate_and_a_tenth_of_a_second_at_once():
    limit = HiddenLimit(100)
    assert sum(limit.takes(0) for _ in range(50)) == 10
    taken = sum(limit.takes(at * MS) for at in range(1, 10_001))
    assert 999 <= taken <= 1000
    throttled = Behaviour().judge(NUMBER + "01", limit=limit, now_ns=10_000 * MS)
    assert throttled.status == c.ESME_RTHROTTLED


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("000000000500000R", True),  # E1
        ("260115183000024-", True),  # E2
        ("261315183000024-", False),  # E3: month 13
        ("260115183000049+", False),  # E3: 49 quarters
        ("260115183000024X", False),
        ("26011518300002-", False),
        ("260115243000024-", False),
        ("000000000500010R", False),
    ],
)
def test_e3_smpp_times_are_checked(text, is_good):
    assert is_smpp_time(text) is is_good
    good = SubmitSm(destination_addr=NUMBER)
    good.validity_period = text
    assert submit_status(good) == (0 if is_good else c.ESME_RINVEXPIRY)
    good.validity_period, good.schedule_delivery_time = "", text
    assert submit_status(good) == (0 if is_good else c.ESME_RINVSCHED)


def test_fields_a_carrier_refuses():
    assert submit_status(SubmitSm()) == c.ESME_RINVDSTADR
    assert submit_status(SubmitSm(destination_addr="+525512345678")) == c.ESME_RINVDSTADR
    assert submit_status(SubmitSm(destination_addr=NUMBER, priority_flag=4)) == c.ESME_RINVPRTFLG
    payload = (Tlv(c.TAG_MESSAGE_PAYLOAD, b"x"),)
    both = SubmitSm(destination_addr=NUMBER, short_message=b"x", tlvs=payload)
    assert submit_status(both) == c.ESME_RINVMSGLEN
    assert submit_status(as_submit(DataSm(destination_addr=NUMBER, tlvs=payload))) == 0


def test_delays_are_constant_or_log_normal():
    assert {Delay("20ms").draw_ns() for _ in range(5)} == {20 * MS}
    delay = Delay("p50=20ms,p99=120ms", seed="1")
    drawn = sorted(delay.draw_ns() for _ in range(20_000))
    assert drawn[10_000] == pytest.approx(20 * MS, rel=0.05)
    assert drawn[19_800] == pytest.approx(120 * MS, rel=0.1)


@pytest.mark.parametrize(
    "text", ["20", "fast", "p50=20ms", "p50=20ms,p99=10ms", "p50=0,p99=1s", "48h", "-1s"]
)
def test_a_bad_delay_is_refused(text):
    with pytest.raises(ValueError, match="d"):
        Delay(text)
    assert parse_duration_ns("1.5s") == 1500 * MS


def test_ticks_come_in_order_never_early():
    queue: TickQueue[str] = TickQueue()
    queue.push(2 * MS + 1, "late")
    queue.push(1 * MS, "first")
    queue.push(2 * MS - 5, "second")
    queue.push(2 * MS, "third")
    assert (len(queue), queue.next_due_ns) == (4, MS)
    assert queue.pop_due(MS - 1) == []
    assert queue.pop_due(2 * MS + 1) == ["first", "second", "third"]
    assert queue.next_due_ns == 3 * MS
    assert queue.pop_due(9 * MS) == ["late"]
    assert (len(queue), queue.next_due_ns) == (0, None)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"port": 70_000}, "port 70000"),
        ({"accounts": {}}, "no account"),
        ({"accounts": {"x" * 16: "p"}}, "1 to 15"),
        ({"accounts": {"x": "p" * 9}}, "longer than 8"),
        ({"latency": "soon"}, "duration 'soon'"),
        ({"errors": "x=1"}, "errors part"),
        ({"message_id_format": "uuid", "receipt_id_format": "hex"}, "uuid"),
        ({"mps": 0}, "mps 0"),
        ({"window_slots": 0}, "window_slots 0"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(wrong, says):
    with pytest.raises(ValueError, match=says):
        SmscSettings(**wrong)
