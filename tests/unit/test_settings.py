"""Settings: unknown keys by line, secrets once, the environment over the file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from gateway.settings import (
    AddressingSettings,
    CarrierCommon,
    CarrierSettings,
    HttpCarrierSettings,
    ProfileSettings,
    Settings,
    SettingsError,
    TlsSettings,
    load_settings,
    place_of,
)

CARRIER = """
[carriers.telco_a]
host = "127.0.0.1"
port = 2775
system_id = "acme"
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("CAUDAL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "caudal.toml"
    path.write_text(text)
    return path


def test_without_a_file_it_is_the_demo_with_the_simulator() -> None:
    settings, source = load_settings()
    assert source == "demo"
    assert settings.simulator.enabled
    assert list(settings.carriers) == ["simulator"]


def test_a_file_in_the_folder_is_used(tmp_path: Path) -> None:
    write(tmp_path, CARRIER)
    settings, source = load_settings()
    assert source == "caudal.toml"
    assert list(settings.carriers) == ["telco_a"]


def test_an_unknown_key_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, CARRIER + "windw = 10\n")
    with pytest.raises(SettingsError, match=r"caudal\.toml:6: unknown key 'carriers\.telco_a\.windw'"):
        load_settings(path)


def test_a_bad_value_is_named_with_its_line_and_limit(tmp_path: Path) -> None:
    path = write(tmp_path, "[api]\nport = 70000\n")
    with pytest.raises(SettingsError, match=r"caudal\.toml:2: api\.port: .*65535.*70000"):
        load_settings(path)


def test_a_rate_without_unit_is_refused_with_an_example(tmp_path: Path) -> None:
    path = write(tmp_path, CARRIER + 'rate = "100"\n')
    with pytest.raises(SettingsError, match=r":6: .*no known unit.*100/s"):
        load_settings(path)


def test_a_route_to_an_unknown_carrier_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, CARRIER + '[[routes]]\ncarriers = ["telco_b"]\n')
    with pytest.raises(SettingsError, match="telco_b"):
        load_settings(path)


def test_broken_toml_names_the_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, "[api\n")
    with pytest.raises(SettingsError, match=r"caudal\.toml: not valid TOML.*line 1"):
        load_settings(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read the configuration .*none\.toml"):
        load_settings(tmp_path / "none.toml")


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, CARRIER + "[api]\nport = 8080\n")
    monkeypatch.setenv("CAUDAL_API__PORT", "8181")
    monkeypatch.setenv("CAUDAL_DATABASE_URL", "postgresql://db.example/caudal")
    settings, _ = load_settings(path)
    assert settings.api.port == 8181
    assert settings.database_url == "postgresql://db.example/caudal"
    assert settings.carriers["telco_a"].port == 2775


def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUDAL_APPI__PORT", "1")
    with pytest.raises(SettingsError, match="CAUDAL_APPI__PORT"):
        load_settings()


def test_a_password_is_given_once_and_never_shown(tmp_path: Path) -> None:
    path = write(tmp_path, CARRIER + 'password = "hidden"\npassword_env = "X"\n')
    with pytest.raises(SettingsError, match="give the password once") as caught:
        load_settings(path)
    assert "hidden" not in str(caught.value)


def test_a_password_file_over_8_octets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("123456789\n")
    path = write(tmp_path, CARRIER + 'password_file = "secret"\n')
    settings, _ = load_settings(path)
    with pytest.raises(SettingsError, match="9 octets, the limit is 8"):
        settings.carriers["telco_a"].resolved_password()


def test_the_settings_survive_the_way_to_a_child_process(tmp_path: Path) -> None:
    import json

    from gateway.settings import Settings

    path = write(
        tmp_path, CARRIER + 'password = "hidden"\n[[routes]]\nclass = "otp"\ncarriers = ["telco_a"]\n'
    )
    settings, _ = load_settings(path)
    again = Settings(**json.loads(settings.model_dump_json(by_alias=True)))
    assert again == settings
    assert again.carriers["telco_a"].resolved_password() == "hidden"


ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "caudal.example.toml").read_text(encoding="utf-8")
OPTIONAL = re.compile(r"^# (?=[a-z_]+ = )", re.MULTILINE)


def keys_of(model: type[BaseModel], *path: str) -> Iterator[tuple[str, ...]]:
    """Yield every key of the tree; carriers and routes once."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        inner = next(
            (kind for kind in (field.annotation, *get_args(field.annotation)) if is_section(kind)), None
        )
        if key == "carriers":
            yield from keys_of(CarrierSettings, key, "telco_a")
            shared = {*CarrierCommon.model_fields, "tls", "retry", "callbacks"}
            yield from (
                found for found in keys_of(HttpCarrierSettings, key, "telco_h") if found[2] not in shared
            )
        elif inner is None or inner is AddressingSettings:
            yield (*path, key)
        else:
            yield from keys_of(inner, *path, key)


def is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def test_the_example_names_every_key_in_its_table() -> None:
    texts: dict[str, str] = {}
    table = ""
    for line in EXAMPLE.splitlines():
        if header := re.match(r"\[+([\w.]+)\]", line):
            table = header[1]
        texts[table] = texts.get(table, "") + line + "\n"
    missing = [
        ".".join(path)
        for path in keys_of(Settings)
        if not re.search(rf"\b{path[-1]} = ", texts.get(".".join(path[:-1]), ""))
        and ".".join(path) not in texts  # a key with a table of its own
    ]
    assert missing == []


def test_the_example_loads_with_each_of_its_optional_lines(tmp_path: Path) -> None:
    optional = list(OPTIONAL.finditer(EXAMPLE))
    assert len(optional) >= 10
    base, _ = load_settings(write(tmp_path, EXAMPLE))
    for match in optional:
        text = EXAMPLE[: match.start()] + EXAMPLE[match.end() :]
        settings, _ = load_settings(write(tmp_path, text))
        assert settings != base, match


def test_what_the_example_calls_the_default_is_the_default(tmp_path: Path) -> None:
    settings, _ = load_settings(write(tmp_path, EXAMPLE))
    carrier = settings.carriers["telco_a"]
    assert carrier.profile.model_copy(update={"status": {}}) == ProfileSettings()
    assert carrier.tls == TlsSettings()
    plain = Settings()
    for name in set(Settings.model_fields) - {"carriers", "routes"}:
        assert getattr(settings, name) == getattr(plain, name), name


def test_a_place_is_the_line_of_the_key_or_of_its_table(tmp_path: Path) -> None:
    path = str(write(tmp_path, CARRIER + "[carriers.telco_a.tls]\nenabled = true\n"))
    assert place_of(path, "carriers", "telco_a", "tls", "enabled") == f"{path}:7"
    assert place_of(path, "carriers", "telco_a", "tls", "ca_file") == f"{path}:6"
    assert place_of("demo", "carriers", "simulator") == "demo"
    assert place_of(str(tmp_path / "gone.toml"), "api") == str(tmp_path / "gone.toml")
