"""Errors of the Cloud API by code: the HTTP status they come with, and their titles. Read by code, never by title."""

import msgspec

from loadtest.http_carrier.exchange import JSON_HEADERS, Reply

ERRORS = {
    1: (500, "API Unknown"),
    2: (503, "API Service"),
    4: (429, "API Too Many Calls"),
    10: (403, "Permission Denied"),
    33: (400, "Parameter value is not valid"),
    100: (400, "Invalid parameter"),
    190: (401, "Access token has expired"),
    368: (403, "Temporarily blocked for policies violations"),
    80007: (400, "Rate limit issues"),
    130429: (400, "Rate limit hit"),
    130472: (400, "User's number is part of an experiment"),
    131000: (500, "Something went wrong"),
    131005: (403, "Access denied"),
    131008: (400, "Required parameter is missing"),
    131009: (400, "Parameter value is not valid"),
    131016: (503, "Service unavailable"),
    131021: (400, "Recipient cannot be sender"),
    131026: (400, "Message undeliverable"),
    131031: (403, "Account has been locked"),
    131042: (400, "Business eligibility payment issue"),
    131047: (400, "Re-engagement message"),
    131048: (400, "Spam rate limit hit"),
    131049: (400, "This message was not delivered to maintain healthy ecosystem engagement"),
    131051: (400, "Unsupported message type"),
    131052: (400, "Media download error"),
    131053: (400, "Media upload error"),
    131056: (400, "Pair rate limit hit"),
    132000: (400, "Template param count mismatch"),
    132001: (404, "Template name does not exist in the translation"),
    132005: (400, "Translated text too long"),
    132007: (400, "Template format character policy violated"),
    132012: (400, "Template parameter format mismatch"),
    132015: (400, "Template is paused"),
    132016: (400, "Template is disabled"),
    133010: (400, "Phone number not registered"),
}


class RefusedError(Exception):
    """A request that the Cloud API refuses."""

    def __init__(self, code: int, details: str = "") -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


def title(code: int) -> str:
    """Return the title of an error."""
    return ERRORS.get(code, (400, "Unknown error"))[1]


def error_reply(code: int, details: str = "") -> Reply:
    """Return the answer that tells an error."""
    http_status, name = ERRORS.get(code, (400, "Unknown error"))
    body = {
        "error": {
            "message": f"(#{code}) {name}",
            "type": "OAuthException",
            "code": code,
            "error_data": {"messaging_product": "whatsapp", "details": details or name},
            "fbtrace_id": f"A{code:x}simulated",
        }
    }
    return Reply(http_status, msgspec.json.encode(body), JSON_HEADERS)


def status_error(code: int, details: str = "") -> dict[str, object]:
    """Return the error of a failed status."""
    name = title(code)
    return {"code": code, "title": name, "message": name, "error_data": {"details": details or name}}
