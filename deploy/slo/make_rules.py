"""Writes deploy/prometheus/rules/slo.rules.yml from slos.toml: recorded ratios, budgets, and burn-rate alerts.

The windows and factors are those of the Site Reliability Workbook: a page when 2 % of the month's budget go in an hour
or 5 % in six, a ticket when 10 % go in a day or in three. Both windows of a pair must burn, so an alert ends soon after
its cause. `make docs` runs it; a test compares.

`python deploy/slo/make_rules.py --scale 30 --out FOLDER` writes all rules with every window, pause and age divided, to
rehearse an incident of an hour in two minutes.
"""

import argparse
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

HERE = Path(__file__).parent
TARGET = HERE.parent / "prometheus" / "rules" / "slo.rules.yml"
RUNBOOK = "deploy/docs/runbook.md"
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_EVALUATED_EVERY = "15s"
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


class Burn(NamedTuple):
    """One pair of windows. `factor` is how many times faster than allowed the budget goes."""

    pace: str
    severity: str
    long: str
    short: str
    factor: float
    pending: str


BURNS = (
    Burn("quick", "page", "1h", "5m", 14.4, "2m"),
    Burn("slow", "page", "6h", "30m", 6, "15m"),
    Burn("quick", "ticket", "1d", "2h", 3, "1h"),
    Burn("slow", "ticket", "3d", "6h", 1, "3h"),
)


@dataclass(frozen=True)
class Slo:
    """One objective of slos.toml."""

    name: str
    objective: float
    severity: str
    about: str
    bad: str
    all: str
    floor: int
    in_minutes: bool = False

    @property
    def labels(self) -> dict[str, str]:
        return {"slo": self.name}

    def count(self, what: str, window: str) -> str:
        """Return the expression of `bad` or `all` over a window: events a second, or minutes."""
        expression: str = getattr(self, what)
        if self.in_minutes:
            return f"sum(sum_over_time({expression}[{window}]))"
        return f"({expression.replace('$window', window)})"


def load(path: Path = HERE / "slos.toml") -> tuple[list[Slo], list[dict[str, str]]]:
    """Return the objectives and the series that are recorded for them."""
    found = tomllib.loads(path.read_text())
    return [Slo(**one) for one in found["slo"]], found.get("record", [])


def rules(slos: list[Slo], records: list[dict[str, str]]) -> dict[str, Any]:
    """Return the content of the rule file."""
    groups: list[dict[str, Any]] = []
    if records:
        groups.append(
            {
                "name": "minutes",
                "interval": "1m",
                "rules": [{"record": one["name"], "expr": " ".join(one["expr"].split())} for one in records],
            }
        )
    for slo in slos:
        groups.append({"name": f"slo-{slo.name}", "interval": "1m", "rules": _recorded(slo)})
        groups.append({"name": f"slo-{slo.name}-alerts", "rules": _alerts(slo)})
    return {"groups": groups}


def _recorded(slo: Slo) -> list[dict[str, Any]]:
    def record(name: str, expression: str) -> dict[str, Any]:
        return {"record": name, "expr": expression, "labels": slo.labels}

    budget = f"{1 - slo.objective:.10g}"
    chosen = f'{{slo="{slo.name}"}}'
    in_5m = ("", "") if slo.in_minutes else ("300 * ", "")
    return [
        *(
            record(
                f"slo:sli_error:ratio_rate{window}",
                # Without any event nothing is wrong: 0, not a gap.
                f"(clamp_min({slo.count('bad', window)}, 0) / ({slo.count('all', window)} > 0)) "
                f"or 0 * {slo.count('all', window)}",
            )
            for window in WINDOWS
        ),
        # Campaigns come in peaks: the month is a ratio of sums, a quiet night does not weigh like a peak.
        record("slo:bad:increase5m", f"{in_5m[0]}clamp_min({slo.count('bad', '5m')}, 0)"),
        record("slo:all:increase5m", f"{in_5m[0]}{slo.count('all', '5m')}"),
        record(
            "slo:sli_error:ratio_rate30d",
            f"(sum_over_time(slo:bad:increase5m{chosen}[30d]) / (sum_over_time(slo:all:increase5m{chosen}[30d]) > 0)) "
            f"or 0 * sum_over_time(slo:all:increase5m{chosen}[30d])",
        ),
        record("slo:objective:ratio", f"vector({slo.objective})"),
        record("slo:error_budget:ratio", f"vector({budget})"),
        record("slo:current_burn_rate:ratio", f"slo:sli_error:ratio_rate5m{chosen} / {budget}"),
        record(
            "slo:period_error_budget_remaining:ratio", f"1 - slo:sli_error:ratio_rate30d{chosen} / {budget}"
        ),
    ]


def _alerts(slo: Slo) -> list[dict[str, Any]]:
    budget = f"{1 - slo.objective:.10g}"
    chosen = f'{{slo="{slo.name}"}}'
    found = []
    for burn in BURNS:
        if burn.severity != slo.severity:
            continue
        expression = (
            f"slo:sli_error:ratio_rate{burn.long}{chosen} > {burn.factor:g} * {budget} "
            f"and slo:sli_error:ratio_rate{burn.short}{chosen} > {burn.factor:g} * {budget}"
        )
        if slo.floor:
            expression += f" and on () sum(sum_over_time(slo:all:increase5m{chosen}[1h:5m])) > {slo.floor}"
        found.append(
            {
                "alert": alert_name(slo, burn),
                "expr": expression,
                "for": burn.pending,
                "labels": {"severity": burn.severity, **slo.labels},
                "annotations": {
                    "summary": f"{slo.name}: the error budget burns {burn.factor:g} times too fast "
                    f"({burn.long} and {burn.short})",
                    "description": slo.about,
                    "runbook_url": f"{RUNBOOK}#slo-{slo.name}",
                    "dashboard": "caudal-sla",
                    "panel": "Burn rate",
                },
            }
        )
    return found


def alert_name(slo: Slo, burn: Burn) -> str:
    """Return the name of an alert, such as `SloIngressLatencyBurnsQuick`."""
    return (
        "Slo" + "".join(part.capitalize() for part in slo.name.split("-")) + "Burns" + burn.pace.capitalize()
    )


def text() -> str:
    """Return the rule file as it is written."""
    body = yaml.safe_dump(rules(*load()), sort_keys=False, width=200, allow_unicode=True)
    return (
        "# Made by deploy/slo/make_rules.py from deploy/slo/slos.toml; change that and run `make docs`.\n"
        + body
    )


def scaled(rule_file: str, factor: float) -> dict[str, Any]:
    """Return the content of a rule file for a world in which everything lasts `factor` times shorter.

    Windows, intervals and `for` are divided, and ages compared with seconds; latencies and counts stay as they are.
    """

    def shorter(duration: str) -> str:
        seconds = sum(int(number) * _UNIT_S[unit] for number, unit in re.findall(r"(\d+)([a-z])", duration))
        return f"{max(1, round(seconds * 1000 / factor))}ms"

    content: dict[str, Any] = yaml.safe_load(rule_file)
    for group in content["groups"]:
        group["interval"] = shorter(group.get("interval", _EVALUATED_EVERY))
        for rule in group["rules"]:
            expression = re.sub(
                r"\[(\w+)(?::(\w+))?\]",
                lambda found: f"[{':'.join(shorter(one) for one in found.groups() if one)}]",
                rule["expr"],
            )
            expression = re.sub(r"(?<=offset )\w+", lambda found: shorter(found.group()), expression)
            rule["expr"] = re.sub(
                r"(time\(\) - [^<>]*[<>] )(\d+)",
                lambda found: f"{found.group(1)}{int(found.group(2)) / factor:g}",
                expression,
            )
            if "for" in rule:
                rule["for"] = shorter(rule["for"])
    return content


def write_scaled(folder: Path, factor: float) -> list[Path]:
    """Write every rule file, scaled, into a folder; return the new files."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for path in sorted(TARGET.parent.glob("*.rules.yml")):
        body = yaml.safe_dump(scaled(path.read_text(), factor), sort_keys=False, width=200)
        (folder / path.name).write_text(f"# Scaled by {factor:g}: for rehearsals only.\n{body}")
        found.append(folder / path.name)
    return found


def main() -> None:
    """Write the rule file, or all of them scaled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, help="divide every window by this; needs --out")
    parser.add_argument("--out", type=Path, help="folder of the scaled files")
    chosen = parser.parse_args()
    if (chosen.scale is None) != (chosen.out is None):
        parser.error("--scale and --out belong together")
    if chosen.scale is None:
        TARGET.write_text(text())
    else:
        write_scaled(chosen.out, chosen.scale)


if __name__ == "__main__":
    main()
