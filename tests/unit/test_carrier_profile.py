"""The carrier's profile from caudal.toml to what intake counts with, dispatch cuts with and the adapter speaks."""

import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from adapters.smpp.classify import classify
from adapters.smpp.link import SmppLink
from adapters.smpp.profile import AddressType, BindMode, CarrierProfile
from adapters.smpp.wire import constants as c
from gateway.cli import main
from gateway.dispatch.cutter import Cutter
from gateway.dispatch.plan import CarrierPlan
from gateway.dispatch.references import References
from gateway.dispatch.work import Work
from gateway.domain.cutting import SegmentationOptions
from gateway.domain.errors import SegmentationError
from gateway.domain.message import Message
from gateway.intake.prepare import Circumstances, Preparer
from gateway.intake.requests import parse_message
from gateway.policy.routing import RouteTable
from gateway.ports.clock import SystemClock
from gateway.ports.intake_store import Account
from gateway.runtime.carriers import carrier_plan, carrier_profile, check_carriers, segmentation_options
from gateway.settings import (
    CarrierSettings,
    LaneSettings,
    ProfileSettings,
    RetrySettings,
    Settings,
    SettingsError,
    StatusScheduleSettings,
    TlsSettings,
    WeightSettings,
    check_exposure,
    load_settings,
)
from throttling.rates import Rate

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "deploy" / "docs"
NOW_MS = 1_760_000_000_000
CARRIER = '[carriers.telco]\nhost = "127.0.0.1"\nport = 2775\nsystem_id = "acme"\n'
PROFILE = CARRIER + "[carriers.telco.profile]\n"


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CAUDAL_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def settings_of(text: str) -> Settings:
    Path("caudal.toml").write_text(text)
    return load_settings()[0]


def profile_of(text: str = "") -> CarrierProfile:
    return carrier_profile("telco", settings_of(PROFILE + text).carriers["telco"])


def options_of(text: str = "") -> SegmentationOptions:
    return segmentation_options(settings_of(PROFILE + text).carriers["telco"])


# -- every key reaches its place --------------------------------------------------------------------


def test_the_defaults_are_the_standards() -> None:
    profile = profile_of()
    assert (profile.interface_version, profile.registered_delivery, profile.protocol_id) == (0x34, 1, 0)
    assert (profile.default_alphabet, profile.receipt_id_format) == ("gsm7", "string")
    assert profile.recipient == AddressType(1, 1)
    assert profile.sends_validity
    assert profile.receipt_time_zone is None
    assert profile.tls is None
    assert options_of() == SegmentationOptions()


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("interface_version = 0x33", "interface_version", 0x33),
        ('system_type = "SMPP"', "system_type", "SMPP"),
        ('address_range = "^22222$"', "address_range", "^22222$"),
        ('service_type = "CMT"', "service_type", "CMT"),
        ("protocol_id = 0x7F", "protocol_id", 0x7F),
        ("esm_class = 3", "esm_class", 3),
        ("priority_flag_otp = 2", "priority_flag_otp", 2),
        ("sends_validity = false", "sends_validity", False),
        ('default_alphabet = "latin1"', "default_alphabet", "latin1"),
        ("data_coding = {0 = 0xF1, 8 = 0x18}", "data_coding_map", {0: 0xF1, 8: 0x18}),
        ('data_coding = {"0x00" = 0xF1}', "data_coding_map", {0: 0xF1}),
        ("short_code = {ton = 0, npi = 1}", "short_code", AddressType(0, 1)),
        ("long_number = {ton = 2, npi = 8}", "long_number", AddressType(2, 8)),
        ("alphanumeric = {ton = 5, npi = 1}", "alphanumeric", AddressType(5, 1)),
        ("recipient = {ton = 2, npi = 1}", "recipient", AddressType(2, 1)),
        ('receipt_id_format = "hex"', "receipt_id_format", "hex"),
        ("registered_delivery = 2", "registered_delivery", 2),
        ("registered_delivery = 1\nintermediate_receipts = true", "registered_delivery", 0x11),
        ("connect_timeout_s = 1.5", "connect_timeout_s", 1.5),
        ("bind_timeout_s = 2", "bind_timeout_s", 2.0),
        ("response_timeout_s = 3", "response_timeout_s", 3.0),
        ("enquire_link_s = 4", "enquire_link_s", 4.0),
        ("enquire_link_response_s = 5", "enquire_link_response_s", 5.0),
        ("enquire_link_tries = 2", "enquire_link_tries", 2),
        ("unbind_timeout_s = 6", "unbind_timeout_s", 6.0),
        ("reconnect_min_s = 7", "reconnect_min_s", 7.0),
        ("reconnect_max_s = 80", "reconnect_max_s", 80.0),
        ("refused_bind_s = 900", "refused_bind_s", 900.0),
        (
            'status = {ESME_RINVDSTADR = "failover", 0x0400 = "throttle", esme_rsyserr = "rebind"}',
            "status_overrides",
            {c.ESME_RINVDSTADR: "failover", 0x400: "throttle", c.ESME_RSYSERR: "rebind"},
        ),
    ],
)
def test_a_key_reaches_the_adapter(line: str, name: str, value: object) -> None:
    assert getattr(profile_of(line), name) == value


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ('split = "sar"', SegmentationOptions(split="sar")),
        ('split = "payload"', SegmentationOptions(split="payload")),
        ("reference_bits = 16", SegmentationOptions(reference_bits=16)),
        ("packed_septets = true", SegmentationOptions(packed=True)),
        ("national_single_shift = 2", SegmentationOptions(national_single_shift=2)),
        ("national_locking_shift = 3", SegmentationOptions(national_locking_shift=3)),
        ('default_alphabet = "ascii"', SegmentationOptions(default_alphabet="ascii")),
    ],
)
def test_b27_intake_and_dispatch_are_given_the_same_options(line: str, options: SegmentationOptions) -> None:
    carrier = settings_of(PROFILE + line).carriers["telco"]
    assert segmentation_options(carrier) == options
    assert carrier_plan("telco", carrier, SystemClock()).segmentation == options


def test_access_reaches_the_adapter() -> None:
    text = CARRIER + 'bind_type = "transmitter_receiver"\nbinds = 3\nbind_rate = "50/s"\nwindow = 7\n'
    profile = carrier_profile("telco", settings_of(text).carriers["telco"])
    assert (profile.bind_mode, profile.bind_count, profile.bind_rate) == (BindMode.TX_RX, 3, "50/s")
    assert profile.window_slots == 7


def test_tls_reaches_the_adapter() -> None:
    text = (
        '[carriers.telco.tls]\nenabled = true\nserver_name = "mc"\nca_file = "ca"\ncertificate_file = "c"\n'
        'key_file = "k"\nverify = false\n'
    )
    tls = carrier_profile("telco", settings_of(CARRIER + text).carriers["telco"]).tls
    assert tls is not None
    assert (tls.server_hostname, tls.ca_file, tls.certificate_file, tls.key_file) == ("mc", "ca", "c", "k")
    assert not tls.is_verified


def test_g_a_status_of_the_profile_replaces_the_table() -> None:
    overrides = profile_of('status = {ESME_RINVDSTADR = "retry_later"}').status_overrides
    assert classify("submit_sm_resp", c.ESME_RINVDSTADR).status_class == "permanent"
    verdict = classify("submit_sm_resp", c.ESME_RINVDSTADR, overrides=overrides)
    assert (verdict.status_class, verdict.failover_allowed) == ("retry_later", True)


def test_profiles_survive_the_way_to_a_child_process() -> None:
    text = 'data_coding = {0 = 0xF1}\nreceipt_time_zone = "America/Bogota"\nstatus = {0x400 = "failover"}\n'
    settings = settings_of(PROFILE + text)
    assert Settings.model_validate_json(settings.model_dump_json(by_alias=True)) == settings


# -- mistakes are named by file, line, key, value and limit -------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('status = {ESME_RNOSUCH = "failover"}', r"'ESME_RNOSUCH' is no command_status.*ESME_RTHROTTLED"),
        ('status = {0x0 = "failover"}', "0 is success"),
        ('status = {0x100000000 = "failover"}', "not within 0x1 to 0xFFFFFFFF"),
        ('status = {0x58 = "drop"}', r"status\.0x58: .*'throttle'.*'rebind'.*got 'drop'"),
        (
            'status = {0x58 = "failover", ESME_RTHROTTLED = "permanent"}',
            "0x58 and ESME_RTHROTTLED are the same",
        ),
        ("data_coding = {1 = 0xF1}", "data_coding 0 .*3 .*4 .*or 8"),
        ("data_coding = {0 = 256}", "less than or equal to 255.*256"),
        ("data_coding = {gsm7 = 1}", "valid integer.*gsm7"),
        (
            'receipt_time_zone = "Mexico"',
            r"receipt_time_zone: no IANA time zone.*America/Mexico_City.*'Mexico'",
        ),
        ('receipt_time_zone = "America"', "no IANA time zone"),
        ('receipt_time_zone = "../etc/passwd"', "no IANA time zone"),
        ("reference_bits = 12", "8 or 16.*12"),
        ('split = "udhi"', "udhi"),
        ('interface_version = 0x33\nsplit = "sar"', "needs TLVs, which interface_version 0x33"),
        ('default_alphabet = "latin1"\npacked_septets = true', "needs default_alphabet"),
        ('default_alphabet = "ascii"\nnational_single_shift = 2', "needs default_alphabet"),
        ("national_single_shift = 1", "national_single_shift"),
        ("reconnect_min_s = 30\nreconnect_max_s = 10", r"below reconnect_min_s \(30\)"),
        ("reconnect_min_s = 90", r"reconnect_max_s: below reconnect_min_s \(90\)"),
        ("enquire_link_s = 0", "greater than 0"),
        ("registered_delivery = 3", "less than or equal to 2"),
        ("priority_flag_otp = 4", "less than or equal to 3"),
        ("esm_class = 0x40", "less than or equal to 3"),
        ('system_type = "ñ"', "printable ASCII"),
        ('service_type = "a\\u0000"', "printable ASCII"),
        ("short_code = {ton = 7, npi = 0}", r"short_code\.ton: .*6.*7"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_limit(line: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        settings_of(PROFILE + line + "\n")
    assert re.match(r"caudal\.toml:([5-7]): carriers\.telco\.profile", str(caught.value))


def test_a_key_without_its_certificate_is_refused() -> None:
    with pytest.raises(SettingsError, match=r":6: carriers\.telco\.tls\.key_file: .*certificate_file"):
        settings_of(CARRIER + '[carriers.telco.tls]\nkey_file = "k"\n')


def test_what_no_pdu_can_say_is_refused_by_the_adapter_too() -> None:
    access = {"carrier": "telco", "host": "mc", "port": 1, "system_id": "a", "password": "b"}
    for bad in (
        {"service_type": "toolong"},
        {"system_type": "a\0"},
        {"protocol_id": 256},
        {"priority_flag_otp": 4},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            CarrierProfile(**(access | bad))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="data_coding 300 for 0"):
        CarrierProfile(**(access | {"data_coding_map": {0: 300}}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad",
    [
        {"split": "tlv"},
        {"reference_bits": 12},
        {"default_alphabet": "utf8"},
        {"national_single_shift": 1},
        {"default_alphabet": "latin1", "packed": True},
    ],
)
def test_options_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(SegmentationError):
        SegmentationOptions(**bad)  # type: ignore[arg-type]


# -- config check -------------------------------------------------------------------------------------


def checked(text: str) -> tuple[int, str]:
    Path("caudal.toml").write_text(text)
    done = CliRunner().invoke(main, ["config", "check"])
    return done.exit_code, done.output


def test_config_check_is_content_with_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELCO_A_PASSWORD", "secret")
    code, said = checked((ROOT / "caudal.example.toml").read_text())
    assert (code, said) == (0, "caudal.toml: fine, 2 carriers, 1 routes\n")


def test_config_check_finds_a_password_that_is_not_there() -> None:
    code, said = checked(CARRIER + 'password_env = "NO_SUCH_VARIABLE"\n')
    assert code == 1
    assert "caudal.toml:5: carriers.telco.password_env: the variable NO_SUCH_VARIABLE" in said


def test_config_check_finds_a_password_that_no_bind_can_carry() -> None:
    Path("long").write_text("ñandúes")
    code, said = checked(CARRIER + 'password_file = "long"\n')
    assert (code, "has 9 octets, the limit is 8" in said) == (1, True)
    Path("short").write_text("ñu")
    code, said = checked(CARRIER + 'password_file = "short"\n')
    assert (code, "printable ASCII" in said) == (1, True)


@pytest.mark.parametrize("key", ["ca_file", "certificate_file"])
def test_config_check_builds_the_tls_context(key: str) -> None:
    tls = f'[carriers.telco.tls]\nenabled = true\n{key} = "file.pem"\n'
    code, said = checked(CARRIER + tls)
    assert code == 1
    assert f"caudal.toml:7: carriers.telco.tls.{key}: cannot read file.pem: No such file" in said
    Path("file.pem").write_text("not a certificate")
    code, said = checked(CARRIER + tls)
    assert code == 1
    assert f"caudal.toml:7: carriers.telco.tls.{key}: not usable" in said


def test_config_check_refuses_a_key_that_would_ask_for_its_passphrase() -> None:
    Path("client.pem").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    code, said = checked(CARRIER + '[carriers.telco.tls]\nenabled = true\ncertificate_file = "client.pem"\n')
    assert (code, "has a passphrase; give one without" in said) == (1, True)


def test_config_check_names_every_carrier_with_a_mistake() -> None:
    second = CARRIER.replace("telco", "other") + 'password_env = "NO_SUCH_VARIABLE"\n'
    code, said = checked(CARRIER + 'password_file = "none"\n' + second)
    assert code == 1
    assert said.count("caudal.toml:") == 2


def test_config_check_is_loud_about_tls_that_is_not_verified() -> None:
    code, said = checked(CARRIER + "[carriers.telco.tls]\nenabled = true\nverify = false\n")
    assert code == 0
    assert "warning: carriers.telco.tls.verify is false: TLS IS NOT VERIFIED" in said
    settings = settings_of(CARRIER + "[carriers.telco.tls]\nverify = false\n")
    assert check_exposure(settings) == []


def test_config_check_says_what_missing_receipts_mean() -> None:
    _, said = checked(PROFILE + "registered_delivery = 0\n")
    assert "registered_delivery is 0: no receipts" in said
    assert "unknown" in said


def test_a_mistake_is_found_before_the_start() -> None:
    Path("caudal.toml").write_text(CARRIER + '[carriers.telco.tls]\nenabled = true\nca_file = "none"\n')
    done = CliRunner().invoke(main, ["serve"])
    assert done.exit_code == 1
    assert "caudal.toml:7: carriers.telco.tls.ca_file" in done.output
    assert not Path("var").exists()


def test_what_was_checked_is_what_a_link_takes() -> None:
    settings = settings_of(PROFILE + 'receipt_time_zone = "America/Bogota"\n')
    check_carriers(settings, source="caudal.toml")
    plan = carrier_plan("telco", settings.carriers["telco"], SystemClock())
    assert isinstance(plan.link_factory(0, 1), SmppLink)


# -- what is counted is what is sent ------------------------------------------------------------------


def new_id(_: int) -> UUID:
    return UUID(int=1)


def prepared(
    text: str, carrier: str = "telco", *, segmentation: dict[str, SegmentationOptions], **more: object
) -> object:
    preparer = Preparer(RouteTable([], carriers=[carrier]), new_id=new_id, segmentation=segmentation)
    body = {"to": "+525512345678", "from": "22222", "content": {"text": text}, **more}
    account = Account(id="acme", default_region="MX", max_segments=100)
    return preparer.prepare(parse_message(json.dumps(body).encode()), Circumstances(account, NOW_MS))


def cut(message: Message, options: SegmentationOptions) -> Work:
    plan = CarrierPlan("telco", Rate.parse("10/s"), lambda *_: None, segmentation=options)  # type: ignore[arg-type,return-value]
    work = Work(message, lane=0, offset=0)
    Cutter(plan, References(Random(1))).cut(work)
    return work


ALL_OPTIONS = st.one_of(
    st.builds(
        SegmentationOptions,
        split=st.sampled_from(["udh", "sar", "payload"]),
        reference_bits=st.sampled_from([8, 16]),
        packed=st.booleans(),
        national_single_shift=st.sampled_from([0, 2, 3]),
        national_locking_shift=st.sampled_from([0, 3]),
    ),
    st.builds(
        SegmentationOptions,
        split=st.sampled_from(["udh", "sar", "payload"]),
        reference_bits=st.sampled_from([8, 16]),
        default_alphabet=st.sampled_from(["latin1", "ascii"]),
    ),
)
TEXTS = st.text(alphabet="aZ 9ñéáçã€[{@_日😀“", min_size=1, max_size=400).filter(
    lambda text: text.strip("\0")
)


@given(text=TEXTS, options=ALL_OPTIONS, transliterate=st.booleans())
def test_b27_the_answer_counts_the_submits_of_the_carrier_whatever_its_options(
    text: str, options: SegmentationOptions, transliterate: bool
) -> None:
    message = prepared(text, segmentation={"telco": options}, transliterate=transliterate)
    assert isinstance(message, Message)
    work = cut(message, options)
    assert len(work.segments) == (1 if options.split == "payload" else message.segment_count)
    assert work.message.segment_count == len(work.segments)
    assert work.todo == list(range(1, len(work.segments) + 1))
    if options.split == "payload":
        assert options.cut(message.text, encoding=message.encoding).segment_count == message.segment_count


@given(text=TEXTS, first=ALL_OPTIONS, second=ALL_OPTIONS)
def test_b27_a_message_counted_for_one_carrier_can_be_cut_for_any_other(
    text: str, first: SegmentationOptions, second: SegmentationOptions
) -> None:
    message = prepared(text, segmentation={"telco": first})
    assert isinstance(message, Message)
    handed_on = cut(message, first).message
    work = cut(handed_on, second)
    assert work.message.segment_count == len(work.segments) >= 1
    if len(work.segments) > 1:
        assert work.reference is not None


@pytest.mark.parametrize(
    ("options", "encoding", "segments"),
    [
        ({}, "gsm7", 2),
        ({"reference_bits": 16}, "gsm7", 3),
        ({"default_alphabet": "ascii"}, "ucs2", 5),
        ({"default_alphabet": "latin1"}, "gsm7", 2),
    ],
)
def test_b27_each_carrier_counts_by_its_own_options(
    options: dict[str, object], encoding: str, segments: int
) -> None:
    carriers = {"telco": SegmentationOptions(**options)}  # type: ignore[arg-type]
    message = prepared("ñ" * 306, segmentation=carriers)
    assert isinstance(message, Message)
    assert (message.encoding, message.segment_count) == (encoding, segments)


def test_b24_accents_fit_septets_where_the_carrier_takes_national_shifts() -> None:
    options = SegmentationOptions(national_single_shift=2)
    message = prepared("á" * 70, segmentation={"telco": options})
    assert isinstance(message, Message)
    assert (message.encoding, message.segment_count) == ("gsm7", 1)
    work = cut(message, options)
    assert work.segments[0].udh == b"\x03\x24\x01\x02"
    # The next carrier knows no shift: the same text goes as UCS-2.
    work = cut(message, SegmentationOptions())
    assert (work.data_coding, len(work.segments)) == (8, 1)


def test_a13_gsm7_asked_for_and_not_sayable_is_refused_at_intake() -> None:
    faults = prepared(
        "€ 10", segmentation={"telco": SegmentationOptions(default_alphabet="latin1")}, encoding="gsm7"
    )
    assert isinstance(faults, tuple)
    assert (faults[0].code, faults[0].pointer) == ("not_in_alphabet", "/content/text")
    assert "U+20AC at index 0 is not in the carrier's latin1" in faults[0].detail


def test_c4_what_goes_as_ucs2_is_not_made_plain_for_septets() -> None:
    message = prepared(
        "“España” €",
        segmentation={"telco": SegmentationOptions(default_alphabet="latin1")},
        transliterate=True,
    )
    assert isinstance(message, Message)
    assert (message.text, message.encoding) == ("“España” €", "ucs2")


def test_b27_a_text_that_fits_one_segment_only_on_its_first_carrier_gets_a_reference_on_the_second() -> None:
    message = prepared("á" * 100, segmentation={"telco": SegmentationOptions(national_single_shift=2)})
    assert isinstance(message, Message)
    assert message.segment_count == 2
    message = prepared("á" * 77, segmentation={"telco": SegmentationOptions(national_single_shift=2)})
    assert isinstance(message, Message)
    assert message.segment_count == 1
    work = cut(message, SegmentationOptions())
    assert (len(work.segments), work.message.segment_count) == (2, 2)
    assert work.reference == work.segments[0].udh[3]


def test_b27_validate_counts_units_as_sending_does() -> None:
    options = {"telco": SegmentationOptions(national_single_shift=2)}
    preparer = Preparer(RouteTable([], carriers=["telco"]), new_id=new_id, segmentation=options)
    message = prepared("á" * 70, segmentation=options)
    assert isinstance(message, Message)
    assert preparer.units_of(message) == 140


# -- documentation ------------------------------------------------------------------------------------

PAGE = runpy.run_path(str(DOCS / "make_carriers.py"))


def test_the_page_has_every_key_as_the_model_has_it() -> None:
    text = (DOCS / "carriers.md").read_text(encoding="utf-8")
    assert text == PAGE["make_page"](text), "run: .venv/bin/python deploy/docs/make_carriers.py"
    for model in (CarrierSettings, TlsSettings, ProfileSettings):
        for key in model.model_fields:
            assert key in ("tls", "profile", "retry", "breaker", "lanes") or f"| `{key}` |" in text


def test_every_key_of_the_page_has_limits_a_meaning_and_an_example_that_loads() -> None:
    tables = {
        CarrierSettings: "",
        TlsSettings: "[carriers.telco.tls]\n",
        ProfileSettings: "[carriers.telco.profile]\n",
        RetrySettings: "[carriers.telco.retry]\n",
        StatusScheduleSettings: "[carriers.telco.retry.status.ESME_RSYSERR]\n",
        LaneSettings: "[carriers.telco.lanes]\n",
        WeightSettings: "[carriers.telco.lanes.weights]\n",
    }
    for model, header in tables.items():
        for key, field in PAGE["keys_of"](model):
            assert field.description, key
            (example,) = field.examples
            line = f"{key} = {example}\n"
            kept = "".join(one + "\n" for one in CARRIER.splitlines() if not one.startswith(f"{key} ="))
            if key == "key_file":
                line += 'certificate_file = "c"\n'
            settings = settings_of(kept + header + line)
            assert settings.carriers["telco"], key


def test_the_examples_of_the_page_load() -> None:
    blocks = re.findall(
        r"```toml\n(.*?)```", re.sub(r"\n   ", "\n", (DOCS / "carriers.md").read_text()), re.DOTALL
    )
    assert len(blocks) == 2
    for block in blocks:
        assert tomllib.loads(block)
        assert settings_of(block).carriers


def test_the_mistake_that_the_page_shows_is_what_is_said() -> None:
    shown = re.search(r"caudal\.toml:14: (carriers.*)\n", (DOCS / "carriers.md").read_text())
    assert shown is not None
    with pytest.raises(SettingsError) as caught:
        settings_of(PROFILE.replace("telco", "telco_a") + 'interface_version = 0x33\nsplit = "sar"\n')
    assert str(caught.value) == f"caudal.toml:7: {shown[1]}"


def test_the_command_of_the_page_answers() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "inspect", "status"],
        cwd=ROOT,
        input=b'{"context":"submit_sm_resp","code":88}\n',
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert b"throttle" in done.stdout
