"""Files that messages carry: which types there are, how large each kind may be, whether a file is what it says it is.

Pure; used by intake, the API and dialects. The types are those that messaging platforms take.
"""

import re
import unicodedata
from typing import Final

from gateway.domain.message import ContentKind

MIB: Final = 1024 * 1024
MAX_OCTETS: Final[dict[ContentKind, int]] = {
    ContentKind.IMAGE: 5 * MIB,
    ContentKind.VIDEO: 16 * MIB,
    ContentKind.AUDIO: 16 * MIB,
    ContentKind.DOCUMENT: 16 * MIB,
}
"""The largest file of each kind."""

LARGEST: Final = max(MAX_OCTETS.values())

_PDF: Final = (b"%PDF-",)
_ZIP: Final = (b"PK\x03\x04",)
_OLE: Final = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."

_TYPES: Final[dict[str, tuple[ContentKind, int, tuple[bytes, ...]]]] = {
    "image/jpeg": (ContentKind.IMAGE, 0, (b"\xff\xd8\xff",)),
    "image/png": (ContentKind.IMAGE, 0, (b"\x89PNG\r\n\x1a\n",)),
    "video/mp4": (ContentKind.VIDEO, 4, (b"ftyp",)),
    "video/3gpp": (ContentKind.VIDEO, 4, (b"ftyp",)),
    "audio/aac": (ContentKind.AUDIO, 0, (b"\xff\xf1", b"\xff\xf9")),
    "audio/amr": (ContentKind.AUDIO, 0, (b"#!AMR",)),
    "audio/mpeg": (ContentKind.AUDIO, 0, (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")),
    "audio/mp4": (ContentKind.AUDIO, 4, (b"ftyp",)),
    "audio/ogg": (ContentKind.AUDIO, 0, (b"OggS",)),
    "application/pdf": (ContentKind.DOCUMENT, 0, _PDF),
    "text/plain": (ContentKind.DOCUMENT, 0, (b"",)),
    "application/msword": (ContentKind.DOCUMENT, 0, _OLE),
    "application/vnd.ms-excel": (ContentKind.DOCUMENT, 0, _OLE),
    "application/vnd.ms-powerpoint": (ContentKind.DOCUMENT, 0, _OLE),
    f"{_OFFICE}wordprocessingml.document": (ContentKind.DOCUMENT, 0, _ZIP),
    f"{_OFFICE}spreadsheetml.sheet": (ContentKind.DOCUMENT, 0, _ZIP),
    f"{_OFFICE}presentationml.presentation": (ContentKind.DOCUMENT, 0, _ZIP),
}
# Where each type's signature stands, and the signatures it may have.

CONTENT_TYPES: Final = tuple(_TYPES)
"""The types of files that can be kept."""

MAX_NAME: Final = 120
_UNFIT: Final = re.compile(r'[\x00-\x1f\x7f/\\<>:"|?*]+')
_DOTS: Final = re.compile(r"\.{2,}")


def kind_of(content_type: str) -> ContentKind | None:
    """Return what a type is sent as, None for one that cannot be kept."""
    found = _TYPES.get(content_type)
    return None if found is None else found[0]


def is_what_it_says(content_type: str, octets: bytes) -> bool:
    """Tell whether a file begins as its type does; a plain text is UTF-8 without NUL."""
    found = _TYPES.get(content_type)
    if found is None:
        return False
    _, start, signatures = found
    if content_type == "text/plain":
        return b"\x00" not in octets and _is_utf8(octets)
    return octets.startswith(signatures, start)


def clean_name(name: str) -> str:
    """Return a file name that can be shown and stored anywhere: one line, no path, at most 120 characters."""
    name = unicodedata.normalize("NFC", name.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    # What comes before the last separator is a folder of the sender's machine.
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(character for character in name if unicodedata.category(character)[0] != "C")
    name = _DOTS.sub(".", _UNFIT.sub("_", name)).strip(" .")
    if len(name) <= MAX_NAME:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 10:
        return name[:MAX_NAME]
    return f"{stem[: MAX_NAME - len(ending) - 1]}.{ending}"


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
