"""command_status to class: section G of the domain rules, every named code once."""

import pytest

from adapters.smpp.classify import STATUS_CONTEXTS, StatusVerdict, classify
from adapters.smpp.wire.constants import STATUS_NAMES

RETRY_LATER = {0x14, 0x08, 0x64, 0xFF}
FAILOVER = {0x45, 0x03, 0x102}
REBIND = {0x04, 0x0D, 0x0E, 0x0F, 0x53}
ROUTE_FAULTS = {0x0A, 0x15, 0x43, 0x48, 0x49, 0x50, 0x51, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4}
PERMANENT = set(STATUS_NAMES) - RETRY_LATER - FAILOVER - REBIND - ROUTE_FAULTS - {0, 0x58}


def flags(verdict: StatusVerdict) -> tuple[bool, bool, bool]:
    return verdict.same_bind_retry, verdict.failover_allowed, verdict.alert


def test_g1_zero_is_ok():
    assert classify("submit_sm_resp", 0) == StatusVerdict("ESME_ROK", "ok", False, False, False)


def test_g3_throttled_stays_on_its_bind_and_never_fails_over():
    verdict = classify("submit_sm_resp", 0x58)
    assert verdict == StatusVerdict("ESME_RTHROTTLED", "throttle", True, False, False)


@pytest.mark.parametrize("code", sorted(RETRY_LATER))
def test_g1_retry_later(code):
    verdict = classify("submit_sm_resp", code)
    assert verdict.status_class == "retry_later"
    assert flags(verdict) == (True, True, False)


@pytest.mark.parametrize("code", sorted(FAILOVER))
def test_g1_failover(code):
    verdict = classify("submit_sm_resp", code)
    assert verdict.status_class == "failover"
    assert flags(verdict) == (False, True, False)


@pytest.mark.parametrize("code", sorted(REBIND))
def test_g1_rebind_keeps_the_message(code):
    verdict = classify("submit_sm_resp", code)
    assert verdict.status_class == "rebind"
    assert flags(verdict) == (True, True, False)


@pytest.mark.parametrize("code", sorted(ROUTE_FAULTS))
def test_g1_a_fault_of_the_route_is_permanent_here_and_alerts(code):
    verdict = classify("submit_sm_resp", code)
    assert verdict.status_class == "permanent"
    assert flags(verdict) == (False, True, True)


@pytest.mark.parametrize("code", range(0x4A, 0x50))
def test_g1_reserved_codes_between_the_address_faults_are_faults_of_the_route(code):
    assert classify("submit_sm_resp", code) == StatusVerdict(f"0x{code:08X}", "permanent", False, True, True)


@pytest.mark.parametrize("code", sorted(PERMANENT))
def test_g1_g4_everything_else_is_permanent(code):
    verdict = classify("submit_sm_resp", code)
    assert verdict.status_class == "permanent"
    assert flags(verdict) == (False, False, False)


def test_g4_an_invalid_destination_is_never_sent_again():
    assert classify("submit_sm_resp", 0x0B) == StatusVerdict(
        "ESME_RINVDSTADR", "permanent", False, False, False
    )


@pytest.mark.parametrize("code", [0x22, 0x400, 0x4AB, 0x4FF, 0x12345678, 0xFFFFFFFF])
def test_g2_unknown_and_vendor_codes_fail_over_and_keep_their_number(code):
    for context in ("submit_sm_resp", "generic_nack"):
        assert classify(context, code) == StatusVerdict(f"0x{code:08X}", "failover", False, True, False)
    assert classify("bind_resp", code) == StatusVerdict(f"0x{code:08X}", "bind_retry", True, True, False)


@pytest.mark.parametrize("code", sorted(set(STATUS_NAMES) - {0}))
def test_g5_a_generic_nack_gives_its_request_the_class_of_the_code(code):
    assert classify("generic_nack", code) == classify("submit_sm_resp", code)


def test_g5_a_generic_nack_without_error_is_ignored():
    assert classify("generic_nack", 0) == StatusVerdict("ESME_ROK", "ignore", False, False, False)


@pytest.mark.parametrize(
    ("code", "status_class", "expected"),
    [
        (0x00, "bound", (False, False, False)),
        (0x0E, "bind_fatal", (False, True, True)),
        (0x0F, "bind_fatal", (False, True, True)),
        (0x53, "bind_fatal", (False, True, True)),
        (0x03, "bind_fallback", (False, False, False)),
        (0x05, "bind_retry", (True, True, False)),
        (0x0D, "bind_retry", (True, True, False)),
        (0x08, "bind_retry", (True, True, False)),
        (0x58, "bind_retry", (True, True, False)),
        (0x14, "bind_retry", (True, True, False)),
        (0x04, "bind_retry", (True, True, False)),
    ],
)
def test_g1_on_bind(code, status_class, expected):
    verdict = classify("bind_resp", code)
    assert verdict.status_class == status_class
    assert flags(verdict) == expected


def test_a_carrier_profile_may_override_single_codes():
    overrides = {0x45: "permanent", 0x4AB: "throttle"}
    assert classify("submit_sm_resp", 0x45, overrides=overrides).status_class == "permanent"
    assert classify("submit_sm_resp", 0x4AB, overrides=overrides) == StatusVerdict(
        "0x000004AB", "throttle", True, False, False
    )
    assert classify("submit_sm_resp", 0x08, overrides=overrides).status_class == "retry_later"


def test_only_zero_is_success():
    successes = {"ok", "bound"}
    for context in STATUS_CONTEXTS:
        for code in STATUS_NAMES:
            if code:
                assert classify(context, code).status_class not in successes
