"""A message as a tree of parts that still have the octets they came with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Part", "parse"]

# Parts in parts beyond this depth, and parts beyond this number, are taken as text.
_MAX_DEPTH = 30
_MAX_PARTS = 1000

_PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))', re.DOTALL)
_COMMENT = re.compile(rb"\([^()]*\)")


@dataclass(frozen=True)
class Part:
    """A message or a part of one.

    Attributes:
        header: the header's octets with the empty line that ends it.
        body: everything after that.
        default: the media type without a Content-Type field (RFC 2045 section 5.2, RFC 2046 section 5.1.5).
        depth: how many parts this one is in.
    """

    header: bytes
    body: bytes
    default: str = "text/plain"
    depth: int = 0

    @cached_property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The header's fields in their order: names, and whole lines with their ends."""
        lines = re.findall(rb"(?m)^[^\r\n:]*:[^\n]*(?:\n[ \t][^\n]*)*\n?", self.header)
        return [(line.partition(b":")[0].strip(), line) for line in lines]

    def field(self, name: bytes) -> bytes | None:
        """Return the value of the first field of that name, unfolded."""
        for found, line in self.fields:
            if found.lower() == name.lower():
                return unfolded(line)
        return None

    def some_fields(self, names: list[bytes], *, others: bool = False) -> bytes:
        """Return the fields with these names, or all *others*, and an empty line (RFC 3501 section 6.4.5)."""
        wanted = {name.lower() for name in names}
        chosen = [line for name, line in self.fields if (name.lower() in wanted) is not others]
        return b"".join([*chosen, b"\r\n"])

    @cached_property
    def content_type(self) -> tuple[str, str]:
        """The media type and subtype in lower case."""
        value = self.field(b"Content-Type")
        found = re.match(rb"\s*([^\s/;()]+)\s*/\s*([^\s;()]+)", value or self.default.encode())
        # What cannot be read counts as plain text (RFC 2045 section 5.2).
        media, subtype = found.groups() if found else (b"text", b"plain")
        media, subtype = media.lower(), subtype.lower()
        if media == b"multipart" and not (self.parameters(b"Content-Type").get(b"boundary") and self._sections):
            return "text", "plain"
        if (media, subtype) == (b"message", b"rfc822") and self.depth >= _MAX_DEPTH:
            return "text", "plain"
        return media.decode("latin-1"), subtype.decode("latin-1")

    def parameters(self, name: bytes) -> dict[bytes, bytes]:
        """Return a field's parameters, as they stand: RFC 2231's are for the reader to put together."""
        value = _COMMENT.sub(b"", self.field(name) or b"")
        return {
            key.lower(): re.sub(rb"\\(.)", rb"\1", quoted) if quoted else plain
            for key, quoted, plain in _PARAMETER.findall(value)
        }

    @cached_property
    def _sections(self) -> list[bytes]:
        """The octets between a multipart's boundaries."""
        boundary = self.parameters(b"Content-Type").get(b"boundary", b"").rstrip()
        if not boundary or self.depth >= _MAX_DEPTH:
            return []
        # The line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1).
        pattern = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
        sections: list[bytes] = []
        start = None
        for found in pattern.finditer(self.body):
            if start is not None:
                sections.append(_after_line_end(self.body, start, found.start()))
            start = found.end()
            if found[1] or len(sections) >= _MAX_PARTS:
                return sections
        if start is not None:
            # A multipart that was cut off.
            sections.append(_after_line_end(self.body, start, len(self.body)))
        return sections

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """A multipart's parts; none for all other types."""
        media, subtype = self.content_type
        if media != "multipart":
            return ()
        default = "message/rfc822" if subtype == "digest" else "text/plain"
        return tuple(parse(section, default, self.depth + 1) for section in self._sections)

    @cached_property
    def message(self) -> Part | None:
        """The message in a part of type ``message/rfc822``."""
        return parse(self.body, depth=self.depth + 1) if self.content_type == ("message", "rfc822") else None

    def find(self, numbers: list[int]) -> Part | None:
        """Return the part that FETCH numbers so (RFC 3501 section 6.4.5), or None.

        Args:
            numbers: ``[4, 2]`` for ``BODY[4.2]``; none for the message itself.
        """
        part: Part = self
        container: Part | None = self
        for number in numbers:
            if container is None:
                return None
            if container.parts:
                if not 0 < number <= len(container.parts):
                    return None
                part = container.parts[number - 1]
            elif number == 1:
                # A message of one part has that as part 1.
                part = container
            else:
                return None
            container = part if part.parts else part.message
        return part


def parse(octets: bytes, default: str = "text/plain", depth: int = 0) -> Part:
    """Take a message or a part of one apart, at the first empty line."""
    found = re.search(rb"(?:\A|\n)\r?\n", octets)
    end = found.end() if found else len(octets)
    return Part(octets[:end], octets[end:], default, depth)


def unfolded(line: bytes) -> bytes:
    """Return a field's value without its name and line ends."""
    return re.sub(rb"\r?\n", b"", line.partition(b":")[2]).strip()


def _after_line_end(octets: bytes, start: int, end: int) -> bytes:
    """Return what follows the line end at *start*; an empty part has its end before."""
    found = re.compile(rb"\r?\n").match(octets, start)
    return octets[min(found.end() if found else start, end) : end]
