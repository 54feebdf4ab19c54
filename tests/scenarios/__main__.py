"""`python -m tests.scenarios NAME [--option value ...]`: run one scenario at full length, print its figures as JSON."""

import asyncio
import inspect
import json
import sys

from tests.scenarios import channels, dispatch, incident, scale_out, webhooks

SCENARIOS = {
    "rate": dispatch.rate,
    "hidden-limit": dispatch.hidden_limit,
    "otp-under-campaign": dispatch.otp_under_campaign,
    "outage": dispatch.outage,
    "handover": dispatch.handover,
    "kafka-handover": scale_out.kafka_handover,
    "scale-out": scale_out.scale_out,
    "channels": channels.channels,
    "incident": incident.incident,
    "slow-webhooks": webhooks.slow_webhooks,
}


def main() -> int:
    """Run what the command line names."""
    if len(sys.argv) < 2 or sys.argv[1] not in SCENARIOS:
        print(f"usage: python -m tests.scenarios {{{','.join(SCENARIOS)}}} [--option value ...]")
        return 2
    scenario = SCENARIOS[sys.argv[1]]
    known = inspect.signature(scenario).parameters
    options = {}
    for name, value in zip(sys.argv[2::2], sys.argv[3::2], strict=True):
        key = name.removeprefix("--").replace("-", "_")
        if key not in known:
            print(f"{sys.argv[1]} has no option {name}; it has {', '.join('--' + one for one in known)}")
            return 2
        kind = type(known[key].default)
        options[key] = value if kind is str else kind(float(value))
    try:
        figures = asyncio.run(scenario(**options))
    except AssertionError as error:
        print(f"FAIL {sys.argv[1]}: {error}")
        return 1
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
