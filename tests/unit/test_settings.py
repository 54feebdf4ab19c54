"""Settings: unknown keys by line, secrets once, the environment over the file."""

from pathlib import Path

import pytest

from gateway.settings import SettingsError, load_settings

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
