-- Webhooks: endpoints of accounts, events that wait for them, attempts that were made.
-- Every time is an integer of milliseconds since the Unix epoch, UTC.

CREATE TABLE webhook_endpoints (
    id text PRIMARY KEY,                -- whk_...
    account_id text NOT NULL,
    url text NOT NULL,
    types text[] NOT NULL,              -- {*}: every type
    description text NOT NULL,
    batch_max smallint NOT NULL CHECK (batch_max BETWEEN 1 AND 100),
    max_in_flight smallint NOT NULL CHECK (max_in_flight BETWEEN 1 AND 100),
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    disabled_at bigint,                 -- NULL: live
    disabled_reason text NOT NULL DEFAULT ''
);
CREATE INDEX webhook_endpoints_account ON webhook_endpoints (account_id, id);

-- Apart from what is listed, so that no list can show them. Needed in clear: they sign.
CREATE TABLE webhook_secrets (
    endpoint_id text PRIMARY KEY REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    secret text NOT NULL,
    old_secret text,
    old_until bigint
);

-- One row: changes with every change of the two tables above, in the same transaction.
CREATE TABLE webhook_version (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint NOT NULL
);
INSERT INTO webhook_version VALUES (true, 1);

-- What delivery has learnt of an endpoint; written by whoever owns the shard that learnt it.
CREATE TABLE webhook_health (
    endpoint_id text PRIMARY KEY,
    failing_since bigint,               -- first failure after the last success
    failures int NOT NULL,              -- in a row
    due_at bigint NOT NULL,             -- while it fails: not before
    last_success_at bigint,
    last_error text NOT NULL
)
WITH (fillfactor = 50);

-- Events whose first attempt failed, or that could not be tried at once. Each row is written once, updated by a failed
-- attempt, deleted at the end.
CREATE TABLE webhook_backlog (
    endpoint_id text NOT NULL,
    subject_id uuid NOT NULL,           -- the message or reply: its events are delivered in the order of `place`
    event_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    shard int NOT NULL,                 -- partition of `webhook.due`, whose owner delivers the row
    place bigint NOT NULL,              -- offset in that partition; 0 for a replay
    account_id text NOT NULL,
    type text NOT NULL,
    at bigint NOT NULL,
    body bytea NOT NULL,                -- the event's JSON
    attempts smallint NOT NULL,
    waits_since bigint NOT NULL,
    due_at bigint NOT NULL,
    last_error text NOT NULL,
    PRIMARY KEY (endpoint_id, subject_id, event_id)
)
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX webhook_backlog_due ON webhook_backlog (shard, endpoint_id, due_at, id);
CREATE UNIQUE INDEX webhook_backlog_id ON webhook_backlog (id);

-- One row for each event and POST, written once. Partitioned by day on the UUIDv7 of the message (or reply).
CREATE TABLE webhook_deliveries (
    id uuid NOT NULL,                   -- UUIDv7 of the time the attempt was over: the order of lists
    message_id uuid NOT NULL,           -- the subject of the event
    endpoint_id text NOT NULL,
    account_id text NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    attempt smallint NOT NULL,          -- from 1; 0: given up without a POST
    state text NOT NULL,                -- delivered, failed (tried again later) or exhausted (given up)
    status_code smallint,               -- NULL: no answer
    duration_ms int NOT NULL,
    error text NOT NULL,
    event_at bigint NOT NULL,
    body bytea                          -- of exhausted events alone, to replay them
) PARTITION BY RANGE (message_id);

-- Not unique: what a crash repeats is another attempt.
CREATE INDEX webhook_deliveries_message ON webhook_deliveries (message_id);
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, id);

CREATE TABLE webhook_deliveries_default PARTITION OF webhook_deliveries DEFAULT;
