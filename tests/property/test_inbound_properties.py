"""Reassembly: any order and any number of the segments of several messages gives exactly the messages (B28)."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.alphabets import TextAlphabet
from gateway.domain.ids import new_uuid7
from gateway.inbound.reading import read, text_of
from gateway.inbound.reassembly import Reassembly, Segment, SetKey, Why
from tests.support.originated import UDHI, an_mo

TAGS = st.sampled_from([0x0424, 0x020C, 0x020E, 0x020F, 0x1400])


@st.composite
def traffic(draw):
    """Messages with keys of their own, and all their segments shuffled, some of them several times."""
    count = draw(st.integers(1, 4))
    messages = {}
    for number in range(count):
        total = draw(st.integers(2, 5))
        key = SetKey(
            draw(st.sampled_from(["telco_a", "telco_b"])),
            draw(st.sampled_from(["525512345678", "525512345679"])),
            "22222",
            draw(st.sampled_from(["udh8", "udh16", "sar"])),
            draw(st.integers(0, 2)),
            total,
        )
        # Messages of one key follow each other; here all are on their way at once.
        messages.setdefault(key, [f"{number}.{index}" for index in range(1, total + 1)])
    every = [(key, index) for key, texts in messages.items() for index in range(1, len(texts) + 1)]
    repeats = draw(st.lists(st.sampled_from(every), max_size=12))
    return messages, draw(st.permutations(every + repeats))


def segment(key, index, messages, *, at):
    text = messages[key][index - 1]
    return Segment(index, text.encode().ljust(8, b"."), at, text.encode())


@given(traffic(), st.integers(1, 4), st.integers(0, 600_000))
def test_b28_any_permutation_and_repetition_gives_exactly_the_messages(case, batch_size, apart_ms):
    messages, order = case
    given_out = []
    open_sets, done_sets = {}, []
    at = 0
    for start in range(0, len(order), batch_size):  # every batch is a new life of the process
        core = Reassembly(timeout_ms=86_400_000, repeat_ms=86_400_000)
        core.load(open_sets.values(), done_sets)
        for key, index in order[start : start + batch_size]:
            at += apart_ms
            core.put(key, segment(key, index, messages, at=at), record_id=new_uuid7(at, start * 10 + index))
        given_out += [one for one in core.closed if one.why is not Why.ECHO]
        done_sets = [done for dones in core._done.values() for done in dones]
        open_sets = dict(core._open)
    assert all(one.why is Why.COMPLETE for one in given_out)
    found = {
        one.of.key: [one.of.segments[n].value.decode() for n in sorted(one.of.segments)] for one in given_out
    }
    assert found == messages
    assert len(given_out) == len(messages)
    # What is left repeats what was given out, and is forgotten.
    core = Reassembly(timeout_ms=86_400_000, repeat_ms=86_400_000)
    core.load(open_sets.values(), done_sets)
    core.give_up(list(open_sets.values()), Why.TIMEOUT, now_ms=at)
    assert {one.why for one in core.closed} <= {Why.ECHO}


@given(
    st.binary(max_size=160),
    st.sampled_from(list(TextAlphabet)),
    st.sampled_from([0, UDHI, 0xFF]),
    st.lists(st.tuples(TAGS, st.binary(max_size=4)), max_size=6),
)
def test_i8_i9_whatever_came_is_read_without_an_exception_into_storable_text(
    octets, alphabet, esm_class, tlvs
):
    one = an_mo(
        octets,
        alphabet=alphabet,
        esm_class=esm_class,
        tlvs_hex=tuple((tag, value.hex()) for tag, value in tlvs),
    )
    content = read(one)
    place = content.place
    assert place is None or 1 <= place.segment_index <= place.segment_count <= 255
    reading = text_of([content])
    if reading.text is None:
        assert reading.data is not None
    else:
        assert "\0" not in reading.text
        reading.text.encode("utf-8")


@given(st.text(min_size=1, max_size=60), st.integers(1, 7))
def test_b28_a_text_cut_anywhere_between_units_is_whole_again(text, size):
    units = text.replace("\0", " ").encode("utf-16-be", "replace")
    pieces = [units[at : at + 2 * size] for at in range(0, len(units), 2 * size)]
    contents = [read(an_mo(piece, data_coding=8, alphabet=TextAlphabet.UCS2)) for piece in pieces]
    assert text_of(contents).text == units.decode("utf-16-be").removeprefix("\ufeff")
