"""Fixtures for every test: a real PostgreSQL and a real Kafka, started when the first test asks for them."""

import gc
import os
from collections.abc import Sequence

import pytest
from hypothesis import settings

from tests.support.heard import logs_end_with_the_test
from tests.support.kafka import kafka_bootstrap
from tests.support.postgres import database_url, db, empty_database_url, postgres_server
from tests.support.scratch import use_memory

__all__ = [
    "database_url",
    "db",
    "empty_database_url",
    "kafka_bootstrap",
    "logs_end_with_the_test",
    "postgres_server",
]

use_memory()

if not os.environ.get("CI"):  # where Hypothesis sets the same by itself
    # How long an example takes says more about the machine than about the code.
    # CI tries more examples; here `make test-fast` is to be fast.
    settings.register_profile("here", deadline=None, max_examples=40)
    settings.load_profile("here")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Let a test of Kafka take longer than others: the first one waits for what Kafka is made of to be fetched."""
    for item in items:
        if item.get_closest_marker("kafka") is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


def pytest_collection_finish() -> None:
    """Leave what thousands of collected tests are made of out of every full collection: each stood still for half a second."""
    gc.collect()
    gc.freeze()
