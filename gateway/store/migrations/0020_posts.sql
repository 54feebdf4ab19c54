-- Events that an endpoint took at their first attempt, several to a row: one row for each POST, type of event and
-- four seconds of messages. Everything else about attempts stays in webhook_deliveries, a row for each.
-- Written once. Partitioned by day on the UUIDv7 of the first message; all messages of a row are in one slot of four
-- seconds, so that whoever looks for a message reads the rows of its slot alone.
CREATE TABLE webhook_posts (
    id uuid NOT NULL,                   -- UUIDv7 of the time the POST was over, its last octet 0; event n (from 0) has id + n
    first_message_id uuid NOT NULL,     -- the smallest of the messages
    endpoint_id text NOT NULL,
    account_id text NOT NULL,
    type text NOT NULL,
    status_code smallint NOT NULL,
    duration_ms int NOT NULL,
    message_ids bytea NOT NULL,         -- 16 octets for each event
    event_ids bytea NOT NULL,           -- 16 octets for each event
    event_ats bytea NOT NULL            -- 8 octets for each event, the most significant first
) PARTITION BY RANGE (first_message_id);

-- Random octets: compressing them costs and saves nothing. They stay in their row.
ALTER TABLE webhook_posts
    ALTER COLUMN message_ids SET STORAGE EXTERNAL,
    ALTER COLUMN event_ids SET STORAGE EXTERNAL,
    ALTER COLUMN event_ats SET STORAGE EXTERNAL;

CREATE INDEX webhook_posts_message ON webhook_posts (first_message_id);
CREATE INDEX webhook_posts_endpoint ON webhook_posts (endpoint_id, id);

CREATE TABLE webhook_posts_default PARTITION OF webhook_posts DEFAULT WITH (toast_tuple_target = 8160);

-- The days that are there already have their statistics made as seldom as new ones (gateway/store/partitions.py says
-- why).
DO $$
DECLARE
    day regclass;
BEGIN
    FOR day IN
        SELECT inhrelid::regclass FROM pg_inherits
        WHERE inhparent = ANY (ARRAY['messages', 'submissions', 'message_events', 'inbound_messages',
                                     'webhook_deliveries']::regclass[])
    LOOP
        EXECUTE format(
            'ALTER TABLE %s SET (autovacuum_analyze_threshold = 100000, autovacuum_analyze_scale_factor = 1.0)', day);
    END LOOP;
END $$;

-- Nothing is planned by what is in the log.
ALTER TABLE bus_log SET (autovacuum_analyze_threshold = 1000000, autovacuum_analyze_scale_factor = 1.0);
