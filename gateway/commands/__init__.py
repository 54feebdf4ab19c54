"""The groups of `caudal` commands; `gateway.cli` puts them together."""
