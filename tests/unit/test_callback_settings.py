"""`[carriers.<id>.callbacks]`: what is refused and why, where secrets come from, and the page that describes it all."""

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from adapters.http.mapping import MappedDialect
from gateway.commands.shared import redact
from gateway.runtime.carriers import check_carriers
from gateway.runtime.http_callbacks import callback_map
from gateway.runtime.wiring.callbacks import carrier_calls
from gateway.settings import (
    CallbackAuthSettings,
    CallbackBasicSettings,
    CallbackHmacSettings,
    CallbackReceiptSettings,
    CallbackReplySettings,
    CallbackSettings,
    CallbackTokenSettings,
    CallbackWhenSettings,
    Settings,
    SettingsError,
    check_exposure,
    load_settings,
)

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "deploy/docs"
PAGE = runpy.run_path(str(DOCS / "make_callbacks.py"))

AUTH: dict[str, Any] = {"token": {"header": "X-Token", "secret": "s3cret"}}
RECEIPT: dict[str, Any] = {"id": "/id", "state": "/status", "states": {"ok": "DELIVERED"}}
REPLY: dict[str, Any] = {"sender": "/from", "recipient": "/to", "text": "/text"}
HMAC: dict[str, Any] = {"header": "X-Sig", "secret": "s3cret"}


def callbacks(**changes: Any) -> CallbackSettings:
    return CallbackSettings(**{"auth": AUTH, "receipt": RECEIPT, **changes})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"auth": {}}, "say how a call is known"),
        ({"auth": {**AUTH, "anyone": True}}, "anyone = true, alone"),
        ({"auth": {"anyone": True, "proxies": ["10.0.0.0/8"]}}, "proxies are of use only with networks"),
        ({"auth": {"networks": ["10.0.0.1/8"]}}, "host bits set"),
        ({"auth": {"hmac": {"header": "X Sig", "secret": "x"}}}, "is no name of an HTTP header"),
        ({"auth": {"hmac": {"header": "X-Sig"}}}, "a secret is missing"),
        (
            {"auth": {"hmac": {**HMAC, "secret_env": "X"}}},
            "give the secret once, not by secret and secret_env",
        ),
        ({"auth": {"hmac": {**HMAC, "signed": "{url}{body}"}}}, "{url} is neither"),
        ({"auth": {"hmac": {**HMAC, "signed": "x"}}}, "{body} stands in it once"),
        ({"auth": {"hmac": {**HMAC, "signed": "{timestamp}{body}"}}}, "go together"),
        ({"auth": {"hmac": {**HMAC, "timestamp_header": "X-Time"}}}, "go together"),
        ({"auth": {"token": {"secret": "x"}}}, "a header or in query"),
        ({"auth": {"token": {"secret": "x", "header": "X", "query": "x"}}}, "a header or in query"),
        ({"auth": {"basic": {"username": "a:b", "secret": "x"}}}, "pattern"),
        ({"auth": {"hmac": HMAC}, "format": "query"}, "nothing that hmac could sign"),
        ({"receipt": None}, "give receipt, reply or both"),
        ({"reply": REPLY}, "receipt needs when"),
        ({"receipt": {**RECEIPT, "states": {}}}, "at least 1"),
        ({"receipt": {**RECEIPT, "states": {"ok": "ARRIVED"}}}, "Input should be"),
        ({"receipt": {**RECEIPT, "states": {"ok": "DELIVERED", "OK": "EXPIRED"}}}, "are the same word"),
        ({"receipt": {**RECEIPT, "id": "/a~b"}}, "a ~ is written ~0"),
        ({"receipt": {**RECEIPT, "when": {}}}, "give field or query"),
        ({"receipt": None, "reply": {**REPLY, "number": "22222"}}, "give recipient, or number"),
        ({"receipt": None, "reply": {"sender": "/from", "number": "22222"}}, "give text, or where media"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(why)):
        callbacks(**changes)


def test_secrets_come_from_the_file_the_environment_or_a_file_of_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_text("new\n\n old \n")
    monkeypatch.setenv("TELCO_H", "s3cret")
    assert CallbackHmacSettings(header="X", secret_file=path).resolved_secrets() == (b"new", b"old")
    assert CallbackHmacSettings(header="X", secret_env="TELCO_H").resolved_secrets() == (b"s3cret",)
    path.write_text(" \n")
    monkeypatch.setenv("TELCO_H", "")
    for wrong in ({"secret_file": path}, {"secret_env": "TELCO_H"}, {"secret_env": "NOT_THERE"}):
        with pytest.raises(SettingsError, match="is not set or empty"):
            CallbackHmacSettings(header="X", **wrong).resolved_secrets()
    with pytest.raises(SettingsError, match="cannot read the secret"):
        CallbackHmacSettings(header="X", secret_file=tmp_path / "none").resolved_secrets()


def test_a_secret_that_is_not_there_is_told_with_its_key_before_anything_starts(tmp_path: Path) -> None:
    path = tmp_path / "caudal.toml"
    path.write_text(
        '[carriers.h]\nprotocol = "http"\nurl = "http://127.0.0.1:1/"\n'
        '[carriers.h.callbacks]\nreceipt = {id = "/id", state = "/s", states = {ok = "DELIVERED"}}\n'
        '[carriers.h.callbacks.auth]\ntoken = {header = "X-Token", secret_env = "NOT_THERE"}\n'
    )
    settings, source = load_settings(path)
    with pytest.raises(SettingsError) as caught:
        check_carriers(settings, source=source)
    assert "carriers.h.callbacks.auth: the variable NOT_THERE (secret_env) is not set or empty" in str(
        caught.value
    )


def test_secrets_are_shown_to_nobody_and_an_open_door_is_warned_of() -> None:
    carrier = {"protocol": "http", "url": "http://127.0.0.1:1/"}
    settings = Settings(carriers={"h": {**carrier, "callbacks": {"auth": AUTH, "receipt": RECEIPT}}})
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(redact(settings.model_dump()))
    assert check_exposure(settings) == []
    is_open = {**carrier, "callbacks": {"auth": {"anyone": True}, "receipt": RECEIPT}}
    (warning,) = check_exposure(Settings(carriers={"h": is_open}))
    assert "carriers.h.callbacks.auth.anyone is true" in warning


def test_ids_of_receipts_go_through_the_function_of_the_dialect() -> None:
    settings = Settings(
        carriers={
            "h": {
                "protocol": "http",
                "url": "http://127.0.0.1:1/",
                "callbacks": {"auth": {"anyone": True}, "receipt": RECEIPT},
            }
        }
    )
    reader: Any = carrier_calls(settings)["h"].reader
    for one in (" A1 ", "00ff", "É", "\t"):
        assert reader._normalise_id(one) == MappedDialect.normalise_id(None, one)  # type: ignore[arg-type]


# -- the page -----------------------------------------------------------------------------------------

BASES: dict[type[BaseModel], dict[str, Any]] = {
    CallbackSettings: {"auth": AUTH, "receipt": {**RECEIPT, "when": {"field": "/event"}}},
    CallbackAuthSettings: {"networks": ["10.0.0.0/8"]},
    CallbackHmacSettings: {"header": "X-Sig"},
    CallbackTokenSettings: {},
    CallbackBasicSettings: {"username": "telco"},
    CallbackReceiptSettings: RECEIPT,
    CallbackReplySettings: REPLY,
    CallbackWhenSettings: {},
}


def test_every_key_of_the_page_has_a_meaning_and_an_example_that_loads() -> None:
    for _, model in PAGE["TABLES"]:
        for key, field in model.model_fields.items():
            assert field.description, key
            (example,) = field.examples
            given = BASES[model] | tomllib.loads(f"{key} = {example}")
            if "secret" in model.model_fields and not key.startswith("secret"):
                given["secret"] = "x"
            if model is CallbackTokenSettings and key != "query":
                given.setdefault("header", "X-Token")
            if model is CallbackWhenSettings and key == "equals":
                given["field"] = "/event"
            if key == "number":
                given.pop("recipient")
            if key == "timestamp_header":
                given["signed"] = "{timestamp}.{body}"
            if key == "signed":
                given["timestamp_header"] = "X-Timestamp"
            model.model_validate(given)


def test_the_page_has_every_key_as_the_model_has_it() -> None:
    text = (DOCS / "http-carriers.md").read_text(encoding="utf-8")
    assert text == PAGE["make_page"](text), "run: .venv/bin/python deploy/docs/make_callbacks.py"


def test_the_example_of_the_page_is_the_one_that_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DOCS / "http-carriers.md").read_text(encoding="utf-8")
    worked, bulk = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert worked == (ROOT / "deploy/examples/http-sms.toml").read_text(encoding="utf-8")
    monkeypatch.setenv("AGGREGATOR_TOKEN", "token")
    monkeypatch.setenv("AGGREGATOR_SECRET", "secret")
    tree, more = tomllib.loads(worked), tomllib.loads(bulk)
    tree["carriers"]["aggregator"] |= more["carriers"]["aggregator"]
    settings = Settings(**tree)
    check_carriers(settings, source="page")
    assert callback_map("aggregator", settings.carriers["aggregator"].callbacks, channel="sms").receipt  # type: ignore[union-attr]


def test_the_page_names_every_outcome_that_is_counted() -> None:
    from gateway.ingress.callbacks import OUTCOMES

    text = (DOCS / "http-carriers.md").read_text(encoding="utf-8")
    assert [outcome for outcome in OUTCOMES if f"`{outcome}`" not in text] == []
