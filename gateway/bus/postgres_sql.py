"""The statements of `gateway.bus.postgres`. Each is one round trip, and each finds its rows by index."""

RETENTION_LOCK = 0x636175627573  # "caubus": who trims, or registers a group

CREATE_TOPICS = """
INSERT INTO bus_partition (topic, partition)
SELECT wanted.topic, number
FROM unnest($1::text[], $2::int[]) AS wanted (topic, partitions),
     generate_series(0, wanted.partitions - 1) AS number
ORDER BY 1, 2
ON CONFLICT DO NOTHING
"""

TOPICS = "SELECT topic, id FROM bus_partition ORDER BY topic, partition"

REGISTER_GROUP = """
INSERT INTO bus_position (group_name, topic, partition, next_offset)
SELECT $1, topic, partition, first_offset FROM bus_partition WHERE topic = ANY ($2::text[])
ON CONFLICT DO NOTHING
"""

# $1 partition ids ascending, $2 records of each. Then for each block: $3 slot (from 1) of its partition in $1, $4 rank
# there of its last record, $5 its number of records, $6 its octets. The bases come as one array: a join would cost
# more than the insert.
_APPEND = """
WITH locked AS MATERIALIZED (
    SELECT id FROM bus_partition WHERE id = ANY ($1::int[]) ORDER BY id FOR NO KEY UPDATE
), heads AS (
    UPDATE bus_partition AS head
    SET next_offset = head.next_offset + taken.records
    FROM locked, unnest($1::int[], $2::int[]) AS taken (id, records)
    WHERE head.id = locked.id AND taken.id = locked.id
    RETURNING head.id, head.next_offset - taken.records AS base
), bases AS MATERIALIZED (
    SELECT array_agg(base ORDER BY id) AS base FROM heads
), inserted AS (
    INSERT INTO bus_log (partition_id, last_offset, records, appended_at, block)
    SELECT ($1::int[])[one.slot], (SELECT base FROM bases)[one.slot] + one.last, one.records,
           statement_timestamp(), one.block
    FROM unnest($3::int[], $4::int[], $5::int[], $6::bytea[]) AS one (slot, last, records, block)
)
"""

_UPSERT_POSITIONS = """
    INSERT INTO bus_position AS stored (group_name, topic, partition, next_offset, completed, claimed, updated_at)
    SELECT group_name, topic, partition, next_offset, completed::bigint[], claimed::bigint[], clock_timestamp()
    FROM unnest($%d::text[], $%d::text[], $%d::int[], $%d::bigint[], $%d::text[], $%d::text[])
         AS given (group_name, topic, partition, next_offset, completed, claimed)
    ON CONFLICT (group_name, topic, partition) DO UPDATE
    SET next_offset = excluded.next_offset, completed = excluded.completed, claimed = excluded.claimed,
        updated_at = excluded.updated_at
    WHERE stored.next_offset <= excluded.next_offset
"""

APPEND = f"{_APPEND} SELECT pg_notify($7, $8)"

APPEND_AND_COMMIT = f"""
{_APPEND}, positions AS ({_UPSERT_POSITIONS % (9, 10, 11, 12, 13, 14)})
SELECT pg_notify($7, $8)
"""

COMMIT = _UPSERT_POSITIONS % (1, 2, 3, 4, 5, 6)

POSITION = """
SELECT coalesce(stored.next_offset, head.first_offset), coalesce(completed, '{}'), coalesce(claimed, '{}')
FROM bus_partition AS head
LEFT JOIN bus_position AS stored
    ON stored.group_name = $1 AND stored.topic = head.topic AND stored.partition = head.partition
WHERE head.id = $2
"""

# $3 partitions, $4 where each should stand. Locked to the end of the transaction, in one order for everybody.
HOLD = """
SELECT count(*) FROM (
    SELECT FROM bus_position AS stored
    JOIN unnest($3::int[], $4::bigint[]) AS wanted (partition, next_offset)
        ON stored.group_name = $1 AND stored.topic = $2 AND stored.partition = wanted.partition
    WHERE stored.next_offset = wanted.next_offset
    ORDER BY stored.partition
    FOR NO KEY UPDATE OF stored
) AS held
"""

MAX_BLOCK_RECORDS = 256
"""Most records of one block: bounds how far a read reaches beyond what was asked for."""

# The blocks that hold $3 records from offset $2 on, or from the oldest kept. Offsets have no gaps, so a range of them
# bounds the number of records, which a LIMIT of blocks would not.
READ = f"""
WITH first AS MATERIALIZED (
    SELECT greatest(first_offset, $2::bigint) AS at FROM bus_partition WHERE id = $1
)
SELECT last_offset, records, block, (SELECT at FROM first) FROM bus_log
WHERE partition_id = $1 AND last_offset >= (SELECT at FROM first)
  AND last_offset < (SELECT at FROM first) + $3::int + {MAX_BLOCK_RECORDS}
  AND last_offset - records < (SELECT at FROM first) + $3::int - 1
ORDER BY last_offset
"""

LAG = """
SELECT stored.topic, stored.partition,
       head.next_offset - stored.next_offset - coalesce(
           (SELECT sum(stored.completed[at * 2] - stored.completed[at * 2 - 1])
            FROM generate_series(1, cardinality(stored.completed) / 2) AS at), 0)::bigint,
       (SELECT (extract(epoch FROM log.appended_at) * 1000)::bigint FROM bus_log AS log
        WHERE log.partition_id = head.id AND log.last_offset >= stored.next_offset
        ORDER BY log.last_offset LIMIT 1)
FROM bus_position AS stored
JOIN bus_partition AS head ON head.topic = stored.topic AND head.partition = stored.partition
WHERE stored.group_name = $1
ORDER BY stored.topic, stored.partition
"""

# A trim that a crash undoes is simply done again, so nobody waits for the disk.
TRY_RETENTION = f"""
SELECT pg_try_advisory_xact_lock({RETENTION_LOCK}) FROM set_config('synchronous_commit', 'off', true)
"""

TRIMMABLE = """
SELECT head.id
FROM bus_partition AS head
JOIN bus_position AS stored ON stored.topic = head.topic AND stored.partition = head.partition
GROUP BY head.id
HAVING min(stored.next_offset) > head.first_offset
ORDER BY head.id
"""

TRIM_BOUNDS = """
SELECT head.first_offset, least(min(stored.next_offset), head.first_offset + $2)
FROM bus_partition AS head
JOIN bus_position AS stored ON stored.topic = head.topic AND stored.partition = head.partition
WHERE head.id = $1
GROUP BY head.id
HAVING min(stored.next_offset) > head.first_offset
"""

# $2 the first offset kept until now, $3 the first to keep; a block that holds both sorts stays, and reads leave out
# what is below. The head is locked last, for the moment of the commit.
TRIM = """
WITH gone AS (
    DELETE FROM bus_log WHERE partition_id = $1 AND last_offset >= $2 AND last_offset < $3 RETURNING 1
), counted AS MATERIALIZED (
    SELECT count(*) AS blocks FROM gone
)
UPDATE bus_partition SET first_offset = $3 FROM counted WHERE id = $1 RETURNING counted.blocks
"""

LOG_PAGES = "SELECT pg_relation_size('bus_log') / current_setting('block_size')::int"

# Autovacuum may be at it, or somebody who changes the table: then this does nothing.
RECYCLE = "VACUUM (SKIP_LOCKED, PROCESS_TOAST FALSE) bus_log"

# -- positions of groups whose log is elsewhere (`gateway.bus.kafka`) --------------------------------------------------

REGISTER_AT = """
INSERT INTO bus_position (group_name, topic, partition, next_offset)
SELECT $1, topic, partition, next_offset FROM unnest($2::text[], $3::int[], $4::bigint[])
    AS given (topic, partition, next_offset)
ON CONFLICT DO NOTHING
"""

STORED_POSITION = """
SELECT next_offset, completed, claimed FROM bus_position WHERE group_name = $1 AND topic = $2 AND partition = $3
"""

GROUP_POSITIONS = """
SELECT topic, partition, next_offset,
       coalesce((SELECT sum(completed[at * 2] - completed[at * 2 - 1])
                 FROM generate_series(1, cardinality(completed) / 2) AS at), 0)::bigint
FROM bus_position WHERE group_name = $1 ORDER BY topic, partition
"""

LEAST_POSITIONS = """
SELECT topic, partition, min(next_offset) FROM bus_position WHERE starts_with(topic, $1) GROUP BY topic, partition
"""
