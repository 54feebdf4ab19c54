"""HTML that cannot be broken by what it shows: text is escaped unless it was built here. Pure; for the report."""

from html import escape
from typing import Final

_VOID: Final = frozenset(("br", "col", "hr", "meta"))


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | None
"""Plain text (escaped), `Html` (as it is), or nothing."""


def el(name: str, *children: Child, **attributes: str | float | bool | None) -> Html:
    """Return an element. Attributes: `_` at the end is dropped, `_` inside becomes `-`; None and False leave it out."""
    said = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Html:
    """Return the children one after the other."""
    return Html(
        "".join(
            child if isinstance(child, Html) else escape(child) for child in children if child is not None
        )
    )


def table(
    heads: list[str], rows: list[list[Child]], *, caption: str | None = None, numbers_from: int = 1
) -> Html:
    """Return a table; columns from `numbers_from` on are numbers, the first of each row is its heading."""

    def kind(column: int) -> str | None:
        return "num" if column >= numbers_from else None

    head = el(
        "thead",
        el("tr", *(el("th", text, scope="col", class_=kind(at)) for at, text in enumerate(heads))),
    )
    body = el(
        "tbody",
        *(
            el(
                "tr",
                *(
                    el("th", cell, scope="row") if not at else el("td", cell, class_=kind(at))
                    for at, cell in enumerate(row)
                ),
            )
            for row in rows
        ),
    )
    return el("table", el("caption", caption) if caption else None, head, body)


def facts(pairs: list[tuple[str, Child]]) -> Html:
    """Return names with their values."""
    return el(
        "dl", *(joined(el("div", el("dt", name), el("dd", value))) for name, value in pairs), class_="facts"
    )
