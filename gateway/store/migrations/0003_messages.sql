-- The projection of the events: messages, their segments at the carriers, and what else happened to them.
-- Every time is an integer of milliseconds since the Unix epoch, UTC, as in the events.
-- The three large tables are partitioned by day on the UUIDv7 id (its first 48 bits are the time), so that a day is
-- dropped in milliseconds; gateway/store/partitions.py makes and drops the days. The DEFAULT partitions catch what no
-- day was made for; rows found there move when their day is made.

CREATE TABLE messages (
    -- Written once, by COPY.
    id uuid NOT NULL,
    account_id text NOT NULL,
    message_class text NOT NULL,
    channel text NOT NULL,
    source text NOT NULL,
    recipient text NOT NULL,            -- E.164 without plus
    sender text NOT NULL,
    text text NOT NULL,
    encoding text NOT NULL,
    segment_count smallint NOT NULL,
    client_ref text,
    batch_id uuid,
    request_id text,
    metadata jsonb,
    accepted_at bigint NOT NULL,
    valid_until bigint NOT NULL,
    send_at bigint,
    first_state text NOT NULL,          -- queued or scheduled
    first_carrier text NOT NULL,        -- as routed at intake
    route_reason text NOT NULL,
    -- Updated by the recorder alone, while the state is not final. None of these is indexed: updates stay heap-only.
    state text NOT NULL,
    state_rank smallint NOT NULL,       -- 0 scheduled, 1 queued, 2 submitted, 3 final: it only grows
    partial boolean NOT NULL,
    carrier text,
    attempt smallint NOT NULL,          -- submit tries so far
    submitted_at bigint,                -- first acknowledgement by a carrier
    final_at bigint,
    error text NOT NULL,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE INDEX messages_account ON messages (account_id, id);
CREATE INDEX messages_recipient ON messages (recipient, id);

CREATE TABLE submissions (
    -- Written once, by the recorder: one row for each segment and attempt that was settled.
    message_id uuid NOT NULL,
    segment_index smallint NOT NULL,    -- from 1
    attempt smallint NOT NULL,          -- from 1
    segment_count smallint NOT NULL,
    carrier text NOT NULL,
    carrier_message_id text,            -- normalised as receipts write it; NULL when the carrier gave none
    raw_id text,                        -- as the carrier wrote it, where that differs
    bind text NOT NULL,
    sequence_number bigint NOT NULL,
    outcome text NOT NULL,
    status text NOT NULL,
    state text NOT NULL,                -- submitted, or the final state of a segment that will never be sent
    submitted_at bigint NOT NULL,       -- when it was settled; the submit was written response_ms before
    response_ms int NOT NULL,
    -- Updated by dlr alone, and never again once receipt_state is final.
    receipt_state text,
    receipt json,                       -- kept as written, never searched: message_state, received_at and the raw fields; message text cut off
    PRIMARY KEY (message_id, segment_index, attempt)
) PARTITION BY RANGE (message_id);

-- Not unique: carriers reuse their ids.
CREATE INDEX submissions_carrier_id ON submissions (carrier, carrier_message_id, message_id)
    WHERE carrier_message_id IS NOT NULL;

-- What the rows of the two tables above cannot tell: retries, moves, notes, and receipts other than the deciding one.
CREATE TABLE message_events (
    message_id uuid NOT NULL,
    log_offset bigint NOT NULL,         -- in the message's partition of the topic: makes a repeat recognisable
    at bigint NOT NULL,
    type text NOT NULL,
    detail jsonb NOT NULL,
    PRIMARY KEY (message_id, log_offset)
) PARTITION BY RANGE (message_id);

CREATE TABLE messages_default PARTITION OF messages DEFAULT WITH (fillfactor = 45);
CREATE TABLE submissions_default PARTITION OF submissions DEFAULT WITH (fillfactor = 35);
CREATE TABLE message_events_default PARTITION OF message_events DEFAULT;

-- Receipts that no submission is known for yet (D8).
CREATE TABLE parked_receipts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    carrier text NOT NULL,
    carrier_message_id text NOT NULL,
    second_id text,
    parked_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    value bytea NOT NULL                -- the record as it was on the bus
)
-- Every row is deleted soon: vacuum early.
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE INDEX parked_receipts_first ON parked_receipts (carrier, carrier_message_id);
CREATE INDEX parked_receipts_second ON parked_receipts (carrier, second_id) WHERE second_id IS NOT NULL;
CREATE INDEX parked_receipts_expiry ON parked_receipts (expires_at);

-- Records that could not be processed, kept so that they can be played again.
CREATE TABLE dead_records (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    partition int NOT NULL,
    log_offset bigint NOT NULL,
    value bytea NOT NULL,
    error text NOT NULL,
    at bigint NOT NULL,
    UNIQUE (topic, partition, log_offset)
);

-- Days in which every message has its final state: the search for silent messages leaves them out.
CREATE TABLE closed_days (
    day_at bigint PRIMARY KEY           -- midnight UTC
);
