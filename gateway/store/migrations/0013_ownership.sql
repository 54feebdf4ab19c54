-- Which processes are there, by role: each says so every other second, and the database's clock judges.

CREATE UNLOGGED TABLE process_members (
    role text NOT NULL,
    owner text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (role, owner)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
