-- Accounts, their API keys, and what makes requests repeatable.

CREATE TABLE accounts (
    id                  text        PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9_.-]{0,62}$'),
    created_at          timestamptz NOT NULL,
    transliterate       boolean     NOT NULL DEFAULT false,
    max_segments        int         NOT NULL DEFAULT 10 CHECK (max_segments BETWEEN 1 AND 255),
    messages_per_second int         CHECK (messages_per_second > 0),
    -- Where national numbers belong; NULL refuses them.
    default_region      text        CHECK (default_region ~ '^[A-Z]{2}$'),
    -- Digits without plus are international.
    bare_international  boolean     NOT NULL DEFAULT false
);

CREATE TABLE api_keys (
    id           text        PRIMARY KEY,
    account_id   text        NOT NULL REFERENCES accounts (id),
    -- HMAC-SHA256(pepper, key); the key itself is shown once and kept nowhere.
    digest       bytea       NOT NULL,
    is_test      boolean     NOT NULL DEFAULT false,
    scopes       text[]      NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
CREATE INDEX api_keys_account ON api_keys (account_id);

-- No foreign keys below: they are written for every message, by accounts already checked.
CREATE TABLE idempotency (
    account_id  text        NOT NULL,
    route       text        NOT NULL,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL,
    -- 0: the first request has no answer yet.
    status      int         NOT NULL,
    body        bytea       NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (account_id, route, key)
) WITH (fillfactor = 90);
CREATE INDEX idempotency_age ON idempotency (created_at);

CREATE TABLE client_refs (
    account_id text        NOT NULL,
    client_ref text        NOT NULL,
    message_id uuid        NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, client_ref)
);
CREATE INDEX client_refs_age ON client_refs (created_at);
