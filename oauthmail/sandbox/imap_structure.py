"""ENVELOPE and BODYSTRUCTURE: what a message is, told without sending it (RFC 3501 section 7.4.2)."""

from __future__ import annotations

import re
from email.utils import getaddresses

from .imap_mime import Part
from .imap_syntax import nstring, string

__all__ = ["bodystructure", "envelope"]

_SPECIALS = re.compile(r'("(?:[^"\\]|\\.)*"|\((?:[^()\\]|\\.)*\)|<[^<>]*>)|([,:;])')


def envelope(message: Part) -> bytes:
    """Return the ENVELOPE of a message."""
    sender = _addresses(message.field(b"From"))
    return b"(%b)" % b" ".join(
        [
            nstring(message.field(b"Date")),
            nstring(message.field(b"Subject")),
            sender,
            # Sender and Reply-To are never missing: From stands in for them.
            _addresses(message.field(b"Sender"), sender),
            _addresses(message.field(b"Reply-To"), sender),
            _addresses(message.field(b"To")),
            _addresses(message.field(b"Cc")),
            _addresses(message.field(b"Bcc")),
            nstring(message.field(b"In-Reply-To")),
            nstring(message.field(b"Message-ID")),
        ]
    )


def _addresses(value: bytes | None, default: bytes = b"NIL") -> bytes:
    """Return an address list: name, source route, local part and domain of each; a group has a mark at each end."""
    found: list[bytes] = []
    # Octets beyond ASCII go through text and come out again.
    for text, end in _pieces((value or b"").decode("utf-8", "surrogateescape")):
        if end == ":":
            found.append(b"(NIL NIL %b NIL)" % string(_octets(text.strip().strip('"'))))
            continue
        for name, address in getaddresses([text]) if text.strip() else []:
            local, _, domain = address.rpartition("@") if "@" in address else (address, "", "")
            if address:
                shown = (nstring(_octets(part) or None) for part in (name, "", local, domain))
                found.append(b"(%b)" % b" ".join(shown))
        if end == ";":
            found.append(b"(NIL NIL NIL NIL)")
    return b"(%b)" % b"".join(found) if found else default


def _pieces(text: str) -> list[tuple[str, str]]:
    """Split an address list at commas, colons and semicolons outside of quotes, comments and angle brackets."""
    pieces: list[tuple[str, str]] = []
    start = 0
    in_group = False
    for found in _SPECIALS.finditer(text):
        # Outside of a group a semicolon ends nothing, and groups do not nest.
        if not found[2] or found[2] == (":" if in_group else ";"):
            continue
        in_group = found[2] == ":" or (in_group and found[2] == ",")
        pieces.append((text[start : found.start()], found[2]))
        start = found.end()
    pieces.append((text[start:], ";" if in_group else ""))
    return pieces


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def bodystructure(part: Part, *, extended: bool) -> bytes:
    """Return BODYSTRUCTURE, or without the extension data BODY."""
    media, subtype = part.content_type
    if part.parts:
        items = [b"".join(bodystructure(each, extended=extended) for each in part.parts), string(subtype.encode())]
        if extended:
            items += [_parameters(part, b"Content-Type"), *_extension(part)]
        return b"(%b)" % b" ".join(items)
    encoding = part.field(b"Content-Transfer-Encoding")
    items = [
        string(media.encode("latin-1")),
        string(subtype.encode("latin-1")),
        _parameters(part, b"Content-Type"),
        nstring(part.field(b"Content-ID")),
        nstring(part.field(b"Content-Description")),
        string(encoding or b"7bit"),
        b"%d" % len(part.body),
    ]
    if part.message is not None:
        items += [envelope(part.message), bodystructure(part.message, extended=extended)]
    if part.message is not None or media == "text":
        items.append(b"%d" % _lines(part.body))
    if extended:
        items += [nstring(part.field(b"Content-MD5")), *_extension(part)]
    return b"(%b)" % b" ".join(items)


def _extension(part: Part) -> list[bytes]:
    """Return disposition, language and location."""
    disposition = part.field(b"Content-Disposition")
    kind = re.match(rb"[^\s;]*", disposition or b"")
    languages = [word for word in re.split(rb"[\s,]+", part.field(b"Content-Language") or b"") if word]
    told = b"NIL"
    if kind and kind[0]:
        told = b"(%b %b)" % (string(kind[0].lower()), _parameters(part, b"Content-Disposition"))
    return [
        told,
        b"(%b)" % b" ".join(string(language) for language in languages) if languages else b"NIL",
        nstring(part.field(b"Content-Location")),
    ]


def _parameters(part: Part, name: bytes) -> bytes:
    pairs = [string(octets) for pair in part.parameters(name).items() for octets in pair]
    return b"(%b)" % b" ".join(pairs) if pairs else b"NIL"


def _lines(body: bytes) -> int:
    return body.count(b"\n") + (1 if body and not body.endswith(b"\n") else 0)
