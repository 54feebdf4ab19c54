-- What HTTP carriers call on our side: receipts that say "read", and messages of people over channels beside SMS.

ALTER TABLE submissions ADD COLUMN read_at bigint;          -- when a receipt after the final one said that it was read

ALTER TABLE inbound_messages ADD COLUMN channel text;       -- NULL: sms
ALTER TABLE inbound_messages ADD COLUMN media json;         -- what came with it: type, id, link, name

-- The carrier's own ids of messages that came by HTTP: a call that is repeated brings nothing new.
CREATE TABLE inbound_sources (
    carrier text NOT NULL,
    source_id text NOT NULL,
    message_id uuid NOT NULL,
    seen_at bigint NOT NULL,
    PRIMARY KEY (carrier, source_id)
);

CREATE INDEX inbound_sources_age ON inbound_sources (seen_at);
