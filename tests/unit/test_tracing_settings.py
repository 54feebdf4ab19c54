"""`[tracing]`: secrets from three places, mistakes named, a missing package said before anything starts."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.runtime import tracing
from gateway.runtime.tracing import check_tracing
from gateway.settings import SettingsError, check_exposure, load_settings


def written(folder: Path, text: str) -> Path:
    path = folder / "caudal.toml"
    path.write_text(f"[tracing]\nenabled = true\n{text}\n")
    return path


def test_it_is_off_by_default_and_asks_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_is_there", lambda _: False)
    path = tmp_path / "caudal.toml"
    path.write_text("")
    settings, _ = load_settings(path)
    assert not settings.tracing.enabled
    check_tracing(settings)


def test_a_missing_package_is_named_by_whoever_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_is_there", lambda module: module != "opentelemetry.sdk")
    with pytest.raises(
        SettingsError, match=r"opentelemetry-sdk is not installed: install caudal with its extra `tracing`"
    ):
        check_tracing(load_settings(written(tmp_path, ""))[0])


def test_headers_come_from_the_file_a_secret_or_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "headers"
    secret.write_text("authorization: Bearer a:b\n\nx-team:acme\n")
    monkeypatch.setenv("COLLECTOR_HEADERS", "x-team: acme")
    for text, headers in (
        ('headers = {x-team = "acme"}', {"x-team": "acme"}),
        (f'headers_file = "{secret}"', {"authorization": "Bearer a:b", "x-team": "acme"}),
        ('headers_env = "COLLECTOR_HEADERS"', {"x-team": "acme"}),
    ):
        settings, _ = load_settings(written(tmp_path, text))
        check_tracing(settings)
        assert settings.tracing.resolved_headers() == headers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('endpoint = "127.0.0.1:4318"', r"caudal.toml:3: tracing.endpoint: an http:// or https:// address"),
        ("sample_ratio = 1.5", r"tracing.sample_ratio: .* less than or equal to 1 \(got '1.5'\)"),
        ("sample_ratio = nan", "tracing.sample_ratio: .*finite"),
        ("queue_spans = 0", "tracing.queue_spans"),
        ("ratio = 0.1", "unknown key 'tracing.ratio'"),
        ('headers_env = "A"\nheaders_file = "B"', "not by headers_file and headers_env"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_limit(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('headers_env = "NOT_SET_ANYWHERE"', "the variable NOT_SET_ANYWHERE"),
        ('headers_file = "no/such/file"', "cannot read the secret no/such/file"),
    ],
)
def test_a_secret_that_cannot_be_had_is_said_before_anything_starts(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        check_tracing(load_settings(written(tmp_path, text))[0])


def test_a_line_that_is_no_header_is_named_and_not_shown(tmp_path: Path) -> None:
    secret = tmp_path / "headers"
    secret.write_text("x-team: acme\ns3cr3t\n")
    with pytest.raises(SettingsError, match="line 2 is no header") as caught:
        load_settings(written(tmp_path, f'headers_file = "{secret}"'))[0].tracing.resolved_headers()
    assert "s3cr3t" not in str(caught.value)


def test_no_command_shows_the_headers(tmp_path: Path) -> None:
    path = written(tmp_path, 'headers = {x-honeycomb-team = "s3cr3t"}')
    shown = CliRunner().invoke(main, ["config", "show", "--config", str(path)])
    assert shown.exit_code == 0, shown.output
    assert "x-honeycomb-team" in shown.output
    assert "s3cr3t" not in shown.output


def test_spans_without_tls_to_another_machine_are_warned_of(tmp_path: Path) -> None:
    settings, _ = load_settings(written(tmp_path, 'endpoint = "http://192.0.2.7:4318/v1/traces"'))
    assert any("tracing.endpoint has no TLS" in line for line in check_exposure(settings))
    settings, _ = load_settings(written(tmp_path, ""))
    assert not any("tracing" in line for line in check_exposure(settings))
