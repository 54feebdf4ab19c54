"""Which bus: PostgreSQL's, or Kafka's where the configuration names brokers."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.bus.kafka import DAY_MS, KafkaBus, KafkaTopicSettings
from gateway.bus.kafka_client import KafkaAccess
from gateway.bus.postgres import PostgresBus
from gateway.ports.bus import Bus
from gateway.settings import KafkaSettings, Settings, SettingsError
from gateway.store.pool import Database


@asynccontextmanager
async def open_bus(settings: Settings, db: Database, *, client_id: str) -> AsyncIterator[Bus]:
    """Start the bus of the configuration and close it at the end."""
    if settings.kafka.bootstrap is None:
        postgres = PostgresBus(db)
        await postgres.start()
        yield postgres  # it lives in the database, which its owner closes
        return
    kafka = KafkaBus(kafka_access(settings.kafka, client_id=client_id), db=db, topics=_topics(settings.kafka))
    await kafka.start()
    try:
        yield kafka
    finally:
        await kafka.close()


def kafka_access(kafka: KafkaSettings, *, client_id: str) -> KafkaAccess:
    """Return where the cluster is and who we are to it; SettingsError for files that cannot be used."""
    return KafkaAccess(
        bootstrap=kafka.bootstrap or "",
        client_id=client_id,
        compression=None if kafka.compression == "none" else kafka.compression,
        security_protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism,
        username=kafka.username,
        password=kafka.resolved_password() or None,
        ssl_context=_tls(kafka) if kafka.security_protocol.endswith("SSL") else None,
    )


def _tls(kafka: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=kafka.ca_file)
        if kafka.certificate_file is not None:
            context.load_cert_chain(kafka.certificate_file, kafka.key_file)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(f"kafka: the TLS files cannot be used: {error}") from None
    return context


def _topics(kafka: KafkaSettings) -> KafkaTopicSettings:
    return KafkaTopicSettings(
        prefix=kafka.prefix, replication=kafka.replication, retention_ms=kafka.retention_days * DAY_MS
    )
