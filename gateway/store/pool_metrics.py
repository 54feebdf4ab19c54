"""What the connections to the database tell Prometheus; one bundle per process."""

from prometheus_client import CollectorRegistry

from gateway.store.pool import Database
from gateway.telemetry.metrics import gauge


class PoolMetrics:
    """Connections that are idle or used, and tasks that wait for one; asked at each scrape, so nothing is counted."""

    def __init__(self, registry: CollectorRegistry, db: Database) -> None:
        connections = gauge(registry, "store_pool_connections")
        connections.labels("idle").set_function(lambda: db.idle_count)
        connections.labels("used").set_function(lambda: db.used_count)
        connections.labels("waiting").set_function(lambda: db.waiting_count)
