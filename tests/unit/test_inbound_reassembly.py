"""Segments in any order, repeated, missing, with references used again: one message per complete set (B28)."""

from gateway.domain.ids import new_uuid7, uuid7_time_ms
from gateway.inbound.reassembly import Reassembly, Segment, SetKey, Why

KEY = SetKey("telco_a", "525512345678", "22222", "udh8", 7, 3)
TIMEOUT, REPEAT = 86_400_000, 3_600_000


class Table:
    """One reassembly, fed by hand."""

    def __init__(self):
        self.core = Reassembly(timeout_ms=TIMEOUT, repeat_ms=REPEAT)
        self.records = 0

    def put(self, *contents, at=0, key=KEY):
        """Each content is the index and a letter: 2b is segment 2 with the content b."""
        for content in contents:
            self.records += 1
            segment = Segment(int(content[0]), content[1].encode() * 8, at, content.encode())
            self.core.put(key, segment, record_id=new_uuid7(at, self.records))

    @property
    def out(self):
        return [
            (one.why.value, [one.of.segments[index].value.decode() for index in sorted(one.of.segments)])
            for one in self.core.closed
        ]

    @property
    def waiting(self):
        return sum(len(one.segments) for one in self.core.changed)


def test_b28_a_set_is_complete_in_any_order():
    table = Table()
    table.put("3a", "1a", "2a")
    assert table.out == [("complete", ["1a", "2a", "3a"])]
    assert table.waiting == 0


def test_b28_a_repeated_segment_changes_nothing():
    table = Table()
    table.put("3a", "3a", "1a", "3a")
    assert table.out == []
    assert (table.waiting, table.core.repeated) == (2, 2)
    table.put("2a")
    assert table.out == [("complete", ["1a", "2a", "3a"])]


def test_b28_other_totals_senders_numbers_carriers_and_kinds_are_other_sets():
    table = Table()
    others = [
        KEY._replace(segment_count=2),
        KEY._replace(sender="525512345679"),
        KEY._replace(recipient="33333"),
        KEY._replace(carrier="telco_b"),
        KEY._replace(kind="udh16"),
        KEY._replace(reference=8),
    ]
    table.put("1a", "2a")
    for key in others:
        table.put("1b", key=key)
    assert table.out == []
    table.put("3a")
    assert table.out == [("complete", ["1a", "2a", "3a"])]
    assert table.waiting == len(others)


def test_b28_a_reference_used_again_gives_up_the_old_set_and_opens_a_new_one():
    table = Table()
    table.put("1a", "2a")
    table.put("1b", at=60_000)
    assert table.out == [("superseded", ["1a", "2a"])]
    assert table.core.closed[0].of.missing == [3]
    table.put("2b", "3b", at=60_000)
    assert table.out[1:] == [("complete", ["1b", "2b", "3b"])]


def test_b28_a_set_past_its_time_takes_no_more_segments():
    table = Table()
    table.put("1a", "2a")
    table.put("3b", at=TIMEOUT)
    assert table.out == [("timeout", ["1a", "2a"])]
    assert table.waiting == 1


def test_b28_a_message_given_up_has_an_id_of_its_own_and_of_now():
    table = Table()
    table.put("1a", at=1_000)
    table.core.give_up(table.core.changed, Why.TIMEOUT, now_ms=90_000)
    (closed,) = table.core.closed
    assert uuid7_time_ms(closed.id) == 90_000
    assert closed.id.version == 7
    assert closed.of.missing == [2, 3]


def test_b28_segments_repeated_after_the_message_was_complete_are_no_second_message():
    table = Table()
    table.put("1a", "2a", "3a")
    table.put("2a", "1a", "3a", at=30_000)
    assert table.out == [("complete", ["1a", "2a", "3a"]), ("echo", ["1a", "2a", "3a"])]
    table.put("3a", at=40_000)
    table.core.give_up(table.core.changed, Why.TIMEOUT, now_ms=40_000 + REPEAT)
    assert [why for why, _ in table.out] == ["complete", "echo", "echo"]
    assert table.core.repeated == 4


def test_b28_a_new_message_that_begins_like_the_last_one_is_not_lost():
    table = Table()
    table.put("1a", "2a", "3a")
    table.put("1a", "2a", "3b", at=30_000)
    assert table.out[1:] == [("complete", ["1a", "2a", "3b"])]


def test_b28_the_same_segments_long_after_are_a_new_message():
    table = Table()
    table.put("1a", "2a", "3a")
    table.put("1a", "2a", "3a", at=REPEAT)
    assert [why for why, _ in table.out] == ["complete", "complete"]


def test_b28_an_echo_is_forgotten_before_the_reference_is_used_again():
    table = Table()
    table.put("1a", "2a", "3a")
    table.put("1a", at=1_000)
    table.put("2c", at=1_000 + REPEAT)
    assert [why for why, _ in table.out] == ["complete", "echo"]
    table.put("1c", "3c", at=1_001 + REPEAT)
    assert table.out[-1] == ("complete", ["1c", "2c", "3c"])


def test_b28_an_echo_that_turns_out_to_be_a_message_waits_as_long_as_any():
    table = Table()
    table.put("1a", "2a", "3a")
    table.put("1a", at=1_000)
    assert table.core.changed[0].expires_at == 1_000 + REPEAT
    table.put("2b", at=2_000)
    assert table.core.changed[0].expires_at == 1_000 + TIMEOUT


def test_b28_segments_of_a_message_given_up_are_known_when_they_come_again():
    table = Table()
    table.put("1a", "2a")
    table.core.give_up(table.core.changed, Why.CROWDED, now_ms=5_000)
    table.put("2a", at=6_000)
    table.core.give_up(table.core.changed, Why.TIMEOUT, now_ms=6_000 + REPEAT)
    assert [why for why, _ in table.out] == ["crowded", "echo"]
