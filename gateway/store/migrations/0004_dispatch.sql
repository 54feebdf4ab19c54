-- Messages that wait for a time, and who owns which lane.

CREATE TABLE deferred (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    due_at timestamptz NOT NULL,
    topic text NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    message_id uuid NOT NULL
)
-- Every row is inserted once and deleted once: vacuum early, or the scan for due rows walks over the dead.
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- The id keeps rows of one due time in the order they were written.
CREATE INDEX deferred_due ON deferred (due_at, id);
CREATE INDEX deferred_message ON deferred (message_id);

CREATE TABLE lane_leases (
    carrier text NOT NULL,
    shard int NOT NULL,
    owner text NOT NULL,
    epoch bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (carrier, shard)
)
-- Renewed every few seconds: leave room on the page for heap-only updates.
WITH (fillfactor = 50);
