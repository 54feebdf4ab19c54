"""A coroutine whose first step is made at once. Used by `gateway.ingress.hot`: most bodies are there when asked for,
and then the deadline, which costs more than reading them, is not needed.
"""

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class AtOnce(Generic[T]):
    """Raises what the first step raises. Where `is_done`, `result` has the value; else awaiting this makes the rest.

    To be made in the task that awaits it, with nothing awaited in between.
    """

    __slots__ = ("_coroutine", "_value", "_waits_for", "is_done")

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._value: T | None = None
        self._waits_for: Any = None
        self.is_done = False
        try:
            self._waits_for = coroutine.send(None)
        except StopIteration as done:
            self.is_done = True
            self._value = done.value

    def result(self) -> T:
        """Return the value of a coroutine that is done."""
        assert self.is_done
        return self._value  # type: ignore[return-value]  # set together with is_done

    def __await__(self) -> Generator[Any, Any, T]:
        """Hand on what the coroutine waits for, as `await` itself would (PEP 380)."""
        waits_for = self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as error:  # noqa: BLE001 - a cancellation is the coroutine's to see
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(sent)
        except StopIteration as done:
            value: T = done.value
            return value
