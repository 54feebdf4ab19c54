"""What every link does whatever its carrier speaks: pace, breaker, figures, wishes, waits between connections."""
