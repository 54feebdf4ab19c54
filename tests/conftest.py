"""Fixtures for every test: a real PostgreSQL, started when the first test asks for it."""

from tests.support.postgres import database_url, db, empty_database_url, postgres_server

__all__ = ["database_url", "db", "empty_database_url", "postgres_server"]
