"""What one module logs, and a configuration of logs that ends with the test whose command made it."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
import structlog
from structlog.testing import LogCapture

from gateway.telemetry.logs import set_level


@pytest.fixture(autouse=True)
def logs_end_with_the_test() -> Iterator[None]:
    """Undo what a command configured in this process, and let no logger keep it: it writes to a closed stream."""
    configure = structlog.configure
    is_configured = False

    def configure_for_now(**what: Any) -> None:
        nonlocal is_configured
        is_configured = True
        configure(**what | {"cache_logger_on_first_use": False})

    with patch.object(structlog, "configure", configure_for_now):
        yield
    if is_configured:
        structlog.reset_defaults()
        set_level("info")


@contextmanager
def heard(module: ModuleType, *, logger: str = "_log") -> Iterator[list[MutableMapping[str, Any]]]:
    """Collect the lines of a module's logger, of every level, as `structlog.testing.capture_logs` shows them."""
    capture = LogCapture()
    hearing = structlog.wrap_logger(
        None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    with patch.object(module, logger, hearing):
        yield capture.entries
