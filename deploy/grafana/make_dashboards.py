"""Writes deploy/grafana/dashboards/*.json from `boards`; `make docs` runs it and a test compares."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from boards import all_boards  # noqa: E402
from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: E402


def pages() -> dict[Path, str]:
    """Return the content of every file."""
    return {
        HERE / "dashboards" / f"{uid}.json": JSONEncoder(sort_keys=True, indent=1).encode(board) + "\n"
        for uid, board in all_boards().items()
    }


if __name__ == "__main__":
    for path, text in pages().items():
        json.loads(text)
        path.write_text(text)
