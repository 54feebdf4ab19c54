-- Replies: mobile-originated messages, the segments that wait for the rest of theirs, and whose numbers are whose.

-- Times are integers of milliseconds since the Unix epoch, UTC. Partitioned by day on the UUIDv7 id like `messages`;
-- gateway/store/partitions.py makes and drops the days.
CREATE TABLE inbound_messages (
    id uuid NOT NULL,
    account_id text,                    -- NULL: nobody's yet, shown to operators
    assigned_by text NOT NULL,          -- number, sender, carrier, or empty
    carrier text NOT NULL,
    bind text NOT NULL,
    sender text NOT NULL,               -- E.164 without plus, or as the carrier wrote it
    sender_is_e164 boolean NOT NULL,
    recipient text NOT NULL,            -- our short code or number, digits without plus
    text text,                          -- NULL: binary
    encoding text NOT NULL,
    segment_count smallint NOT NULL,
    missing smallint[] NOT NULL,        -- segments that never came
    received_at bigint NOT NULL,
    in_reply_to uuid,                   -- the message it answers, as far as can be told
    raw json NOT NULL,                  -- as the carrier wrote it: data_coding, esm_class, addresses, octets
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE INDEX inbound_messages_account ON inbound_messages (account_id, id);
CREATE INDEX inbound_messages_unassigned ON inbound_messages (id) WHERE account_id IS NULL;

CREATE TABLE inbound_messages_default PARTITION OF inbound_messages DEFAULT;

-- One row for each message that came in segments: open until it is complete or given up, then kept for a while, so that
-- segments that a carrier repeats are known for what they are.
CREATE TABLE inbound_sets (
    id uuid PRIMARY KEY,
    carrier text NOT NULL,
    sender text NOT NULL,               -- addresses as the carrier wrote them
    recipient text NOT NULL,
    kind text NOT NULL,                 -- udh8, udh16 or sar: their references are apart
    reference int NOT NULL,
    segment_count smallint NOT NULL,
    opened_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    part_count smallint NOT NULL,       -- rows of inbound_parts
    done_at bigint,
    digests bytea NOT NULL DEFAULT ''   -- once done: eight octets for each segment, zeros for one that never came
)
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE UNIQUE INDEX inbound_sets_open
    ON inbound_sets (carrier, sender, recipient, kind, reference, segment_count) WHERE done_at IS NULL;
CREATE INDEX inbound_sets_done
    ON inbound_sets (carrier, sender, recipient, kind, reference, segment_count, done_at) WHERE done_at IS NOT NULL;
CREATE INDEX inbound_sets_expiry ON inbound_sets (expires_at, part_count) WHERE done_at IS NULL;
CREATE INDEX inbound_sets_age ON inbound_sets (opened_at, id) WHERE done_at IS NULL;
CREATE INDEX inbound_sets_forget ON inbound_sets (done_at) WHERE done_at IS NOT NULL;

CREATE TABLE inbound_parts (
    set_id uuid NOT NULL,
    segment_index smallint NOT NULL,    -- from 1
    digest bytea NOT NULL,
    received_at bigint NOT NULL,
    value bytea NOT NULL,               -- the record as it was on the bus
    PRIMARY KEY (set_id, segment_index)
)
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- Which account answers for a number of ours; carrier '' means whichever carrier it comes from.
CREATE TABLE inbound_numbers (
    number text NOT NULL,
    carrier text NOT NULL,
    account_id text NOT NULL REFERENCES accounts (id),
    created_at bigint NOT NULL,
    PRIMARY KEY (number, carrier)
);
