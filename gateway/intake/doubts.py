"""Requests with a key whose append may or may not have worked: their next try must not make new messages.

Where the bus is not in the database (Kafka), a flush that fails leaves open whether its records are, or will be, in the
lanes, while the key is free again. The journal keeps such requests here; when one comes again it goes by the ids that it
had, and whoever reads the lanes drops what he had already (`gateway.dispatch.repeats`). This is the memory of one process.
What needs no more than records is noted in the database as well, before it is appended (`Journal`); a batch that claims
client references, or has messages that wait, and whose process died between append and commit, makes new messages.
"""

from collections import OrderedDict
from typing import Final

from gateway.intake.submission import Submission

MAX_MESSAGES: Final = 50_000
KEPT_S: Final = 900.0


class Doubts:
    """Submissions by account, route and key; bounded in messages and in age."""

    def __init__(self, *, max_messages: int = MAX_MESSAGES, kept_s: float = KEPT_S) -> None:
        self._max_messages = max_messages
        self._kept_s = kept_s
        self._held: OrderedDict[tuple[str, str, str], tuple[float, Submission]] = OrderedDict()
        self._messages = 0

    def __len__(self) -> int:
        return len(self._held)

    def add(self, submission: Submission, *, now_s: float) -> None:
        """Remember one that has a key and is in doubt now."""
        keyed = submission.keyed
        if keyed is None or not submission.messages:
            return
        self._drop(keyed[:3])
        self._held[keyed[:3]] = (now_s, submission)
        self._messages += len(submission.messages)
        while self._held and self._messages > self._max_messages:
            self._drop(next(iter(self._held)))

    def resolve(self, submission: Submission) -> None:
        """Forget one that is durable now."""
        if self._held and submission.keyed is not None:
            self._drop(submission.keyed[:3])

    def find(self, submission: Submission, *, now_s: float) -> Submission | None:
        """Return the try of the same request that is in doubt."""
        while self._held and next(iter(self._held.values()))[0] < now_s - self._kept_s:
            self._drop(next(iter(self._held)))
        keyed = submission.keyed
        if keyed is None or not self._held:
            return None
        _, earlier = self._held.get(keyed[:3], (0.0, None))
        if earlier is None or earlier.keyed is None or earlier.keyed.fingerprint != keyed.fingerprint:
            return None
        return earlier

    def _drop(self, key: tuple[str, str, str]) -> None:
        _, submission = self._held.pop(key, (0.0, None))
        if submission is not None:
            self._messages -= len(submission.messages)
