"""Writes the tables of the keys of callbacks in http-carriers.md from the settings model, between their two marks.

Usage: .venv/bin/python deploy/docs/make_callbacks.py; a test checks that the committed page is what this writes.
"""

import runpy
from pathlib import Path

from pydantic import BaseModel

from gateway.settings import (
    CallbackAuthSettings,
    CallbackBasicSettings,
    CallbackHmacSettings,
    CallbackReceiptSettings,
    CallbackReplySettings,
    CallbackSettings,
    CallbackTokenSettings,
    CallbackWhenSettings,
)

PAGE = Path(__file__).parent / "http-carriers.md"
BEGIN = "<!-- keys: written by make_callbacks.py -->\n"
END = "<!-- end of keys -->\n"

TABLES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("[carriers.<id>.callbacks]", CallbackSettings),
    ("[carriers.<id>.callbacks.auth]", CallbackAuthSettings),
    ("[carriers.<id>.callbacks.auth.hmac]", CallbackHmacSettings),
    ("[carriers.<id>.callbacks.auth.token]", CallbackTokenSettings),
    ("[carriers.<id>.callbacks.auth.basic]", CallbackBasicSettings),
    ("[carriers.<id>.callbacks.receipt]", CallbackReceiptSettings),
    ("[carriers.<id>.callbacks.reply]", CallbackReplySettings),
    ("A condition, as in `when` and `ignore`", CallbackWhenSettings),
)

_CARRIERS = runpy.run_path(str(Path(__file__).parent / "make_carriers.py"))


def keys_text() -> str:
    """Return all tables as Markdown."""
    lines: list[str] = []
    for title, model in TABLES:
        shown = f"`{title}`" if title.startswith("[") else title
        lines += [
            f"### {shown}",
            "",
            "| key | default | limits | meaning | example |",
            "|---|---|---|---|---|",
        ]
        for name, field in model.model_fields.items():
            cells = (
                f"`{name}`",
                "`[]`" if field.default == () else _CARRIERS["default_of"](field),
                _CARRIERS["limits_of"](model, name),
                field.description or "",
                f"`{name} = {(field.examples or [''])[0]}`",
            )
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def make_page(text: str) -> str:
    """Return the page with its tables as the model has them."""
    head, rest = text.split(BEGIN)
    return head + BEGIN + keys_text() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(make_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
