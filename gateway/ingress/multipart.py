"""The one file in a `multipart/form-data` body (RFC 7578), for `gateway.ingress.media`.

Pure: the body is in memory already and bounded by its reader. Only what an upload needs is read: a part with a file
name is the file, all others are left alone.
"""

import re
from typing import Final, NamedTuple

MAX_PARTS: Final = 20
_MAX_HEAD: Final = 8_192
_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;,]{1,70}))', re.IGNORECASE).search
_FILE_NAME: Final = re.compile(r';\s*filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE).search
_BARE_NAME: Final = re.compile(r";\s*filename=([^\s;\"]+)", re.IGNORECASE).search
_ENCODED_NAME: Final = re.compile(r";\s*filename\*=utf-8''([^\s;]+)", re.IGNORECASE).search
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


class MultipartError(ValueError):
    """The body is not a form with one file; the text says why."""


class FormFile(NamedTuple):
    """The file of a form, as it was sent."""

    name: str
    content_type: str
    octets: bytes


def read_form_file(body: bytes, content_type: str) -> FormFile:
    """Return the file of a form; MultipartError for a body that is none, has no file, or several."""
    found = _BOUNDARY(content_type)
    if found is None:
        raise MultipartError("Content-Type has no boundary")
    marker = b"--" + (found[1] or found[2]).encode("latin-1", "replace")
    files: list[FormFile] = []
    at = 0 if body.startswith(marker) else body.find(b"\r\n" + marker) + 2
    if at < 2 and not body.startswith(marker):
        raise MultipartError("the boundary of Content-Type is not in the body")
    for _ in range(MAX_PARTS):
        at += len(marker)
        if body.startswith(b"--", at):
            break
        end = body.find(b"\r\n" + marker, at)
        if end < 0:
            raise MultipartError("the form has no end")
        part = _read_part(body, at, end)
        if part is not None:
            files.append(part)
        at = end + 2
    else:
        raise MultipartError(f"the form has more than {MAX_PARTS} parts")
    if len(files) != 1:
        raise MultipartError(f"the form has {len(files)} files, there must be one")
    return files[0]


def _read_part(body: bytes, start: int, end: int) -> FormFile | None:
    """Return the part between two boundaries if it is a file."""
    head_end = body.find(b"\r\n\r\n", start, min(end, start + _MAX_HEAD))
    if head_end < 0:
        raise MultipartError("a part of the form has no head, or one that is too long")
    disposition = content_type = ""
    for line in body[start:head_end].decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            disposition = value.strip()
        elif name.strip().lower() == "content-type":
            content_type = value.strip()
    file_name = _file_name(disposition)
    if file_name is None:
        return None
    return FormFile(file_name, content_type, body[head_end + 4 : end])


def _file_name(disposition: str) -> str | None:
    encoded = _ENCODED_NAME(disposition)
    if encoded is not None:
        octets = _ESCAPE.sub(lambda one: bytes([int(one[1], 16)]), encoded[1].encode())
        return octets.decode("utf-8", "replace")
    quoted = _FILE_NAME(disposition)
    if quoted is not None:
        # Browsers write a quote as %22; others escape it.
        return quoted[1].replace('\\"', '"').replace("%22", '"')
    bare = _BARE_NAME(disposition)
    return None if bare is None else bare[1]
