"""Whatever a carrier, or somebody who pretends to be one, posts: an answer, never an exception, the same each time."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapters.http.callbacks import CallbackMap, MappedCallbacks, ReceiptMap, ReplyMap, When
from adapters.http.signatures import BasicCheck, HmacCheck, SourceCheck, TokenCheck
from gateway.bus.codec import decode
from gateway.bus.inbound import inbound_record
from gateway.domain.receipts import MessageState
from gateway.ports.callbacks import CallbackFault, CallbackRequest

FIELDS = ("event", "id", "status", "from", "to", "text", "at", "items", "error", "media")
WORDS = (
    "status",
    "message",
    "delivered",
    "READ",
    "teleported",
    "525512345678",
    "A1",
    "\ud83d",
    "\x00",
    "",
    " ",
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=20),
    st.text(alphabet=st.characters(), max_size=5),
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=8)
    ),
    max_leaves=25,
)
bodies = st.one_of(
    st.binary(max_size=200),
    documents.map(lambda document: json.dumps(document).encode()),
    documents.map(lambda document: json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.tuples(documents.map(lambda document: json.dumps(document).encode()), st.integers(0, 40)).map(
        lambda pair: pair[0][: -pair[1]]
    ),
    st.lists(st.tuples(st.sampled_from(FIELDS), st.sampled_from(WORDS)), max_size=8).map(
        lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode("utf-8", "surrogatepass")
    ),
)
headers = st.dictionaries(
    st.sampled_from(["x-sig", "x-time", "x-token", "authorization", "x-forwarded-for"]),
    st.text(alphabet=st.characters(max_codepoint=255), max_size=40),
    max_size=4,
)


def a_map(items: tuple[tuple[str, ...], ...], kind: str, charset: str, **changes: Any) -> CallbackMap:
    receipt = ReceiptMap(
        id=("id",),
        state=("status",),
        states={"delivered": MessageState.DELIVERED, "read": MessageState.READ},
        items=items,
        when=When(("status",)),
        error=("error", "0"),
        time=("at",),
    )
    reply = ReplyMap(
        sender=("from",),
        items=(("items", "*", "items"), ("items",)),
        recipient=("to",),
        text=("text",),
        time=("at",),
        media={"type": ("media",), "link": ("media", "*")},
    )
    return CallbackMap(
        "telco_h",
        checks=(),
        receipt=receipt,
        reply=reply,
        format=kind,
        charset=charset,
        max_items=20,
        **changes,
    )


maps = st.builds(
    a_map,
    st.sampled_from(
        [((),), (("items",), ()), (("items", "*"),), (("*",), ("id",)), (("items", "0", "media"),)]
    ),
    st.sampled_from(["json", "form", "query"]),
    st.sampled_from(["utf-8", "iso-8859-1", "windows-1252"]),
    refuses_unreadable=st.booleans(),
)


@given(
    maps,
    bodies,
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(WORDS), max_size=6),
)
def test_reading_never_raises_and_the_same_octets_are_the_same_items(
    call_map: CallbackMap, body: bytes, method: str, query: dict[str, str]
) -> None:
    request = CallbackRequest(method, query, {}, body, received_at=1_795_521_600_000)
    reading = MappedCallbacks(call_map).read(request)
    assert reading.fault in {"", *CallbackFault}
    assert len(reading.items) <= 20
    assert reading.answer.status in ({200} if reading.items else {200, 400, 405, 413})
    again = MappedCallbacks(call_map).read(request)
    assert again == reading
    # What is read can be kept, and is the same when it is read from where it is kept.
    assert [decode(inbound_record(item).value) for item in reading.items] == list(reading.items)


CHECKS = (
    HmacCheck(
        "x-sig", (b"a", b"b"), encoding="base64", signed="{timestamp}{body}", timestamp_header="x-time"
    ),
    HmacCheck("x-sig", (b"a",), prefix="v="),
    TokenCheck((b"a",), header="x-token"),
    TokenCheck((b"a",), query="id"),
    BasicCheck("telco", (b"a",)),
    SourceCheck((), ()),
)


@given(st.sampled_from(CHECKS), bodies, headers, st.text(max_size=20), st.text(max_size=10))
def test_a_check_never_raises_and_guesses_never_pass(
    check: Any, body: bytes, given_headers: dict[str, str], source: str, token: str
) -> None:
    request = CallbackRequest("POST", {"id": "x" + token}, given_headers, body, received_at=0, source=source)
    if given_headers.get("x-token", "").strip() != "a":
        assert check.fault(request) in {CallbackFault.SIGNATURE, CallbackFault.SOURCE}
