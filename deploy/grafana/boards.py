"""The dashboards, each in the order of the questions that somebody asks at 3 a.m."""

from board import RATE, ZERO_IS_GOOD, Board, quantile
from edge_boards import edges
from grafana_foundation_sdk.models import dashboard as dashboard_models
from inner_boards import pipeline, runtime, webhooks

GOOD_IS_HIGH: list[tuple[float | None, str]] = [(None, "red"), (0.1, "orange"), (0.5, "green")]


def sla() -> Board:
    board = Board(
        "caudal-sla", "Caudal: promises", "Does the promise to customers hold, and how much budget is left?"
    )
    board.row("Promises")
    for slo, title in (
        ("ingress-availability", "Accepting"),
        ("ingress-latency", "Accept latency"),
        ("submit-timeliness-urgent", "OTP in time"),
        ("promised-rate", "Promised rate"),
        ("receipt-processing", "Receipts stored"),
        ("webhook-timeliness", "Customers told"),
    ):
        board.figure(
            f"{title}: budget left",
            "Part of the error budget of 30 days that is left; below 0 the promise is broken.",
            f'slo:period_error_budget_remaining:ratio{{slo="{slo}"}}',
            unit="percentunit",
            steps=GOOD_IS_HIGH,
            legend="{{slo}}",
        )
    board.lines(
        "Burn rate",
        "How many times faster than allowed each budget goes. 1 uses it up in 30 days; 14.4 pages.",
        [("slo:current_burn_rate:ratio", "{{slo}}")],
        unit="short",
    )
    board.lines(
        "Budget left over time",
        "Part of the 30-day error budget that is left.",
        [("slo:period_error_budget_remaining:ratio", "{{slo}}")],
        unit="percentunit",
        top=1,
    )
    board.row("Messages")
    board.lines(
        "Through the gateway",
        "Messages a second: accepted, submitted (segments), final.",
        [
            (f"sum(rate(caudal_messages_accepted_total{RATE}))", "accepted"),
            (f"sum(rate(caudal_carrier_segments_submitted_total{RATE}))", "segments submitted"),
            (f"sum(rate(caudal_messages_final_total{RATE}))", "final"),
        ],
        unit="reqps",
    )
    board.lines(
        "Accepted to acknowledged by a carrier, p99",
        "By class. An OTP is promised within 5 s.",
        [(quantile(0.99, "message_submit_delay_seconds", by="class"), "{{class}}")],
        unit="s",
    )
    board.lines(
        "Contract against actual",
        "Segments a second submitted, as part of what each carrier sold.",
        [
            (
                (
                    f"sum by (carrier) (rate(caudal_carrier_segments_submitted_total{RATE}))"
                    " / sum by (carrier) (caudal_carrier_mps_limit > 0)"
                ),
                "{{carrier}}",
            )
        ],
        unit="percentunit",
    )
    board.lines(
        "Delivered of final",
        "By carrier, over the last hour.",
        [
            (
                (
                    'sum by (carrier) (increase(caudal_messages_final_total{state="delivered"}[1h]))'
                    " / (sum by (carrier) (increase(caudal_messages_final_total[1h])) > 0)"
                ),
                "{{carrier}}",
            )
        ],
        unit="percentunit",
        top=1,
    )
    return board


def carriers() -> Board:
    board = Board(
        "caudal-carriers",
        "Caudal: carriers",
        "Which carrier is in trouble, and what keeps it from going faster?",
        carriers=True,
    )
    chosen = 'carrier=~"$carrier"'
    board.row("State")
    board.figure(
        "Binds up",
        "Binds that are bound or throttled, by carrier.",
        f'sum by (carrier) (caudal_carrier_bind_state{{{chosen},state=~"bound|throttled"}})',
        unit="short",
        width=8,
        legend="{{carrier}}",
        steps=[(None, "red"), (1, "green")],
    )
    board.figure(
        "Breaker open",
        "1 where a carrier's breaker is open.",
        f'max by (carrier) (caudal_carrier_circuit_state{{{chosen},state="open"}})',
        unit="short",
        width=8,
        legend="{{carrier}}",
        steps=ZERO_IS_GOOD,
    )
    board.figure(
        "Held by an operator",
        "1 while an operator pauses or drains the carrier.",
        f"max by (carrier) (caudal_carrier_paused{{{chosen}}})",
        unit="short",
        width=8,
        legend="{{carrier}}",
        steps=[(None, "green"), (1, "orange")],
    )
    board.row("Rate")
    board.lines(
        "Segments submitted",
        "A second, by carrier, with the contract and what throttle answers left of it.",
        [
            (
                f"sum by (carrier) (rate(caudal_carrier_segments_submitted_total{{{chosen}}}{RATE}))",
                "{{carrier}}",
            ),
            (f"sum by (carrier) (caudal_carrier_mps_limit{{{chosen}}})", "{{carrier}} contract"),
            (f"sum by (carrier) (caudal_carrier_mps_effective_limit{{{chosen}}})", "{{carrier}} effective"),
        ],
        unit="reqps",
    )
    board.lines(
        "Waiting by class",
        "Records on the lanes that no carrier has taken yet.",
        [
            (
                'sum by (topic) (max by (topic, group) (caudal_queue_lag_messages{topic=~"lane[.]($carrier)[.].*"}))',
                "{{topic}}",
            )
        ],
        unit="short",
        stacked=True,
    )
    board.lines(
        "Window",
        "Submits without an answer, and how many may be.",
        [
            (f"sum by (carrier) (caudal_carrier_window_in_use{{{chosen}}})", "{{carrier}} in use"),
            (f"sum by (carrier) (caudal_carrier_window_size{{{chosen}}})", "{{carrier}} size"),
        ],
        unit="short",
    )
    board.lines(
        "Response time",
        "Submit to response: median and p99.",
        [
            (quantile(0.5, "carrier_submit_duration_seconds", by="carrier", where=chosen), "{{carrier}} p50"),
            (
                quantile(0.99, "carrier_submit_duration_seconds", by="carrier", where=chosen),
                "{{carrier}} p99",
            ),
        ],
        unit="s",
    )
    board.row("Answers")
    board.lines(
        "Answers by status",
        "A second; ESME_ROK left out.",
        [
            (
                (
                    "sum by (carrier, command_status) (rate(caudal_carrier_submit_responses_total"
                    f'{{{chosen},command_status!="ESME_ROK"}}{RATE}))'
                ),
                "{{carrier}} {{command_status}}",
            )
        ],
        unit="reqps",
    )
    board.lines(
        "Throttled, timed out, failed over",
        "A second.",
        [
            (
                f"sum by (carrier) (rate(caudal_carrier_throttled_total{{{chosen}}}{RATE}))",
                "{{carrier}} throttled",
            ),
            (
                f"sum by (carrier) (rate(caudal_carrier_submit_timeouts_total{{{chosen}}}{RATE}))",
                "{{carrier}} no answer",
            ),
            (
                (
                    "sum by (from_carrier, to_carrier) (rate(caudal_message_failovers_total"
                    f'{{from_carrier=~"$carrier"}}{RATE})) > 0'
                ),
                "{{from_carrier}} to {{to_carrier}}",
            ),
        ],
        unit="reqps",
    )
    board.lines(
        "Accepted to acknowledged, p99",
        "By carrier and class.",
        [
            (
                quantile(0.99, "message_submit_delay_seconds", by="carrier, class", where=chosen),
                "{{carrier}} {{class}}",
            )
        ],
        unit="s",
    )
    board.lines(
        "Bind changes",
        "In each five minutes, by state entered.",
        [
            (
                f"sum by (carrier, to_state) (increase(caudal_carrier_bind_transitions_total{{{chosen}}}[5m])) > 0",
                "{{carrier}} {{to_state}}",
            )
        ],
        unit="short",
    )
    board.lines(
        "Put off",
        "Attempts a second that wait for a later time, by reason.",
        [
            (
                f"sum by (carrier, reason) (rate(caudal_message_retries_total{{{chosen}}}{RATE}))",
                "{{carrier}} {{reason}}",
            )
        ],
        unit="reqps",
    )
    board.lines(
        "Link probe",
        "enquire_link to its answer, p99: the way to the carrier without its platform.",
        [
            (
                quantile(0.99, "carrier_enquire_link_duration_seconds", by="carrier", where=chosen),
                "{{carrier}}",
            )
        ],
        unit="s",
    )
    board.lines(
        "Up for",
        "How long each bind has been up.",
        [
            (
                (
                    "time() - max by (carrier, bind)"
                    f" (caudal_carrier_bind_up_since_timestamp_seconds{{{chosen}}} > 0)"
                ),
                "{{carrier}} {{bind}}",
            )
        ],
        unit="s",
    )
    board.lines(
        "Calls of HTTP carriers",
        "A second, by outcome. Carriers of SMPP never call.",
        [
            (
                f"sum by (carrier, outcome) (rate(caudal_carrier_callbacks_total{{{chosen}}}{RATE})) > 0",
                "{{carrier}} {{outcome}}",
            )
        ],
        unit="reqps",
    )
    board.row("Receipts")
    board.lines(
        "Final states",
        "Messages a second.",
        [(f"sum by (state) (rate(caudal_messages_final_total{{{chosen}}}{RATE}))", "{{state}}")],
        unit="reqps",
        stacked=True,
    )
    board.lines(
        "Submit to final receipt",
        "Median and p95.",
        [
            (quantile(0.5, "dlr_latency_seconds", by="carrier", where=chosen), "{{carrier}} p50"),
            (quantile(0.95, "dlr_latency_seconds", by="carrier", where=chosen), "{{carrier}} p95"),
        ],
        unit="s",
    )
    board.lines(
        "Receipts that need a look",
        "A second: without a message yet, repeated, out of order.",
        [
            (
                f"sum by (carrier) (rate(caudal_dlr_unmatched_total{{{chosen}}}{RATE}))",
                "{{carrier}} unmatched",
            ),
            (
                f"sum by (carrier) (rate(caudal_dlr_duplicate_total{{{chosen}}}{RATE}))",
                "{{carrier}} repeated",
            ),
            (
                f"sum by (carrier) (rate(caudal_dlr_out_of_order_total{{{chosen}}}{RATE}))",
                "{{carrier}} out of order",
            ),
        ],
        unit="reqps",
    )
    board.lines(
        "Replies",
        "Messages from people, a second.",
        [(f"sum by (carrier) (rate(caudal_mo_received_total{{{chosen}}}{RATE}))", "{{carrier}}")],
        unit="reqps",
    )
    board.lines(
        "Receipts to come",
        "Segments with the carrier that no final receipt came for.",
        [(f"max by (carrier) (caudal_dlr_pending_messages{{{chosen}}})", "{{carrier}}")],
        unit="short",
    )
    return board


BOARDS = (sla, carriers, pipeline, webhooks, edges, runtime)


def all_boards() -> dict[str, dashboard_models.Dashboard]:
    """Return the dashboards by uid."""
    return {board.uid: board.build() for board in (make() for make in BOARDS)}
