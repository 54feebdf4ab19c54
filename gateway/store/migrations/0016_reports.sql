-- Reports: messages counted by hour, so that what they say outlives them. Written by gateway.reporting alone, but for
-- report_removed, which retention writes. Times are integers of milliseconds since the Unix epoch, UTC.

-- What is counted at once are the messages whose ids (UUIDv7) are of one hour; their rows are replaced together.
CREATE TABLE report_rows (
    id_hour bigint NOT NULL,            -- the hour of their ids
    at bigint NOT NULL,                 -- the hour they were accepted in: nearly always the same
    account_id text NOT NULL,
    campaign text NOT NULL,             -- from the message's metadata; '' without, '(other)' beyond what is told apart
    carrier text NOT NULL,              -- that has it, or had it last
    channel text NOT NULL,
    message_class text NOT NULL,        -- '' for replies
    country text NOT NULL,              -- ISO 3166 of the number's calling code; '' where there is none
    messages int NOT NULL,
    segments int NOT NULL,
    sent int NOT NULL,                  -- acknowledged by a carrier
    billed_segments int NOT NULL,       -- segments of those
    scheduled int NOT NULL,
    queued int NOT NULL,
    submitted int NOT NULL,
    delivered int NOT NULL,
    undeliverable int NOT NULL,
    rejected int NOT NULL,
    expired int NOT NULL,
    failed int NOT NULL,
    cancelled int NOT NULL,
    unknown int NOT NULL,
    partial int NOT NULL,               -- of several segments, some delivered
    retried int NOT NULL,               -- with more than one attempt
    timed int NOT NULL,                 -- whose time to a carrier is judged
    timely int NOT NULL,                -- and was within the objective of the class
    cost numeric NOT NULL,              -- of the billed segments, by the price list of the hour
    unpriced_segments int NOT NULL,     -- billed ones without a price
    replies int NOT NULL,               -- messages of people
    submit_delays int[] NOT NULL,       -- messages by bucket, the last one without bound
    receipt_delays int[] NOT NULL
)
-- The young hours are replaced again and again.
WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);

CREATE INDEX report_rows_id_hour ON report_rows (id_hour);
CREATE INDEX report_rows_account ON report_rows (account_id, at);
CREATE INDEX report_rows_at ON report_rows (at);

-- Where the counting stands.
CREATE TABLE report_hours (
    id_hour bigint PRIMARY KEY,
    version int NOT NULL,               -- grows with every replacement: who counted from an older one gives up
    computed_at bigint NOT NULL,        -- what happened before is counted; 0 before the first time
    messages bigint NOT NULL,
    open bigint NOT NULL,               -- of those, without a final state
    inserts bigint NOT NULL,            -- PostgreSQL's counters of the day's partitions when it was counted
    writes bigint NOT NULL,
    is_stale boolean NOT NULL,          -- something has been written since
    is_closed boolean NOT NULL,         -- its messages are gone: it stays as it is
    price_list text,                    -- what its segments cost; kept when it is counted again
    work_ms int NOT NULL                -- what counting took
)
WITH (fillfactor = 70);

-- What retention deleted message by message, counted in the transaction that deleted it. Its columns, from `at` on,
-- are those that messages are counted by.
CREATE TABLE report_removed (
    slice_at bigint NOT NULL,           -- ten minutes of ids
    at bigint NOT NULL,
    account_id text NOT NULL,
    campaign text NOT NULL,
    carrier text NOT NULL,
    channel text NOT NULL,
    message_class text NOT NULL,
    country text NOT NULL,
    zone text NOT NULL,
    sender text NOT NULL,
    state text NOT NULL,
    submit_bucket smallint NOT NULL,
    receipt_bucket smallint NOT NULL,
    messages bigint NOT NULL,
    segments bigint NOT NULL,
    billed_segments bigint NOT NULL,
    partial bigint NOT NULL,
    retried bigint NOT NULL
);
CREATE INDEX report_removed_slice ON report_removed (slice_at);

-- Prices that hours were counted with.
CREATE TABLE report_prices (
    id text PRIMARY KEY,
    rules json NOT NULL
);

-- Until when it was looked whether something was written: hours that are not stale are counted until then.
CREATE TABLE report_progress (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    checked_at bigint NOT NULL
);
