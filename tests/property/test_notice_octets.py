"""A notice written in one go is the notice as its values say it, octet for octet."""

from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from dlr.webhooks.payloads import read_event
from gateway.bus.codec import decode, encode
from gateway.bus.notice_octets import facts_octets, notice_octets
from gateway.domain.ids import MAX_TIME_MS, derived_text, derived_uuid, new_uuid7
from gateway.domain.notices import MESSAGE_TYPE_BY_STATE, MessageFacts, message_notice

_IDS = st.builds(new_uuid7, st.integers(0, MAX_TIME_MS), st.integers(0, (1 << 74) - 1))
_TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(['a"b', "\\", "\x1f", "ñandú", "\u2028", "é\x00"]))
_TIMES = st.integers(0, 4_102_444_800_000)
_METADATA = st.one_of(
    st.none(),
    st.dictionaries(
        st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=5), st.none()), max_size=3
    ),
    st.just(msgspec.Raw(b'{"team": "caf\xc3\xa9",  "n": 1.0}')),
)
_OF_AN_EVENT = ("id", "account_id", "type", "at", "subject_id", "endpoint_id")
_FACTS = st.builds(
    MessageFacts,
    id=_IDS,
    account_id=_TEXTS,
    message_class=st.sampled_from(["otp", "marketing"]),
    channel=_TEXTS,
    recipient=_TEXTS,
    sender=_TEXTS,
    encoding=_TEXTS,
    segment_count=st.integers(1, 255),
    client_ref=st.none() | _TEXTS,
    batch_id=st.none() | _IDS,
    metadata=_METADATA,
    accepted_at=_TIMES,
    webhook_id=st.none() | _TEXTS,
    origin=st.none() | _TEXTS,
    state=st.sampled_from(sorted(MESSAGE_TYPE_BY_STATE)),
    partial=st.booleans(),
    carrier=st.none() | _TEXTS,
    attempt=st.integers(0, 99),
    submitted_at=st.none() | _TIMES,
    final_at=st.none() | _TIMES,
    error=_TEXTS,
)


@given(facts=_FACTS, state=st.sampled_from(sorted(MESSAGE_TYPE_BY_STATE)))
def test_octets_of_a_notice_are_those_of_its_values(facts: MessageFacts, state: str) -> None:
    assert notice_octets(facts, state) == encode(message_notice(facts, state))


@given(facts=_FACTS, state=st.sampled_from(sorted(MESSAGE_TYPE_BY_STATE)))
def test_an_account_reads_of_the_facts_what_the_notice_says(facts: MessageFacts, state: str) -> None:
    told = read_event(facts_octets(facts, state))
    noted = read_event(encode(message_notice(facts, state)))
    assert told.body() == noted.body()
    assert [getattr(told, name) for name in _OF_AN_EVENT] == [getattr(noted, name) for name in _OF_AN_EVENT]


@given(facts=_FACTS, state=st.sampled_from(sorted(MESSAGE_TYPE_BY_STATE)))
def test_the_facts_come_back_as_they_were_told(facts: MessageFacts, state: str) -> None:
    found = decode(facts_octets(facts, state))
    assert isinstance(found, MessageFacts)
    assert found._replace(metadata=None) == facts._replace(metadata=None, state=state)


@given(subject=_IDS, name=st.sampled_from(["message.delivered", "x", ""]))
def test_the_text_of_a_derived_id_is_that_of_the_id(subject: UUID, name: str) -> None:
    assert derived_text(subject, name) == str(derived_uuid(subject, name))
