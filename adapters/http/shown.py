"""Requests as people may see them: secrets gone, phone numbers cut to their last two digits. Pure; for dialects."""

import re
from collections.abc import Collection
from typing import Final

from adapters.http.dialect import HttpRequest

MASK: Final = "[redacted]"
MAX_SHOWN_CHARACTERS: Final = 4000
_NUMBER: Final = re.compile(r"\d{7,}")
_SECRET_NAME: Final = re.compile(
    r"(?i)(^|[-_])(password|secret|token|auth|authorization|cookie|api[-_]?key|key|signature)$"
).search


def masked_numbers(text: str) -> str:
    """Return the text with all but the last two digits of long numbers hidden."""
    return _NUMBER.sub(lambda found: "*" * (len(found[0]) - 2) + found[0][-2:], text)


def shown_request(
    request: HttpRequest, *, secrets: Collection[str] = (), secret_names: Collection[str] = ()
) -> dict[str, object]:
    """Return a request for people. `secrets` are hidden wherever they stand, `secret_names` whatever their value is."""
    hidden = {name.lower() for name in secret_names}

    def clean(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, MASK)
        return masked_numbers(text)

    def clean_url(url: str) -> str:
        head, mark, query = url.partition("?")
        pairs = [
            f"{name}={MASK}"
            if name.lower() in hidden or _SECRET_NAME(name)
            else f"{name}{joint}{clean(value)}"
            for name, joint, value in (pair.partition("=") for pair in query.split("&"))
        ]
        return clean(head) + mark + "&".join(pairs)

    headers = {
        name: MASK if name.lower() in hidden or _SECRET_NAME(name) else clean(value)
        for name, value in request.headers.items()
    }
    body = request.body.decode("utf-8", "replace")
    return {
        "method": request.method,
        "url": clean_url(request.url),
        "headers": headers,
        "body": clean(body)[:MAX_SHOWN_CHARACTERS],
    }
