"""Write the pages of the docs that are made from code: errors.md and metrics.md.

Run `python deploy/docs/make_pages.py`; a test checks that the committed pages are what this writes.
"""

from pathlib import Path

from gateway.ingress.problems import CATALOGUE as PROBLEMS
from gateway.ingress.problems import FAULTS
from gateway.telemetry.metrics import CATALOGUE as METRICS
from gateway.telemetry.metrics import PREFIX

DOCS = Path(__file__).parent


def errors_page() -> str:
    """Return the page of the API's error codes."""
    lines = [
        "# Errors",
        "",
        "Every error of the API is `application/problem+json` (RFC 9457). Branch on `code`; it never changes its meaning.",
        "Offending fields are listed in `errors`, each with a JSON `pointer`, a `detail` for people and a `code` of its own.",
        "",
        "## Codes of a request",
        "",
        "| code | status | meaning |",
        "|---|---|---|",
        *(f"| `{code}` | {spec.status} | {spec.title} |" for code, spec in PROBLEMS.items()),
        "",
        "A 503 carries `Retry-After`; nothing of the request was kept, so send it again, with the same Idempotency-Key.",
        "",
        "## Codes of a field",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| `{code}` | {meaning} |" for code, meaning in FAULTS.items()),
        "",
    ]
    return "\n".join(lines)


def metrics_page() -> str:
    """Return the page of the metrics."""
    lines = [
        "# Metrics",
        "",
        (
            "Every process serves its own `/metrics` on its admin port; `/sd` of the supervisor lists them for Prometheus, "
            "with the labels `role` and `index`."
        ),
        (
            "Every series that is known in advance is there with 0 from the start. No label holds an account, a number, an id "
            "or a text: figures by account and campaign are in the reports."
        ),
        "",
        (
            "- Of the gauges that several processes tell, take the sum (`queue_lag_messages` of lanes and "
            "`*_timestamp_seconds`: the maximum)."
        ),
        (
            "- `dlr_pending_messages` counts segments, from what the process before left (its newest 200,000) on. Of several "
            "`back` processes only the sum means something: one adds what another takes away."
        ),
        (
            "- `messages_dead_lettered_total`: `envelope`, `rejected`, `unexpected` and `uncuttable` are faults of ours and "
            "count against the durability objective, with `conservation_lost_messages_total`."
        ),
        (
            "- `config_info`: the digest leaves out secrets, ports and addresses, so processes that run one configuration say "
            "the same: `count(count by (hash) (caudal_config_info)) > 1` finds one that missed a reload."
        ),
        (
            "- `credential_expiry_timestamp_seconds`: `password` is `credentials_expire` of a carrier, `certificate` the first "
            "end in a certificate file, read again when it changes."
        ),
        (
            "- Histograms are classic ones; with `convert_classic_histograms_to_nhcb` in Prometheus the `_bucket` series that "
            "the shipped rules use are gone."
        ),
        "- Campaigns have no metrics yet, as there are no campaigns yet.",
        "",
        (
            "`caudal logs level [LOGGER] LEVEL --for 10m` lets a running gateway log more or less; `caudal logs show` tells "
            "what is set."
        ),
        "",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
        *(
            f"| `{PREFIX}{name}` | {spec.kind} | {', '.join(spec.labels)} | {spec.help} |"
            for name, spec in METRICS.items()
        ),
        "",
    ]
    return "\n".join(lines)


PAGES = {"errors.md": errors_page, "metrics.md": metrics_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
