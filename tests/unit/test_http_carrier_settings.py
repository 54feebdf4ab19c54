"""`[carriers.<id>]` with `protocol = "http"`: what loads, what is refused and how, and what dispatch is told."""

import json
import runpy
from pathlib import Path
from random import Random

import pytest

from adapters.http.link import HttpLink
from gateway.commands.shared import redact
from gateway.dispatch.cutter import Cutter
from gateway.dispatch.plan import HTTP_STATUSES, CarrierPlan
from gateway.dispatch.references import References
from gateway.dispatch.work import Work
from gateway.domain.cutting import SegmentationOptions
from gateway.domain.errors import SegmentationError
from gateway.domain.message import Channel, Message, MessageClass
from gateway.policy.retry import Then
from gateway.ports.clock import SystemClock
from gateway.runtime.carriers import carrier_plan, check_carriers, route_table
from gateway.settings import (
    CarrierSettings,
    HttpCarrierSettings,
    Settings,
    SettingsError,
    check_exposure,
    load_settings,
)
from gateway.settings.http_carriers import (
    HttpAuthSettings,
    HttpBulkSettings,
    HttpRequestSettings,
    HttpResponseSettings,
    HttpRuleSettings,
    HttpTimeoutSettings,
)
from gateway.settings.lanes import HttpRetrySettings

DOCS = Path(__file__).parents[2] / "deploy" / "docs"
PAGE = runpy.run_path(str(DOCS / "make_carriers.py"))
HEAD = '[carriers.telco]\nprotocol = "http"\nurl = "https://api.telco.example/v1/messages"\n'
SMPP = '[carriers.other]\nhost = "smpp.telco.example"\nport = 2775\nsystem_id = "acme"\n'


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.delenv("CAUDAL_CONFIG", raising=False)

    def loader(text, *, checks=True):
        path = tmp_path / "caudal.toml"
        path.write_text(text, encoding="utf-8")
        settings, source = load_settings(path)
        if checks:
            check_carriers(settings, source=source)
        return settings

    return loader


def refusal(load, text) -> str:
    with pytest.raises(SettingsError) as caught:
        load(text)
    return str(caught.value).split("caudal.toml", 1)[1]


def test_a_carrier_without_protocol_is_smpp_and_both_live_together(load) -> None:
    settings = load(HEAD + SMPP)
    assert isinstance(settings.carriers["telco"], HttpCarrierSettings)
    assert isinstance(settings.carriers["other"], CarrierSettings)
    assert list(settings.smpp_carriers) == ["other"]
    assert {carrier.channel for carrier in settings.carriers.values()} == {Channel.SMS}
    assert route_table(settings).channel_of("telco") is Channel.SMS


def test_settings_go_through_a_pipe_unchanged(load) -> None:
    settings = load(
        HEAD
        + '[[carriers.telco.response.rules]]\nstatus = [400, "5xx"]\nclass = "throttle"\n'
        + '[carriers.telco.request]\nbody = {to = "{to}", list = [1, {a = true}]}\n'
        + SMPP
    )
    assert Settings(**json.loads(settings.model_dump_json(by_alias=True))) == settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[carriers.telco]\nprotocol = "soap"\n', ":2: carriers.telco.protocol: no protocol known here"),
        ('[carriers.telco]\nprotocol = "http"\n', ":1: carriers.telco.url is missing"),
        (HEAD + "port = 2775\n", ":4: unknown key 'carriers.telco.port'"),
        ('[carriers.telco]\nprotocol = "http"\nurl = "ftp://x"\n', ":3: carriers.telco.url: write it with http://"),
        (HEAD.replace("api.", "user:pw@api."), ":3: carriers.telco.url: no user and password here"),
        (HEAD + "window = 30\nmax_connections = 20\n", "window 30 needs more than 20 connections"),
        (HEAD + "shards = 2\n", "2 shards share 1 binds"),
        (HEAD + '[carriers.telco.auth]\ntype = "bearer"\n', "needs a secret"),
        (HEAD + '[carriers.telco.auth]\ntype = "header"\nsecret = "x"\n', "needs the name"),
        (HEAD + '[carriers.telco.auth]\nsecret = "x"\nsecret_env = "Y"\n', "give the secret once"),
        (HEAD + '[carriers.telco.headers]\n"a b" = "x"\n', "no name of an HTTP header"),
        (HEAD + '[carriers.telco.headers]\nX-Key = "s3cr3t\\n"\n', "printable ASCII characters only"),
        (HEAD + "[carriers.telco.timeouts]\nanswer_s = 0\n", ":5: carriers.telco.timeouts.answer_s: "),
        (HEAD + '[[carriers.telco.response.rules]]\nclass = "ok"\n', "needs status, code or matches"),
        (HEAD + '[carriers.telco.response]\nid_pattern = "("\n', ":5: carriers.telco.response.id_pattern: not a regular"),
        # What only compiling the templates shows.
        (HEAD + '[carriers.telco.request]\nbody = {to = "{too}"}\n', ":5: carriers.telco.request.body.to: no placeholder"),
        (HEAD + '[carriers.telco.request.body]\nto = "{to"\n', ":5: carriers.telco.request.body.to: a { at"),
        (HEAD + '[carriers.telco.auth]\ntype = "bearer"\nsecret_env = "NO_SUCH"\n', ":6: carriers.telco.auth.secret_env: the variable NO_SUCH"),
        (HEAD + '[carriers.telco.tls]\nca_file = "/no/such"\n', ":5: carriers.telco.tls.ca_file: cannot read /no/such"),
        (HEAD + '[carriers.telco.retry.status.HTTP_429]\ndelays = ["1s"]\n', "the answer HTTP_429 is throttle, not a retry"),
        (
            HEAD
            + '[[carriers.telco.response.rules]]\ncode = ["E1"]\nclass = "ok"\n[carriers.telco.retry.status.E1]\ndelays = ["1s"]\n',
            "the answer E1 is ok, not a retry",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_by_file_line_and_key(load, text, expected) -> None:
    found = refusal(load, text)
    assert expected in found
    assert "s3cr3t" not in found


def test_a_plan_of_an_http_carrier_has_all_that_dispatch_wants(load) -> None:
    text = HEAD + (
        'rate = "50/s"\nbinds = 2\nshards = 2\nwindow = 20\nmax_characters = 500\ncounts = "segments"\n'
        '[carriers.telco.retry]\notp = {delays = ["2s"]}\n'
        '[carriers.telco.retry.status.E7]\ndelays = ["9s"]\nthen = "fail"\n'
    )
    carrier = load(text).carriers["telco"]
    plan = carrier_plan("telco", carrier, SystemClock())
    assert (plan.window, plan.window_slots, plan.shards, plan.statuses) == (40, 20, 2, HTTP_STATUSES)
    assert plan.retry.delays_of(MessageClass.OTP) == (2_000,)
    assert (plan.retry.statuses["E7"].delays_ms, plan.retry.statuses["E7"].then) == ((9_000,), Then.FAIL)
    assert plan.segmentation == SegmentationOptions(split="whole", max_characters=500, counts_segments=True)
    link = plan.link_factory(1, 2)
    assert isinstance(link, HttpLink)
    assert [figures.bind for figures in link.figures()] == ["http2"]


def test_rate_and_window_are_adjusted_while_other_words_need_another_link(load) -> None:
    def plan(more=""):
        carrier = load(HEAD + more).carriers["telco"]
        return carrier_plan("telco", carrier, SystemClock())

    assert plan() == plan()
    assert plan('rate = "20/s"\nwindow = 20\n').is_adjustment_of(plan())
    assert not plan('method = "PUT"\n').is_adjustment_of(plan())
    assert not plan("[carriers.telco.timeouts]\nanswer_s = 9\n").is_adjustment_of(plan())


def test_secrets_are_read_from_where_they_are_and_shown_nowhere(load, tmp_path, monkeypatch) -> None:
    (tmp_path / "token").write_text("s3cr3t\n")
    monkeypatch.setenv("TELCO_TOKEN", "s3cr3t")
    for line in (f'secret_file = "{tmp_path}/token"', 'secret_env = "TELCO_TOKEN"', 'secret = "s3cr3t"'):
        settings = load(
            HEAD
            + f'headers = {{X-Api-Key = "s3cr3t", X-Ref = "{{message_id}}"}}\n[carriers.telco.auth]\ntype = "bearer"\n{line}\n'
        )
        carrier = settings.carriers["telco"]
        assert isinstance(carrier, HttpCarrierSettings)
        assert carrier.auth.resolved_secret() == "s3cr3t"
        shown = json.dumps(redact(settings.model_dump(mode="json", by_alias=True)))
        assert "s3cr3t" not in shown
        assert '"X-Ref": "{message_id}"' in shown
        assert '"type": "bearer"' in shown


def test_what_is_open_to_others_is_warned_of(load) -> None:
    open_url = HEAD.replace("https://api.telco.example", "http://api.telco.example")
    assert "has no TLS" in "".join(check_exposure(load(open_url)))
    assert check_exposure(load(HEAD.replace("https://api.telco.example", "http://127.0.0.1:9000"))) == []
    assert "NOT VERIFIED" in "".join(check_exposure(load(HEAD + "[carriers.telco.tls]\nverify = false\n")))


def test_every_key_of_the_page_has_a_meaning_and_an_example_that_loads(load) -> None:
    auth = 'type = "bearer"\nsecret = "x"\n'
    tables = {
        HttpCarrierSettings: ("", HEAD),
        HttpAuthSettings: ("[carriers.telco.auth]\n", auth),
        HttpTimeoutSettings: ("[carriers.telco.timeouts]\n", ""),
        HttpRequestSettings: ("[carriers.telco.request]\n", ""),
        HttpBulkSettings: ("[carriers.telco.request.bulk]\n", ""),
        HttpResponseSettings: ("[carriers.telco.response]\n", ""),
        HttpRuleSettings: ("[[carriers.telco.response.rules]]\n", 'status = [400]\nclass = "ok"\n'),
        HttpRetrySettings: ("[carriers.telco.retry]\n", ""),
    }
    assert set(tables) <= {model for _, model in PAGE["TABLES"]}
    for model, (header, rest) in tables.items():
        for key, field in PAGE["keys_of"](model):
            assert field.description, key
            (example,) = field.examples
            if key == "secret" or key.startswith("secret_"):
                rest_lines = ['type = "bearer"']
            else:
                rest_lines = [line for line in rest.splitlines() if not line.startswith(f"{key} =")]
            body = "\n".join([*rest_lines, f"{key} = {example}"])
            text = f"{body}\n" if model is HttpCarrierSettings else f"{HEAD}{header}{body}\n"
            assert load(text, checks=False).carriers["telco"], key


# -- cutting ----------------------------------------------------------------------------------------

WHOLE = SegmentationOptions(split="whole", max_characters=1000)


def test_a_carrier_that_cuts_gets_the_text_as_it_is() -> None:
    text = "ñandú 🌊 " * 100
    measured = WHOLE.measure(text)
    assert (measured.segment_count, measured.encoding) == (1, "ucs2")
    cut = WHOLE.cut(text, encoding="ucs2")
    assert [segment.short_message.decode() for segment in cut.segments] == [text]
    assert WHOLE.measure("a" * 1000).segment_count == 1
    assert WHOLE.cut("", encoding="gsm7").segments[0].short_message == b""


def test_what_the_carrier_bills_can_be_counted() -> None:
    options = SegmentationOptions(split="whole", counts_segments=True)
    assert options.measure("a" * 161).segment_count == 2
    assert len(options.cut("a" * 161, encoding="gsm7").segments) == 1
    with pytest.raises(SegmentationError, match="limit of 1"):
        options.measure("a" * 161, max_segments=1)


@pytest.mark.parametrize("text", ["a" * 1001, "ñ" * 1001])
def test_a_text_beyond_the_limit_is_refused_with_both_numbers(text) -> None:
    for work in (lambda: WHOLE.measure(text), lambda: WHOLE.cut(text, encoding="gsm7")):
        with pytest.raises(SegmentationError, match="1001 characters exceed the carrier's limit of 1000"):
            work()


def test_half_a_surrogate_pair_is_refused_everywhere() -> None:
    for work in (lambda: WHOLE.measure("\ud83c"), lambda: WHOLE.cut("x\ud83c", encoding="ucs2")):
        with pytest.raises(SegmentationError) as caught:
            work()
        assert caught.value.code == "lone_surrogate"


def cut(message, options):
    plan = CarrierPlan("telco", rate=None, link_factory=None, segmentation=options)
    work = Work(message, lane=0, offset=0)
    Cutter(plan, References(Random(1))).cut(work)
    return work


@pytest.mark.parametrize("text", ["a" * 400, "ñ" * 200, "🌊" * 100], ids=["gsm7", "accents", "ucs2"])
def test_b27_a_message_is_cut_anew_from_http_to_smpp_and_back(text) -> None:
    usual = SegmentationOptions()
    for first, second in ((WHOLE, usual), (usual, WHOLE)):
        measured = first.measure(text)
        message = Message(
            id=None,
            account_id="acme",
            message_class=MessageClass.OTP,
            recipient="525512345678",
            sender="ACME",
            text=measured.text,
            encoding=measured.encoding,
            segment_count=measured.segment_count,
            accepted_at=0,
            valid_until=1,
            carrier="telco",
        )
        here, there = cut(message, first), cut(message, second)
        assert len(here.segments) == measured.segment_count == here.message.segment_count
        expected = second.measure(text).segment_count
        assert len(there.segments) == expected == there.message.segment_count
        assert there.todo == list(range(1, expected + 1))
        assert (there.reference is None) is (expected == 1)
