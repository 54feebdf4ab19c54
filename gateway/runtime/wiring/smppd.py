"""The SMPP server for customers: its part of the role `api`, and the keeper of its receipts in the role `back`."""

import secrets
import socket
import ssl
from collections.abc import Callable
from uuid import UUID

from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.sharing import Share
from gateway.intake.direct import DirectIntake
from gateway.intake.metrics import LimiterMetrics
from gateway.runtime.server import listen
from gateway.runtime.wiring.parts import Base
from gateway.settings import SettingsError, SmppServerSettings
from gateway.smppd.collector import ReceiptCollector
from gateway.smppd.customers import Customer
from gateway.smppd.delivery import Deliverer
from gateway.smppd.desk import SubmitDesk
from gateway.smppd.metrics import CollectorMetrics, ServerMetrics
from gateway.smppd.operations import Operations
from gateway.smppd.parts import PartDesk
from gateway.smppd.server import ServerLimits, SmppServer
from gateway.store import smpp_credentials, smpp_outbox
from gateway.store.messages import PostgresMessages
from gateway.store.smpp_credentials import CredentialCache, SmppCredentials
from gateway.store.smpp_outbox import PostgresOutbox
from gateway.store.smpp_parts import PostgresParts
from gateway.store.views import PostgresViews

_HOUR_MS = 3_600_000


class SmppServerPart:
    """The server and what it listens to; made by the role `api` where `[smpp_server]` is enabled."""

    def __init__(
        self,
        base: Base,
        *,
        intake: DirectIntake,
        pepper: bytes,
        new_id: Callable[[int], UUID],
        limiters: LimiterMetrics | None = None,
    ) -> None:
        settings = base.settings.smpp_server
        clock, db = base.clock, base.db
        metrics = ServerMetrics(base.registry, limiters=limiters)
        self._db = db
        self._credentials = CredentialCache(SmppCredentials(db, pepper=pepper))
        queue = PostgresOutbox(db)
        customers: dict[str, Customer] = {}
        parts = PartDesk(
            PostgresParts(db),
            db=db,
            receipts=queue,
            credentials=self._credentials,
            intake=intake,
            clock=clock,
            new_id=new_id,
            receipt_expiry_ms=int(settings.receipt_expiry_h * _HOUR_MS),
            give_up_ms=int(settings.parts_timeout_s * 1000),
        )
        desk = SubmitDesk(
            intake=intake, parts=parts, classes=settings.service_types, clock=clock, metrics=metrics
        )
        self.server = SmppServer(
            listen(settings.host, settings.port, setting="smpp_server.port"),
            limits=_limits(settings, drain_s=base.settings.drain_s),
            credentials=self._credentials,
            customers=customers,
            desk=desk,
            operations=Operations(
                desk=desk, views=PostgresViews(db), clock=clock, metrics=metrics, new_id=new_id
            ),
            parts=parts,
            deliverer=Deliverer(
                queue, customers, owner=f"{socket.gethostname()}.{secrets.token_hex(8)}", clock=clock
            ),
            clock=clock,
            metrics=metrics,
            tls=_tls(settings),
        )

    async def run(self) -> None:
        """Follow changes, serve until `server.stop`, and drain."""
        await self._db.listen(smpp_credentials.CHANNEL, self._credential_changed)
        await self._db.listen(smpp_outbox.CHANNEL, self.server.receipts_came)
        await self.server.run()

    def _credential_changed(self, system_id: str) -> None:
        self._credentials.drop(system_id)
        self.server.credential_changed(system_id)


def receipt_collector(
    base: Base, *, reader_metrics: ReaderMetrics, share: Share | None = None
) -> ReceiptCollector:
    """Return the keeper of receipts; it runs with or without the server, for messages that are on their way."""
    return ReceiptCollector(
        base.bus,
        db=base.db,
        queue=PostgresOutbox(base.db),
        dead=PostgresMessages(),
        clock=base.clock,
        metrics=CollectorMetrics(base.registry),
        reader_metrics=reader_metrics,
        share=share,
        expiry_ms=int(base.settings.smpp_server.receipt_expiry_h * _HOUR_MS),
    )


def _limits(settings: SmppServerSettings, *, drain_s: float) -> ServerLimits:
    return ServerLimits(
        max_sessions=settings.max_sessions,
        session_init_s=settings.session_init_s,
        enquire_link_s=settings.enquire_link_s,
        inactivity_s=settings.inactivity_s,
        response_s=settings.response_s,
        receipt_window=settings.receipt_window,
        drain_s=drain_s,
    )


def _tls(settings: SmppServerSettings) -> ssl.SSLContext | None:
    try:
        return settings.tls.server_context()
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"smpp_server.tls: {error}") from None
