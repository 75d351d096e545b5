"""Keeps secrets out of what people read: debug output, messages, tracebacks."""

from __future__ import annotations

import base64
import contextlib
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from types import TracebackType

__all__ = ["REDACTED", "LoginRedactor", "Redactor", "printable", "scrub"]

REDACTED = "[redacted]"

# How many characters of a secret in a row count as showing it. A server may echo a line cut anywhere, so whole
# secrets are not enough; ordinary words must not match by accident, so single characters are too many.
_WINDOW = 8

# Characters that the lines of a login stay well below.
_LINE = 4096

# Modules whose frames may hold a secret in a local variable while an exception passes through them. Frames of the
# caller, a token callable among them, are the caller's own.
_OURS = frozenset({"oauthmail", "smtplib", "imaplib", "poplib", "ssl", "socket", "base64", "hmac", "urllib", "json"})


class Redactor:
    """Replaces every word that shows a piece of a secret, plain or in base64.

    It keeps hashes of the pieces only, so that nothing can be read back from it.
    """

    def __init__(self, *secrets: str) -> None:
        forms = [form for secret in secrets for form in _forms(secret)]
        # A secret shorter than a piece is found where it is a word of its own.
        self._words = frozenset(map(hash, secrets))
        self._pieces = frozenset(hash(piece) for form in forms for piece in _pieces(form))

    def adding(self, *secrets: str) -> Redactor:
        """Return one that replaces these secrets as well."""
        both = Redactor(*secrets)
        both._words |= self._words
        both._pieces |= self._pieces
        return both

    def __call__(self, text: str) -> str:
        """Return *text* with each telling word replaced by ``[redacted]``."""
        return re.sub(r"\S+", self._word, text) if self._words else text

    def octets(self, line: bytes) -> bytes:
        """Do the same for what came from a socket."""
        return self(line.decode("latin-1")).encode("latin-1")

    def any(self, value: object) -> object:
        """Do the same for a value of unknown kind, such as a member of an exception's ``args``."""
        if isinstance(value, bytes | bytearray):
            return self.octets(bytes(value))
        return self(value) if isinstance(value, str) else value

    def _word(self, found: re.Match[str]) -> str:
        word = found[0]
        tells = hash(word) in self._words or any(map(self._tells, _pieces(word)))
        return REDACTED if tells else word

    def _tells(self, piece: str) -> bool:
        return hash(piece) in self._pieces


class LoginRedactor(Redactor):
    """One that lasts no longer than a login, whose messages hold the secrets anyway.

    It looks for the pieces of what is shown in the secrets: a line has fifty, and a token of Microsoft's ten thousand,
    which cost more time than all the rest of a login.
    """

    def __init__(self, *secrets: str) -> None:
        self._secrets = secrets
        self._words = frozenset(map(hash, secrets))
        self._forms = [form for secret in secrets for form in _forms(secret)]

    def adding(self, *secrets: str) -> LoginRedactor:
        """Return one that replaces these secrets as well."""
        return LoginRedactor(*self._secrets, *secrets)

    def __call__(self, text: str) -> str:
        """Return *text* with each telling word replaced by ``[redacted]``."""
        # With so much to look at, as only a hostile server sends, the other way is the faster one.
        return super().__call__(text) if len(text) <= _LINE else Redactor(*self._secrets)(text)

    def _tells(self, piece: str) -> bool:
        return any(piece in form for form in self._forms)


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + _WINDOW] for start in range(len(text) - _WINDOW + 1))


def _forms(secret: str) -> Iterator[str]:
    """Return the secret and its base64 at the three alignments, without the ends that its neighbours decide."""
    yield secret
    octets = secret.encode("utf-8", "surrogateescape")
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + octets).decode("ascii")
        inner = encoded[(0, 2, 3)[shift] :].rstrip("=")
        # With padding the last character mixes in zero bits that a following octet would replace.
        yield inner if (shift + len(octets)) % 3 == 0 else inner[:-1]


def printable(text: str, limit: int = 1000) -> str:
    """Return a server's words fit for a terminal: one line, escapes for control characters, at most *limit* long."""
    line = " ".join(text.split())
    shown = "".join(character if character.isprintable() else repr(character)[1:-1] for character in line[:limit])
    return shown if len(line) <= limit else f"{shown}…"


def scrub(error: BaseException, redact: Callable[[object], object], helpers: Collection[str] = ()) -> None:
    """Take secrets out of an exception, the ones it came from, and their tracebacks' local variables.

    Args:
        error: as it was caught.
        redact: for each member of an exception's ``args``.
        helpers: top-level packages that were called with secrets, beside those that every client uses.
    """
    modules = _OURS.union(helpers)
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        found = queue.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        queue += [found.__cause__, found.__context__]
        found.args = tuple(redact(value) for value in found.args)
        if hasattr(found, "smtp_error"):
            found.smtp_error = redact(found.smtp_error)
        _clear(found.__traceback__, modules)


def _clear(traceback: TracebackType | None, modules: Collection[str]) -> None:
    while traceback is not None:
        if str(traceback.tb_frame.f_globals.get("__name__")).partition(".")[0] in modules:
            # Frames that still run cannot be cleared: those between the caller's code and this function.
            with contextlib.suppress(RuntimeError):
                traceback.tb_frame.clear()
        traceback = traceback.tb_next
