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
        "Every process serves its own `/metrics` on its admin port; `/sd` of the supervisor lists them for Prometheus.",
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
