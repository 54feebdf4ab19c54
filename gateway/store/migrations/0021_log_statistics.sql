-- No plan depends on statistics of the log, and what they are made of is gone before they are used: a sample of 30,000
-- rows of a page each, every 40,000 messages. Its size is counted by vacuum, which comes every few seconds under load.
ALTER TABLE bus_log SET (autovacuum_analyze_threshold = 2000000000);
