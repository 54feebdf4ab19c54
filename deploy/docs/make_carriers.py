"""Writes the table of keys in carriers.md from the settings model, between its two marks.

Usage: .venv/bin/python deploy/docs/make_carriers.py; a test checks that the committed page is what this writes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from adapters.http.templates import PLACEHOLDERS
from gateway.settings import (
    AddressingSettings,
    BreakerSettings,
    CarrierCommon,
    CarrierSettings,
    HttpAuthSettings,
    HttpBulkSettings,
    HttpCarrierSettings,
    HttpRequestSettings,
    HttpResponseSettings,
    HttpRetrySettings,
    HttpRuleSettings,
    HttpTimeoutSettings,
    LaneSettings,
    ProfileSettings,
    RetrySettings,
    ScheduleSettings,
    StatusScheduleSettings,
    TlsSettings,
    WeightSettings,
    WhatsAppCarrierSettings,
    WhatsAppTemplateSettings,
)

PAGE = Path(__file__).parent / "carriers.md"
BEGIN = "<!-- keys: written by make_carriers.py -->\n"
END = "<!-- end of keys -->\n"

TABLES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("[carriers.<id>]", CarrierSettings),
    ("[carriers.<id>.tls]", TlsSettings),
    ("[carriers.<id>.profile]", ProfileSettings),
    ("[carriers.<id>.retry]", RetrySettings),
    ("A schedule of a class, as in `otp`", ScheduleSettings),
    ("A schedule of a status, as in `status`", StatusScheduleSettings),
    ("[carriers.<id>.breaker]", BreakerSettings),
    ("[carriers.<id>.lanes]", LaneSettings),
    ("[carriers.<id>.lanes.weights]", WeightSettings),
    ("An address type, as in `short_code`", AddressingSettings),
    ('[carriers.<id>], protocol = "http"', HttpCarrierSettings),
    ("[carriers.<id>.auth], HTTP", HttpAuthSettings),
    ("[carriers.<id>.timeouts], HTTP", HttpTimeoutSettings),
    ("[carriers.<id>.request], HTTP", HttpRequestSettings),
    ("[carriers.<id>.request.bulk], HTTP", HttpBulkSettings),
    ("[carriers.<id>.response], HTTP", HttpResponseSettings),
    ("[[carriers.<id>.response.rules]], HTTP", HttpRuleSettings),
    ("[carriers.<id>.retry], HTTP", HttpRetrySettings),
    ('[carriers.<id>], protocol = "whatsapp"', WhatsAppCarrierSettings),
    ("[[carriers.<id>.templates]], WhatsApp", WhatsAppTemplateSettings),
)
_INNER = frozenset(
    (
        *("tls", "profile", "retry", "breaker", "lanes", "weights"),
        *("auth", "timeouts", "request", "bulk", "response", "callbacks"),
    )
)


def keys_of(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the keys of one table, without the tables inside it; what all carriers have comes after its own."""
    fields = model.model_fields
    shared = CarrierCommon.model_fields if issubclass(model, CarrierCommon) else {}
    for name in sorted(fields, key=lambda name: name in shared):
        if name not in _INNER:
            yield fields[name].alias or name, fields[name]


def limits_of(model: type[BaseModel], name: str) -> str:
    """Return what a value may be, in words."""
    schema = model.model_json_schema()["properties"][name]
    for option in (schema, *schema.get("anyOf", ())):
        if limits := _limits(option):
            return limits
    return {"boolean": "`true`, `false`"}.get(schema.get("type", ""), "")


def _limits(schema: dict[str, Any]) -> str:
    if "limits" in schema:
        return str(schema["limits"])
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{_toml(value)}`" for value in schema.get("enum", [schema.get("const")]))
    if "maximum" in schema:
        above = "above " if "exclusiveMinimum" in schema else ""
        return f"{above}{schema.get('minimum', schema.get('exclusiveMinimum')):g} to {schema['maximum']:g}"
    if "maxLength" in schema:
        return f"at most {schema['maxLength']} characters"
    return ""


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, BaseModel):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value if one is not None) + "}"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict) and value:
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return "{}" if value == {} else f"{value:g}" if isinstance(value, float) else str(value)


def default_of(field: FieldInfo) -> str:
    """Return the default as TOML, in words where there is none."""
    if field.is_required():
        return "required"
    if field.default is None:
        return "none"
    # What people write in hexadecimal is shown so.
    is_hex = isinstance(field.default, int) and str((field.examples or [""])[0]).startswith("0x")
    return f"`0x{field.default:X}`" if is_hex else f"`{_toml(field.default)}`"


def keys_text() -> str:
    """Return all tables as Markdown."""
    lines: list[str] = []
    for title, model in TABLES:
        head, comma, rest = title.partition(", ")
        shown = f"`{head}`{comma}{rest}" if title.startswith("[") else title
        lines += [
            f"### {shown}",
            "",
            "| key | default | limits | meaning | example |",
            "|---|---|---|---|---|",
        ]
        for name, field in keys_of(model):
            example = (field.examples or [""])[0]
            cells = (
                f"`{name}`",
                default_of(field),
                limits_of(model, name),
                field.description or "",
                f"`{name} = {example}`",
            )
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    lines += ["### Placeholders, HTTP", "", "| placeholder | meaning |", "|---|---|"]
    lines += [f"| `{{{name}}}` | {words} |" for name, (_, words) in PLACEHOLDERS.items()]
    return "\n".join([*lines, "", ""])


def make_page(text: str) -> str:
    """Return the page with its tables as the model has them."""
    head, rest = text.split(BEGIN)
    return head + BEGIN + keys_text() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(make_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
