"""The dashboard of what reaches us from people and from customers' own programs: replies, channels, SMPP binds."""

from board import RATE, Board


def edges() -> Board:
    board = Board(
        "caudal-edges",
        "Caudal: replies, channels, SMPP customers",
        "What do people and customers' programs send us, and does it arrive whole?",
    )
    board.row("Replies")
    board.lines(
        "Replies by kind",
        "Messages from people a second: opt-outs, opt-ins, keywords, others.",
        [(f"sum by (kind) (rate(caudal_mo_received_total{RATE}))", "{{kind}}")],
        unit="reqps",
        stacked=True,
    )
    board.lines(
        "Segments from people",
        "A second, by carrier, and how many wait for the rest of their message.",
        [
            (f"sum by (carrier) (rate(caudal_mo_segments_received_total{RATE}))", "{{carrier}}"),
            (f"sum(rate(caudal_mo_segments_repeated_total{RATE}))", "repeated"),
            ("max(caudal_inbound_parts_waiting)", "waiting now"),
        ],
        unit="short",
    )
    board.lines(
        "Replies that need a look",
        "In each five minutes: nobody's number, segments missing, headers that lie.",
        [
            (
                "sum by (carrier) (increase(caudal_mo_unassigned_total[5m]))",
                "{{carrier}} of no account",
            ),
            ("sum by (carrier) (increase(caudal_mo_partial_total[5m]))", "{{carrier}} incomplete"),
            ("sum by (carrier) (increase(caudal_mo_malformed_total[5m]))", "{{carrier}} malformed"),
        ],
        unit="short",
    )
    board.row("Channels")
    board.lines(
        "Went on to another channel",
        "Messages a second, by reason.",
        [(f"sum by (reason) (rate(caudal_channel_fallbacks_total{RATE}))", "{{reason}}")],
        unit="reqps",
    )
    board.lines(
        "Ended without a channel left",
        "Messages a second, by reason; and those that were delivered twice.",
        [
            (f"sum by (reason) (rate(caudal_channel_exhausted_total{RATE}))", "{{reason}}"),
            (f"sum(rate(caudal_channel_double_deliveries_total{RATE}))", "delivered twice"),
        ],
        unit="reqps",
    )
    board.lines(
        "Channels due",
        "Messages whose time on a channel is over and that were not looked at yet.",
        [("max(caudal_channel_steps_due)", "due")],
        unit="short",
    )
    board.row("SMPP server")
    board.lines(
        "Sessions",
        "Of customers, by state.",
        [("sum by (state) (caudal_smpp_server_sessions)", "{{state}}")],
        unit="short",
        stacked=True,
    )
    board.lines(
        "Verdicts on binds",
        "In each five minutes, by verdict.",
        [("sum by (result) (increase(caudal_smpp_server_binds_total[5m]))", "{{result}}")],
        unit="short",
    )
    board.lines(
        "Answers to submits",
        "A second, by status.",
        [(f"sum by (status) (rate(caudal_smpp_server_submits_total{RATE}))", "{{status}}")],
        unit="reqps",
    )
    board.lines(
        "Receipts for customers",
        "A second, by what became of them, and how many wait for a bind.",
        [
            (f"sum by (result) (rate(caudal_smpp_server_receipts_total{RATE}))", "{{result}}"),
            ("sum(caudal_smpp_server_receipts_waiting)", "waiting now"),
        ],
        unit="short",
    )
    return board
