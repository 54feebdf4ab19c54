-- The Postgres bus: an append-only log with offsets.

-- One row per partition, updated by every append: its lock, held to commit, makes commit order = offset order.
CREATE TABLE bus_partition (
    id           serial PRIMARY KEY,
    topic        text   NOT NULL,
    partition    int    NOT NULL,
    next_offset  bigint NOT NULL DEFAULT 0,
    first_offset bigint NOT NULL DEFAULT 0,
    UNIQUE (topic, partition)
) WITH (
    -- Room on the page for many versions of a hot row.
    fillfactor = 10,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0
);

-- A row is a block: neighbouring records of one append, since a row for each would cost ten times as much to write,
-- read and delete. The offsets of a partition have no gaps, within a block either.
CREATE TABLE bus_log (
    partition_id int         NOT NULL,
    last_offset  bigint      NOT NULL,
    records      int         NOT NULL,
    appended_at  timestamptz NOT NULL,
    block        bytea       NOT NULL,  -- the length of each record in four octets, then the records
    PRIMARY KEY (partition_id, last_offset)
) WITH (
    -- A full block has a page of its own: some 30 MB, or a tenth of a big backlog.
    autovacuum_vacuum_threshold = 4000,
    autovacuum_vacuum_scale_factor = 0.1,
    -- Rows are deleted long before they would be frozen: inserts alone are no reason to vacuum.
    autovacuum_vacuum_insert_threshold = -1,
    -- Cutting the file takes a lock that stops appends; the space is used again anyway.
    vacuum_truncate = off,
    autovacuum_analyze_threshold = 20000,
    autovacuum_analyze_scale_factor = 0.5,
    -- A block stays in its row; only a record too long for a page does not.
    toast_tuple_target = 8160
);
-- Records live for seconds: compressing them costs more than it saves.
ALTER TABLE bus_log ALTER COLUMN block SET STORAGE EXTERNAL;

-- Where a group stands. completed and claimed are ranges, flattened: {start, end, start, end, ...}.
CREATE TABLE bus_position (
    group_name  text        NOT NULL,
    topic       text        NOT NULL,
    partition   int         NOT NULL,
    next_offset bigint      NOT NULL,
    completed   bigint[]    NOT NULL DEFAULT '{}',
    claimed     bigint[]    NOT NULL DEFAULT '{}',
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_name, topic, partition)
) WITH (
    fillfactor = 10,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0
);
