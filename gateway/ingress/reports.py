"""`GET /v1/reports`: daily, weekly and monthly reports of an account; operators read those of all."""

import asyncio
from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, Field

from gateway.ingress.auth import CONTROL, READ, Gate
from gateway.ingress.cursors import Cursors
from gateway.ingress.openapi import AUTH_CODES, Responses, problems
from gateway.ingress.plain import (
    admit,
    invalid_parameter,
    json_response,
    read_cursor,
    refuse_unknown,
    storable,
)
from gateway.ingress.problems import ProblemError
from gateway.ports.clock import Clock
from gateway.ports.report_store import Dimension, ReportViews
from gateway.reporting.desk import Report, ReportDesk, Wish, csv_text, report_json
from gateway.reporting.periods import Period, PeriodError

DEFAULT_LIMIT: Final = 200
MAX_LIMIT: Final = 1000
MAX_CSV_ROWS: Final = 10_000
EVERYBODY: Final = "*"

_ROUTE: Final = "/v1/reports"
_CADENCES: Final = {"daily": Period.DAY, "weekly": Period.WEEK, "monthly": Period.MONTH}
_FILTERS: Final = tuple([one.value for one in Dimension])
_KNOWN: Final = {"period", "from", "to", "tz", "group_by", *_FILTERS, "format", "limit", "cursor"}
_KIND: Final = "reports"
_MAX_VALUE: Final = 80

_Value = Annotated[str | None, Field(max_length=_MAX_VALUE)]

_FIGURES: Final[dict[str, Any]] = {
    "messages": 120_400,
    "segments": 131_022,
    "sent": 120_011,
    "states": {
        "scheduled": 0,
        "queued": 12,
        "submitted": 388,
        "delivered": 113_605,
        "undeliverable": 4_920,
        "rejected": 1_001,
        "expired": 430,
        "failed": 21,
        "cancelled": 3,
        "unknown": 20,
    },
    "partial": 4,
    "retried": 96,
    "delivery_ratio": 0.946708,
    "submit_delay": {"of": 120_011, "p50_s": 0.046, "p95_s": 0.091, "p99_s": 0.212},
    "receipt_delay": {"of": 119_956, "p50_s": 3.1, "p95_s": 21.4, "p99_s": 94.0},
    "sla": {"timely": 119_874, "of": 120_048, "attained": 0.998551},
    "replies": 211,
}
_EXAMPLE: Final[dict[str, Any]] = {
    "period": "day",
    "tz": "America/Mexico_City",
    "from": "2026-11-21",
    "to": "2026-11-21",
    "group_by": ["carrier", "class"],
    "as_of": "2026-11-22T14:00:12.000Z",
    "data": [
        {
            "period": "2026-11-21",
            "starts_at": "2026-11-21T06:00:00.000Z",
            "ends_at": "2026-11-22T06:00:00.000Z",
            "group": {"carrier": "telco_a", "class": "otp"},
            **_FIGURES,
        }
    ],
    "total": _FIGURES,
    "next_cursor": None,
}
_CSV_EXAMPLE: Final = (
    "period,starts_at,ends_at,account,campaign,carrier,channel,class,country,messages,...\r\n"
    "2026-11-21,2026-11-21T06:00:00.000Z,2026-11-22T06:00:00.000Z,,,telco_a,,otp,,120400,...\r\n"
)
_RESPONSES: Final[Responses] = {
    200: {
        "description": "The figures of each group in each period, in the order of time and of the groups' values.",
        "content": {
            "application/json": {"schema": {"type": "object"}, "example": _EXAMPLE},
            "text/csv": {"schema": {"type": "string"}, "example": _CSV_EXAMPLE},
        },
    },
    **problems(*AUTH_CODES, "invalid_cursor", "validation_failed", "unavailable"),
}


class ReportParameters(BaseModel):
    """What a report can be asked by."""

    first: date | None = Field(
        None, alias="from", description="First day, as `2026-11-01`; default the last few periods."
    )
    last: date | None = Field(None, alias="to", description="Last day, included; default today.")
    tz: str | None = Field(
        None, description="Time zone that days begin in, as `America/Mexico_City`; default UTC."
    )
    group_by: str | None = Field(None, description=f"Any of {', '.join(_FILTERS)}, with commas between them.")
    account: _Value = Field(
        None,
        description="Another account's figures, or `*` for all together; needs the scope carriers:control.",
    )
    campaign: _Value = Field(None, description="Only this campaign.")
    carrier: _Value = Field(None, description="Only this carrier.")
    channel: _Value = Field(None, description="Only this channel.")
    message_class: _Value = Field(None, alias="class", description="Only this class.")
    country: _Value = Field(None, description="Only this country, as `MX`.")
    form: Literal["json", "csv"] = Field("json", alias="format", description="Of the answer.")
    limit: int | None = Field(None, ge=1, le=MAX_LIMIT, description="Most rows in one page of JSON.")
    cursor: str | None = Field(None, description="`next_cursor` of the page before; it repeats the question.")

    def filters(self) -> dict[Dimension, str]:
        """Return the filters but for the account, which is a matter of who asks."""
        given = {
            Dimension.CAMPAIGN: self.campaign,
            Dimension.CARRIER: self.carrier,
            Dimension.CHANNEL: self.channel,
            Dimension.CLASS: self.message_class,
            Dimension.COUNTRY: self.country.upper() if self.country is not None else None,
        }
        return {
            dimension: value
            for dimension, value in given.items()
            if storable(dimension.value, value) is not None and value is not None
        }


class PeriodParameters(ReportParameters):
    """The same where the path does not name the period."""

    period: Period | None = Field(None, description="How the days are put together; default day.")


class Reports:
    """The endpoints: one with the period as parameter, one for each period by its name."""

    def __init__(self, views: ReportViews, *, gate: Gate, cursors: Cursors, clock: Clock) -> None:
        self._desk = ReportDesk(views, clock=clock)
        self._gate = gate
        self._cursors = cursors

    def register(self, app: FastAPI) -> None:
        """Add the routes to the application itself."""
        for path, endpoint, summary in (
            (_ROUTE, self.read, "Read a report by day, week or month"),
            (_ROUTE + "/{cadence}", self.read_by_name, "Read a daily, weekly or monthly report"),
        ):
            app.add_api_route(
                path,
                endpoint,
                methods=["GET"],
                tags=["reports"],
                summary=summary,
                responses=_RESPONSES,
                response_class=Response,
            )

    async def read(self, request: Request, parameters: Annotated[PeriodParameters, Query()]) -> Response:
        """Volume, delivery, delays, objectives and replies by period and group."""
        return await self._answer(request, parameters, period=parameters.period)

    async def read_by_name(
        self, request: Request, cadence: str, parameters: Annotated[ReportParameters, Query()]
    ) -> Response:
        """The same as `/v1/reports` with the period `day`, `week` or `month`."""
        if cadence not in _CADENCES:
            raise ProblemError("not_found", f"there are the reports {', '.join(_CADENCES)}")
        return await self._answer(request, parameters, period=_CADENCES[cadence])

    async def _answer(
        self, request: Request, parameters: ReportParameters, *, period: Period | None
    ) -> Response:
        asker, owner, sees_cost = await self._who(request, parameters.account)
        refuse_unknown(request, _KNOWN if _names_period(request) else _KNOWN - {"period"})
        wish, after = self._wish(asker, parameters, period=period, owner=owner, with_cost=sees_cost)
        is_csv = parameters.form == "csv"
        limit = MAX_CSV_ROWS if is_csv else parameters.limit or DEFAULT_LIMIT
        if is_csv and (parameters.limit is not None or after is not None):
            raise invalid_parameter(
                "format", f"csv is answered whole, up to {MAX_CSV_ROWS} rows: without limit and cursor"
            )
        try:
            report = await self._desk.report(wish, limit=limit, after=after)
        except PeriodError as error:
            raise invalid_parameter(error.parameter, str(error)) from None
        if is_csv:
            return await _csv(report)
        next_cursor = None
        if report.next_after is not None:
            next_cursor = self._cursors.write(_KIND, asker, _place(report))
        return json_response(report_json(report, next_cursor=next_cursor))

    async def _who(self, request: Request, account: str | None) -> tuple[str, str | None, bool]:
        """Return the account that asks, whose figures it wants (None: everybody's), and whether it sees costs."""
        principal = await admit(self._gate, request, READ if account is None else CONTROL)
        asker = principal.account.id
        owner = asker if account is None else None if account == EVERYBODY else account
        return asker, owner, principal.may(CONTROL)

    def _wish(
        self,
        asker: str,
        parameters: ReportParameters,
        *,
        period: Period | None,
        owner: str | None,
        with_cost: bool,
    ) -> tuple[Wish, tuple[int, tuple[str, ...]] | None]:
        """Return what is wanted, and behind which row."""
        filters = parameters.filters()
        if owner is not None:
            filters[Dimension.ACCOUNT] = storable("account", owner) or ""
        wish = Wish(
            period or Period.DAY,
            parameters.tz or "UTC",
            parameters.first,
            parameters.last,
            _group_by(parameters.group_by),
            filters,
            with_cost,
        )
        if parameters.cursor is None:
            return wish, None
        place = read_cursor(self._cursors, _KIND, asker, parameters.cursor)
        kept = Wish(
            Period(place["period"]),
            place["tz"],
            date.fromisoformat(place["from"]),
            date.fromisoformat(place["to"]),
            tuple([Dimension(one) for one in place["group_by"]]),
            {Dimension(name): value for name, value in place["filters"].items()},
            with_cost,
        )
        # The account is not the cursor's to give: who may ask for it today decides.
        if filters.get(Dimension.ACCOUNT) != kept.filters.get(Dimension.ACCOUNT) or not _agrees(
            wish, kept, parameters=parameters, period=period
        ):
            raise ProblemError(
                "invalid_cursor", "the cursor belongs to a report that was asked for otherwise"
            )
        return kept, (place["span"], tuple(place["values"]))


def _agrees(wish: Wish, kept: Wish, *, parameters: ReportParameters, period: Period | None) -> bool:
    """Return whether what is given beside a cursor is what it was made for."""
    return (
        (period is None or period is kept.period)
        and (parameters.tz is None or wish.zone == kept.zone)
        and (wish.first is None or wish.first == kept.first)
        and (wish.last is None or wish.last == kept.last)
        and (parameters.group_by is None or wish.group_by == kept.group_by)
        and all(kept.filters.get(name) == value for name, value in wish.filters.items())
    )


def _place(report: Report) -> dict[str, Any]:
    assert report.next_after is not None
    wish = report.wish
    span, values = report.next_after
    return {
        "period": wish.period.value,
        "tz": wish.zone,
        "from": report.first.isoformat(),
        "to": report.last.isoformat(),
        "group_by": [one.value for one in wish.group_by],
        "filters": {name.value: value for name, value in wish.filters.items()},
        "span": span,
        "values": list(values),
    }


async def _csv(report: Report) -> Response:
    if report.next_after is not None:
        raise ProblemError(
            "validation_failed",
            f"the report has more than {MAX_CSV_ROWS} rows: ask for fewer days or groups, or for pages of JSON",
        )
    # Some thousand rows take long enough for a one-time password to feel it.
    text = await asyncio.to_thread(csv_text, report)
    name = f"caudal-{report.wish.period.value}-{report.first}-{report.last}.csv"
    return Response(
        text.encode(),
        media_type="text/csv; charset=utf-8; header=present",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def _names_period(request: Request) -> bool:
    return request.url.path == _ROUTE


def _group_by(text: str | None) -> tuple[Dimension, ...]:
    if not text:
        return ()
    found: dict[Dimension, None] = {}
    for name in text.split(","):
        if name.strip() not in _FILTERS:
            detail = f"{name.strip()[:_MAX_VALUE]!r} is not one of {', '.join(_FILTERS)}"
            raise invalid_parameter("group_by", detail)
        found[Dimension(name.strip())] = None
    return tuple(found)
