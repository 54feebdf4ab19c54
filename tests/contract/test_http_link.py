"""HttpLink where it differs from other links: what is certain of a request, bulk, uploads, answers of all kinds."""

import asyncio
import ssl
import subprocess

import pytest

from adapters.http.answers import AnswerMapping
from adapters.http.classify import Rule, Verdict
from adapters.http.link import HttpLink
from adapters.http.mapping import MappedDialect
from adapters.http.profile import HttpProfile
from adapters.tls import TlsSettings
from gateway.domain.outcomes import Ambiguous, Refusal, Refused, Submitted, Throttled, Unsent
from gateway.ports.links import GO, WAIT_FOR_EVENT, BindState
from gateway.ports.media_store import MediaFile
from tests.support.http_carrier import Reply
from tests.support.link_rigs import CLOCK, PATIENCE, HttpRig, a_link, an_http_mapping

BULK = {
    "body": {"messages": [{"to": "{to_plus}", "text": "{text}", "reference": "{message_id}"}]},
    "bulk_list": "/messages",
    "answer": AnswerMapping(
        list_pointer="/messages", code_pointers=("/code",), reference_pointer="/reference"
    ),
}


class MappedRig(HttpRig):
    """An HTTP rig whose mapping and profile a test chooses."""

    def __init__(self, *, media=None, dialect=None, **mapping):
        super().__init__()
        self.mapping = mapping
        self.media = media
        self.own_dialect = dialect

    def link(self, *, clock, shares=1, shard=0, **options):
        profile = HttpProfile(**{"carrier": "telco", "url": self.peer.url, **PATIENCE, **options})
        dialect = self.own_dialect or MappedDialect(an_http_mapping(self.peer.url, **self.mapping))
        return HttpLink(profile, dialect, clock=clock, media=self.media, shares=shares, shard=shard)


async def outcome_of(reply, **mapping):
    rig = MappedRig(**mapping)
    async with a_link(rig, answer_s=2) as harness:
        rig.peer.answer = lambda heard: reply
        harness.submit()
        (outcome,) = await harness.settled()
        return outcome


# -- what is asked, and over what -------------------------------------------------------------------


async def test_one_connection_serves_one_request_after_the_other():
    rig = MappedRig()
    async with a_link(rig) as harness:
        reached = rig.peer.connection_count
        for count in range(1, 6):
            harness.submit()
            await harness.settled(count)
        assert harness.is_all_submitted
        assert rig.peer.connection_count == reached + 1
        first = rig.peer.heard[0]
        assert (first.method, first.target) == ("POST", "/v1/messages")
        assert first.headers["authorization"] == "Bearer secret"
        assert first.headers["content-type"] == "application/json"
        assert first.json["to"] == "+525512345678"


async def test_never_more_connections_than_the_window():
    rig = MappedRig()
    async with a_link(rig, window_slots=3) as harness:
        reached = rig.peer.connection_count
        rig.hold()
        for _ in range(3):
            harness.submit()
        await harness.heard(3)
        rig.take()
        rig.answer_held()
        await harness.settled(3)
        for count in range(4, 13):
            harness.submit()
            await harness.settled(count)
        assert rig.peer.connection_count <= reached + 3


# -- what is certain --------------------------------------------------------------------------------


async def test_an_old_connection_that_the_carrier_has_closed_is_not_used():
    rig = MappedRig()
    async with a_link(rig) as harness:
        rig.peer.answer = lambda heard: Reply(body={"id": "1"}, closes=True)
        for count in range(1, 4):
            harness.submit()
            await harness.settled(count)
            await asyncio.sleep(0.02)
        assert harness.is_all_submitted
        assert len(rig.peer.heard) == 3


async def test_a_word_that_came_before_the_question_is_no_answer():
    rig = MappedRig()
    async with a_link(rig) as harness:
        harness.submit()
        await harness.settled()
        # As proxies do that tire of an idle connection.
        rig.peer.connections[0].reply(Reply(408, b""))
        await asyncio.sleep(0.02)
        harness.submit()
        await harness.settled(2)
        assert harness.is_all_submitted


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_request_that_was_lost_is_never_sent_again_by_itself(method):
    rig = MappedRig(method=method)
    async with a_link(rig) as harness:
        harness.submit()
        await harness.settled()
        rig.peer.answer = lambda heard: heard.connection.transport.abort()
        harness.submit()
        await harness.settled(2)
        assert type(harness.outcomes[1]) is Ambiguous
        assert harness.outcomes[1].reason == "connection_lost"
        await asyncio.sleep(0.05)
        assert len(rig.peer.heard) == 2


async def test_a_refused_connection_is_unsent_and_the_bind_goes_down():
    rig = MappedRig()
    async with a_link(rig) as harness:
        await rig.stop()
        harness.submit()
        assert await harness.settled() == [Unsent("connect_refused")]
        assert harness.states()[-1] in (BindState.DOWN, BindState.CONNECTING)
        assert harness.ready() == (WAIT_FOR_EVENT, "no_bind")


async def test_an_answer_that_stops_in_the_middle_of_its_head_is_in_doubt():
    raw = b"HTTP/1.1 200 OK\r\nContent-Le"
    outcome = await outcome_of(Reply(raw=raw, closes=True))
    assert type(outcome) is Ambiguous


@pytest.mark.parametrize(
    "raw", [b"\x00\x01garbage\r\n\r\n", b"HTTP/9.9 banana\r\n\r\n", b"SSH-2.0-x\r\n\r\n"]
)
async def test_what_is_no_http_is_in_doubt(raw):
    outcome = await outcome_of(Reply(raw=raw, closes=True))
    assert type(outcome) is Ambiguous


async def test_a_yes_whose_body_breaks_off_is_in_doubt():
    raw = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": "1"'
    assert type(await outcome_of(Reply(raw=raw, closes=True))) is Ambiguous


async def test_a_no_whose_body_breaks_off_is_a_no():
    raw = b"HTTP/1.1 400 Bad\r\nContent-Length: 100\r\n\r\n{"
    outcome = await outcome_of(Reply(raw=raw, closes=True))
    assert outcome == Refused("HTTP_400", "http1", Refusal.PERMANENT)


async def test_of_a_long_answer_only_the_beginning_is_read():
    body = b'{"id": "1", "x": "' + b"x" * 2_000_000 + b'"}'
    outcome = await outcome_of(Reply(body=body))
    assert type(outcome) is Ambiguous  # its id may have been anywhere
    outcome = await outcome_of(Reply(500, body=body))
    assert outcome == Refused("HTTP_500", "http1", Refusal.RETRY_LATER, try_other_route=True)


async def test_answers_in_chunks_are_put_together():
    raw = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id"\r\n6\r\n:"ab"}\r\n0\r\n\r\n'
    outcome = await outcome_of(Reply(raw=raw))
    assert outcome.carrier_message_id == "ab"


async def test_redirects_are_not_followed():
    reply = Reply(302, b"", headers={"Location": "http://127.0.0.1:1/elsewhere"})
    outcome = await outcome_of(reply)
    assert outcome == Refused("HTTP_302", "http1", Refusal.FAILOVER, try_other_route=True, alert=True)


# -- trouble ----------------------------------------------------------------------------------------


async def test_throttling_for_a_time_holds_the_bind_for_that_time():
    rig = MappedRig()
    async with a_link(rig, top_rate="1000/s") as harness:
        rig.peer.answer = lambda heard: Reply(429, {}, headers={"Retry-After": "7"})
        harness.submit()
        assert await harness.settled() == [Throttled("HTTP_429", "http1", 7000)]
        permit = harness.ready()
        assert permit.reason == "throttled"
        assert 6_000_000_000 < permit.wait_ns <= 7_000_000_000


async def test_answers_of_a_broken_carrier_open_the_breaker():
    rig = MappedRig()
    async with a_link(rig) as harness:
        rig.peer.answer = lambda heard: Reply(503, b"<html>", headers={"Content-Type": "text/html"})
        for count in range(1, 4):
            harness.submit()
            await harness.settled(count)
        assert {outcome.refusal for outcome in harness.outcomes} == {Refusal.RETRY_LATER}
        assert harness.figures().breaker == "open"
        assert harness.ready().reason == "breaker"


async def test_a_refused_login_loses_nothing_and_is_not_hammered():
    rig = MappedRig()
    async with a_link(rig) as harness:
        rig.peer.answer = lambda heard: Reply(401, {})
        harness.submit()
        assert await harness.settled() == [Unsent("unauthorised")]
        change = harness.sink.changes[-1]
        assert (change.state, change.reason, change.alert) == (BindState.DOWN, "unauthorised", True)
        assert harness.figures().last_error == "unauthorised"
        await asyncio.sleep(0.2)  # the back-off is 50 ms at most
        assert harness.figures().state is BindState.DOWN
        rig.take()
        harness.link.reconnect()
        await harness.bound()
        assert harness.figures().breaker == "half_open" or harness.ready().reason == "breaker"


# -- bulk -------------------------------------------------------------------------------------------


async def test_what_is_submitted_at_once_goes_in_one_request():
    rig = MappedRig(bulk_limit=10, **BULK)
    async with a_link(rig, window_slots=50, linger_ms=20) as harness:
        segments = [harness.segment(text=f"text {number}") for number in range(25)]
        for segment in segments:
            harness.submit(segment)
        assert harness.link.in_flight == 25
        await harness.settled(25)
        assert harness.is_all_submitted
        sizes = [len(heard.json["messages"]) for heard in rig.peer.heard]
        assert sizes == [10, 10, 5]
        said = [item["text"] for heard in rig.peer.heard for item in heard.json["messages"]]
        assert said == [f"text {number}" for number in range(25)]
        assert len({outcome.carrier_message_id for outcome in harness.outcomes}) == 25


async def test_each_message_of_a_bulk_request_has_its_own_outcome():
    rig = MappedRig(bulk_limit=10, **BULK)

    def answer(heard):
        items = heard.json["messages"]
        entries = [{"id": f"id-{item['text']}", "reference": item["reference"]} for item in items]
        entries[1] = {"code": "E1", "reference": items[1]["reference"]}
        del entries[3]  # a carrier that forgets one
        return Reply(body={"messages": entries[::-1]})

    async with a_link(rig, window_slots=50) as harness:
        rig.peer.answer = answer
        for number in range(5):
            harness.submit(text=str(number))
        outcomes = await harness.settled(5)
        assert [getattr(one, "carrier_message_id", "") for one in outcomes] == [
            "id-0",
            "",
            "id-2",
            "",
            "id-4",
        ]
        assert outcomes[1] == Refused("E1", "http1", Refusal.FAILOVER, try_other_route=True)
        assert (type(outcomes[3]), outcomes[3].reason) == (Ambiguous, "no_entry_in_answer")


async def test_bulk_requests_keep_to_their_connections_and_queue_nothing():
    rig = MappedRig(bulk_limit=4, **BULK)
    async with a_link(rig, window_slots=8, connections=2, linger_ms=1) as harness:
        rig.hold()
        harness.submit()
        await harness.heard(1)  # one request of one message
        for _ in range(4):
            harness.submit()
        await harness.heard(2)
        assert harness.link.in_flight == 5
        assert harness.ready() == (WAIT_FOR_EVENT, "window_full")
        rig.take()
        rig.answer_held()
        await harness.settled(5)
        assert harness.ready() == GO


async def test_what_waits_for_company_is_unsent_when_the_link_is_aborted():
    rig = MappedRig(bulk_limit=4, **BULK)
    async with a_link(rig, linger_ms=1000) as harness:
        harness.submit()
        harness.submit()
        harness.link.abort()
        assert harness.outcomes == [Unsent("aborted")] * 2


# -- what the dialect says --------------------------------------------------------------------------


async def test_a_text_beyond_the_carriers_limit_goes_elsewhere():
    rig = MappedRig(max_characters=5)
    async with a_link(rig) as harness:
        harness.submit(text="123456")
        assert harness.outcomes == []
        (outcome,) = await harness.settled()
        assert outcome == Refused("text_too_long", "http1", Refusal.PERMANENT, try_other_route=True)
        assert rig.heard == 0
        assert harness.link.in_flight == 0


async def test_rules_of_the_configuration_decide_first():
    rules = (Rule(Verdict("retry_later", other_route=True), codes=frozenset({"E7"})),)
    answer = AnswerMapping(code_pointers=("/error/code",), rules=rules)
    outcome = await outcome_of(Reply(400, {"error": {"code": "E7"}}), answer=answer)
    assert outcome == Refused("E7", "http1", Refusal.RETRY_LATER, try_other_route=True)


class BrokenDialect(MappedDialect):
    """Has a bug in what a test names."""

    broken = ""

    def request(self, segments, *, now_ms):
        if self.broken == "request":
            raise KeyError("525512345678")
        return super().request(segments, now_ms=now_ms)

    def outcomes(self, response, segments, *, bind, response_ms):
        if self.broken == "outcomes":
            raise KeyError("525512345678")
        if self.broken == "count":
            return []
        return super().outcomes(response, segments, bind=bind, response_ms=response_ms)


@pytest.mark.parametrize(
    ("where", "kind"), [("request", Refused), ("outcomes", Ambiguous), ("count", Ambiguous)]
)
async def test_a_bug_of_a_dialect_costs_its_own_segment_alone(where, kind, capsys):
    rig = MappedRig()
    await rig.start()
    rig.own_dialect = BrokenDialect(an_http_mapping(rig.peer.url))
    await rig.stop()
    async with a_link(rig) as harness:
        rig.own_dialect.broken = where
        harness.submit()
        await harness.settled()
        rig.own_dialect.broken = ""
        harness.submit()
        await harness.settled(2)
        assert [type(outcome) for outcome in harness.outcomes] == [kind, Submitted]
    assert "525512345678" not in "".join(capsys.readouterr())


class UploadingDialect(MappedDialect):
    """Wants every message's file first."""

    known = False

    def upload(self, segment, *, now_ms):
        return None if self.known else "med_1"

    def upload_request(self, media_id, *, content_type, name, octets):
        from adapters.http.dialect import HttpRequest

        url = self._mapping.url.replace("messages", "media")
        return HttpRequest("POST", url, {"Content-Type": content_type}, octets)

    def uploaded(self, media_id, response, *, now_ms):
        if response.status != 200:
            return Refused("no_upload", "", Refusal.RETRY_LATER)
        self.known = True
        return None


class Media:
    def __init__(self, found=None, error=None):
        self.found, self.error = found, error

    async def read_media(self, media_id, *, now_ms):
        if self.error is not None:
            raise self.error
        return self.found


FILE = MediaFile("image/png", "x.png", b"\x89PNG" * 50_000)


async def uploading(media, reply=None):
    rig = MappedRig(media=media)
    await rig.start()
    rig.own_dialect = UploadingDialect(an_http_mapping(rig.peer.url))
    await rig.stop()
    async with a_link(rig) as harness:
        accept = rig.peer.accept

        def answer(heard):
            if heard.target.endswith("/media"):
                return reply or Reply(200, {})
            return accept(heard)

        rig.peer.answer = answer
        for _ in range(3):
            harness.submit()
        await harness.settled(3)
        assert harness.link.in_flight == 0
        return rig.peer.heard, harness.outcomes


async def test_a_file_is_brought_once_before_the_messages_that_need_it():
    heard, outcomes = await uploading(Media(FILE))
    assert heard[0].target == "/v1/media"
    assert [one.target for one in heard].count("/v1/media") == 1
    assert heard[0].body == FILE.octets
    assert all(type(outcome) is Submitted for outcome in outcomes)


@pytest.mark.parametrize(
    ("media", "reply", "status", "refusal"),
    [
        (Media(None), None, "media_missing", Refusal.PERMANENT),
        (Media(error=TimeoutError()), None, "media_unavailable", Refusal.RETRY_LATER),
        (None, None, "no_media_store", Refusal.PERMANENT),
        (Media(FILE), Reply(500, {}), "no_upload", Refusal.RETRY_LATER),
        (Media(FILE), Reply(raw=b"x\r\n\r\n", closes=True), "upload_bad_answer", Refusal.RETRY_LATER),
    ],
)
async def test_a_file_that_cannot_be_brought_leaves_nothing_in_doubt(media, reply, status, refusal):
    heard, outcomes = await uploading(media, reply)
    assert not [one for one in heard if one.target.endswith("/messages")]
    assert {type(outcome) for outcome in outcomes} == {Refused}
    assert outcomes[0].status == status
    assert outcomes[0].refusal is refusal
    assert outcomes[0].bind == "http1"


# -- TLS --------------------------------------------------------------------------------------------


async def test_tls_is_spoken_where_the_url_says_so_and_checked(tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(  # noqa: ASYNC221 - before anything runs in this loop
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    rig = MappedRig()
    await rig.peer.start(tls=context)
    url = rig.peer.url.replace("http:", "https:").replace("127.0.0.1", "localhost")
    try:
        for ca_file, expected in ((str(certificate), BindState.BOUND), (None, BindState.DOWN)):
            harness = _Plain(rig, url, TlsSettings(ca_file=ca_file))
            await harness.start()
            try:
                await rig.until(lambda harness=harness, expected=expected: expected in harness.states)
                if expected is BindState.BOUND:
                    harness.submit()
                    await rig.until(lambda harness=harness: harness.outcomes)
                    assert type(harness.outcomes[0]) is Submitted
                else:
                    assert (harness.changes[1].reason, harness.changes[1].alert) == ("tls_failed", True)
            finally:
                harness.link.abort()
                await asyncio.sleep(0.02)
    finally:
        await rig.stop()


class _Plain:
    """A link with TLS and what it says."""

    def __init__(self, rig, url, tls):
        self.changes, self.outcomes = [], []
        profile = HttpProfile(carrier="telco", url=url, tls=tls, **PATIENCE)
        self.link = HttpLink(profile, MappedDialect(an_http_mapping(url)), clock=CLOCK)

    async def start(self):
        await self.link.start(self)

    @property
    def states(self):
        return [change.state for change in self.changes]

    def on_ready(self): ...

    def on_inbound(self, batch): ...

    def on_late_answer(self, segment, outcome): ...

    def on_bind_changed(self, event):
        self.changes.append(event)

    def submit(self):
        from tests.support.link_rigs import a_segment

        now_ns = CLOCK.monotonic_ns()
        assert self.link.ready(now_ns) == GO
        self.link.submit(a_segment(lambda _, outcome: self.outcomes.append(outcome)), now_ns=now_ns)
