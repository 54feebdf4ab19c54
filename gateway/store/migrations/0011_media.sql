-- Files that accounts give us to send.

-- Times are integers of milliseconds since the Unix epoch, UTC.
CREATE TABLE media (
    id uuid PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts (id),
    content_type text NOT NULL,
    name text NOT NULL,                 -- cleaned: safe to show
    size int NOT NULL,                  -- octets
    sha256 bytea NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    octets bytea NOT NULL
);

-- What is kept is compressed already, mostly.
ALTER TABLE media ALTER COLUMN octets SET STORAGE EXTERNAL;

CREATE INDEX media_account ON media (account_id, expires_at) INCLUDE (size);
CREATE INDEX media_expiry ON media (expires_at);
