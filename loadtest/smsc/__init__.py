"""The message centre simulator: a carrier that can be asked to misbehave, and that remembers all it was given.

Walk through it: `settings` (what it shall do) -> `centre` (accounts, answers, receipts) with one `esme` per
connection -> `record` (the ledger that judges trust) -> `http_api` (live faults, ledger, rates) -> `service` (the
process). `delays`, `ticks`, `behaviour`, `receipts`, `checks`, `rates` and `text` are the pure parts.
"""
