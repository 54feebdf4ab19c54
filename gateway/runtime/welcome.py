"""What `caudal serve` tells whoever started it on a terminal, once everything is up."""

import sys
from collections.abc import Mapping
from typing import Any

from gateway.settings import Settings


def welcome(
    settings: Settings, *, source: str, api_url: str, admin_port: int, facts: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write the addresses to standard error; `facts` are those of each child, by name."""
    lines = [
        f"Caudal is up ({source}).",
        f"  API        {api_url}/v1/messages   docs {api_url}/docs",
        f"  metrics    http://{settings.admin.host}:{admin_port}/metrics   targets /sd",
    ]
    if "smpp_port" in facts["api"]:
        lines.append(
            f"  SMPP       {settings.smpp_server.host}:{facts['api']['smpp_port']} for customers' ESMEs"
        )
    if "simulator" in facts:
        simulator = facts["simulator"]
        lines.append(
            f"  simulator  SMPP port {simulator.get('smpp_port')}, http://127.0.0.1:{simulator.get('http_port')}/stats"
        )
    lines.append("  a key      .venv/bin/caudal keys create --account demo")
    lines.append("Ctrl-C stops it.")
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()
