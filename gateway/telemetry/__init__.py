"""Metrics and logs: the catalogue, bundles' constructors, redaction."""
