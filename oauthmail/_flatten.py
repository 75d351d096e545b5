"""Writes a message out as `smtplib.SMTP.send_message` does, octet for octet, in less time.

The standard library's generator splits every text into lines, copies it once for each level of nesting and folds every
field anew. Most of that changes nothing: a text in ASCII differs from what is sent only in its line ends. Here such
texts are recognised and written as they are, and `_headers` does the same for the header fields. Whatever is not
recognised is left to `email.generator.BytesGenerator`: a field, a part with all that is in it, or the whole message.
"""

from __future__ import annotations

import copy
import email.generator
import email.message
import functools
import io
import re
from typing import TYPE_CHECKING, Any, cast

from ._headers import getter, headers_for, is_known

if TYPE_CHECKING:
    from email.message import Message

    from ._headers import Headers

__all__ = ["flatten"]

_CRLF = "\r\n"
# A value that one kind of policy has, and the other refuses.
_UTF8: dict[str, Any] = {"utf8": True}
_BCC = frozenset({"bcc", "resent-bcc"})

# The standard library's own; those of email.mime are added when they are met, so that they need not be loaded.
_CLASSES: set[type] = {email.message.Message, email.message.MIMEPart, email.message.EmailMessage}
_MIME = "email.mime."

# What the generator asks of a message. Who answers otherwise than the standard library is left to the generator.
_ASKED = (
    "__delitem__",
    "__getattribute__",
    "__reduce_ex__",
    "__setattr__",
    "_get_params_preserve",
    "get",
    "get_boundary",
    "get_content_maintype",
    "get_content_subtype",
    "get_content_type",
    "get_default_type",
    "get_param",
    "get_payload",
    "is_multipart",
    "raw_items",
    "set_boundary",
)
_ANSWERS = frozenset({*_ASKED, "_write_headers"})
_of_message = getter(email.message.Message, *_ASKED)
_MESSAGE = _of_message(email.message.Message)

# What this module does instead of the generator; a program may have changed it.
_of_generator = getter(
    email.generator.BytesGenerator,
    "__init__",
    "_compile_re",
    "_dispatch",
    "_encode",
    "_handle_multipart",
    "_handle_text",
    "_make_boundary",
    "_new_buffer",
    "_write",
    "_writeBody",
    "_write_headers",
    "_write_lines",
    "clone",
    "flatten",
    "write",
)
_of_module = getter(email.generator, "BytesGenerator", "NLCRE", "_has_surrogates", "fcre")
_GENERATOR = _of_generator(email.generator.BytesGenerator)
_MODULE = _of_module(email.generator)


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
    writer = _writer(message, utf8) if _usual(message) else None
    if writer is None:
        return _by_generator(message, utf8)
    # As copy.copy() does for these classes, and __delitem__() after it.
    duplicate: Any = message.__class__.__new__(message.__class__)
    duplicate.__dict__.update(message.__dict__)
    duplicate._headers = [item for item in duplicate._headers if item[0].lower() not in _BCC]
    try:
        writer.write_duplicate(duplicate)
    except RecursionError:
        # The generator may go a step deeper before it fails as well.
        return _by_generator(message, utf8)
    return b"".join(writer.chunks)


def _by_generator(message: Message, utf8: bool) -> bytes:
    """Do as `smtplib.SMTP.send_message` does."""
    duplicate = copy.copy(message)
    del duplicate["Bcc"]
    del duplicate["Resent-Bcc"]
    out = io.BytesIO()
    # The policy decides about "From " at the start of a line only where it is passed here; else it becomes ">From ".
    values: Any = {"policy": message.policy.clone(**_UTF8)} if utf8 else {}
    email.generator.BytesGenerator(out, **values).flatten(duplicate, linesep=_CRLF)
    return out.getvalue()


def _usual(part: Any) -> bool:
    """Tell whether *part* answers the generator as the standard library's messages do."""
    kind = type(part)
    if kind not in _CLASSES:
        if not kind.__module__.startswith(_MIME):
            return False
        _CLASSES.add(kind)
    return _of_message(kind) == _MESSAGE and _ANSWERS.isdisjoint(part.__dict__) and not hasattr(kind, "_write_headers")


def _writer(message: Any, utf8: bool) -> _Writer | None:
    """Return what writes the message, or None if it is left to the generator as a whole."""
    generator = email.generator
    try:
        policy = message.policy
        if not is_known(policy):
            return None
        policy = policy.clone(linesep=_CRLF, **(_UTF8 if utf8 else {}))
        headers = headers_for(policy)
    except Exception:
        # The generator will say what is wrong with the policy.
        return None
    if _of_module(generator) != _MODULE or _of_generator(generator.BytesGenerator) != _GENERATOR:
        return None
    kind: Any = type(policy)
    if not _proved(kind):
        return None
    return _Writer(headers, mangle=not utf8 or bool(policy.mangle_from_))


@functools.cache
def _proved(kind: Any) -> bool:
    """Tell whether this Python's generator writes a telling message as this module does, under that kind of policy.

    A release of Python that writes something in another way makes this module slow, not wrong.
    """
    if {function.__module__ for function in _GENERATOR[1:]} != {email.generator.__name__}:
        # It was changed before this module was imported.
        return False
    policy = kind(linesep=_CRLF)
    try:
        message = _telling(policy)
        out = io.BytesIO()
        email.generator.BytesGenerator(out, True, policy=policy).flatten(message)
        writer = _Writer(headers_for(policy), mangle=True)
        writer.write(message)
    except Exception:
        return False
    return b"".join(writer.chunks) == out.getvalue()


def _telling(policy: Any) -> Message:
    """Return a message with something of everything that this module writes by itself."""
    message: Any = email.message.Message(policy)
    message["To"] = '"A, B" <a@example.com>, c (d) <e@example.com>'
    message["Date"] = "Mon, 01 Jan 2024 10:00:00 +0000"
    message["Message-ID"] = "<1@example.com>"
    message["Content-Type"] = 'multipart/mixed; boundary="b"'
    message.preamble, message.epilogue = "From\r1\n", "From 2"
    message._payload = []
    # The longest value that is not folded, the shortest that is, and odd ones.
    values = ("a" + " b" * 37, "a" + " b" * 37 + "c", "", " a  b ")
    texts = ("", None, "From 3\n\rFrom 4\r\n.\r\r\nFrom 5", "line\r\n", "octet \udce9\n\r")
    for text, value in zip(texts, (*values, "a\n b"), strict=True):
        part: Any = email.message.Message(policy)
        part._headers = [("X", value), ("Content-Transfer-Encoding", "8bit")]
        part._payload = text
        if "\n" not in value:
            part["X"] = value
        message._payload.append(part)
    return cast("Message", message)


@functools.lru_cache(256)
def _handlers(content_type: str) -> tuple[str, str]:
    """Return the names under which the generator looks for what writes such a part, by type and by main type."""
    content_type = content_type.strip().lower()
    main, sub = content_type.split("/") if content_type.count("/") == 1 else ("text", "plain")
    return f"_handle_{main}_{sub}".replace("-", "_"), f"_handle_{main}".replace("-", "_")


class _Writer:
    """Writes one message.

    Args:
        headers: what writes its header fields; has its policy, which is that of all its parts as well.
        mangle: whether a line of a text that begins with "From " is written with ">" before it.

    Attributes:
        chunks: what was written.
    """

    def __init__(self, headers: Headers, *, mangle: bool) -> None:
        self.chunks: list[bytes] = []
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
        if _usual(part) and self._write_quickly(part):
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
        specific, general = _handlers(kind)
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
        self.chunks.append(_lines(text))
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

    def _new_boundary(self, part: Any, chunks: list[bytes]) -> str:
        """Give *part* a boundary that is on no line of *chunks*, which are all parts with CRLF between them."""
        generator: Any = email.generator.BytesGenerator
        # A random number is drawn, and must not be drawn again.
        self._final = True
        boundary: str = generator._make_boundary()
        drawn = boundary
        start = f"--{drawn}".encode("ascii")
        if any(b"-" in chunk and start in chunk for chunk in chunks):
            text, number = b"".join(chunks), 0
            while re.search(rb"^--%b(--)?$" % re.escape(boundary).encode("ascii"), text, re.MULTILINE):
                boundary, number = f"{drawn}.{number}", number + 1
        if part is self._duplicate:
            self._fields, self._boundary = part._headers[:], boundary
            self._headers.set_boundary(part, boundary)
        else:
            part.set_boundary(boundary)
        self._final = False
        return boundary


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
