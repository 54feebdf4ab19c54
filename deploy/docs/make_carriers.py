"""Writes the table of keys in carriers.md from the settings model, between its two marks.

Usage: .venv/bin/python deploy/docs/make_carriers.py; a test checks that the committed page is what this writes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.settings import (
    AddressingSettings,
    BreakerSettings,
    CarrierSettings,
    LaneSettings,
    ProfileSettings,
    RetrySettings,
    ScheduleSettings,
    StatusScheduleSettings,
    TlsSettings,
    WeightSettings,
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
)
_INNER = ("tls", "profile", "retry", "breaker", "lanes", "weights")


def keys_of(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the keys of one table, without the tables inside it."""
    for name, field in model.model_fields.items():
        if name not in _INNER:
            yield name, field


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
        shown = f"`{title}`" if title.startswith("[") else title
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
    return "\n".join(lines)


def make_page(text: str) -> str:
    """Return the page with its tables as the model has them."""
    head, rest = text.split(BEGIN)
    return head + BEGIN + keys_text() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(make_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
