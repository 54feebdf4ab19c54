"""The SMPP stack against harmed streams: the kept corpus, then a short run of new ones; hours of it in `tests.perf.fuzz`."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.perf import fuzz_targets
from tests.perf.fuzz_mutations import MAX_STREAM_OCTETS, VALID, mutated, read_corpus
from tests.perf.fuzz_targets import TARGETS

CORPUS = read_corpus()
SEEDS = 6

HARMED = st.builds(
    lambda seed, pdu: mutated(Random(seed), pdu), st.integers(0, 1 << 32), st.sampled_from(VALID)
)
STREAMS = st.lists(
    st.one_of(
        st.sampled_from(VALID),
        HARMED,
        HARMED,
        st.sampled_from(sorted(CORPUS.values())),
        st.binary(max_size=60),
    ),
    min_size=1,
    max_size=8,
).map(lambda parts: b"".join(parts)[:MAX_STREAM_OCTETS])


def test_the_corpus_is_there_and_its_files_are_small():
    assert len(CORPUS) >= 80
    assert max(map(len, CORPUS.values())) <= 66_560


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_i1_to_i10_every_kept_case_holds(target):
    for name, octets in CORPUS.items():
        for seed in range(SEEDS):
            try:
                TARGETS[target](octets, Random(seed))
            except Exception as error:
                error.add_note(f"case {name}, seed {seed}")
                raise


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_new_harm_finds_nothing(target):
    @settings(max_examples=500, deadline=None, derandomize=True, database=None)
    @given(octets=STREAMS, seed=st.integers(0, 1 << 32))
    def run(octets, seed):
        TARGETS[target](octets, Random(seed))

    run()


@pytest.mark.parametrize(
    ("target", "harm"),
    [
        ("framer", "adapters.smpp.wire.framer.Framer._keep"),
        ("codec", "adapters.smpp.wire.codec.encode_tlvs"),
        ("session", "adapters.smpp.session.window.Window.drain"),
        ("driven_session", "adapters.smpp.session.sending.SendingHalf._hold"),
        ("simulator", "loadtest.smsc.centre.MessageCentre.closed"),
    ],
)
def test_the_fuzzing_notices_a_planted_fault(target, harm, monkeypatch):
    planted = {
        "framer": lambda self, rest: None,
        "codec": lambda tlvs: b"",
        "session": lambda self: [],
        "driven_session": lambda self, frame: False,
        "simulator": lambda self, session: None,
    }[target]
    monkeypatch.setattr(harm, planted)
    monkeypatch.setattr(fuzz_targets, "_centre", [])  # one that the fault has spoilt is nobody else's
    with pytest.raises(Exception):  # noqa: B017  # a fault may show itself as anything
        for seed in range(30):
            for octets in CORPUS.values():
                TARGETS[target](octets, Random(seed))
