"""Header fields under `email.policy.compat32`, as `email.generator.BytesGenerator` writes them with CRLF, in less time.

A field in printable ASCII that fits its line is written as it stands. Everything else is folded by the standard
library; what it made of a field is kept for the next message that has the same one, as mail to many people has.
"""

from __future__ import annotations

import email.generator
import email.header
import re
import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from email._policybase import Compat32
from typing import Any, NamedTuple

from ._generator import getter

__all__ = ["KEPT", "KEPT_LENGTH", "PLACE", "Folded", "Headers", "keep", "known"]

_CRLF = "\r\n"
# What the standard library takes for "no limit", and enough for both of its ways to fold.
_NO_LIMIT = 1_000_000
# How many folded fields are kept for each set of policy values, and the length in characters up to which they are.
KEPT = 256
KEPT_LENGTH = 1000
# After as many fields of a message that had to be folded, all others are: looking for another way does not pay.
_HARD = 16

# A boundary that the standard library drew. Whatever its digits are, the field is folded alike.
_DIGITS = len(repr(sys.maxsize - 1))
_DRAWN = re.compile(rf"={{15}}[0-9]{{{_DIGITS}}}==")
PLACE = f"{'=' * 15}{'0' * _DIGITS}=="

_folded: dict[Hashable, dict[Hashable, str]] = {}


_of_compat32 = getter(Compat32, "_fold", "_sanitize_header", "fold_binary", "header_fetch_parse")
_of_header = getter(email.header.Header, "__init__", "append", "encode")
_COMPAT32 = _of_compat32(Compat32)
_HEADER = _of_header(email.header.Header)


class Headers:
    """Writes the fields of one message under `email.policy.compat32`, whose values are text or `email.header.Header`.

    Attributes:
        policy: the message's own with CRLF as its line separator.
    """

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self._limit: int = policy.max_line_length or _NO_LIMIT
        self._kept = keep(_folded, self._values(), {}, 16)

    def _values(self) -> Hashable:
        """Return all values of the policy that folding depends on."""
        policy = self.policy
        checked = getattr(policy, "verify_generated_headers", None)
        return type(policy), policy.max_line_length, policy.cte_type, checked

    def fetched(self, name: str, value: Any) -> str:
        """Return the value that `email.message.Message.get` finds, as text."""
        if type(value) is str and value.isascii():
            return value
        return str(self.policy.header_fetch_parse(name, value))

    def _plain(self, name: str, value: Any) -> str | None:
        """Return the field, without its line end, if it can be told without folding it; else None."""
        kind = type(value)
        if kind is not str:
            return value.line if kind is Folded else None
        if not value.isascii():
            return None
        line = f"{name}: {value}"
        return line if len(line) <= self._limit and line.isascii() and line.isprintable() else None

    def _key(self, name: str, value: Any, drawn: str = "") -> Hashable | None:
        """Return what the folded form depends on beside the policy's values; None where that is not known.

        Args:
            name: of the field.
            value: of the field.
            drawn: a boundary within it, instead of which any other may stand.
        """
        if type(value) is not str or len(value) > KEPT_LENGTH:
            return None
        # A program may change how text that is not ASCII is encoded.
        utf8 = email.header.UTF8  # type: ignore[attr-defined]  # not in typeshed
        text = value.replace(drawn, PLACE) if drawn else value
        return name, text, utf8.header_encoding, utf8.output_codec

    def write(self, items: Sequence[tuple[str, Any]]) -> bytes:
        """Return the fields and the empty line after them.

        Raises:
            Exception: whatever the standard library raises for a field.
        """
        lines: list[str] = []
        for index, (name, value) in enumerate(items):
            line = self._plain(name, value)
            if line is None:
                return _CRLF.join([*lines, ""]).encode("ascii") + self._fold(items[index:])
            lines.append(line)
        lines += ("", "")
        return _CRLF.join(lines).encode("ascii")

    def set_boundary(self, message: Any, boundary: str) -> None:
        """Do as ``message.set_boundary`` does, to a message of which only `write` will see the fields."""
        places = [index for index, (name, _) in enumerate(message._headers) if name.lower() == "content-type"]
        key = None
        if len(places) == 1 and len(boundary) == len(PLACE):
            key = self._key(*message._headers[places[0]])
        if key is None:
            message.set_boundary(boundary)
            return
        (index,) = places
        key = "boundary", key
        if key not in self._kept:
            message.set_boundary(boundary)
            folded = self.write(message._headers[index : index + 1])
            self._keep_folded(key, folded.removesuffix(b"\r\n"), boundary)
        kept = self._kept.get(key)
        if kept is not None:
            line = kept.replace(PLACE, boundary).removesuffix(_CRLF)
            message._headers[index] = message._headers[index][0], Folded(line)

    def _fold(self, items: Sequence[tuple[str, Any]]) -> bytes:
        """Let the generator write the fields that have to be folded; the others are put in between."""
        chunks: list[bytes] = []
        generator = email.generator.BytesGenerator(_Sink(chunks.append), policy=self.policy)
        generator._NL = _CRLF  # type: ignore[attr-defined]  # not in typeshed; flatten() sets it
        generator._write_headers(_Fields(self._hard(items, chunks)))  # type: ignore[attr-defined]  # not in typeshed
        return b"".join(chunks)

    def _hard(self, items: Sequence[tuple[str, Any]], chunks: list[bytes]) -> Iterator[tuple[str, Any]]:
        """Yield the fields that have to be folded, and add the others to *chunks*."""
        hard = 0
        for index, (name, value) in enumerate(items):
            line = self._plain(name, value)
            if line is not None:
                chunks.append(f"{line}{_CRLF}".encode("ascii"))
                continue
            hard += 1
            if hard == _HARD and not any(type(value) is Folded for _, value in items[index:]):
                yield from items[index:]
                return
            found = _DRAWN.search(value) if isinstance(value, str) and "===" in value else None
            drawn = found[0] if found else ""
            key = self._key(name, value, drawn)
            kept = self._kept.get(key)
            if kept is not None:
                chunks.append((kept.replace(PLACE, drawn) if drawn else kept).encode("ascii"))
                continue
            count = len(chunks)
            yield name, value
            # Reached when the generator asks for the next one, having written this one.
            if len(chunks) == count:
                raise NotImplementedError("this generator writes its fields in another order")
            if key is not None:
                self._keep_folded(key, b"".join(chunks[count:]), drawn)

    def _keep_folded(self, key: Hashable, folded: bytes, drawn: str) -> None:
        if folded.isascii() and (not drawn or folded.count(drawn.encode("ascii")) == 1):
            text = folded.decode("ascii")
            keep(self._kept, key, text.replace(drawn, PLACE) if drawn else text, KEPT)


def known(policy: Any) -> bool:
    """Tell whether `Headers` knows such policies, and the standard library is as it was."""
    return (
        type(policy) is Compat32 and _of_compat32(Compat32) == _COMPAT32 and _of_header(email.header.Header) == _HEADER
    )


class Folded(NamedTuple):
    """A value with the whole field as it is written, without its line end."""

    line: str


class _Sink(NamedTuple):
    """A file to write to."""

    write: Callable[[bytes], None]


class _Fields(NamedTuple):
    """A message of which only the fields are asked for."""

    items: Iterator[tuple[str, Any]]

    def raw_items(self) -> Iterator[tuple[str, Any]]:
        return self.items


def keep(kept: dict[Any, Any], key: Hashable, value: Any, most: int) -> Any:
    """Return the value for *key*, which is *value* unless there is one; forget everything when it becomes too much."""
    if key not in kept and len(kept) >= most:
        kept.clear()
    return kept.setdefault(key, value)
