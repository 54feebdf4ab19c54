"""Protocols with numbered rules. Features depend on these, never on an implementation."""
