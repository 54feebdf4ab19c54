-- Receipts that were given up stay to be seen and played again; accounts may keep their messages for a shorter time.

-- Receipts that waited in parked_receipts for a submission that never came (D8).
CREATE TABLE orphan_receipts (
    id bigint PRIMARY KEY,              -- the one it had while it was parked: both tables are one list
    carrier text NOT NULL,
    carrier_message_id text NOT NULL,
    second_id text,
    parked_at bigint NOT NULL,
    expires_at bigint NOT NULL,         -- until when it was parked
    given_up_at bigint NOT NULL,
    reason text NOT NULL,               -- expired, or crowded_out by more receipts than may wait
    value bytea NOT NULL                -- the record as it was on the bus
);
CREATE INDEX orphan_receipts_carrier ON orphan_receipts (carrier, id);

-- NULL: as long as everybody's (settings, retention_days).
ALTER TABLE accounts ADD COLUMN retention_days int CHECK (retention_days > 0);
