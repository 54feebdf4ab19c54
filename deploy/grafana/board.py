"""What every dashboard of ours has in common, over the Grafana foundation SDK: places, units, targets, variables.

Used by `boards`. A panel is named by what it answers; `expr, legend` pairs are its queries. Places are given out from
left to right in a grid of 24 columns.
"""

from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import prometheus, stat, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as dashboard_models
from grafana_foundation_sdk.models.dashboard import GridPos

COLUMNS = 24
SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
Queries = list[tuple[str, str]]
RATE = "[$__rate_interval]"
ZERO_IS_GOOD: list[tuple[float | None, str]] = [(None, "green"), (1, "red")]
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass
class Board:
    """One dashboard in the making. `uid` is stable: alerts and links name it."""

    uid: str
    title: str
    about: str
    carriers: bool = False
    _builder: dashboard_builders.Dashboard = field(init=False)
    _x: int = 0
    _y: int = 0
    _row_height: int = 0
    _panels: int = 0

    def __post_init__(self) -> None:
        builder = (
            dashboard_builders.Dashboard(self.title)
            .uid(self.uid)
            .description(self.about)
            .tags(["caudal"])
            .readonly()
            .time("now-3h", "now")
            .refresh("30s")
            .timezone("browser")
            .tooltip(dashboard_models.DashboardCursorSync.CROSSHAIR)
            .with_variable(
                dashboard_builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
            )
            .link(
                dashboard_builders.DashboardLink("Caudal")
                .type(dashboard_models.DashboardLinkType.DASHBOARDS)
                .tags(["caudal"])
                .as_dropdown(True)
                .keep_time(True)
            )
        )
        if self.carriers:
            builder = builder.with_variable(
                dashboard_builders.QueryVariable("carrier")
                .label("Carrier")
                .datasource(SOURCE)
                .query("label_values(caudal_carrier_mps_limit, carrier)")
                .multi(True)
                .include_all(True)
                .all_value(".*")
                .refresh(dashboard_models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            )
        self._builder = builder

    def row(self, title: str) -> None:
        """Begin a new row of panels."""
        self._next_line()
        place = GridPos(h=1, w=COLUMNS, x=0, y=self._y)
        self._panels += 1
        self._builder = self._builder.with_row(dashboard_builders.Row(title).id(self._panels).grid_pos(place))
        self._y += 1

    def lines(
        self,
        title: str,
        about: str,
        queries: Queries,
        *,
        unit: str,
        width: int = 12,
        height: int = 8,
        stacked: bool = False,
        top: float | None = None,
    ) -> None:
        """Add a panel of lines over time."""
        panel = (
            timeseries.Panel()
            .title(title)
            .description(about)
            .datasource(SOURCE)
            .unit(unit)
            .min(0)
            .id(self._panels + 1)
            .grid_pos(self._place(width, height))
            .line_width(1)
            .fill_opacity(20 if stacked else 5)
            .show_points(common.VisibilityMode.NEVER)
            .legend(
                common_builders.VizLegendOptions()
                .display_mode(common.LegendDisplayMode.LIST)
                .placement(common.LegendPlacement.BOTTOM)
                .show_legend(True)
            )
            .tooltip(
                common_builders.VizTooltipOptions()
                .mode(common.TooltipDisplayMode.MULTI)
                .sort(common.SortOrder.DESCENDING)
            )
        )
        if top is not None:
            panel = panel.max(top)
        if stacked:
            panel = panel.stacking(
                common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A")
            )
        for letter, (expression, legend) in zip(_LETTERS, queries, strict=False):
            panel = panel.with_target(_target(letter, expression, legend))
        self._add(panel)

    def figure(
        self,
        title: str,
        about: str,
        expression: str,
        *,
        unit: str,
        width: int = 4,
        height: int = 4,
        legend: str = "",
        steps: list[tuple[float | None, str]] | None = None,
        decimals: int | None = None,
    ) -> None:
        """Add a panel of one figure (or one for each series), coloured by `steps` of (from, colour)."""
        panel = (
            stat.Panel()
            .title(title)
            .description(about)
            .datasource(SOURCE)
            .unit(unit)
            .id(self._panels + 1)
            .grid_pos(self._place(width, height))
            .color_mode(common.BigValueColorMode.BACKGROUND if steps else common.BigValueColorMode.VALUE)
            .graph_mode(common.BigValueGraphMode.AREA)
            .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
            .with_target(_target("A", expression, legend))
        )
        if decimals is not None:
            panel = panel.decimals(decimals)
        if steps:
            panel = panel.thresholds(
                dashboard_builders.ThresholdsConfig()
                .mode(dashboard_models.ThresholdsMode.ABSOLUTE)
                .steps([dashboard_models.Threshold(value=at, color=colour) for at, colour in steps])
            )
        self._add(panel)

    def build(self) -> dashboard_models.Dashboard:
        """Return the finished dashboard."""
        return self._builder.build()

    def _add(self, panel: timeseries.Panel | stat.Panel) -> None:
        self._panels += 1
        self._builder = self._builder.with_panel(panel)

    def _place(self, width: int, height: int) -> GridPos:
        if self._x + width > COLUMNS:
            self._next_line()
        place = GridPos(h=height, w=width, x=self._x, y=self._y)
        self._x += width
        self._row_height = max(self._row_height, height)
        return place

    def _next_line(self) -> None:
        self._x, self._y, self._row_height = 0, self._y + self._row_height, 0


def _target(letter: str, expression: str, legend: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .datasource(SOURCE)
        .ref_id(letter)
        .expr(" ".join(expression.split()))
        .legend_format(legend or "__auto")
    )


def quantile(share: float, metric: str, *, by: str = "", where: str = "") -> str:
    """Return the expression of a quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate(caudal_{metric}_bucket{{{where}}}{RATE})))"
