"""Reports of what was sent: rollups by day, and what is read from them by day, week and month."""
