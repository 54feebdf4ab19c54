-- The SMPP server for customers: who may bind, receipts that wait for a bind, parts of long messages.
-- Instants of receipts and parts are milliseconds since the Unix epoch (UTC), as the bus has them.

CREATE TABLE smpp_credentials (
    system_id           text        PRIMARY KEY CHECK (octet_length(system_id) BETWEEN 1 AND 15),
    account_id          text        NOT NULL REFERENCES accounts (id),
    -- HMAC-SHA256(pepper, system_id and password); the password itself is shown once and kept nowhere.
    digest              bytea       NOT NULL,
    max_binds           int         NOT NULL CHECK (max_binds BETWEEN 1 AND 100),
    window_slots        int         NOT NULL CHECK (window_slots BETWEEN 1 AND 1000),
    -- Of its own, beside the account's; NULL for none.
    messages_per_second int         CHECK (messages_per_second > 0),
    -- Where it may come from, as CIDR; empty for anywhere.
    allowed_networks    text[]      NOT NULL DEFAULT '{}',
    message_class       text        NOT NULL,
    -- What data_coding 0 means to this customer.
    alphabet            text        NOT NULL,
    enabled             boolean     NOT NULL DEFAULT true,
    created_at          timestamptz NOT NULL
);
CREATE INDEX smpp_credentials_account ON smpp_credentials (account_id);

-- Receipts until the customer has acknowledged them. No foreign keys: a deleted credential leaves its receipts to expire.
CREATE TABLE smpp_outbox (
    id           bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system_id    text     NOT NULL,
    message_id   uuid     NOT NULL,
    -- The id in the response that the receipt answers; parts of one message have one each.
    told_id      text     NOT NULL,
    -- The deliver_sm up to the destination: addresses as the customer wrote them, swapped.
    head         bytea    NOT NULL,
    state        text     NOT NULL,
    submitted_at bigint   NOT NULL,
    done_at      bigint   NOT NULL,
    expires_at   bigint   NOT NULL,
    due_at       bigint   NOT NULL,
    attempts     int      NOT NULL DEFAULT 0
)
-- Every row is inserted once and deleted once: vacuum early, or the look for the next one walks over the dead.
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX smpp_outbox_next ON smpp_outbox (system_id, id);
CREATE UNIQUE INDEX smpp_outbox_once ON smpp_outbox (message_id, told_id);
CREATE INDEX smpp_outbox_age ON smpp_outbox (expires_at);

-- Which process delivers the receipts of a system_id now.
CREATE TABLE smpp_drains (
    system_id  text        PRIMARY KEY,
    owner      text        NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Parts of customers' long messages, answered and not yet one message.
CREATE TABLE smpp_parts (
    system_id   text   NOT NULL,
    -- Digest of what the parts of one message have in common.
    set_key     bytea  NOT NULL,
    sequence    int    NOT NULL,
    total       int    NOT NULL,
    part_id     uuid   NOT NULL,
    octets      bytea  NOT NULL,
    -- What the submit said besides, as JSON; that of the first part counts.
    facts       text   NOT NULL,
    received_at bigint NOT NULL,
    PRIMARY KEY (system_id, set_key, sequence)
)
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX smpp_parts_age ON smpp_parts (received_at);
