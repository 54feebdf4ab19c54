-- The advisory lock that the owner of a lease holds for as long as it has a connection: when the lock is gone, so is the
-- owner, or its connection, and others need not wait until the lease runs out. Null where the owner holds none.

ALTER TABLE lane_leases ADD COLUMN lifeline bigint;
