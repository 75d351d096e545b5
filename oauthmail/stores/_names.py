"""What a mailbox's files are called, and back."""

from __future__ import annotations

import hashlib
import re
import urllib.parse

from ..errors import CredentialsError
from ..records import key

__all__ = ["address_of", "digest", "stem_of"]

# Together with what is appended, a name stays below the 255 bytes that file systems take.
_LONGEST = 200
# Windows takes these for devices, whatever follows the dot.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)")


def stem_of(address: str) -> str:
    """Return what the names of the address's files begin with.

    It has letters, digits and ``@ + - _ . ~ %`` alone, so that it names a file in the folder it is put in and no
    other; an address that is too long is cut off, with its digest after a ``=``.

    Raises:
        CredentialsError: it is no address (empty, or with control characters).
    """
    named = key(address)
    stem = urllib.parse.quote(named, safe="@+-_.")
    if stem.startswith(".") or _DEVICES.match(stem):
        stem = f"%{ord(stem[0]):02X}{stem[1:]}"
    return stem if len(stem) <= _LONGEST else f"{stem[:100]}={digest(named)}"


def address_of(stem: str) -> str | None:
    """Return the address that *stem* was made of, in lower case; None for one that was cut off or is none."""
    named = urllib.parse.unquote(stem)
    try:
        return named if stem_of(named) == stem else None
    except CredentialsError:
        return None


def digest(text: str) -> str:
    """Return what tells *text* from any other, in 64 characters."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
