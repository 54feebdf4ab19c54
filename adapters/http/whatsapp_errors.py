"""What each error code of the WhatsApp Cloud API means to us: one table, by `error.code`, never by title.

The same table reads answers to a submit and the `errors` of a failed status, and makes the table of
deploy/docs/whatsapp.md. Codes are as Meta documents them; a code that is not here is judged by its HTTP status.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from gateway.domain.outcomes import Refusal, Refused, SubmitOutcome, Throttled, Unsent
from gateway.domain.receipts import MessageState


class Reaction(StrEnum):
    """What follows an error in the answer to a submit."""

    THROTTLE = "throttle"
    RETRY_LATER = "retry_later"
    FAILOVER = "failover"
    PERMANENT = "permanent"
    ALERT = "alert"


REACTIONS: Final[dict[Reaction, str]] = {
    Reaction.THROTTLE: "the number slows down; the message stays first in its lane and spends no attempt",
    Reaction.RETRY_LATER: "this message is tried again later, by the schedule of its class; then the next carrier or channel",
    Reaction.FAILOVER: "the next carrier or channel at once, and an alert; without one the message has failed",
    Reaction.PERMANENT: "the message has failed here; where it has another channel, that begins",
    Reaction.ALERT: "nothing can be sent before somebody acts: an alert, the messages wait or move to another carrier",
}


class About(StrEnum):
    """Whose matter the error is; it groups the table and says what a failed status means."""

    ACCESS = "access"
    LIMITS = "limits"
    ACCOUNT = "account"
    RECIPIENT = "recipient"
    CONTENT = "content"
    TEMPLATE = "template"
    SERVICE = "service"


class ErrorRule(NamedTuple):
    """One code: its name at Meta, our reaction, whose matter it is, and what to do about it."""

    code: int
    name: str
    reaction: Reaction
    about: About
    hint: str


_T, _L, _F, _P, _A = (
    Reaction.THROTTLE,
    Reaction.RETRY_LATER,
    Reaction.FAILOVER,
    Reaction.PERMANENT,
    Reaction.ALERT,
)

RULES: Final[tuple[ErrorRule, ...]] = (
    ErrorRule(0, "AuthException", _A, About.ACCESS, "the access token is not valid: make a new one"),
    ErrorRule(3, "API Method", _A, About.ACCESS, "the token lacks a permission: whatsapp_business_messaging"),
    ErrorRule(10, "Permission Denied", _A, About.ACCESS, "a permission was not granted or was removed"),
    ErrorRule(33, "Parameter value is not valid", _A, About.ACCESS, "phone_number_id is wrong or was deleted"),
    ErrorRule(190, "Access token has expired", _A, About.ACCESS, "make a system user's token, which lasts"),
    ErrorRule(200, "API Permission", _A, About.ACCESS, "a permission was not granted or was removed (200 to 299)"),
    ErrorRule(131005, "Access denied", _A, About.ACCESS, "a permission was not granted or was removed"),
    ErrorRule(4, "API Too Many Calls", _T, About.LIMITS, "the app calls too often, over all its numbers"),
    ErrorRule(80007, "Rate limit issues", _T, About.LIMITS, "the business account sends too much"),
    ErrorRule(130429, "Rate limit hit", _T, About.LIMITS, "lower `rate` to what the number may do"),
    ErrorRule(131048, "Spam rate limit hit", _F, About.LIMITS, "the quality of the number is low: see WhatsApp Manager"),
    ErrorRule(131056, "Pair rate limit hit", _L, About.LIMITS, "too much to one person; see `pair_interval`"),
    ErrorRule(368, "Temporarily blocked for policies violations", _F, About.ACCOUNT, "see policy enforcement"),
    ErrorRule(130497, "Restricted from messaging users in this country", _F, About.ACCOUNT, "route the country elsewhere"),
    ErrorRule(131031, "Account has been locked", _F, About.ACCOUNT, "see the account's quality and policy"),
    ErrorRule(131037, "Display name needs approval", _F, About.ACCOUNT, "have the number's display name approved"),
    ErrorRule(131042, "Business eligibility payment issue", _F, About.ACCOUNT, "see the account's payment method"),
    ErrorRule(131045, "Incorrect certificate", _F, About.ACCOUNT, "register the number again"),
    ErrorRule(133010, "Phone number not registered", _F, About.ACCOUNT, "register the number"),
    ErrorRule(131057, "Account in maintenance mode", _L, About.ACCOUNT, "wait: its throughput is being raised"),
    ErrorRule(130472, "User's number is part of an experiment", _P, About.RECIPIENT, "send by another channel"),
    ErrorRule(131021, "Recipient cannot be sender", _P, About.RECIPIENT, "the number is our own"),
    ErrorRule(131026, "Message undeliverable", _P, About.RECIPIENT, "not on WhatsApp, too old an app, or terms not accepted"),
    ErrorRule(131030, "Recipient phone number not in allowed list", _P, About.RECIPIENT, "test numbers reach listed ones only"),
    ErrorRule(131047, "Re-engagement message", _P, About.RECIPIENT, "more than 24 h since they wrote: send a template"),
    ErrorRule(131049, "Not delivered to maintain healthy ecosystem engagement", _P, About.RECIPIENT, "not again within 24 h"),
    ErrorRule(131050, "User has stopped marketing messages", _P, About.RECIPIENT, "an opt-out of marketing: respect it"),
    ErrorRule(100, "Invalid parameter", _P, About.CONTENT, "a parameter that WhatsApp does not take: see `caudal carriers test`"),
    ErrorRule(131008, "Required parameter is missing", _P, About.CONTENT, "the template wants a parameter more"),
    ErrorRule(131009, "Parameter value is not valid", _P, About.CONTENT, "a parameter has a value that is not allowed"),
    ErrorRule(131051, "Unsupported message type", _P, About.CONTENT, "the kind of message is not supported"),
    ErrorRule(131052, "Media download error", _P, About.CONTENT, "WhatsApp could not fetch the media"),
    ErrorRule(131053, "Media upload error", _P, About.CONTENT, "type or size of the media is not supported"),
    ErrorRule(135000, "Generic user error", _P, About.CONTENT, "the parameters do not fit the kind of message"),
    ErrorRule(132000, "Template param count mismatch", _P, About.TEMPLATE, "give as many parameters as it has"),
    ErrorRule(132001, "Template does not exist", _P, About.TEMPLATE, "name and language exactly as approved: es_MX is not es"),
    ErrorRule(132005, "Template hydrated text too long", _P, About.TEMPLATE, "the parameters are too long"),
    ErrorRule(132007, "Template format character policy violated", _P, About.TEMPLATE, "the content breaks a policy"),
    ErrorRule(132008, "Template param value invalid", _P, About.TEMPLATE, "a parameter has a value that is not allowed"),
    ErrorRule(132012, "Template parameter format mismatch", _P, About.TEMPLATE, "parameters by name or by place, as it was made"),
    ErrorRule(132015, "Template is paused", _P, About.TEMPLATE, "its quality is low: edit it, or wait"),
    ErrorRule(132016, "Template is disabled", _P, About.TEMPLATE, "paused too often: make a new one"),
    ErrorRule(132018, "Template param invalid characters", _P, About.TEMPLATE, "no line breaks, tabs or long gaps in parameters"),
    ErrorRule(132068, "Flow is blocked", _P, About.TEMPLATE, "correct the flow"),
    ErrorRule(132069, "Flow is throttled", _L, About.TEMPLATE, "ten messages an hour until the flow is corrected"),
    ErrorRule(1, "API Unknown", _L, About.SERVICE, "a fault of the service, or of the request"),
    ErrorRule(2, "API Service", _L, About.SERVICE, "the service is down or overloaded"),
    ErrorRule(131000, "Something went wrong", _L, About.SERVICE, "an unknown fault of the service"),
    ErrorRule(131016, "Service unavailable", _L, About.SERVICE, "the service is down for a moment"),
    ErrorRule(133004, "Server temporarily unavailable", _L, About.SERVICE, "the service is down for a moment"),
)  # fmt: skip
"""Every code that messages can meet, grouped by whose matter it is."""

_BY_CODE: Final = {rule.code: rule for rule in RULES}
_PERMISSIONS: Final = range(200, 300)
_OBJECT_GONE: Final = (100, 33)  # code and subcode of a phone_number_id that does not exist for this token

PAIR_LIMIT: Final = "WA_131056"
"""The status of a message that one person would get too soon, whether WhatsApp or we said so."""
WINDOW_SHUT: Final = "WA_131047"
REACH_LIMIT: Final = "WA_REACH_LIMIT"
"""The status of a message that would write to more different people in a day than the portfolio may."""
TEMPLATE_UNKNOWN: Final = "WA_132001"
PARAMS_WRONG: Final = "WA_132000"


def status_name(code: int) -> str:
    """Return how a code shows in statuses: in the timeline, in retry rules, in metrics."""
    return f"WA_{code}"


def rule_of(code: int, *, subcode: int | None = None) -> ErrorRule | None:
    """Return the rule of a code, None where there is none."""
    if (code, subcode) == _OBJECT_GONE:
        return _BY_CODE[33]
    return _BY_CODE.get(200 if code in _PERMISSIONS else code)


def reaction_to_http(status: int) -> Reaction:
    """Return what an HTTP status asks for where no code that we know came with it."""
    if status == 429:
        return Reaction.THROTTLE
    if status in (401, 403) or 300 <= status < 400:
        return Reaction.ALERT
    if status == 408 or status >= 500:
        return Reaction.RETRY_LATER
    return Reaction.PERMANENT


def outcome_of(
    reaction: Reaction, status: str, *, bind: str, retry_after_ms: int | None = None
) -> SubmitOutcome:
    """Return the outcome of a submit that was answered by an error."""
    match reaction:
        case Reaction.THROTTLE:
            return Throttled(status, bind, retry_after_ms)
        case Reaction.RETRY_LATER:
            return Refused(status, bind, Refusal.RETRY_LATER, try_other_route=True)
        case Reaction.FAILOVER:
            return Refused(status, bind, Refusal.FAILOVER, try_other_route=True, alert=True)
        case Reaction.PERMANENT:
            return Refused(status, bind, Refusal.PERMANENT)
        case Reaction.ALERT:
            return Unsent(status)


def receipt_state(code: int | None) -> MessageState:
    """Return what a failed status with this code says: the recipient's matter, or a refusal of what we sent."""
    rule = None if code is None else rule_of(code)
    if rule is None or rule.about in (About.RECIPIENT, About.SERVICE):
        return MessageState.REJECTED if code == 131047 else MessageState.UNDELIVERABLE
    return MessageState.REJECTED


def error_table() -> str:
    """Return the table of the documentation, in Markdown."""
    lines = ["| code | name at WhatsApp | whose matter | reaction | what to do |", "|---|---|---|---|---|"]
    lines += [
        f"| `{status_name(rule.code)}` | {rule.name} | {rule.about} | {rule.reaction} | {rule.hint} |"
        for rule in RULES
    ]
    return "\n".join(lines) + "\n"
