"""Dashboards of the inside: the pipeline, webhooks, and the processes."""

from board import RATE, ZERO_IS_GOOD, Board, quantile


def pipeline() -> Board:
    board = Board(
        "caudal-pipeline", "Caudal: pipeline", "Where between the API and the customer do messages wait?"
    )
    board.row("Intake")
    board.lines(
        "Requests",
        "A second, by route and answer.",
        [(f"sum by (route, code) (rate(caudal_http_requests_total{RATE})) > 0", "{{route}} {{code}}")],
        unit="reqps",
    )
    board.lines(
        "Time to answer",
        "p50 and p99 of requests that send messages.",
        [
            (
                quantile(
                    share,
                    "http_request_duration_seconds",
                    by="route",
                    where='route=~"/v1/messages(:batch)?",method="POST"',
                ),
                f"{{{{route}}}} p{share * 100:.0f}",
            )
            for share in (0.5, 0.99)
        ],
        unit="s",
    )
    board.lines(
        "Accepted and refused",
        "Messages a second, by class and by reason.",
        [
            (f"sum by (class) (rate(caudal_messages_accepted_total{RATE}))", "{{class}}"),
            (f"sum by (reason) (rate(caudal_messages_rejected_total{RATE})) > 0", "refused: {{reason}}"),
            (f"sum by (stage) (rate(caudal_messages_deduplicated_total{RATE})) > 0", "repeats: {{stage}}"),
        ],
        unit="reqps",
    )
    board.lines(
        "Durable append",
        "p50 and p99 of one group commit of accepted messages.",
        [
            (quantile(0.5, "ingress_produce_duration_seconds"), "p50"),
            (quantile(0.99, "ingress_produce_duration_seconds"), "p99"),
        ],
        unit="s",
    )
    board.lines(
        "In the API now",
        "Requests being answered, and messages in a request (mean).",
        [
            ("sum(caudal_http_requests_in_flight)", "requests in flight"),
            (
                (
                    f"sum(rate(caudal_batch_size_messages_sum{RATE}))"
                    f" / (sum(rate(caudal_batch_size_messages_count{RATE})) > 0)"
                ),
                "messages in a batch",
            ),
        ],
        unit="short",
    )
    board.lines(
        "Rates of ours",
        "Requests a second that a rate of an account or a credential was asked for.",
        [
            (
                f"sum by (limiter, decision) (rate(caudal_ratelimit_decisions_total{RATE}))",
                "{{limiter}} {{decision}}",
            )
        ],
        unit="reqps",
    )
    board.row("Queues")
    board.lines(
        "Lag",
        "Records not yet committed, by topic.",
        [("sum by (topic) (max by (topic, group) (caudal_queue_lag_messages))", "{{topic}}")],
        unit="short",
    )
    board.lines(
        "Age of the oldest",
        "How long the oldest record of each queue has waited.",
        [
            (
                "clamp_min(time() - min by (queue) (caudal_queue_oldest_message_timestamp_seconds > 0), 0)",
                "{{queue}}",
            )
        ],
        unit="s",
    )
    board.lines(
        "Since the last progress",
        "Of each consumer.",
        [
            (
                (
                    "clamp_min(time() - max by (topic, group)"
                    " (caudal_queue_consumer_last_progress_timestamp_seconds > 0), 0)"
                ),
                "{{group}} of {{topic}}",
            )
        ],
        unit="s",
    )
    board.lines(
        "Dead records",
        "In each five minutes, by reason.",
        [("sum by (reason) (increase(caudal_messages_dead_lettered_total[5m]))", "{{reason}}")],
        unit="short",
    )
    board.lines(
        "Without an end",
        "Dead records that wait for a person, messages that were never submitted, and those too late to submit.",
        [
            ("max(caudal_dead_letter_messages)", "dead records"),
            ("sum(increase(caudal_conservation_lost_messages_total[1d]))", "lost in a day"),
            ("sum by (class) (increase(caudal_messages_expired_total[1h]))", "{{class}} expired in an hour"),
        ],
        unit="short",
    )
    board.lines(
        "Consumers",
        "Changes of partitions and failed commits, in each five minutes.",
        [
            ("sum by (group) (increase(caudal_consumer_rebalances_total[5m]))", "{{group}} partitions"),
            (
                "sum by (group) (increase(caudal_consumer_commit_failures_total[5m]))",
                "{{group}} commits failed",
            ),
        ],
        unit="short",
    )
    board.row("Receipts and store")
    board.lines(
        "Receipt received to stored",
        "p50, p95, p99.",
        [(quantile(share, "dlr_processing_seconds"), f"p{share * 100:.0f}") for share in (0.5, 0.95, 0.99)],
        unit="s",
    )
    board.lines(
        "Receipts that wait",
        "Parked for their message, and given up.",
        [
            ("max(caudal_dlr_parked_receipts)", "parked"),
            ("max(caudal_dlr_orphan_receipts)", "given up"),
        ],
        unit="short",
    )
    board.lines(
        "Batches",
        "p99 of the time that one takes to write, by table.",
        [(quantile(0.99, "store_write_duration_seconds", by="table"), "{{table}}")],
        unit="s",
    )
    board.lines(
        "Rows in a batch",
        "Mean, by table.",
        [
            (
                (
                    f"sum by (table) (rate(caudal_store_batch_rows_sum{RATE}))"
                    f" / sum by (table) (rate(caudal_store_batch_rows_count{RATE}) > 0)"
                ),
                "{{table}}",
            )
        ],
        unit="short",
    )
    board.lines(
        "Failed batches",
        "In each five minutes. They are tried again.",
        [
            (
                "topk(10, sum by (table, reason) (increase(caudal_store_errors_total[5m])))",
                "{{table}} {{reason}}",
            )
        ],
        unit="short",
    )
    board.lines(
        "Database connections",
        "By role: in use, idle, and callers that wait for one.",
        [("sum by (role, state) (caudal_store_pool_connections)", "{{role}} {{state}}")],
        unit="short",
    )
    board.lines(
        "Since the last conservation check",
        "The search for messages without an end runs by itself.",
        [("time() - max(caudal_conservation_check_timestamp_seconds > 0)", "seconds")],
        unit="s",
    )
    return board


def webhooks() -> Board:
    board = Board("caudal-webhooks", "Caudal: webhooks", "Do customers learn what happened, and when?")
    board.row("Now")
    board.figure(
        "Events that wait",
        "For their delivery or their next try.",
        "max(caudal_webhook_pending)",
        unit="short",
        width=8,
    )
    board.figure(
        "Endpoints disabled",
        "For what they answered.",
        "max(caudal_webhook_endpoints_disabled)",
        unit="short",
        width=8,
        steps=ZERO_IS_GOOD,
    )
    board.figure(
        "Delivered at the first try",
        "Part of the attempts that were answered 2xx, over the last hour.",
        'sum(increase(caudal_webhook_attempts_total{outcome="ok"}[1h])) / (sum(increase(caudal_webhook_attempts_total[1h])) > 0)',
        unit="percentunit",
        width=8,
        steps=[(None, "red"), (0.9, "orange"), (0.99, "green")],
    )
    board.row("Over time")
    board.lines(
        "Attempts",
        "Events a second, by outcome.",
        [(f"sum by (outcome) (rate(caudal_webhook_attempts_total{RATE}))", "{{outcome}}")],
        unit="reqps",
        stacked=True,
    )
    board.lines(
        "Event to the first 2xx",
        "p50, p95, p99.",
        [
            (quantile(share, "webhook_delivery_delay_seconds"), f"p{share * 100:.0f}")
            for share in (0.5, 0.95, 0.99)
        ],
        unit="s",
    )
    board.lines("Waiting", "Events, over time.", [("max(caudal_webhook_pending)", "events")], unit="short")
    return board


def runtime() -> Board:
    board = Board("caudal-runtime", "Caudal: runtime", "Are the processes well?")
    board.row("Processes")
    board.lines(
        "CPU",
        "Cores in use, by process. One process uses at most about one.",
        [
            (
                f'sum by (role, instance) (rate(process_cpu_seconds_total{{job="caudal"}}{RATE}))',
                "{{role}} {{instance}}",
            )
        ],
        unit="short",
    )
    board.lines(
        "Memory",
        "Resident, by process.",
        [('sum by (role, instance) (process_resident_memory_bytes{job="caudal"})', "{{role}} {{instance}}")],
        unit="bytes",
    )
    board.lines(
        "Event loop lag",
        "p99 of how late a sleep of 0.1 s ends: the first thing to look at.",
        [(quantile(0.99, "event_loop_lag_seconds", by="role, instance"), "{{role}} {{instance}}")],
        unit="s",
    )
    board.lines(
        "Open files",
        "By process.",
        [('sum by (role, instance) (process_open_fds{job="caudal"})', "{{role}} {{instance}}")],
        unit="short",
    )
    board.row("Supervision")
    board.lines(
        "Roles up",
        "1 while the process runs.",
        [("min by (process) (caudal_role_up)", "{{process}}")],
        unit="short",
        top=1,
    )
    board.lines(
        "Restarts",
        "Of each process, in each five minutes.",
        [("sum by (process) (increase(caudal_role_restarts_total[5m]))", "{{process}}")],
        unit="short",
    )
    board.lines(
        "Version",
        "Processes by the version they run.",
        [("count by (version, commit) (caudal_build_info)", "{{version}} {{commit}}")],
        unit="short",
    )
    board.row("Configuration and traces")
    board.lines(
        "Configuration",
        "Processes by the configuration they run: more than one line means that a reload is missing somewhere.",
        [("count by (hash) (caudal_config_info)", "{{hash}}")],
        unit="short",
    )
    board.lines(
        "Since the configuration was taken over",
        "By process.",
        [
            (
                "time() - max by (role, instance) (caudal_config_reload_success_timestamp_seconds)",
                "{{role}} {{instance}}",
            )
        ],
        unit="s",
    )
    board.lines(
        "Credentials end in",
        "Passwords and certificates whose end is known.",
        [
            (
                "min by (owner, kind) (caudal_credential_expiry_timestamp_seconds) - time()",
                "{{owner}} {{kind}}",
            )
        ],
        unit="s",
    )
    board.lines(
        "Traces",
        "Spans a second: taken by the collector, and given up by reason.",
        [
            (f"sum(rate(caudal_traces_spans_exported_total{RATE}))", "exported"),
            (f"sum by (reason) (rate(caudal_traces_spans_dropped_total{RATE}))", "dropped: {{reason}}"),
        ],
        unit="reqps",
    )
    return board
