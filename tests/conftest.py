"""Fixtures for every test: a real PostgreSQL and a real Kafka, started when the first test asks for them."""

from tests.support.kafka import kafka_bootstrap
from tests.support.postgres import database_url, db, empty_database_url, postgres_server

__all__ = ["database_url", "db", "empty_database_url", "kafka_bootstrap", "postgres_server"]
