"""Fixtures for every test: a real PostgreSQL and a real Kafka, started when the first test asks for them."""

import os

from hypothesis import settings

from tests.support.kafka import kafka_bootstrap
from tests.support.postgres import database_url, db, empty_database_url, postgres_server
from tests.support.scratch import use_memory

__all__ = ["database_url", "db", "empty_database_url", "kafka_bootstrap", "postgres_server"]

use_memory()

if not os.environ.get("CI"):  # where Hypothesis sets the same by itself
    # How long an example takes says more about the machine than about the code.
    # CI tries more examples; here `make test-fast` is to be fast.
    settings.register_profile("here", deadline=None, max_examples=40)
    settings.load_profile("here")
