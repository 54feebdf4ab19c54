"""Files that accounts give us to send: kept here until they expire, handed to carriers that want a copy first.

Implemented by `gateway.store.media`. `gateway.ingress.media` writes them, intake asks which are an account's, and links
read them. Times are integer milliseconds since the Unix epoch, UTC. Every call has a deadline of its own and raises
`TimeoutError` past it, `StoreUnavailableError` while the database cannot be reached.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

MEDIA_KEPT_MS = 30 * 24 * 3_600 * 1_000
"""How long a file is kept: as long as carriers keep their copy."""


class MediaFacts(NamedTuple):
    """What is known of one file. `id` is `med_...`, `size` is in octets, `sha256` in hex, `name` is safe to show."""

    id: str
    account_id: str
    content_type: str
    name: str
    size: int
    sha256: str
    created_at: int
    expires_at: int


class MediaFile(NamedTuple):
    """One file as a carrier gets it."""

    content_type: str
    name: str
    octets: bytes


class MediaSource(Protocol):
    """Where a link reads the files that messages name."""

    async def read_media(self, media_id: str, *, now_ms: int) -> MediaFile | None:
        """Return the file, None when it is not there or has expired."""


class KnownMedia(Protocol):
    """What intake asks."""

    async def among(self, account_id: str, media_ids: Collection[str]) -> Mapping[str, MediaFacts]:
        """Return those of the files that are the account's and have not expired, by id."""


class MediaStore(Protocol):
    """What the API does with files."""

    async def add(self, facts: MediaFacts, octets: bytes, *, max_octets: int) -> bool:
        """Keep a file; False when the account's files together would be larger than `max_octets`."""

    async def find(self, account_id: str, media_id: str, *, now_ms: int) -> MediaFacts | None:
        """Return what is known of one file of the account, None when there is none."""

    async def remove(self, account_id: str, media_id: str) -> bool:
        """Delete a file of the account; False when there is none."""
