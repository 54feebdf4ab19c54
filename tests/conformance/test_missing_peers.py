"""A peer that is missing is never passed over in silence."""

import pytest

from tests.support.peers import need_command

NOWHERE = "no-such-command-anywhere"


def test_a_missing_peer_fails_the_run_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install some-package"):
        need_command(NOWHERE, package="some-package")


def test_a_missing_peer_is_left_out_with_its_reason_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"LEFT OUT: .*apt-get install some-package"):
        need_command(NOWHERE, package="some-package")


def test_commands_outside_the_path_of_users_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert need_command("ldconfig", package="libc-bin").startswith(("/usr/sbin", "/sbin"))
