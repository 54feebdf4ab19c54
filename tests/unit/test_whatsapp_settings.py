"""`protocol = "whatsapp"`: the example loads, mistakes are named, and the page of the docs says what the code does."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from adapters.http.whatsapp_errors import PAIR_LIMIT, REACH_LIMIT, REACTIONS, error_table
from gateway.domain.message import Channel, ContentKind
from gateway.domain.templates import ButtonKind, TemplateCategory
from gateway.policy.retry import Then
from gateway.ports.clock import SystemClock
from gateway.runtime.carriers import carrier_plan, check_carriers
from gateway.runtime.whatsapp import acquaintances, whatsapp_calls, whatsapp_profile
from gateway.runtime.wiring.callbacks import carrier_calls
from gateway.settings import (
    SettingsError,
    WhatsAppCarrierSettings,
    WhatsAppTemplateSettings,
    load_settings,
)
from tests.support.stack import toml

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "deploy/examples/whatsapp.toml"
PAGE = (ROOT / "deploy/docs/whatsapp.md").read_text(encoding="utf-8")
SECRETS = {"access_token": "EAAG-1", "app_secret": "app", "verify_token": "verify"}
NUMBER = {"protocol": "whatsapp", "phone_number_id": "1065", "business_account_id": "1022"}


def load(tmp_path: Path, **changes: Any) -> WhatsAppCarrierSettings:
    path = tmp_path / "caudal.toml"
    path.write_text(toml({"carriers": {"wa": {**NUMBER, **SECRETS, **changes}}}))
    settings, _ = load_settings(path)
    carrier = settings.carriers["wa"]
    assert isinstance(carrier, WhatsAppCarrierSettings)
    return carrier


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(f"WHATSAPP_{name.upper()}", value)


@pytest.mark.usefixtures("secrets")
def test_the_example_can_be_used() -> None:
    settings, source = load_settings(EXAMPLE)
    check_carriers(settings, source=source)
    carrier = settings.carriers["whatsapp"]
    assert isinstance(carrier, WhatsAppCarrierSettings)
    assert carrier.channel is Channel.WHATSAPP
    assert carrier.url == "https://graph.facebook.com/v24.0/106540352242922/messages"
    profile = whatsapp_profile("whatsapp", carrier)
    assert profile.media_url == "https://graph.facebook.com/v24.0/106540352242922/media"
    assert (profile.access_token, profile.pair_interval_ms, profile.enforces_window) == (
        "EAAG-1",
        6_000,
        True,
    )
    receipt = carrier.templates[2].approved()
    assert (receipt.params, receipt.header, receipt.category) == (
        ("name", "amount"),
        ContentKind.DOCUMENT,
        TemplateCategory.UTILITY,
    )
    assert carrier.templates[1].approved().buttons == {0: ButtonKind.URL}
    assert set(carrier_calls(settings)) == {"whatsapp"}


def test_a_refusal_whose_end_is_known_has_a_schedule_of_its_own(tmp_path: Path) -> None:
    plan = carrier_plan("wa", load(tmp_path), SystemClock())
    assert plan.retry.statuses[PAIR_LIMIT].delays_ms is not None
    assert plan.retry.statuses[PAIR_LIMIT].delays_ms[:3] == (6_000, 12_000, 24_000)
    assert plan.retry.statuses[REACH_LIMIT].then is Then.FAILOVER
    own = load(tmp_path, retry={"status": {PAIR_LIMIT: {"delays": ["1s"], "then": "fail"}}})
    rule = carrier_plan("wa", own, SystemClock()).retry.statuses[PAIR_LIMIT]
    assert (rule.delays_ms, rule.then) == ((1_000,), Then.FAIL)
    # Rate and window are followed by a running link; another token needs another link.
    assert carrier_plan("wa", load(tmp_path, rate="20/s", window=5), SystemClock()).is_adjustment_of(plan)
    other = carrier_plan("wa", load(tmp_path, access_token="EAAG-2"), SystemClock())
    assert not other.is_adjustment_of(plan)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"access_token": ""}, "access_token is missing"),
        ({"app_secret_env": "X"}, "give the app_secret once"),
        ({"phone_number_id": "+525512345678"}, "phone_number_id"),
        ({"api_version": "24"}, "api_version"),
        ({"base_url": "graph.facebook.com"}, "base_url"),
        ({"pair_interval": "6"}, "pair_interval"),
        ({"pair_burst": 46}, "pair_burst"),
        ({"service_window": "maybe"}, "service_window"),
        ({"default_language": "es-MX"}, "default_language"),
        ({"templates": [{"name": "Due", "language": "es", "category": "utility"}]}, "name"),
        (
            {
                "templates": [
                    {"name": "due", "language": "es", "category": "utility", "params": ["a", "a"]},
                ]
            },
            "two parameters have the same name",
        ),
        (
            {"templates": [{"name": "due", "language": "es", "category": "utility"}] * 2},
            "due in es is there already",
        ),
    ],
    ids=str,
)
def test_a_mistake_is_named(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, **changes)
    assert named in str(raised.value)
    assert "EAAG-1" not in str(raised.value)


def test_a_secret_that_cannot_be_had_is_named_when_it_is_wanted(tmp_path: Path) -> None:
    carrier = load(tmp_path, access_token="", access_token_file=str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="cannot read the secret"):
        whatsapp_profile("wa", carrier)
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(SettingsError, match=r"access_token in .* is empty"):
        whatsapp_profile("wa", load(tmp_path, access_token="", access_token_file=str(tmp_path / "empty")))
    with pytest.raises(SettingsError, match="NOWHERE"):
        load(tmp_path, verify_token="", verify_token_env="NOWHERE").resolved_verify_token()


def test_nothing_shows_a_secret(tmp_path: Path) -> None:
    carrier = load(tmp_path)
    settings, _ = load_settings(tmp_path / "caudal.toml")
    shown = repr([carrier, whatsapp_profile("wa", carrier), whatsapp_calls(settings, "wa", carrier)])
    assert [secret for secret in ("EAAG-1", "'app'", "'verify'") if secret in shown] == []


def test_what_is_known_of_people_outlives_a_reload_that_does_not_touch_it(tmp_path: Path) -> None:
    load(tmp_path, reach_limit=250, service_window="enforced")
    settings, _ = load_settings(tmp_path / "caudal.toml")
    before = acquaintances(settings, {})
    assert before["wa"].windows is not None
    assert acquaintances(settings, before)["wa"] is before["wa"]
    load(tmp_path, reach_limit=2000)
    settings, _ = load_settings(tmp_path / "caudal.toml")
    after = acquaintances(settings, before)["wa"]
    assert (after.reach_limit, after.windows) == (2000, None)


def test_every_setting_has_a_meaning_and_an_example() -> None:
    kinds: tuple[type[BaseModel], ...] = (WhatsAppCarrierSettings, WhatsAppTemplateSettings)
    for kind in kinds:
        for name, field in kind.model_fields.items():
            assert field.description, name
            if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
                assert field.examples, name


def test_the_page_has_the_table_of_the_code() -> None:
    assert error_table() in PAGE
    assert all(f"| {reaction} | {meaning} |" in PAGE for reaction, meaning in REACTIONS.items())


def test_one_number_is_one_carrier(tmp_path: Path) -> None:
    path = tmp_path / "caudal.toml"
    path.write_text(toml({"carriers": {name: {**NUMBER, **SECRETS} for name in ("wa", "wa_two")}}))
    with pytest.raises(SettingsError, match="phone_number_id 1065 is that of wa already"):
        load_settings(path)
