"""Which messages are wanted, in the words of IMAP's SEARCH (RFC 3501 section 6.4.4)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import date

from .errors import FetchError

__all__ = ["Criteria", "folder_name", "folder_text"]

# Not strftime's, which speak the user's language.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHIFTED = re.compile(r"[^ -~]+|&")
_UNSHIFTED = re.compile(r"&([^-]*)-")


@dataclass(frozen=True)
class Criteria:
    """What a message has to have.

    Attributes:
        keys: search keys in ASCII.
        texts: search keys whose argument is not in ASCII, and that argument; each makes a search of its own, as the
            standard library sends one literal a command.
    """

    keys: tuple[str, ...] = ()
    texts: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def of(
        cls,
        *,
        raw: str | None = None,
        sender: str | None = None,
        subject: str | None = None,
        since: date | None = None,
        unseen: bool = False,
    ) -> Criteria:
        """Return criteria.

        Args:
            raw: search keys as IMAP has them.
            sender: text in the header field From.
            subject: text in the header field Subject.
            since: the day from which on the server received it.
            unseen: it was not read yet.

        Raises:
            FetchError: a text has line ends or other control characters, or *raw* is not in ASCII.
        """
        keys, texts = [], []
        if raw is not None:
            _check("the search", raw)
            if not raw.isascii():
                raise FetchError("a search is in ASCII: text in other letters can be given with --from and --subject")
            keys.append(raw.strip())
        for name, text in (("FROM", sender), ("SUBJECT", subject)):
            if text is not None:
                _check(f"the text of --{name.lower()}", text)
                if text.isascii():
                    keys.append(f"{name} {quoted(text)}")
                else:
                    texts.append((name, text.encode("utf-8")))
        if since is not None:
            keys.append(f"SINCE {since.day}-{_MONTHS[since.month - 1]}-{since.year:04d}")
        if unseen:
            keys.append("UNSEEN")
        return cls(tuple(key for key in keys if key), tuple(texts))


def _check(what: str, text: str) -> None:
    if _CONTROL.search(text):
        raise FetchError(f"{what} has a line end or another control character in it")


def quoted(text: str) -> str:
    """Return a quoted string (RFC 3501 section 4.3)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def folder_name(text: str) -> str:
    """Return a folder's name as a quoted string in modified UTF-7 (RFC 3501 section 5.1.3).

    Raises:
        FetchError: it has control characters.
    """
    _check("the folder's name", text)

    def shift(found: re.Match[str]) -> str:
        if found[0] == "&":
            return "&-"
        octets = found[0].encode("utf-16-be", "surrogatepass")
        return f"&{base64.b64encode(octets, altchars=b'+,').decode('ascii').rstrip('=')}-"

    return quoted(_SHIFTED.sub(shift, text))


def folder_text(name: str) -> str:
    """Return the folder's name that is in modified UTF-7 as text; what is not stays as it is."""

    def unshift(found: re.Match[str]) -> str:
        if not found[1]:
            return "&"
        try:
            padded = found[1] + "=" * (-len(found[1]) % 4)
            return base64.b64decode(padded, altchars=b"+,", validate=True).decode("utf-16-be")
        except ValueError:
            return found[0]

    return _UNSHIFTED.sub(unshift, name)
