"""The embedded server is started again when it died, and again later where it cannot start."""

from itertools import pairwise

from gateway.runtime.database_watch import RETRY_S, DatabaseWatch
from gateway.store.postgres_programs import EmbeddedPostgresError


class FakeServer:
    """Dies on order; `is_full` lets every start fail."""

    def __init__(self) -> None:
        self.is_alive = True
        self.is_full = False
        self.starts = 0

    def alive(self) -> bool:
        return self.is_alive

    def start(self) -> str:
        self.starts += 1
        if self.is_full:
            raise EmbeddedPostgresError("No space left on device")
        self.is_alive = True
        return "postgresql://"


def test_a_server_that_runs_is_left_alone() -> None:
    server = FakeServer()
    DatabaseWatch(server).look(now_s=1.0)
    assert server.starts == 0


def test_a_server_that_died_is_started_at_the_next_look() -> None:
    server = FakeServer()
    server.is_alive = False
    DatabaseWatch(server).look(now_s=1.0)
    assert (server.starts, server.is_alive) == (1, True)


def test_one_that_cannot_start_is_tried_again_later_and_never_given_up() -> None:
    server = FakeServer()
    server.is_alive, server.is_full = False, True
    watch = DatabaseWatch(server)
    tried = []
    for second in range(20):
        before = server.starts
        watch.look(now_s=float(second))
        if server.starts > before:
            tried.append(second)
    assert tried == [0, 1, 3, 8, 13, 18]
    assert [after - one for one, after in pairwise(tried)][:3] == list(RETRY_S)
    server.is_full = False
    watch.look(now_s=23.0)
    assert server.is_alive
    server.is_alive = False
    watch.look(now_s=24.0)  # the pauses begin anew
    assert server.is_alive
