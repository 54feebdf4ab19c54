"""A carrier's own schedule, its lanes' shares and the cost of a route: from the file to what dispatch is told."""

import tomllib
from decimal import Decimal

import pytest
from pydantic import ValidationError

from gateway.domain.message import MessageClass
from gateway.policy.fairness import LaneShares
from gateway.policy.retry import DEFAULT_RETRY, StatusRule, Then
from gateway.ports.clock import SystemClock
from gateway.runtime.carriers import carrier_plan, check_carriers, route_table
from gateway.settings import Settings, SettingsError, duration_ms

CARRIER = """
[carriers.telco]
host = "127.0.0.1"
port = 2775
system_id = "acme"
"""


def settings_of(text: str) -> Settings:
    return Settings(**tomllib.loads(CARRIER + text))


def plan_of(text: str):
    return carrier_plan("telco", settings_of(text).carriers["telco"], SystemClock())


def test_without_keys_the_defaults_hold():
    plan = plan_of("")
    assert plan.retry == DEFAULT_RETRY
    assert plan.shares == LaneShares()


def test_a_carriers_schedule_and_shares_reach_its_plan():
    plan = plan_of(
        """
        [carriers.telco.retry.otp]
        delays = ["500ms", "2s"]
        [carriers.telco.retry.marketing]
        delays = []
        [carriers.telco.retry.status]
        ESME_RSYSERR = {delays = ["1min", "1h"], then = "fail"}
        0x0500 = {}
        [carriers.telco.lanes]
        otp_share = 0.9
        weights = {transactional = 2, marketing = 2}
        """
    )
    assert plan.retry.delays_ms == {MessageClass.OTP: (500, 2_000), MessageClass.MARKETING: ()}
    assert plan.retry.statuses == {
        "ESME_RSYSERR": StatusRule((60_000, 3_600_000), Then.FAIL),
        "0x00000500": StatusRule(None, Then.FAILOVER),
    }
    assert plan.shares == LaneShares(0.9, (2, 3, 2))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[carriers.telco.retry.otp]\ndelays = ["5s", "5s"]', "5s is not longer than 5s"),
        ('[carriers.telco.retry.otp]\ndelays = ["5"]', "'5' is no duration"),
        ('[carriers.telco.retry.otp]\ndelays = ["0s"]', "not within 1ms to 24h"),
        ('[carriers.telco.retry.otp]\ndelays = ["25h"]', "not within 1ms to 24h"),
        (
            f"[carriers.telco.retry.otp]\ndelays = {[f'{n}s' for n in range(1, 22)]}",
            "at most 20 items",
        ),
        ("[carriers.telco.retry.status]\nESME_ROOK = {}", "no command_status known"),
        ("[carriers.telco.retry.status]\nESME_RSYSERR = {}\n8 = {}", "the same command_status"),
        ('[carriers.telco.retry.status]\nESME_RSYSERR = {then = "drop"}', "failover"),
        ("[carriers.telco.retry.bulk]\ndelays = []", "Extra inputs"),
        ("[carriers.telco.lanes]\notp_share = 0.2", "0.5"),
        ("[carriers.telco.lanes]\nweights = {marketing = 0}", "greater than or equal to 1"),
        ('[[routes]]\ncarriers = ["telco"]\ncost = -1', "greater than or equal to 0"),
        ('[[routes]]\ncarriers = ["telco"]\ncost = "cheap"', "decimal"),
        ('[[routes]]\ncarriers = ["telco"]\ncost = "NaN"', "finite"),
    ],
)
def test_a_wrong_value_is_refused_by_its_limit(text, said):
    with pytest.raises(ValidationError, match=said):
        settings_of(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("1ms", 1), ("90 s", 90_000), ("3min", 180_000), ("24h", 86_400_000)]
)
def test_durations(text, expected):
    assert duration_ms(text) == expected


def test_the_cost_of_a_route_is_exact_and_optional():
    routes = route_table(
        settings_of(
            '[[routes]]\ncarriers = ["telco"]\ncost = "0.0125"\n[[routes]]\ncarriers = ["telco"]\nprefix = "52"\n'
        )
    )
    assert [rule.cost for rule in routes.rules] == [Decimal("0.0125"), None]


def test_the_settings_survive_the_way_to_a_child_process():
    settings = settings_of(
        '[carriers.telco.retry.status]\n8 = {delays = ["1s"]}\n[[routes]]\ncarriers = ["telco"]\ncost = 0.1\n'
    )
    again = Settings(**settings.model_dump(mode="json", by_alias=True))
    assert again == settings


def test_a_schedule_that_would_never_be_followed_is_refused_by_its_key():
    text = "[carriers.telco.retry.status]\nESME_RTHROTTLED = {}\nESME_RSYSERR = {}\n"
    with pytest.raises(
        SettingsError, match=r"carriers\.telco\.retry\.status\.ESME_RTHROTTLED: .* is throttle"
    ):
        check_carriers(settings_of(text), source="demo")
    check_carriers(
        settings_of(text + '[carriers.telco.profile.status]\nESME_RTHROTTLED = "retry_later"\n'),
        source="demo",
    )
