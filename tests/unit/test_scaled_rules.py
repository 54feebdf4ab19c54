"""Rules for a rehearsal: every time is divided, and nothing else."""

import runpy
from pathlib import Path

MADE = runpy.run_path(str(Path(__file__).parents[2] / "deploy/slo/make_rules.py"))

SHIPPED = """
groups:
  - name: some
    interval: 1m
    rules:
      - alert: Late
        expr: |
          time() - max by (queue) (a_timestamp_seconds) > 60
            and on (queue) increase(b_total{class="1h"}[1h:5m] offset 1w) > 500
            and histogram_quantile(0.99, sum by (le) (rate(c_bucket[5m]))) > 1
        for: 2m
  - name: evaluated as configured
    rules:
      - {record: d, expr: "sum(rate(e_total[90s]))"}
"""


def test_windows_pauses_and_ages_are_divided_but_no_count_no_latency_and_no_label() -> None:
    some, other = MADE["scaled"](SHIPPED, 30)["groups"]
    assert some["interval"] == "2000ms"
    assert some["rules"][0]["for"] == "4000ms"
    assert some["rules"][0]["expr"].splitlines() == [
        "time() - max by (queue) (a_timestamp_seconds) > 2",
        '  and on (queue) increase(b_total{class="1h"}[120000ms:10000ms] offset 20160000ms) > 500',
        "  and histogram_quantile(0.99, sum by (le) (rate(c_bucket[10000ms]))) > 1",
    ]
    assert other["interval"] == "500ms"
    assert other["rules"][0]["expr"] == "sum(rate(e_total[3000ms]))"
