"""Writes a message out as `smtplib.SMTP.send_message` does, octet for octet, in less time.

The standard library's generator splits every text into lines, copies it once for each level of nesting and folds every
field anew. Most of that changes nothing: a text in ASCII differs from what is sent only in its line ends. Here such
texts are recognised and written as they are, and `_headers` does the same for the header fields. Whatever is not
recognised is left to `email.generator.BytesGenerator`: a field, a part with all that is in it, or the whole message.
"""

from __future__ import annotations

import email.generator
import functools
import io
import re
from typing import TYPE_CHECKING, Any

from . import _headers
from ._generator import UTF8, by_generator, handlers, telling, unchanged, usual
from ._headers import Headers

if TYPE_CHECKING:
    from email.message import Message

__all__ = ["flatten"]

_CRLF = "\r\n"
_BCC = frozenset({"bcc", "resent-bcc"})
# Characters of a text from which its line ends are changed only when all is joined, and in slices: one copy after the
# other, each as long as the text, takes several times as long.
_LONG = 1 << 16


def flatten(message: Message, *, utf8: bool = False) -> bytes:
    """Return *message* as `smtplib` sends it: without ``Bcc`` and ``Resent-Bcc``, lines ending in CRLF.

    Args:
        message: of any class; it is left as it is, but for what the standard library changes as well: a multipart
            within it that has no boundary is given one.
        utf8: whether the header fields may be in UTF-8 (RFC 6531), as an address needs it.

    Raises:
        TypeError: the message's policy knows no ``utf8``, or a payload is no text.
        UnicodeEncodeError: a payload holds text that was not encoded.
        Exception: whatever else the standard library raises for a message that it cannot write.
    """
    writer = _writer(message, utf8) if usual(message) and not _is_for_the_generator(message) else None
    if writer is None:
        return by_generator(message, utf8)
    # As copy.copy() does for these classes, and __delitem__() after it.
    duplicate: Any = message.__class__.__new__(message.__class__)
    duplicate.__dict__.update(message.__dict__)
    duplicate._headers = [item for item in duplicate._headers if item[0].lower() not in _BCC]
    writer.write_duplicate(duplicate)
    return _joined(writer.chunks)


def _is_for_the_generator(message: Any) -> bool:
    """Tell early, from its first look, that a message is of a type that is not written here."""
    for name, value in message._headers:
        if name.lower() == "content-type":
            return isinstance(value, str) and value[:16].lower().startswith(("message/", "multipart/signed"))
    return False


def _writer(message: Any, utf8: bool) -> _Writer | None:
    """Return what writes the message, or None if it is left to the generator as a whole."""
    try:
        policy = message.policy
        headers_class = _headers_for(policy)
        if headers_class is None:
            return None
        headers = headers_class(policy.clone(linesep=_CRLF, **(UTF8 if utf8 else {})))
    except Exception:
        # The generator will say what is wrong with the policy.
        return None
    kind: Any = type(policy)
    if not unchanged() or not _proved(headers_class, kind):
        return None
    return _Writer(headers, mangle=not utf8 or bool(policy.mangle_from_))


def _headers_for(policy: Any) -> Any:
    """Return the class that writes the fields under *policy*, or None for a policy that it knows nothing of."""
    if _headers.known(policy):
        return Headers
    modern = _modern_headers()
    return modern.ModernHeaders if modern.known(policy) else None


@functools.cache
def _modern_headers() -> Any:
    # Only messages that have loaded what it imports can have need of it.
    from . import _modern_headers as found

    return found


@functools.cache
def _proved(headers_class: Any, kind: Any) -> bool:
    """Tell whether this Python's generator writes a telling message as this module does, under that *kind* of policy.

    A release of Python that writes something in another way makes this module slow, not wrong.
    """
    policy = kind(linesep=_CRLF)
    try:
        message = telling(policy)
        out = io.BytesIO()
        email.generator.BytesGenerator(out, True, policy=policy).flatten(message)
        writer = _Writer(headers_class(policy), mangle=True)
        writer.write(message)
    except Exception:
        # Whatever goes wrong in a Python that nobody knows yet, its own generator is there.
        return False
    return _joined(writer.chunks) == out.getvalue()


class _Writer:
    """Writes one message.

    Args:
        headers: what writes its header fields; has its policy, which is that of all its parts as well.
        mangle: whether a line of a text that begins with "From " is written with ">" before it.

    Attributes:
        chunks: what was written; text where `_lines` has yet to be asked for the octets.
    """

    def __init__(self, headers: Headers, *, mangle: bool) -> None:
        self.chunks: list[bytes | str] = []
        self._headers = headers
        self._policy = headers.policy
        self._mangle = mangle
        self._duplicate: Any = None
        # Its fields before it was given a boundary.
        self._fields: list[tuple[str, Any]] = []
        self._boundary = ""
        # Whether an exception is the standard library's own answer, which asking again would not change.
        self._final = False

    def write_duplicate(self, message: Any) -> None:
        """Write *message*, which nobody else will see."""
        self._duplicate = message
        self.write(message)

    def write(self, part: Any) -> None:
        """Write *part* and all that is in it.

        Raises:
            Exception: whatever the standard library raises.
        """
        count = len(self.chunks)
        if usual(part) and self._write_quickly(part):
            return
        del self.chunks[count:]
        if part is self._duplicate and self._boundary:
            # One that was drawn before it turned out that the generator is needed.
            part._headers = self._fields
            part.set_boundary(self._boundary)
        out = io.BytesIO()
        try:
            # As the generator does for each part of a multipart.
            generator = email.generator.BytesGenerator(out, self._mangle, policy=self._policy)
            generator.flatten(part, linesep=_CRLF)
        except BaseException:
            self._final = True
            raise
        self.chunks.append(out.getvalue())

    def _write_quickly(self, part: Any) -> bool:
        policy = part.policy
        part.policy = self._policy
        try:
            return self._part(part)
        except Exception:
            # Of whatever kind: the generator fails in the same way, or can write what is too much for this.
            if self._final:
                raise
            return False
        finally:
            part.policy = policy

    def _part(self, part: Any) -> bool:
        """Write a part whose policy is the message's; return False if that is left to the generator."""
        for name, value in part._headers:
            if name.lower() == "content-type":
                kind = self._headers.fetched(name, value).partition(";")[0]
                break
        else:
            kind = part.get_default_type()
        generator: Any = email.generator.BytesGenerator
        specific, general = handlers(kind)
        handler = getattr(generator, specific, None) or getattr(generator, general, None) or generator._writeBody
        # The fields come first, but are written last, as a boundary may be added to them.
        index = len(self.chunks)
        self.chunks.append(b"")
        if handler == generator._handle_text:
            known = self._text(part)
        elif handler == generator._handle_multipart:
            known = self._multipart(part)
        else:
            known = False
        if known:
            self.chunks[index] = self._headers.write(part._headers)
        return known

    def _text(self, part: Any) -> bool:
        text = part._payload
        if text is None:
            return True
        if type(text) is not str:
            return False
        if text.isascii():
            # The generator looks at the encoding, though without a use for it, and fails where it cannot be parsed.
            for name, value in part._headers:
                if name.lower() == "content-transfer-encoding":
                    self._headers.fetched(name, value)
                    break
            text = self._mangled(text)
        elif self._policy.cte_type == "7bit":
            return False
        else:
            # Octets as they were received; the generator has an exception for text that was not encoded.
            text.encode("ascii", "surrogateescape")
            # As the generator does, although it is the caller's part.
            part._payload = text = self._mangled(text)
        self.chunks.append(text if len(text) > _LONG else _lines(text))
        return True

    def _mangled(self, text: str) -> str:
        # Looking for a space first takes next to no time in the long texts, which are in Base64 and have none.
        if not self._mangle or " " not in text:
            return text
        if text.startswith("From "):
            text = f">{text}"
        return text.replace("\nFrom ", "\n>From ")

    def _multipart(self, part: Any) -> bool:
        parts = part._payload
        if type(parts) is not list or not {type(part.preamble), type(part.epilogue)} <= {str, type(None)}:
            return False
        chunks = self.chunks
        # What comes before each part is known when all are written, as the boundary must be in none of them.
        places = []
        for inner in parts:
            places.append(len(chunks))
            chunks.append(b"\r\n" if places[1:] else b"")
            self.write(inner)
        boundary = part.get_boundary() or self._new_boundary(part, chunks[places[0] :] if places else [])
        delimiter = f"--{boundary}\r\n".encode("ascii", "surrogateescape")
        first = delimiter
        if part.preamble is not None:
            first = _lines(self._mangled(part.preamble)) + b"\r\n" + delimiter
        for place in places:
            chunks[place] = b"\r\n" + delimiter
        if places:
            chunks[places[0]] = first
        else:
            chunks.append(first)
        chunks.append(f"\r\n--{boundary}--\r\n".encode("ascii", "surrogateescape"))
        if part.epilogue is not None:
            chunks.append(_lines(self._mangled(part.epilogue)))
        return True

    def _new_boundary(self, part: Any, chunks: list[bytes | str]) -> str:
        """Give *part* a boundary that is on no line of *chunks*, which are all parts with CRLF between them."""
        generator: Any = email.generator.BytesGenerator
        boundary: str = generator._make_boundary()
        drawn = boundary
        start = f"--{drawn}"
        if any(_has(chunk, start) for chunk in chunks):
            text, number = _joined(chunks), 0
            while re.search(rb"^--%b(--)?$" % re.escape(boundary).encode("ascii"), text, re.MULTILINE):
                boundary, number = f"{drawn}.{number}", number + 1
        if part is self._duplicate:
            self._fields, self._boundary = part._headers[:], boundary
            self._headers.set_boundary(part, boundary)
        else:
            part.set_boundary(boundary)
        return boundary


def _has(chunk: bytes | str, start: str) -> bool:
    """Tell whether *start*, which begins with "-", is in *chunk*; most long texts have no such character."""
    if isinstance(chunk, str):
        return "-" in chunk and start in chunk
    return b"-" in chunk and start.encode("ascii") in chunk


def _joined(chunks: list[bytes | str]) -> bytes:
    out = io.BytesIO()
    for chunk in chunks:
        if isinstance(chunk, bytes):
            out.write(chunk)
            continue
        end = 0
        while end < len(chunk):
            start, end = end, end + _LONG
            while chunk[end - 1 : end] == "\r":
                # A CRLF is not cut in two.
                end += 1
            out.write(_lines(chunk[start:end]))
    return out.getvalue()


def _lines(text: str) -> bytes:
    """Return *text* with CRLF in place of any line end.

    Raises:
        UnicodeEncodeError: some of it is neither ASCII nor an octet that was received.
    """
    octets = text.encode("ascii", "surrogateescape")
    if b"\r" in octets:
        # Most texts that have any CR have CRLF at the end of each line.
        sent = octets.replace(b"\r", b"").replace(b"\n", b"\r\n")
        if sent == octets:
            return octets
        octets = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return octets.replace(b"\n", b"\r\n")
