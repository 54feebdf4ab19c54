"""The pepper of the key hashes: given by the configuration, or made at the first start."""

import os
import secrets
from pathlib import Path

from gateway.settings import Settings, SettingsError


def load_pepper(settings: Settings) -> bytes:
    """Return the key of the key hashes, made at first use where none is configured."""
    if settings.security.pepper:
        return settings.security.pepper.encode()
    path = settings.security.pepper_file or settings.state_dir / "pepper"
    try:
        return path.read_bytes().strip()
    except FileNotFoundError:
        if settings.security.pepper_file is not None:
            raise SettingsError(f"security.pepper_file {path} does not exist") from None
    return _make_pepper(path)


def _make_pepper(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".pepper.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_bytes(secrets.token_hex(32).encode())
    try:
        os.link(draft, path)  # fails if another process was first, whose pepper then holds
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_bytes().strip()
