"""What one module logs, whatever an earlier test did to the configuration of logs or made the module's logger keep."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

import structlog
from structlog.testing import LogCapture


@contextmanager
def heard(module: ModuleType) -> Iterator[list[MutableMapping[str, Any]]]:
    """Collect the lines of a module's `_log`, of every level, as `structlog.testing.capture_logs` shows them."""
    capture = LogCapture()
    logger = structlog.wrap_logger(
        None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    with patch.object(module, "_log", logger):
        yield capture.entries
