-- What operators ordered, who ordered what when, what dispatch reports of each shard, and which dispatch processes live.
-- Every time is an integer of milliseconds since the Unix epoch, UTC.

CREATE TABLE operator_orders (
    carrier text NOT NULL,              -- empty: all carriers
    kind text NOT NULL,
    target text NOT NULL,               -- a bind, a class or an account; else empty
    value text NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    ordered_at bigint NOT NULL,
    expires_at bigint,                  -- NULL: until withdrawn
    PRIMARY KEY (carrier, kind, target)
);

-- One row. A sequence would show its new value before the change it counts is committed.
CREATE TABLE operator_order_version (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO operator_order_version (version) VALUES (1);

CREATE TABLE operator_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL,
    detail jsonb NOT NULL
);

-- Replaced every second or so, and worth nothing after a crash of the server: no need to log them.
CREATE UNLOGGED TABLE carrier_reports (
    carrier text NOT NULL,
    shard int NOT NULL,
    owner text NOT NULL,
    at bigint NOT NULL,
    picture json NOT NULL,
    PRIMARY KEY (carrier, shard)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

CREATE UNLOGGED TABLE dispatch_members (
    owner text PRIMARY KEY,
    seen_at bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
