"""`caudal carriers test` and the examples of HTTP carriers: one real message each, over real links, to simulators."""

import asyncio
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.domain.message import ContentKind, RichContent
from gateway.runtime.carrier_test import ExitCode, Trial, try_carrier
from gateway.runtime.carriers import check_carriers
from gateway.settings import Settings, SettingsError, load_settings
from loadtest.http_carrier import GenericSettings, HttpCarrier, HttpCarrierSettings
from loadtest.http_carrier.generic import Generic
from tests.support.message_centre import a_message_centre

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "deploy/examples").glob("*.toml"))
PERSON = "+525512345678"
VARIABLES = {
    "AGGREGATOR_TOKEN": "token",
    "AGGREGATOR_SECRET": "secret",
    "MAIL_TOKEN": "token",
    "MAIL_CALLBACKS": "secret",
    "PUSH_KEY": "key",
    "VOICE_SECRET": "secret",
    "VOICE_CALLBACKS": "secret",
    "WHATSAPP_ACCESS_TOKEN": "token",
    "WHATSAPP_APP_SECRET": "secret",
    "WHATSAPP_VERIFY_TOKEN": "verify",
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


def example(name: str, port: int) -> Settings:
    """An example with the port of a simulator."""
    path = ROOT / "deploy/examples" / f"{name}.toml"
    settings, _ = load_settings(path)
    check_carriers(settings, source=str(path))
    ((carrier, found),) = settings.carriers.items()
    url = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", found.url)  # type: ignore[union-attr]
    return Settings(carriers={carrier: found.model_copy(update={"url": url})})


def smpp(port: int, **changes: Any) -> Settings:
    access = {"host": "127.0.0.1", "port": port, "system_id": "acme", "password": "s3cret"}
    return Settings(carriers={"telco": {**access, "profile": {"response_timeout_s": 1}, **changes}})


def said(found: dict[str, Any], direction: str) -> list[str]:
    return [line["what"] for line in found["trace"] if line["direction"] == direction]


# -- examples -----------------------------------------------------------------------------------------


def test_every_example_is_tried_below() -> None:
    assert [path.stem for path in EXAMPLES] == ["email", "http-sms", "push", "voice", "whatsapp"]


async def test_the_sms_example_sends_over_the_simulator() -> None:
    async with HttpCarrier(HttpCarrierSettings(kind="json", control_port=None)) as carrier:
        found = await try_carrier(
            example("http-sms", carrier.port), Trial("aggregator", PERSON, text="Tu código es 4815")
        )
        (taken,) = carrier.record.rows(after=-1, limit=10)
    assert (taken["destination"], taken["is_taken"]) == (PERSON[1:], True)
    assert found["exit_code"] == ExitCode.TAKEN
    (outcome,) = found["outcomes"]
    assert outcome["kind"] == "submitted"
    assert outcome["matched_as"] == outcome["carrier_message_id"] != ""
    assert said(found, "out") == ["POST request"]
    assert said(found, "in") == ["HTTP 200"]
    assert list(found["phases_ms"]) == ["connect", "submit"]
    shown = json.dumps(found)
    assert PERSON[1:] not in shown
    assert "Bearer token" not in shown


@pytest.mark.parametrize(
    ("name", "carrier", "trial", "body"),
    [
        (
            "email",
            "mail",
            {"recipient": "ana@cliente.example", "rich": RichContent(ContentKind.MAIL, subject="Tu pedido")},
            {
                "personalizations": [{"to": [{"email": "ana@cliente.example"}]}],
                "from": {"email": "noreply@acme.example", "name": "Acme"},
                "subject": "Tu pedido",
                "content": [{"type": "text/plain", "value": "Hola"}],
            },
        ),
        (
            "push",
            "push",
            {"recipient": "dMx0-device-token"},
            {"message": {"token": "dMx0-device-token", "notification": {"title": "Acme", "body": "Hola"}}},
        ),
        (
            "voice",
            "voice",
            {"recipient": PERSON, "sender": "56987654321"},
            "To=%2B525512345678&From=%2B56987654321",
        ),
    ],
)
async def test_the_other_examples_send_over_the_simulator(
    name: str, carrier: str, trial: dict[str, Any], body: Any
) -> None:
    settings = HttpCarrierSettings(kind="generic", control_port=None, generic=GenericSettings(status=202))
    async with HttpCarrier(settings) as provider:
        found = await try_carrier(
            example(name, provider.port),
            Trial(**{"carrier": carrier, "sender": "Acme", "text": "Hola", **trial}),
        )
        assert isinstance(provider.kind, Generic)
        (request,) = provider.kind.requests
    assert found["exit_code"] == ExitCode.TAKEN, found
    if isinstance(body, str):
        assert request["body"].startswith(body)
    else:
        sent = json.loads(request["body"])
        sent.get("message", {}).pop("ttl", None)
        sent.get("message", {}).pop("data", None)
        assert {key: sent[key] for key in body} == body


async def test_the_bulk_request_of_the_page_sends_over_the_simulator() -> None:
    page = (ROOT / "deploy/docs/http-carriers.md").read_text(encoding="utf-8")
    bulk = tomllib.loads(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[1])
    tree = tomllib.loads((ROOT / "deploy/examples/http-sms.toml").read_text(encoding="utf-8"))
    async with HttpCarrier(HttpCarrierSettings(kind="json", control_port=None)) as carrier:
        tree["carriers"]["aggregator"] |= bulk["carriers"]["aggregator"]
        tree["carriers"]["aggregator"]["url"] = f"{carrier.url}/sms/2/messages"
        found = await try_carrier(Settings(**tree), Trial("aggregator", PERSON, text="Hola"))
    assert found["exit_code"] == ExitCode.TAKEN, found
    assert '{"messages":[{' in next(line["body"] for line in found["trace"] if line["direction"] == "out")


async def test_the_whatsapp_example_sends_a_template_over_the_simulator() -> None:
    settings, _ = load_settings(ROOT / "deploy/examples/whatsapp.toml")
    template = RichContent(ContentKind.TEMPLATE, "order_update", "es_MX", {"1": "Ana", "2": "4815"})
    async with HttpCarrier(HttpCarrierSettings(kind="whatsapp", control_port=None)) as carrier:
        number = settings.carriers["whatsapp"].model_copy(update={"base_url": carrier.url})
        settings = Settings(carriers={"whatsapp": number})
        found = await try_carrier(settings, Trial("whatsapp", PERSON, text="", rich=template))
        text = await try_carrier(settings, Trial("whatsapp", PERSON, text="Hola"))
    assert found["exit_code"] == ExitCode.TAKEN, found
    assert found["outcomes"][0]["carrier_message_id"].startswith("wamid.")
    assert "Bearer token" not in json.dumps(found)
    assert (text["exit_code"], text["outcomes"][0]["kind"]) == (ExitCode.NOT_TAKEN, "refused"), text


# -- outcomes -----------------------------------------------------------------------------------------


async def test_what_an_http_carrier_says_and_what_follows() -> None:
    faults: dict[str, Any] = {"retry_after_s": 7}
    async with HttpCarrier(HttpCarrierSettings(kind="json", control_port=None, faults=faults)) as carrier:
        settings = example("http-sms", carrier.port)
        refused = await try_carrier(settings, Trial("aggregator", PERSON[:-2] + "06", text="x"))
        throttled = await try_carrier(settings, Trial("aggregator", PERSON[:-2] + "05", text="x"))
    assert (refused["exit_code"], refused["outcomes"][0]["kind"]) == (ExitCode.NOT_TAKEN, "refused")
    assert refused["next"]["action"] == "fail"
    assert (throttled["outcomes"][0]["kind"], throttled["next"]["action"]) == ("throttled", "lane_head")
    assert throttled["next"]["delay_ms"] == 7_000


async def test_a_carrier_that_is_not_there_is_told_within_seconds() -> None:
    found = await try_carrier(example("http-sms", 1), Trial("aggregator", PERSON, text="x", timeout_s=20))
    assert found["exit_code"] == ExitCode.NOT_TAKEN
    assert found["outcomes"] == [{"kind": "unsent", "reason": "connect_refused"}]
    assert (found["next"]["action"], found["trace"][-1]["direction"]) == ("lane_head", "-")


async def test_smpp_binds_submits_unbinds_and_shows_the_pdus() -> None:
    async with a_message_centre() as centre:
        found = await try_carrier(smpp(centre.port), Trial("telco", PERSON, text="ñ" * 100, sender="22222"))
        await centre.until(lambda: centre.ends)
        assert len(centre.submits) == found["segments"] == 1
        long = await try_carrier(smpp(centre.port), Trial("telco", PERSON, text="hola " * 40))
        assert len(long["outcomes"]) == long["segments"] == 2
    assert found["exit_code"] == ExitCode.TAKEN
    assert said(found, "out") == ["bind_transceiver", "submit_sm", "unbind"]
    assert said(found, "in") == ["bind_transceiver_resp", "submit_sm_resp", "unbind_resp"]
    assert list(found["phases_ms"]) == ["connect", "bind", "submit", "unbind"]
    shown = json.dumps(found)
    assert PERSON[1:] not in shown
    assert "s3cret" not in shown
    submit = next(line for line in found["trace"] if line["what"] == "submit_sm")
    assert submit["fields"]["source_addr"] == "22222"


async def test_smpp_refusals_passwords_and_silence() -> None:
    async with a_message_centre() as centre:
        centre.answer = lambda number, pdu: (0x58, "")
        throttled = await try_carrier(smpp(centre.port), Trial("telco", PERSON, text="x"))
        centre.answer = lambda number, pdu: None
        silent = await try_carrier(smpp(centre.port), Trial("telco", PERSON, text="x"))
        centre.bind_status = {0x9: 0xE}
        stranger = await try_carrier(smpp(centre.port), Trial("telco", PERSON, text="x"))
    assert (throttled["exit_code"], throttled["outcomes"][0]["status"]) == (1, "ESME_RTHROTTLED")
    assert (silent["exit_code"], silent["outcomes"][0]["kind"]) == (ExitCode.IN_DOUBT, "ambiguous")
    assert "may have taken it" in silent["next"]["says"]
    assert stranger["outcomes"] == [{"kind": "unsent", "reason": "ESME_RINVPASWD"}]
    assert said(stranger, "in") == ["bind_transceiver_resp"]


async def test_receipts_that_come_meanwhile_are_left_to_the_gateway() -> None:
    async with a_message_centre() as centre:

        def bring_one(number: int, pdu: Any) -> tuple[int, str]:
            centre.deliver(source_addr="525512345679", destination_addr="22222", short_message=b"secreto")
            return 0, "id-1"

        centre.answer = bring_one
        found = await try_carrier(smpp(centre.port), Trial("telco", PERSON, text="x"))
        statuses = [getattr(answer, "command_status", None) for answer in centre.answers]
    assert 0x64 in statuses  # ESME_RX_T_APPN: come again
    assert 0 not in statuses
    assert found["exit_code"] == ExitCode.TAKEN
    shown = json.dumps(found)
    assert "525512345679" not in shown
    assert b"secreto".hex() not in shown


async def test_what_cannot_be_sent_is_told_before_anything_is() -> None:
    with pytest.raises(SettingsError, match="no carrier 'other'; there are: telco"):
        await try_carrier(smpp(1), Trial("other", PERSON, text="x"))
    with pytest.raises(ValueError, match="not a valid number"):
        await try_carrier(smpp(1), Trial("telco", "+5255", text="x"))
    with pytest.raises(ValueError, match="empty"):
        await try_carrier(smpp(1), Trial("telco", PERSON, text=""))


# -- the command --------------------------------------------------------------------------------------


async def test_the_command_prints_for_people_and_for_programs(tmp_path: Path) -> None:
    async with a_message_centre() as centre:
        path = tmp_path / "caudal.toml"
        path.write_text(
            f'[carriers.telco]\nhost = "127.0.0.1"\nport = {centre.port}\nsystem_id = "acme"\npassword = "s3cret"\n'
        )

        def run(*more: str) -> Any:
            arguments = ["carriers", "test", "telco", "--config", str(path), "--to", PERSON, *more]
            return CliRunner().invoke(main, arguments)

        people = await asyncio.to_thread(run, "--text", "Hola")
        programs = await asyncio.to_thread(run, "--json")
        wrong = await asyncio.to_thread(run, "--param", "1=Ana")
        centre.answer = lambda number, pdu: (0xB, "")
        refused = await asyncio.to_thread(run)
    assert people.exit_code == 0, people.output
    assert "this really sends a message to +52551•••••78 over telco" in people.stderr
    for line in (
        "-> submit_sm",
        "<- submit_sm_resp",
        "outcome: submitted",
        "next: wait for the receipt",
        "time: connect",
    ):
        assert line in people.stdout, people.stdout
    assert json.loads(programs.stdout)["exit_code"] == 0
    assert wrong.exit_code == 2
    assert (refused.exit_code, "ESME_RINVDSTADR" in refused.stdout) == (1, True)
