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

# $1 partition ids ascending, $2 records of each, $3 slot (from 1) of each record's partition in $1, $4 its rank
# there, $5 its value. The bases come as one array: a join would cost more than the insert.
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
    INSERT INTO bus_log (partition_id, log_offset, appended_at, value)
    SELECT ($1::int[])[one.slot], (SELECT base FROM bases)[one.slot] + one.rank, statement_timestamp(), one.value
    FROM unnest($3::int[], $4::int[], $5::bytea[]) AS one (slot, rank, value)
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

APPEND = f"{_APPEND} SELECT pg_notify($6, $7)"

APPEND_AND_COMMIT = f"""
{_APPEND}, positions AS ({_UPSERT_POSITIONS % (8, 9, 10, 11, 12, 13)})
SELECT pg_notify($6, $7)
"""

COMMIT = _UPSERT_POSITIONS % (1, 2, 3, 4, 5, 6)

POSITION = """
SELECT coalesce(stored.next_offset, head.first_offset), coalesce(completed, '{}'), coalesce(claimed, '{}')
FROM bus_partition AS head
LEFT JOIN bus_position AS stored
    ON stored.group_name = $1 AND stored.topic = head.topic AND stored.partition = head.partition
WHERE head.id = $2
"""

READ = """
SELECT log_offset, value FROM bus_log
WHERE partition_id = $1 AND log_offset >= $2
ORDER BY log_offset LIMIT $3
"""

LAG = """
SELECT stored.topic, stored.partition,
       head.next_offset - stored.next_offset - coalesce(
           (SELECT sum(stored.completed[at * 2] - stored.completed[at * 2 - 1])
            FROM generate_series(1, cardinality(stored.completed) / 2) AS at), 0)::bigint,
       (SELECT (extract(epoch FROM log.appended_at) * 1000)::bigint FROM bus_log AS log
        WHERE log.partition_id = head.id AND log.log_offset >= stored.next_offset
        ORDER BY log.log_offset LIMIT 1)
FROM bus_position AS stored
JOIN bus_partition AS head ON head.topic = stored.topic AND head.partition = stored.partition
WHERE stored.group_name = $1
ORDER BY stored.topic, stored.partition
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

# The head is locked last, for the moment of the commit.
TRIM = """
WITH gone AS (
    DELETE FROM bus_log WHERE partition_id = $1 AND log_offset >= $2 AND log_offset < $3 RETURNING 1
), counted AS MATERIALIZED (
    SELECT count(*) AS records FROM gone
), moved AS (
    UPDATE bus_partition SET first_offset = $3 FROM counted WHERE id = $1
)
SELECT records FROM counted
"""
