"""A head that is recognised by its octets means what a parser says, and nothing else is recognised."""

import httptools
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.runtime.http_heads import MAX_HEAD_OCTETS, known_head

KEY = b"Bearer cdl_live_ABCDEFGHIJKL_x"
LINES = st.lists(
    st.sampled_from(
        [
            b"Host: x",
            b"Authorization: " + KEY,
            b"content-type: application/json",
            b"X-Content-Length: 5",
            b"Accept: */*",
            b"User-Agent: a\tb  ",
            b"Expect: x",
        ]
    ),
    max_size=5,
)
LENGTHS = st.sampled_from([b"Content-Length: ", b"content-length:", b"CONTENT-LENGTH: \t"])
BODIES = st.binary(max_size=120)


class Heard:
    """What a parser says of octets: whole requests as (method, url, headers, body)."""

    def __init__(self, octets):
        self.requests = []
        self.headers = self.url = self.body = None
        self.parser = httptools.HttpRequestParser(self)
        try:
            self.parser.feed_data(octets)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.requests = []

    def on_message_begin(self):
        self.headers, self.url, self.body = [], b"", b""

    def on_url(self, url):
        self.url += url

    def on_header(self, name, value):
        self.headers.append((name.lower(), value))

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        others = [header for header in self.headers if header[0] != b"content-length"]
        self.requests.append((self.parser.get_method(), self.url, others, self.body))


def posted(before, length, after, body, *, digits=None):
    lines = [*before, length + (b"%d" % len(body) if digits is None else digits), *after]
    return b"POST /v1/messages HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body


@given(
    LINES,
    LENGTHS,
    LINES,
    BODIES,
    BODIES,
    st.sampled_from([None, b"0", b"7", b"007", b"+7", b"7 ", b"-1", b"x", b""]),
)
def test_what_is_recognised_is_what_the_parser_says_of_it(before, length, after, first, second, digits):
    one = posted(before, length, after, first)
    heard = Heard(one).requests
    assume(len(heard) == 1)
    head = known_head(one, body_octets=len(first))
    assert head is not None
    assert head.body_of(one) == first
    other = posted(before, length, after, second, digits=digits)
    body = head.body_of(other)
    if body is not None:
        assert Heard(other).requests == [(*heard[0][:3], body)]
    elif digits is None:
        raise AssertionError("the same head with another body was not recognised")


@given(LINES, LENGTHS, LINES, BODIES, st.data())
def test_nothing_but_one_whole_request_is_recognised(before, length, after, body, data):
    request = posted(before, length, after, body)
    head = known_head(request, body_octets=len(body))
    cut = data.draw(st.integers(0, len(request) - 1))
    assert head.body_of(request[:cut]) is None
    assert head.body_of(request + b"x") is None
    assert head.body_of(request + request) is None
    place = data.draw(st.integers(0, len(request) - len(body) - 1))
    changed = bytearray(request)
    changed[place] ^= 0x20
    found = head.body_of(bytes(changed))
    assert found is None


def test_unusual_heads_are_not_known():
    usual = posted([b"Host: x"], b"Content-Length: ", [], b"{}")
    assert known_head(usual, body_octets=2) is not None
    assert known_head(b"\r\n" + usual, body_octets=2) is None
    assert known_head(usual.replace(b"POST", b"PUT "), body_octets=2) is None
    assert known_head(usual.replace(b"Host: x", b"Content-Length: 2"), body_octets=2) is None
    assert (
        known_head(usual.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"), body_octets=2) is None
    )
    assert known_head(usual.replace(b": x", b": " + b"x" * MAX_HEAD_OCTETS), body_octets=2) is None
    assert known_head(usual, body_octets=len(usual)) is None
    assert known_head(usual + usual, body_octets=2) is None
